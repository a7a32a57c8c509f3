//! Questions and their answers over a pinned view: what to find, what to keep, what to return.
//!
//! A [`Query`] and a [`Filter`] are plain data, checked once against schema and limits before
//! anything runs. Running one reads the view that it was given and nothing else, and changes nothing.

mod filter;
mod projection;
mod get;
mod bound;
mod plan;
mod scan;
mod cursor;
mod scroll;
mod facet;
mod found;
mod lists;
mod nearest;
mod text;
mod best;
mod words;
mod sparse;
mod fusion;
mod mmr;
mod check;
mod highlights;
mod search;

pub use crate::text::Bm25;
#[cfg(test)]
pub(crate) use bound::Bound;
pub(crate) use check::Checked;
pub use cursor::Cursor;
pub(crate) use facet::facet;
pub use facet::{Facet, FacetHit};
pub use filter::{FieldPath, Filter, field};
pub use fusion::Fusion;
pub use get::Get;
pub use mmr::Mmr;
pub use projection::Projection;
pub(crate) use projection::Shows;
pub use scan::CountEstimate;
pub(crate) use scan::{count, estimate, get, ids};
pub(crate) use scroll::Walk;
pub use scroll::{Scroll, ScrollOrder, ScrollPage};
pub(crate) use search::search;
pub use text::{Distance, Least, Snippet, TextParseError, TextQuery};

use crate::{id::PointId, payload::Payload, sparse_vector::SparseVector};
use std::mem;

/// What to search for: a [kind](QueryKind) of question, and what holds for all kinds.
///
/// ```
/// use amphora::{Fusion, Query, field};
///
/// let nearest = Query::nearest("embedding", [0.1, 0.2, 0.3])
///     .filter(field("year").at_least(1850) & field("work").eq("Walden"))
///     .limit(5);
/// assert_eq!(nearest.limit, Some(5));
///
/// let fused = Query::fuse(Fusion::rrf())
///     .prefetch(Query::nearest("title", [0.1, 0.2]).limit(50))
///     .prefetch(nearest.limit(50))
///     .filter(field("draft").eq(false))
///     .limit(10);
/// # let _ = fused;
/// ```
///
/// # Prefetches
/// A query that fuses has prefetches, queries of their own, whose hits it makes one list of: see
/// [`Fusion`]. They may fuse in turn, [so deep](Self::MAX_DEPTH). All of them see one moment. What
/// holds for them:
///
/// - **filter**: that of a query above is asked for in addition to their own.
/// - **effort, oversampling, bm25**: those of the closest query above that has any, unless they have their own.
/// - **limit**: how many of their hits are fused. Without one, ten times the limit of the closest query
///   above that has one (100 if none has), or as many as the query that fuses them looks for, if
///   that is more.
/// - **offset, score threshold, mmr**: their own alone.
/// - **payload, vectors, scores, highlights**: read for the final hits alone, if the outermost query says so.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// What is asked.
    pub kind: QueryKind,
    /// Of which queries the hits are fused, if it fuses.
    pub prefetches: Vec<Query>,
    /// Which points may be hits; all without one.
    pub filter: Option<Filter>,
    /// The most hits; 10 unless set, of prefetches as said above.
    pub limit: Option<usize>,
    /// How many of the best are left out, none unless changed.
    pub offset: usize,
    /// What the score of a hit must be at least.
    pub score_threshold: Option<f32>,
    /// How hard to look for the nearest: for 98 % of them unless set.
    pub effort: Option<Effort>,
    /// How many times as many as the limit are compared by their vectors, of what an index finds by its
    /// codes: as many as these leave in doubt unless set.
    pub oversampling: Option<f32>,
    /// How BM25 weighs occurrences and lengths: as usual unless set.
    pub bm25: Option<Bm25>,
    /// How hits that are unlike each other are chosen, if they are.
    pub mmr: Option<Mmr>,
    /// What hits carry of their payload: all of it unless changed.
    pub with_payload: Projection,
    /// Which of their vectors hits carry: none unless changed.
    pub with_vectors: Projection,
    /// The texts of which hits show the part where the query's words are, each with the most characters of
    /// it: none unless changed.
    pub highlights: Vec<(String, usize)>,
    /// Whether hits say what they are in each prefetch: no unless changed.
    pub with_scores: bool,
}

