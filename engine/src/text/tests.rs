//! Indexes against plain texts: what is found, to the last bit of the score, and that damage is told.

use super::*;
use crate::{
    cancel::Cancel,
    codec::{DecodeError, Decoded},
    error::{Error, Result},
    postings::{Collector, List, Source},
    top_k::TopK,
};
use proptest::prelude::*;

/// The tokens of each row, with their positions.
pub(super) type Texts = Vec<Vec<(String, u32)>>;

impl Source<Section> for Bytes {
    fn len(&self, section: Section) -> usize {
        self.section(section).len()
    }

    fn bytes(&self, section: Section, start: usize, len: usize) -> Result<&[u8]> {
        let end = start.checked_add(len);
        end.and_then(|end| self.section(section).get(start..end))
            .ok_or_else(|| self.corrupted(section, start, DecodeError("outside")))
    }

    fn corrupted(&self, section: Section, at: usize, flaw: DecodeError) -> Error {
        Error::corrupted(&format!("{section:?}"), at as u64, flaw)
    }
}

impl Bytes {
    fn section(&self, section: Section) -> &Vec<u8> {
        match section {
            Section::Dictionary => &self.dictionary,
            Section::Postings => &self.postings,
            Section::Positions => &self.positions,
            Section::Lengths => &self.lengths,
        }
    }
}

pub(super) fn memory(texts: &Texts, positions: bool) -> Memory {
    let mut memory = Memory::new(positions);
    for (row, tokens) in (0..).zip(texts) {
        // Rows without a text are not added at all.
        if !tokens.is_empty() {
            let tokens = tokens.iter().map(|(term, position)| (term, *position));
            memory.add(row, tokens).unwrap();
        }
    }
    memory
}

pub(super) fn view(texts: &Texts, positions: bool) -> View {
    memory(texts, positions).view(texts.len() as u32)
}

pub(super) fn build(texts: &Texts, positions: bool) -> Bytes {
    let mut builder = Builder::new(positions);
    for (row, tokens) in (0..).zip(texts) {
        let tokens = tokens.iter().map(|(term, position)| (term, *position));
        builder.add(row, tokens).unwrap();
    }
    assert!(texts.iter().all(Vec::is_empty) || builder.bytes() > 0);
    builder
        .finish(texts.len() as u32, &Cancel::default())
        .unwrap()
}

pub(super) fn open(bytes: Bytes, rows: usize) -> Stored<Bytes> {
    Stored::open(bytes, rows as u32).unwrap()
}

/// A word of a small vocabulary, in which some words are much more frequent than others, and some are
/// alike.
pub(super) fn word() -> impl Strategy<Value = String> + Clone {
    let rare = (0u32..40).prop_map(|word| format!("rare{word}"));
    let spelt = "[abc]{1,4}";
    prop_oneof![
        4 => Just("the".to_owned()),
        3 => Just("of".to_owned()),
        2 => Just("sea".to_owned()),
        1 => spelt,
        1 => rare,
    ]
}

/// Rows with some words each, a few positions left out.
pub(super) fn texts(rows: std::ops::Range<usize>) -> impl Strategy<Value = Texts> {
    // Each word some places behind the one before.
    let place = |words: Vec<(String, u32)>| -> Vec<(String, u32)> {
        let mut position = 0;
        let place = |(word, step)| {
            position += step;
            (word, position - 1)
        };
        words.into_iter().map(place).collect()
    };
    let text = prop::collection::vec((word(), 1u32..3), 0..12).prop_map(place);
    let text = text.boxed();
    let long = (text.clone(), 1usize..30).prop_map(|(text, times): (Vec<(String, u32)>, _)| {
        let len = text.last().map_or(0, |(_, position)| position + 1);
        let repeat = |time| {
            text.iter()
                .map(move |(word, position)| (word.clone(), position + len * time as u32))
        };
        (0..times).flat_map(repeat).collect()
    });
    prop::collection::vec(prop_oneof![6 => text, 1 => long], rows)
}

