//! Questions and their answers over a pinned view: what to find, what to keep, what to return.
//!
//! A [`Query`] and a [`Filter`] are plain data, checked once against schema and limits before
//! anything runs. Running one reads the view that it was given and nothing else, and changes nothing.

mod parse_error;
mod filter;
mod projection;
mod get;
mod rows;
mod bound;
mod plan;
mod explained;
mod scan;
mod cursor;
mod facet;
mod found;
mod lists;
mod nearest;
mod text;
mod best;
mod judge;
mod order;
mod scroll;
mod sample;
mod formula;
mod words;
mod sparse;
mod fusion;
mod mmr;
mod example;
mod recommend;
mod check;
mod highlights;
mod hit;
mod kind;
mod json;
mod search;
mod groups;
mod matrix;

pub use crate::text::Bm25;
#[cfg(test)]
pub(crate) use bound::Bound;
pub(crate) use check::Checked;
pub use cursor::{Cursor, CursorValue};
pub use example::{Example, ExamplePoint};
pub(crate) use example::{Others, Scope};
pub use explained::{Explained, ExplainedPart, ExplainedQuery, Strategy};
pub(crate) use facet::facet;
pub use facet::{Facet, FacetHit};
pub use filter::{Condition, FieldPath, Filter, Wording, field};
pub(crate) use filter::{Conditions, Subject, Terms};
pub use formula::{Decay, DecayShape, Expr, Function};
pub use fusion::Fusion;
pub use get::Get;
pub(crate) use groups::groups;
pub use groups::{Group, GroupBy};
pub use hit::{Hit, PrefetchScore};
pub use kind::QueryKind;
pub(crate) use matrix::matrix;
pub use matrix::{DistanceMatrix, Neighbors};
pub use mmr::Mmr;
pub use order::OrderBy;
pub use parse_error::ParseError;
pub use projection::Projection;
pub(crate) use projection::Shows;
pub use recommend::{Recommend, RecommendStrategy};
pub use scan::CountEstimate;
pub(crate) use scan::{count, estimate, get, ids};
pub(crate) use scroll::Walk;
pub use scroll::{Scroll, ScrollOrder, ScrollPage};
pub(crate) use search::{explain, search};
pub use text::{Distance, Least, Snippet, TextQuery};