/// What a [`Query`] asks; made by its functions.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum QueryKind {
    /// See [`Query::nearest`].
    Nearest {
        /// The vector of the schema that is compared.
        vector: String,
        /// What it is compared with.
        values: Vec<f32>,
    },
    /// See [`Query::nearest_multi`].
    NearestMulti {
        /// The list of vectors of the schema that is compared.
        vector: String,
        /// What it is compared with.
        values: Vec<Vec<f32>>,
    },
    /// See [`Query::text`] and [`Query::texts`].
    Text {
        /// The texts of the schema where a word is looked for that names none, each with what its
        /// matches are multiplied with; all texts if there are none.
        texts: Vec<(String, f32)>,
        /// What is looked for.
        query: TextQuery,
    },
    /// See [`Query::sparse`].
    Sparse {
        /// The sparse vector of the schema that is compared.
        vector: String,
        /// What it is compared with.
        values: SparseVector,
    },
    /// See [`Query::fuse`].
    Fuse(Fusion),
}

/// Level by level, since a query may be nested deeper than the stack allows that drops it, whether
/// or not anything has checked it.
impl Drop for Query {
    fn drop(&mut self) {
        let mut open = mem::take(&mut self.prefetches);
        while let Some(mut query) = open.pop() {
            open.append(&mut query.prefetches);
        }
    }
}

/// How hard to look for the nearest, where there is an index. What is in memory alone, or in a
/// segment whose index is not ready, is compared point by point; where searches meet much of it, they
/// leave out those points that are too far away by one bit of each number, which one in a thousand
/// of the nearest may seem to be.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Effort {
    /// Every point is compared.
    Exact,
    /// So large a share of the nearest shall be found, above 0 and at most 1. Each index knows from
    /// measuring itself what that takes; 1 is [`Exact`](Self::Exact).
    Recall(f32),
    /// So many points are kept in view in each index, `ef` in the words of HNSW.
    Ef(usize),
}

impl Default for Effort {
    fn default() -> Self {
        Self::Recall(0.98)
    }
}

/// A point that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// Its id.
    pub id: PointId,
    /// How well it matches: larger is better under every metric and every fusion. See
    /// [`Metric`](crate::Metric) and [`Fusion`] for what the number is.
    pub score: f32,
    /// Its payload; empty if the query did not ask for it.
    pub payload: Payload,
    /// Its vectors; none if the query did not ask for them.
    pub vectors: Vec<(String, Vec<f32>)>,
    /// Its lists of vectors; none if the query did not ask for its vectors.
    pub multi_vectors: Vec<(String, Vec<Vec<f32>>)>,
    /// Its sparse vectors; none if the query did not ask for its vectors.
    pub sparse_vectors: Vec<(String, SparseVector)>,
    /// Of the texts that the query asked to [highlight](Query::highlight), and that the payload has.
    pub snippets: Vec<(String, Snippet)>,
    /// What it is in each prefetch, `None` where it is not among its hits; empty if the query did
    /// not [ask for it](Query::with_scores). The prefetches stand in the order in which they are
    /// written, each before those below it.
    pub scores: Vec<Option<PrefetchScore>>,
}

/// What a [`Hit`] is in a prefetch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PrefetchScore {
    /// Its rank among the hits of the prefetch, 1 for the first.
    pub rank: usize,
    /// Its score in the prefetch.
    pub score: f32,
}

impl Query {
    /// How deep queries may be nested, the outermost being 1.
    pub const MAX_DEPTH: usize = 16;
    /// The most characters of a [snippet](Self::highlight).
    pub const MAX_SNIPPET: usize = 100_000;
    /// How many hits there are without a [limit](Self::limit).
    pub const DEFAULT_LIMIT: usize = 10;

    /// The points whose vector `vector` is nearest to `values` under the schema's metric. Among
    /// equal scores the smaller id comes first.
    pub fn nearest(vector: impl Into<String>, values: impl Into<Vec<f32>>) -> Self {
        Self::of(QueryKind::Nearest {
            vector: vector.into(),
            values: values.into(),
        })
    }

    /// The points whose lists of vectors `vector` are nearest to a list of vectors: the score is the
    /// sum over these of the best score among the point's. See
    /// [`Vector::multi`](crate::Vector::multi). An index is asked for the vectors near to each of
    /// these; the points that seem to be the nearest by what it says, 64 times the limit unless
    /// [`oversampling`](Self::oversampling) is given, are compared by all of their vectors.
    pub fn nearest_multi<V: Into<Vec<f32>>>(
        vector: impl Into<String>,
        vectors: impl IntoIterator<Item = V>,
    ) -> Self {
        Self::of(QueryKind::NearestMulti {
            vector: vector.into(),
            values: vectors.into_iter().map(Into::into).collect(),
        })
    }

