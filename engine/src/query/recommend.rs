//! Questions by examples: what is like some and unlike others.

use super::Example;
use serde::{Deserialize, Serialize};

/// Which points are like the positive examples and unlike the negative ones; asked by
/// [`Query::recommend`](super::Query::recommend).
///
/// ```
/// use amphora::{Example, Query, Recommend};
///
/// let liked = Recommend::best_score()
///     .positive([Example::point(7), Example::point(9)])
///     .negative([[0.1, 0.2, 0.3]]);
/// let query = Query::recommend("embedding", liked).limit(10);
/// # let _ = query;
/// ```
///
/// As JSON: `{ "strategy": "best_score", "positive": [7, 9], "negative": [[0.1, 0.2, 0.3]] }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recommend {
    /// How the examples make a score.
    #[serde(default)]
    pub strategy: RecommendStrategy,
    /// What hits shall be like.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub positive: Vec<Example>,
    /// What hits shall be unlike.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub negative: Vec<Example>,
}

/// How examples make a score. `similarity` is the score of two vectors under the metric, larger for nearer ones,
/// and `scaled(x) = (x / (1 + |x|) + 1) / 2`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RecommendStrategy {
    /// The nearest to `positive + (positive - negative)`, the averages of the examples (without
    /// negative ones to `positive`), for which an index is asked as for any vector. Under cosine each
    /// example counts by its direction.
    #[default]
    Average,
    /// With the most similar of the positive examples and the most similar of the negative ones:
    /// `scaled(positive)` if that is the more similar, and `-scaled(negative)` if not. Indexes are asked for what is
    /// nearest to each positive example; where others may score more, every point is compared.
    BestScore,
    /// The sum of the similarities to the positive examples less that to the negative ones. Under cosine and dot
    /// product an index is asked for what is nearest to the sum; otherwise every point is compared.
    SumScores,
}

impl Recommend {
    /// By [the average](RecommendStrategy::Average) of at least one positive example.
    #[must_use]
    pub fn average() -> Self {
        Self::by(RecommendStrategy::Average)
    }

    /// By [the best score](RecommendStrategy::BestScore).
    #[must_use]
    pub fn best_score() -> Self {
        Self::by(RecommendStrategy::BestScore)
    }

    /// By [the sum of scores](RecommendStrategy::SumScores).
    #[must_use]
    pub fn sum_scores() -> Self {
        Self::by(RecommendStrategy::SumScores)
    }

    fn by(strategy: RecommendStrategy) -> Self {
        Self {
            strategy,
            positive: Vec::new(),
            negative: Vec::new(),
        }
    }

    /// Adds examples that hits shall be like.
    #[must_use]
    pub fn positive<E: Into<Example>>(mut self, examples: impl IntoIterator<Item = E>) -> Self {
        self.positive.extend(examples.into_iter().map(Into::into));
        self
    }

    /// Adds examples that hits shall be unlike.
    #[must_use]
    pub fn negative<E: Into<Example>>(mut self, examples: impl IntoIterator<Item = E>) -> Self {
        self.negative.extend(examples.into_iter().map(Into::into));
        self
    }
}
