//! `tantivy`: one writer thread, merged to one segment; queries through its parser.

use super::{ID, Result, Served, TEXT};
use crate::protocol::{Find, Index, Way};
use tantivy::{
    DocAddress, Index as Files, IndexReader, Score, TantivyDocument,
    collector::TopDocs,
    columnar::Column,
    directory::MmapDirectory,
    query::{Query, QueryParser},
    schema::{FAST, Field, IndexRecordOption, STORED, Schema, TextFieldIndexing, TextOptions},
    tokenizer::{Language, LowerCaser, SimpleTokenizer, Stemmer, TextAnalyzer},
};

/// What a writer may take: as much as Amphora's points in memory.
const MEMORY: usize = 64 << 20;
const ENGLISH: &str = "english";

pub(super) struct Tantivy {
    reader: IndexReader,
    parser: QueryParser,
    /// Of the one segment.
    ids: Column<u64>,
}

pub(super) struct Request {
    asked: Asked,
    k: usize,
    with_texts: bool,
}

enum Asked {
    Words(String),
    Query(Box<dyn Query>),
}

impl Served for Tantivy {
    type Request = Request;
    type Hits = Vec<(u64, Score, Option<TantivyDocument>)>;

    fn index(index: &Index, texts: &[&str]) -> Result<Self> {
        let (schema, id, text) = schema(index.is_indexed);
        let directory = MmapDirectory::open(&index.directory)?;
        let files = Files::create(directory, schema, Default::default())?;
        let english = TextAnalyzer::builder(SimpleTokenizer::default())
            .filter(LowerCaser)
            .filter(Stemmer::new(Language::English));
        files.tokenizers().register(ENGLISH, english.build());
        let mut writer = files.writer_with_num_threads(1, MEMORY)?;
        for (row, words) in (0..).zip(texts) {
            let mut document = TantivyDocument::new();
            document.add_u64(id, row);
            document.add_text(text, words);
            writer.add_document(document)?;
        }
        writer.commit()?;
        let segments = files.searchable_segment_ids()?;
        if segments.len() > 1 {
            writer.merge(&segments).wait()?;
        }
        writer.wait_merging_threads()?;
        let reader = files.reader()?;
        let searcher = reader.searcher();
        let [segment] = searcher.segment_readers() else {
            return Err("there is more than one segment".into());
        };
        Ok(Self {
            ids: segment.fast_fields().u64(ID)?,
            parser: QueryParser::for_index(&files, vec![text]),
            reader,
        })
    }

    fn request(&self, words: &str, find: &Find) -> Result<Request> {
        Ok(Request {
            asked: match find.way {
                Way::Prepared => Asked::Query(self.parser.parse_query(words)?),
                _ => Asked::Words(words.to_owned()),
            },
            k: find.k,
            with_texts: find.way == Way::Texts,
        })
    }

    fn answer(&self, request: Request) -> Result<Self::Hits> {
        let query = match request.asked {
            Asked::Words(words) => self.parser.parse_query(&words)?,
            Asked::Query(query) => query,
        };
        let searcher = self.reader.searcher();
        let best = TopDocs::with_limit(request.k).order_by_score();
        let found = searcher.search(&query, &best)?;
        let hit = |(score, address): (Score, DocAddress)| {
            let id = self.ids.first(address.doc_id).ok_or("it has no id")?;
            let document = request.with_texts.then(|| searcher.doc(address));
            Ok((id, score, document.transpose()?))
        };
        found.into_iter().map(hit).collect()
    }

    fn rows(hits: Self::Hits) -> Vec<i64> {
        hits.into_iter().map(|(id, ..)| id as i64).collect()
    }

    fn close(self) -> Result<()> {
        Ok(())
    }
}

/// Texts that are kept, and searched by their words if they are `indexed`, with neither positions nor
/// stop words.
fn schema(indexed: bool) -> (Schema, Field, Field) {
    let mut schema = Schema::builder();
    let id = schema.add_u64_field(ID, FAST);
    let mut options = TextOptions::default() | STORED;
    if indexed {
        let indexing = TextFieldIndexing::default()
            .set_tokenizer(ENGLISH)
            .set_index_option(IndexRecordOption::WithFreqs);
        options = options.set_indexing_options(indexing);
    }
    let text = schema.add_text_field(TEXT, options);
    (schema.build(), id, text)
}