    /// The points whose text `name` matches best: by BM25, which weighs a word the more the fewer points
    /// have it, and the more often and in the shorter a text it stands. Any of the words do unless the
    /// [`TextQuery`] says otherwise. Among equal scores the smaller id comes first.
    ///
    /// The score is that of Lucene: the sum, over the words of the query that a text has, of
    /// `ln(1 + (N - n + 0.5) / (n + 0.5)) * tf / (tf + k1 * (1 - b + b * len / average))`, where `n` of the `N`
    /// points with such a text have the word, and the text has it `tf` times among `len` words (counted to
    /// within 11 % from 40 on). It does not depend on how points are split into segments; points that were
    /// replaced or deleted count for `n`, `N` and `average` until their segments are merged. Every match is
    /// found: the effort changes nothing.
    ///
    /// ```
    /// # use amphora::{Database, Point, Query, Schema, Text, TextQuery, vfs::MemoryVfs};
    /// # let db = Database::builder_on(MemoryVfs::new()).open().wait()?;
    /// use serde_json::json;
    ///
    /// let schema = Schema::new().text("body", Text::english());
    /// let docs = db.create_collection("docs", schema).wait()?;
    /// docs.upsert([
    ///     Point::new(1).payload(json!({ "body": "Simplify, simplify." })),
    ///     Point::new(2).payload(json!({ "body": "A simple and sincere life" })),
    ///     Point::new(3).payload(json!({ "body": "The pond in winter" })),
    /// ]).wait()?;
    ///
    /// let hits = docs.search(Query::text("body", "simplified life")).wait()?;
    /// assert_eq!(hits.iter().map(|hit| hit.id.clone()).collect::<Vec<_>>(), [1.into(), 2.into()]);
    /// let query = TextQuery::parse("+simpl* -\"sincere life\"").unwrap();
    /// assert_eq!(docs.search(Query::text("body", query)).wait()?.len(), 1);
    /// # Ok::<_, amphora::Error>(())
    /// ```
    pub fn text(name: impl Into<String>, query: impl Into<TextQuery>) -> Self {
        Self::texts([(name, 1.0)], query)
    }

    /// As [`text`](Self::text) in several texts of the schema, each with what its matches are multiplied
    /// with, or in all of them if none is named. Where these are taken apart alike, a word may stand in any
    /// of them.
    pub fn texts<N: Into<String>>(
        texts: impl IntoIterator<Item = (N, f32)>,
        query: impl Into<TextQuery>,
    ) -> Self {
        let texts = texts.into_iter().map(|(name, boost)| (name.into(), boost));
        Self::of(QueryKind::Text {
            texts: texts.collect(),
            query: query.into(),
        })
    }

    /// The points whose sparse vector `vector` has the largest dot product with `values`: those that have a
    /// dimension of it, be the product negative. Among equal scores the smaller id comes first.
    ///
    /// The score is the exact sum of products, rounded once to the nearest number of 32 bits, so that it is the same
    /// to the last bit wherever a point lies. Weights of the query are not rounded, but each is multiplied with the
    /// inverse document frequency of its dimension if the schema [says so](crate::Sparse::idf), and that is. The best are found for
    /// certain: the effort changes nothing.
    ///
    /// ```
    /// # use amphora::{Database, Point, Query, Schema, Sparse, SparseVector, vfs::MemoryVfs};
    /// # let db = Database::builder_on(MemoryVfs::new()).open().wait()?;
    /// let schema = Schema::new().sparse("words", Sparse::new());
    /// let docs = db.create_collection("docs", schema).wait()?;
    /// docs.upsert([
    ///     Point::new(1).sparse("words", SparseVector::new([(7, 0.5), (12, 1.0)])?),
    ///     Point::new(2).sparse("words", SparseVector::new([(7, 2.0)])?),
    ///     Point::new(3).sparse("words", SparseVector::new([(99, 9.0)])?),
    /// ]).wait()?;
    ///
    /// let query = Query::sparse("words", SparseVector::new([(7, 1.0), (12, 2.0)])?);
    /// let hits = docs.search(query).wait()?;
    /// assert_eq!(hits.iter().map(|hit| hit.score).collect::<Vec<_>>(), [2.5, 2.0]);
    /// assert_eq!(hits[0].id, 1.into());
    /// # Ok::<_, amphora::Error>(())
    /// ```
    pub fn sparse(vector: impl Into<String>, values: SparseVector) -> Self {
        Self::of(QueryKind::Sparse {
            vector: vector.into(),
            values,
        })
    }

