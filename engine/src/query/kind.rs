//! What can be asked: the kinds of questions, and the functions that make queries of them.

use super::{
    Example, Expr, Fusion, OrderBy, Projection, Query, Recommend, TextQuery, fusion,
    json::contrasts, order, text,
};
use crate::json::pairs;
use serde::{Deserialize, Serialize};

/// What a [`Query`] asks; made by its functions. As JSON it is the key of a query that says what is asked, with what
/// belongs to it: see [there](Query#as-json).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum QueryKind {
    /// See [`Query::nearest`].
    Nearest {
        /// The vector of the schema that is compared.
        vector: String,
        /// What it is compared with.
        example: Example,
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
        #[serde(default, skip_serializing_if = "Vec::is_empty", with = "pairs")]
        texts: Vec<(String, f32)>,
        /// What is looked for.
        #[serde(deserialize_with = "text::typed")]
        query: TextQuery,
    },
    /// See [`Query::sparse`].
    Sparse {
        /// The sparse vector of the schema that is compared.
        vector: String,
        /// What it is compared with.
        example: Example,
    },
    /// See [`Query::recommend`].
    Recommend {
        /// The vector of the schema that is compared.
        vector: String,
        /// What it is compared with.
        examples: Recommend,
    },
    /// See [`Query::discover`].
    Discover {
        /// The vector of the schema that is compared.
        vector: String,
        /// What hits shall be like.
        target: Example,
        /// What hits shall rather be like than the other.
        #[serde(with = "contrasts")]
        pairs: Vec<(Example, Example)>,
    },
    /// See [`Query::context`].
    Context {
        /// The vector of the schema that is compared.
        vector: String,
        /// What hits shall rather be like than the other.
        #[serde(with = "contrasts")]
        pairs: Vec<(Example, Example)>,
    },
    /// See [`Query::order_by`].
    OrderBy(#[serde(deserialize_with = "order::field_or_order")] OrderBy),
    /// See [`Query::random`].
    Random {
        /// What the sample depends on, beside the points.
        seed: u64,
    },
    /// See [`Query::fuse`].
    Fuse(#[serde(deserialize_with = "fusion::method_or_fusion")] Fusion),
    /// See [`Query::formula`].
    Formula(Expr),
}

impl Query {
    /// The points whose vector `vector` is nearest to `example` under the schema's metric: to numbers,
    /// or to what a [point](Example::point) has, which may be a list of vectors (see
    /// [`nearest_multi`](Self::nearest_multi)). Among equal scores the smaller id comes first.
    pub fn nearest(vector: impl Into<String>, example: impl Into<Example>) -> Self {
        Self::of(QueryKind::Nearest {
            vector: vector.into(),
            example: example.into(),
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
    pub fn sparse(vector: impl Into<String>, example: impl Into<Example>) -> Self {
        Self::of(QueryKind::Sparse {
            vector: vector.into(),
            example: example.into(),
        })
    }

    /// The points whose vector `vector` is like the positive examples and unlike the negative ones: see
    /// [`RecommendStrategy`](super::RecommendStrategy) for the scores. Examples that are points of the collection
    /// are left out of the hits. Among equal scores the smaller id comes first.
    pub fn recommend(vector: impl Into<String>, examples: Recommend) -> Self {
        Self::of(QueryKind::Recommend {
            vector: vector.into(),
            examples,
        })
    }

    /// The points nearest to `target` among those that are nearer to the first than to the second of most
    /// pairs. The score adds 1 for each pair of which the first is nearer, takes 1 for each of which the
    /// second is, and adds `(s / (1 + |s|) + 1) / 2` for the score `s` with the target, which is
    /// between 0 and 1. With up to four pairs indexes are asked for what is nearest to the target; where others may
    /// score more, every point is compared. Examples that are points of the collection are left out of the hits.
    ///
    /// ```
    /// # use amphora::{Database, Metric, Point, Query, Schema, Vector, vfs::MemoryVfs};
    /// use amphora::Example;
    ///
    /// # let db = Database::builder_on(MemoryVfs::new()).open().wait()?;
    /// # let schema = Schema::new().vector("v", Vector::new(2, Metric::Dot));
    /// # let docs = db.create_collection("docs", schema).wait()?;
    /// docs.upsert([
    ///     Point::new(1).vector("v", [1.0, 0.0]),
    ///     Point::new(2).vector("v", [0.0, 1.0]),
    ///     Point::new(3).vector("v", [0.2, 1.0]),
    ///     Point::new(4).vector("v", [3.0, 1.0]),
    /// ]).wait()?;
    /// // Like [1, 0], where the second number counts more than the first.
    /// let query = Query::discover("v", [1.0, 0.0], [(Example::point(2), Example::point(1))]);
    /// let hits = docs.search(query.limit(1)).wait()?;
    /// assert_eq!((hits[0].id.clone(), hits[0].score), (3.into(), 1.0 + 0.5 * (0.2 / 1.2 + 1.0)));
    /// # Ok::<_, amphora::Error>(())
    /// ```
    pub fn discover<P: Into<Example>, N: Into<Example>>(
        vector: impl Into<String>,
        target: impl Into<Example>,
        pairs: impl IntoIterator<Item = (P, N)>,
    ) -> Self {
        Self::of(QueryKind::Discover {
            vector: vector.into(),
            target: target.into(),
            pairs: both(pairs),
        })
    }

    /// The points that are nearer to the first than to the second of each pair: the score is the sum of
    /// `g / (1 + |g|)` over the pairs, where `g` is by how much the score with the first exceeds that with the
    /// second, and nothing where it does; so that 0, the best, is that of a point that is on the right side of all
    /// pairs (a gap below 1.2e-7 counts as none, and costs as much). Every point is compared; examples that are points of the collection are left out of the hits.
    pub fn context<P: Into<Example>, N: Into<Example>>(
        vector: impl Into<String>,
        pairs: impl IntoIterator<Item = (P, N)>,
    ) -> Self {
        Self::of(QueryKind::Context {
            vector: vector.into(),
            pairs: both(pairs),
        })
    }

    /// The points in the order of a field of their payloads: see [`OrderBy`]. Hits carry the value by which they
    /// are ordered ([`Hit::order_value`](super::Hit::order_value)); all scores are 0.
    pub fn order_by(order: OrderBy) -> Self {
        Self::of(QueryKind::OrderBy(order))
    }

    /// Points by chance: every set of as many is equally likely, and no point comes twice. The same seed gives the same
    /// sample of the same points, in the same order, wherever they lie; when points are added or
    /// deleted, it changes as little as it can. All scores are 0. Every id is looked at, those of a
    /// million points in about 50 milliseconds.
    ///
    /// ```
    /// # use amphora::{Database, Point, Query, Schema, vfs::MemoryVfs};
    /// # let db = Database::builder_on(MemoryVfs::new()).open().wait()?;
    /// # let docs = db.create_collection("docs", Schema::new()).wait()?;
    /// docs.upsert((0..100u64).map(Point::new)).wait()?;
    /// let sample = docs.search(Query::random(7).limit(5)).wait()?;
    /// assert_eq!(sample.len(), 5);
    /// assert_eq!(docs.search(Query::random(7).limit(5)).wait()?, sample);
    /// # Ok::<_, amphora::Error>(())
    /// ```
    pub fn random(seed: u64) -> Self {
        Self::of(QueryKind::Random { seed })
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

    /// The points that its prefetches find, by what a formula comes to for each: see [`Expr`]. A point for which it
    /// has no value is an error. Among equal scores the smaller id comes first.
    ///
    /// ```
    /// # use amphora::{Database, Metric, Point, Schema, Vector, field, vfs::MemoryVfs};
    /// use amphora::{Expr, Query};
    /// use serde_json::json;
    ///
    /// # let db = Database::builder_on(MemoryVfs::new()).open().wait()?;
    /// # let schema = Schema::new().vector("v", Vector::new(1, Metric::Dot));
    /// # let docs = db.create_collection("docs", schema).wait()?;
    /// docs.upsert([
    ///     Point::new(1).vector("v", [3.0]).payload(json!({ "likes": 10 })),
    ///     Point::new(2).vector("v", [2.0]).payload(json!({ "likes": 1000 })),
    ///     Point::new(3).vector("v", [1.0]).payload(json!({ "draft": true })),
    /// ]).wait()?;
    /// let likes = Expr::field("likes").or(1.0).log10();
    /// let formula = Expr::score() + likes - 10.0 * Expr::condition(field("draft").eq(true));
    /// let query = Query::formula(formula).prefetch(Query::nearest("v", [1.0]).limit(100));
    /// let hits = docs.search(query).wait()?;
    /// assert_eq!(hits.iter().map(|hit| hit.score).collect::<Vec<_>>(), [5.0, 4.0, -9.0]);
    /// # Ok::<_, amphora::Error>(())
    /// ```
    pub fn formula(formula: impl Into<Expr>) -> Self {
        Self::of(QueryKind::Formula(formula.into()))
    }

    pub(super) fn of(kind: QueryKind) -> Self {
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
}

fn both<P: Into<Example>, N: Into<Example>>(
    pairs: impl IntoIterator<Item = (P, N)>,
) -> Vec<(Example, Example)> {
    let both = |(positive, negative): (P, N)| (positive.into(), negative.into());
    pairs.into_iter().map(both).collect()
}