/// More rows than a strategy makes, so that lists have several blocks.
pub(super) fn repeated(texts: &Texts, times: usize) -> Texts {
    let rows = texts.len() * times;
    (0..rows)
        .map(|row| {
            // The second time around every other row goes without its first word, and so on.
            let text = &texts[row % texts.len()];
            text[(row / texts.len() % 3).min(text.len())..].to_vec()
        })
        .collect()
}

/// The postings of a term as an index gives them: rows, occurrences, positions.
pub(super) fn postings(index: &dyn Index, term: &str) -> Vec<(u32, Vec<u32>)> {
    let Some(list) = index.list(term.as_bytes(), true).unwrap() else {
        return Vec::new();
    };
    read(list, index.has_positions()).unwrap()
}

pub(super) fn read(list: List<'_>, has_positions: bool) -> Decoded<Vec<(u32, Vec<u32>)>> {
    let mut cursor = crate::postings::Cursor::new(list)?;
    let (mut gaps, mut found) = (Vec::new(), Vec::new());
    while cursor.row() != crate::postings::END {
        let count = cursor.value()? as usize + 1;
        let mut positions = vec![0; count];
        if has_positions {
            cursor.positions(&mut gaps)?;
            let (first, _) = cursor.occurrences()?;
            let mut last = 0;
            for (position, gap) in positions.iter_mut().zip(&gaps[first..]) {
                last += gap;
                *position = last;
            }
        }
        found.push((cursor.row(), positions));
        cursor.skip(1)?;
    }
    Ok(found)
}

/// Keeps the best rows that are live.
pub(super) struct Best<'a> {
    pub(super) top: TopK<(u32, u32)>,
    pub(super) live: &'a dyn Fn(u32, u32) -> bool,
    pub(super) part: u32,
}

impl Collector for Best<'_> {
    fn last_wanted(&self) -> f32 {
        self.top.last_wanted()
    }

    fn accepts(&mut self, row: u32) -> Result<bool> {
        Ok((self.live)(self.part, row))
    }

    fn offer(&mut self, row: u32, score: f32) -> Result<()> {
        self.top.offer(score, (self.part, row));
        Ok(())
    }
}

/// Takes every row, which are to ascend and to exist.
struct Every {
    rows: usize,
    last: Option<u32>,
}

impl Collector for Every {
    fn last_wanted(&self) -> f32 {
        f32::NEG_INFINITY
    }

    fn accepts(&mut self, row: u32) -> Result<bool> {
        assert!((row as usize) < self.rows, "rows exist");
        Ok(true)
    }

    fn offer(&mut self, row: u32, _: f32) -> Result<()> {
        assert!(self.last < Some(row), "rows ascend");
        self.last = Some(row);
        Ok(())
    }
}

// Bytes that are not as they were written, by accident or intent. Whatever they are, opening, searching,
// merging and verifying end, with an answer or an error.

fn some_texts() -> Texts {
    let words = ["the", "sea", "of", "seas", "rare"];
    (0..300u32)
        .map(|row| {
            let count = row % 7 + u32::from(row % 3 == 0);
            let word = |at: u32| match at {
                0 => "the".to_owned(),
                4 => format!("word{row}"),
                _ => words[(row + at) as usize % words.len()].to_owned(),
            };
            (0..count).map(|at| (word(at), at * 2)).collect()
        })
        .collect()
}

fn queries() -> Vec<Query> {
    let term = |term: &str| Query::term(0, term);
    let expand = |pattern| Query::Expand {
        field: 0,
        pattern,
        limit: 20,
        boost: 1.0,
    };
    vec![
        term("word44"),
        Query::any(vec![
            term("the"),
            term("sea"),
            term("word100"),
            term("rare"),
        ]),
        Query::all(vec![term("the"), term("seas")]),
        Query::at_least(2, vec![term("the"), term("sea"), term("rare")]),
        Query::Phrase {
            field: 0,
            terms: vec![(b"the".to_vec(), 0), (b"sea".to_vec(), 2)],
            slop: 1,
            boost: 1.0,
        },
        expand(Pattern::prefix(b"wor")),
        expand(Pattern::fuzzy("sea", 2, 0)),
    ]
}