    /// The points that are best by the hits of several queries, its [prefetches](Self::prefetch).
    /// Among equal scores the smaller id comes first.
    ///
    /// ```
    /// # use amphora::{Database, Metric, Point, Schema, Vector, vfs::MemoryVfs};
    /// use amphora::{Fusion, Query};
    ///
    /// # let db = Database::builder_on(MemoryVfs::new()).open().wait()?;
    /// # let vector = || Vector::new(2, Metric::Cosine);
    /// # let schema = Schema::new().vector("title", vector()).vector("text", vector());
    /// # let docs = db.create_collection("docs", schema).wait()?;
    /// docs.upsert([
    ///     Point::new(1).vector("title", [1.0, 0.0]).vector("text", [0.0, 1.0]),
    ///     Point::new(2).vector("title", [0.9, 0.1]).vector("text", [0.9, 0.1]),
    ///     Point::new(3).vector("title", [0.0, 1.0]).vector("text", [1.0, 0.0]),
    /// ]).wait()?;
    /// let query = Query::fuse(Fusion::rrf())
    ///     .prefetch(Query::nearest("title", [1.0, 0.0]).limit(2))
    ///     .prefetch(Query::nearest("text", [1.0, 0.0]).limit(2))
    ///     .limit(1);
    /// let hits = docs.search(query).wait()?;
    /// // It is the second in both: 1 / (60 + 2) twice.
    /// assert_eq!((hits[0].id.clone(), hits[0].score), (2.into(), 2.0 / 62.0));
    /// # Ok::<_, amphora::Error>(())
    /// ```
    pub fn fuse(fusion: Fusion) -> Self {
        Self::of(QueryKind::Fuse(fusion))
    }

    fn of(kind: QueryKind) -> Self {
        Self {
            kind,
            prefetches: Vec::new(),
            filter: None,
            limit: None,
            offset: 0,
            score_threshold: None,
            effort: None,
            oversampling: None,
            bm25: None,
            mmr: None,
            with_payload: Projection::All,
            with_vectors: Projection::None,
            highlights: Vec::new(),
            with_scores: false,
        }
    }

    /// Fuses the hits of `query` with those of the prefetches before it. A query that does not
    /// [fuse](Self::fuse) and has prefetches is refused.
    #[must_use]
    pub fn prefetch(mut self, query: Query) -> Self {
        self.prefetches.push(query);
        self
    }

    /// Only points that match `filter`; in place of a filter set before. That of a query that fuses
    /// holds for every prefetch below it, in addition to theirs.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// At most so many hits. Of a prefetch: so many of its hits are fused.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Leaves out so many of the best hits: page after page of one list. Each page is found anew, and
    /// costs as much as all before it together; to go over all points,
    /// [`scroll`](crate::Collection::scroll).
    #[must_use]
    pub fn offset(mut self, offset: usize) -> Self {
        self.offset = offset;
        self
    }

    /// Only hits that score at least this. Under the distances scores are negative, see
    /// [`Metric`](crate::Metric); those of a fusion depend on what is found.
    #[must_use]
    pub fn score_threshold(mut self, least: f32) -> Self {
        self.score_threshold = Some(least);
        self
    }

    /// Hits that are near and unlike each other: see [`Mmr`]. Their scores stay what they are, so
    /// that they are not in the order of these.
    #[must_use]
    pub fn mmr(mut self, mmr: impl Into<Mmr>) -> Self {
        self.mmr = Some(mmr.into());
        self
    }

    /// Weighs occurrences by `k1`, 1.2 unless changed, 0 or more: the larger, the more does a further one add.
    /// Weighs lengths by `b`, 0.75 unless changed, from 0, not at all, to 1, in proportion.
    #[must_use]
    pub fn bm25(mut self, k1: f32, b: f32) -> Self {
        self.bm25 = Some(Bm25 { k1, b });
        self
    }