use crate::json as written;
use serde::{Deserialize, Serialize};
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
/// A query may have prefetches, queries of their own, which may have some in turn,
/// [so deep](Self::MAX_DEPTH). All of them see one moment. A query that [fuses](Self::fuse) makes one
/// list of their hits. Any other finds nothing but their hits, which it scores anew, every one of them: a quick
/// query chooses what a better one orders.
///
/// ```
/// use amphora::Query;
///
/// let best = Query::nearest("large", [0.1, 0.2, 0.3, 0.4])
///     .prefetch(Query::nearest("small", [0.1, 0.2]).limit(1_000))
///     .limit(10);
/// # let _ = best;
/// ```
///
/// What holds for prefetches:
///
/// - **filter**: that of a query above is asked for in addition to their own.
/// - **effort, oversampling, bm25**: those of the closest query above that has any, unless they have their own.
/// - **limit**: how many of their hits are fused, or scored anew. Without one, ten times the limit of the closest query
///   above that has one (100 if none has), or as many as the query that has them looks for, if
///   that is more.
/// - **offset, score threshold, mmr**: their own alone.
/// - **payload, vectors, scores, highlights**: read for the final hits alone, if the outermost query says so.
///
/// # As JSON
/// A query, and what it is made of, can be read from JSON, or any other format that serde knows and that describes
/// itself, and written to it. It is an object with one key for what is asked, and the fields of this type beside it, of which all may be
/// missing:
///
/// ```
/// use amphora::{Example, Expr, Fusion, Query, field};
///
/// let json = r#"{
///     "formula": { "sum": ["$score", { "mult": [0.5, { "field": "likes" }] }] },
///     "prefetches": [{
///         "fuse": { "method": "rrf", "k": 20 },
///         "prefetches": [
///             { "nearest": { "vector": "embedding", "example": [0.1, 0.2] }, "limit": 50 },
///             { "text": { "texts": { "body": 1 }, "query": "heat transfer -laminar" }, "limit": 50 }
///         ]
///     }],
///     "filter": { "must": [{ "key": "year", "range": { "gte": 1850 } }] },
///     "limit": 10
/// }"#;
/// let query: Query = serde_json::from_str(json)?;
/// assert_eq!(query.limit, Some(10));
/// assert_eq!(serde_json::from_str::<Query>(&serde_json::to_string(&query)?)?, query);
///
/// let error = serde_json::from_str::<Query>(r#"{ "random": { "seed": 7 }, "limti": 10 }"#).unwrap_err();
/// assert!(error.to_string().starts_with("unknown field `limti`, expected one of `nearest`, "));
/// # Ok::<_, serde_json::Error>(())
/// ```
///
/// | asked | as JSON |
/// |---|---|
/// | [`nearest`](Self::nearest) | `"nearest": { "vector": "embedding", "example": [0.1, 0.2] }`; other examples: see [`Example`] |
/// | [`nearest_multi`](Self::nearest_multi) | `"nearest_multi": { "vector": "tokens", "values": [[0.1, 0.2], [0.3, 0.4]] }` |
/// | [`text`](Self::text), [`texts`](Self::texts) | `"text": { "texts": { "title": 3, "body": 1 }, "query": "heat transfer" }`; other queries: see [`TextQuery`] |
/// | [`sparse`](Self::sparse) | `"sparse": { "vector": "words", "example": { "indices": [7, 12], "values": [0.5, 1] } }` |
/// | [`recommend`](Self::recommend) | `"recommend": { "vector": "embedding", "examples": { "strategy": "best_score", "positive": [7], "negative": [9] } }` |
/// | [`discover`](Self::discover) | `"discover": { "vector": "embedding", "target": 7, "pairs": [{ "positive": 8, "negative": 9 }] }` |
/// | [`context`](Self::context) | `"context": { "vector": "embedding", "pairs": [{ "positive": 8, "negative": 9 }] }` |
/// | [`order_by`](Self::order_by) | `"order_by": "year"`, `"order_by": { "field": "year", "descending": true, "start_from": 1860 }` |
/// | [`random`](Self::random) | `"random": { "seed": 7 }` |
/// | [`fuse`](Self::fuse) | `"fuse": "rrf"`, `"fuse": { "method": "weighted", "weights": [0.7, 0.3] }` |
/// | [`formula`](Self::formula) | `"formula": { "sum": ["$score", 1] }`: see [`Expr`] |
///
/// Beside them: `"filter"` (see [`Filter`]), `"effort"` (see [`Effort`]), `"bm25": { "k1": 1.2, "b": 0.75 }`, `"mmr": { "lambda": 0.5 }`,
/// `"highlights": { "body": 200 }`, `"with_payload": ["title"]` (see [`Projection`]), and numbers. A key that there is not is an
/// error, in whatever object it stands. A number that is not finite has no JSON. What is `null` is as if it were missing.
///
/// Reading JSON, `serde_json` goes 127 levels deep and no further: about 60 queries or filters within each other. How deep they
/// may be is checked when they are asked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Query {
    /// What is asked.
    #[serde(flatten)]
    pub kind: QueryKind,
    /// The queries whose hits are fused, or scored anew; if there are none, all points are searched.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prefetches: Vec<Query>,
    /// Which points may be hits; all without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// The most hits; 10 unless set, of prefetches as said above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// How many of the best are left out, none unless changed.
    #[serde(skip_serializing_if = "written::is_default")]
    pub offset: usize,
    /// What the score of a hit must be at least.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "written::finite"
    )]
    pub score_threshold: Option<f32>,
    /// How hard to look for the nearest: for 98 % of them unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort: Option<Effort>,
    /// How many times as many as the limit are compared by their vectors, of what an index finds by its
    /// codes: as many as these leave in doubt unless set.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "written::finite"
    )]
    pub oversampling: Option<f32>,
    /// How BM25 weighs occurrences and lengths: as usual unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bm25: Option<Bm25>,
    /// How hits that are unlike each other are chosen, if they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mmr: Option<Mmr>,
    /// What hits carry of their payload: all of it unless changed.
    #[serde(skip_serializing_if = "written::is_default")]
    pub with_payload: Projection,
    /// Which of their vectors hits carry: none unless changed.
    #[serde(skip_serializing_if = "Projection::is_none")]
    pub with_vectors: Projection,
    /// The texts of which hits show the part where the query's words are, each with the most characters of
    /// it: none unless changed.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        serialize_with = "written::pairs::serialize"
    )]
    pub highlights: Vec<(String, usize)>,
    /// Whether hits say what they are in each prefetch: no unless changed.
    #[serde(skip_serializing_if = "written::is_default")]
    pub with_scores: bool,
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
///
/// As JSON: `"exact"`, `{ "recall": 0.95 }` or `{ "ef": 100 }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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

impl Query {
    /// How deep queries may be nested, the outermost being 1.
    pub const MAX_DEPTH: usize = 16;
    /// The most characters of a [snippet](Self::highlight).
    pub const MAX_SNIPPET: usize = 100_000;
    /// How many hits there are without a [limit](Self::limit).
    pub const DEFAULT_LIMIT: usize = 10;

    /// Has `query` find what this one makes its hits of, together with the prefetches before it: see
    /// [prefetches](Self#prefetches).
    #[must_use]
    pub fn prefetch(mut self, query: Query) -> Self {
        self.prefetches.push(query);
        self
    }

    /// Only points that match `filter`; in place of a filter set before. It holds for every prefetch
    /// below, in addition to theirs.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// At most so many hits. Of a prefetch: so many of its hits are fused, or scored anew.
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