/// Asks everything of an index that opens.
fn use_all(bytes: Bytes, rows: usize) -> Result<()> {
    let index = Stored::open(bytes, rows as u32)?;
    let fields: &Fields<'_> = &[Some(&index)];
    let cancel = Cancel::default();
    for query in queries() {
        let Ok(weighed) = Weighed::new(&query, Bm25::default(), &[fields], &cancel) else {
            continue;
        };
        let mut best = Best {
            top: TopK::new(5),
            live: &|_, row| row % 2 == 0,
            part: 0,
        };
        let _ = search(&weighed, fields, &mut best, &cancel);
        let _ = search_rows(&weighed, fields, [3, 150, 299], &mut best, &cancel);
        let mut every = Every { rows, last: None };
        let _ = search(&weighed, fields, &mut every, &cancel);
    }
    let input = Input {
        index: &index,
        map: &|row| (row % 3 != 0).then(|| row / 3 * 2 + row % 3 - 1),
    };
    let _ = merge(&[input], rows as u32, index.has_positions(), &cancel);
    index.verify(&cancel)
}

/// One of the sections.
fn section(bytes: &mut Bytes, number: usize) -> &mut Vec<u8> {
    match number % 4 {
        0 => &mut bytes.dictionary,
        1 => &mut bytes.postings,
        2 => &mut bytes.positions,
        _ => &mut bytes.lengths,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn damage_is_refused_or_harmless(
        positions: bool,
        changes in prop::collection::vec(
            (0usize..4, any::<prop::sample::Index>(), any::<u8>(), 0u8..3), 1..4),
        cut in prop_oneof![3 => Just(None), 1 => (0usize..4, 1usize..40).prop_map(Some)],
    ) {
        let texts = some_texts();
        let mut bytes = build(&texts, positions);
        for (number, at, value, how) in changes {
            let section = section(&mut bytes, number);
            if section.is_empty() {
                continue;
            }
            let at = at.index(section.len());
            section[at] = match how {
                0 => section[at] ^ 1 << (value % 8),
                1 => value,
                _ => u8::MAX,
            };
        }
        if let Some((number, len)) = cut {
            let section = section(&mut bytes, number);
            section.truncate(section.len().saturating_sub(len));
        }
        let _ = use_all(bytes, texts.len());
    }

    /// Lists of any bytes at all.
    #[test]
    fn any_bytes_may_be_postings(
        postings in prop::collection::vec(any::<u8>(), 0..900),
        positions in prop::collection::vec(any::<u8>(), 0..300),
        count in prop_oneof![0u32..400, any::<u32>()],
        rows in prop_oneof![1u32..2_000, any::<u32>()],
        has_positions: bool,
    ) {
        let place = (0, &postings[..]);
        if let Ok(list) = List::stored(place, &positions, count, rows, has_positions) {
            if let Ok(found) = read(list.clone(), has_positions) {
                prop_assert!(found.is_sorted_by(|a, b| a.0 < b.0));
                prop_assert!(found.iter().all(|(row, _)| *row < rows));
            }
            let mut cursor = crate::postings::Cursor::new(list);
            for row in [0, 5, 100, 1_000, u32::MAX - 1] {
                if let Ok(cursor) = &mut cursor {
                    let _ = cursor.seek(row);
                }
            }
        }
    }
}

/// Every byte of the dictionary and the lists counts.
#[test]
fn every_flipped_bit_that_changes_what_is_said_is_seen_by_verify() {
    let texts: Texts = some_texts().into_iter().take(140).collect();
    let bytes = build(&texts, true);
    assert!(use_all(bytes.clone(), texts.len()).is_ok());
    let (mut seen, mut missed) = (0, 0);
    for number in 0..4 {
        for at in 0..section(&mut bytes.clone(), number).len() {
            let mut flipped = bytes.clone();
            section(&mut flipped, number)[at] ^= 1 << (at % 8);
            match use_all(flipped, texts.len()) {
                Err(_) => seen += 1,
                Ok(()) => missed += 1,
            }
        }
    }
    // A term spelt otherwise in its place, or a position moved, is an index of other texts.
    assert!(seen > missed, "{seen} seen, {missed} missed");
}