    /// Has hits show the part of a text in which most of the query's words are, of so many characters at
    /// most: up to [`MAX_SNIPPET`](Self::MAX_SNIPPET). Asked of several texts, there are several.
    ///
    /// ```
    /// # use amphora::{Database, Point, Query, Schema, Text, vfs::MemoryVfs};
    /// # use serde_json::json;
    /// # let db = Database::builder_on(MemoryVfs::new()).open().wait()?;
    /// # let schema = Schema::new().text("body", Text::english());
    /// # let docs = db.create_collection("docs", schema).wait()?;
    /// let body = "I went to the woods because I wished to live deliberately";
    /// docs.upsert([Point::new(1).payload(json!({ "body": body }))]).wait()?;
    /// let query = Query::text("body", "lived deliberate").highlight("body", 30);
    /// let hits = docs.search(query).wait()?;
    /// let (_, snippet) = &hits[0].snippets[0];
    /// let marked: Vec<_> = snippet.matches.iter().map(|at| &snippet.text[at.clone()]).collect();
    /// assert_eq!(marked, ["live", "deliberately"]);
    /// # Ok::<_, amphora::Error>(())
    /// ```
    #[must_use]
    pub fn highlight(mut self, text: impl Into<String>, characters: usize) -> Self {
        self.highlights.push((text.into(), characters));
        self
    }

    /// Compares every point, so that the nearest are found for certain.
    #[must_use]
    pub fn exact(mut self) -> Self {
        self.effort = Some(Effort::Exact);
        self
    }

    /// Looks for so large a share of the nearest, above 0 and at most 1: 0.9 is quicker than 0.99.
    /// See [`Effort::Recall`].
    #[must_use]
    pub fn recall(mut self, recall: f32) -> Self {
        self.effort = Some(Effort::Recall(recall));
        self
    }

    /// Keeps so many points in view in each index: see [`Effort::Ef`].
    #[must_use]
    pub fn ef(mut self, ef: usize) -> Self {
        self.effort = Some(Effort::Ef(ef));
        self
    }

    /// Compares so many times as many points as the limit by their vectors, of those that each index
    /// finds by its codes: 1 or more. Indexes know how much their codes err, and compare what that
    /// leaves in doubt (11 to 14 points for 10 hits by 8-bit codes); more of them help with codes that
    /// err otherwise than usual for some queries, fewer are quicker. Scores are always those of the
    /// vectors.
    ///
    /// ```
    /// use amphora::Query;
    ///
    /// let query = Query::nearest("embedding", [0.1, 0.2, 0.3]).oversampling(3.0);
    /// assert_eq!(query.oversampling, Some(3.0));
    /// ```
    #[must_use]
    pub fn oversampling(mut self, times: f32) -> Self {
        self.oversampling = Some(times);
        self
    }

    /// What hits carry of their payload: `true` for all of it, `false` for nothing, or a [`Projection`].
    #[must_use]
    pub fn with_payload(mut self, with: impl Into<Projection>) -> Self {
        self.with_payload = with.into();
        self
    }

    /// Which of their vectors hits carry: `true` for all of them, `false` for none, or a [`Projection`] of
    /// their names.
    #[must_use]
    pub fn with_vectors(mut self, with: impl Into<Projection>) -> Self {
        self.with_vectors = with.into();
        self
    }

    /// Whether hits say which rank and which score they have in each prefetch: see [`Hit::scores`].
    ///
    /// ```
    /// # use amphora::{Database, Fusion, Metric, Point, Query, Schema, Vector, vfs::MemoryVfs};
    /// # let db = Database::builder_on(MemoryVfs::new()).open().wait()?;
    /// # let schema = Schema::new().vector("v", Vector::new(1, Metric::Dot));
    /// # let docs = db.create_collection("docs", schema).wait()?;
    /// docs.upsert([Point::new(1).vector("v", [2.0]), Point::new(2).vector("v", [3.0])]).wait()?;
    /// let query = Query::fuse(Fusion::rrf())
    ///     .prefetch(Query::nearest("v", [1.0]))
    ///     .prefetch(Query::nearest("v", [-1.0]).limit(1))
    ///     .with_scores(true);
    /// let hits = docs.search(query).wait()?;
    /// let [first, second] = hits[0].scores[..] else { unreachable!("two prefetches") };
    /// assert_eq!((hits[0].id.clone(), first.map(|it| (it.rank, it.score))), (1.into(), Some((2, 2.0))));
    /// assert_eq!(second.map(|it| (it.rank, it.score)), Some((1, -2.0)));
    /// assert_eq!(hits[1].scores[1], None);
    /// # Ok::<_, amphora::Error>(())
    /// ```
    #[must_use]
    pub fn with_scores(mut self, with: bool) -> Self {
        self.with_scores = with;
        self
    }
}
