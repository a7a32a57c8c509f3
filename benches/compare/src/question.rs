//! What `queries` and `differential` ask: every kind of question that Amphora and others have in common, as plain data.
//!
//! Each system makes a question of its own of it: `serve/questions.rs` and `questions.py`.

use amphora_blocking::amphora::{Field, Filter, GeoPoint, Metric, PointId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, path::PathBuf};

/// The vector whose numbers may lie in a file of their own.
pub(crate) const EMBEDDING: &str = "embedding";

/// Take in points, until all of them are indexed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Hold {
    /// A [`Row`] per line.
    pub(crate) points: PathBuf,
    /// The vectors named [`EMBEDDING`] of all rows: unit vectors, f32 in the machine's byte order.
    pub(crate) base: Option<PathBuf>,
    pub(crate) vectors: Vec<(String, u32, Metric)>,
    /// Names of sparse vectors, and whether they are weighed by how rare their dimensions are.
    pub(crate) sparse: Vec<(String, bool)>,
    /// The fields that are declared, or indexed.
    pub(crate) fields: Vec<(String, Field)>,
    /// Fields whose words are looked for: lower-cased, and nothing else done to them.
    pub(crate) texts: Vec<String>,
    /// Points that are deleted in the end.
    pub(crate) deleted: Vec<PointId>,
    /// Whether points stay in memory, where that can be chosen.
    pub(crate) in_memory: bool,
    pub(crate) m: usize,
    pub(crate) ef_construction: usize,
    pub(crate) threads: usize,
    /// Where files may be laid; it does not exist yet.
    pub(crate) directory: PathBuf,
}

/// A point. One of an id that was there before takes its place.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) id: PointId,
    pub(crate) vectors: BTreeMap<String, Vec<f32>>,
    pub(crate) sparse: BTreeMap<String, Terms>,
    pub(crate) payload: Map<String, Value>,
}

/// A sparse vector.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Terms {
    pub(crate) indices: Vec<u32>,
    pub(crate) values: Vec<f32>,
}

/// Answer questions one after another for a single caller.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Questions {
    /// A [`Question`] per line.
    pub(crate) questions: PathBuf,
    pub(crate) first: usize,
    pub(crate) count: usize,
    /// Whether what was found is told, beside how long it took.
    pub(crate) with_answers: bool,
}

/// Answers are JSON: a number; values and counts; ids as strings with a score, or with the value that they are
/// ordered by. A string says why there is none.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Question {
    Count {
        filter: Option<Filter>,
    },
    Facet {
        field: String,
        limit: usize,
        filter: Option<Filter>,
    },
    Scroll {
        filter: Option<Filter>,
        page: usize,
        /// In the order of ids without one.
        order: Option<Order>,
        with_payload: bool,
        /// Otherwise one page.
        to_the_end: bool,
    },
    Search(Search),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Search {
    pub(crate) what: What,
    pub(crate) prefetches: Vec<Search>,
    pub(crate) filter: Option<Filter>,
    pub(crate) limit: usize,
    pub(crate) offset: usize,
    pub(crate) score_threshold: Option<f32>,
    pub(crate) exact: bool,
    /// The others', where there is an index; Amphora answers with its default.
    pub(crate) ef: Option<usize>,
    pub(crate) with_payload: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    Nearest {
        using: String,
        vector: Vec<f32>,
    },
    Sparse {
        using: String,
        vector: Terms,
    },
    Text {
        field: String,
        words: String,
    },
    Average(Examples),
    BestScore(Examples),
    SumScores(Examples),
    Discover {
        using: String,
        target: Vec<f32>,
        pairs: Vec<Pair>,
    },
    Context {
        using: String,
        pairs: Vec<Pair>,
    },
    OrderBy(Order),
    /// The ranks begin with 1.
    Rrf {
        k: u32,
    },
    Dbsf {},
    Formula(Formula),
}

/// What is rather wanted, and what rather not.
pub(crate) type Pair = (Vec<f32>, Vec<f32>);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Examples {
    pub(crate) using: String,
    pub(crate) positive: Vec<Vec<f32>>,
    pub(crate) negative: Vec<Vec<f32>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) field: String,
    pub(crate) descending: bool,
    pub(crate) from: Option<Value>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Formula {
    Constant(f64),
    Score(usize),
    Field {
        path: String,
        or: f64,
    },
    DateTime(String),
    DateTimeField(String),
    GeoDistance {
        from: GeoPoint,
        path: String,
    },
    Condition(Filter),
    Sum(Vec<Formula>),
    Product(Vec<Formula>),
    Min(Vec<Formula>),
    Max(Vec<Formula>),
    Div(Box<(Formula, Formula)>),
    Pow(Box<(Formula, Formula)>),
    Neg(Box<Formula>),
    Abs(Box<Formula>),
    Sqrt(Box<Formula>),
    Exp(Box<Formula>),
    Ln(Box<Formula>),
    Log10(Box<Formula>),
    Decay {
        shape: Shape,
        x: Box<Formula>,
        target: Box<Formula>,
        scale: f64,
        midpoint: f64,
    },
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Shape {
    Linear,
    Exponential,
    Gauss,
}

impl Question {
    /// The same, without help of indexes that may miss some of the best.
    pub(crate) fn exact(&self) -> Self {
        match self {
            Self::Search(search) => Self::Search(search.exact()),
            other => other.clone(),
        }
    }
}

impl Search {
    /// The same, without help of indexes that may miss some of the best.
    pub(crate) fn exact(&self) -> Self {
        let has_index = !matches!(
            self.what,
            What::Sparse { .. }
                | What::Text { .. }
                | What::OrderBy(_)
                | What::Rrf { .. }
                | What::Dbsf {}
                | What::Formula(_)
        );
        Self {
            exact: has_index,
            prefetches: self.prefetches.iter().map(Self::exact).collect(),
            ..self.clone()
        }
    }

    /// The best ten among all points.
    pub(crate) fn new(what: What) -> Self {
        Self {
            what,
            prefetches: Vec::new(),
            filter: None,
            limit: 10,
            offset: 0,
            score_threshold: None,
            exact: false,
            ef: None,
            with_payload: false,
        }
    }
}
