//! What was done to answer a query: which way was taken in each part, why, and what it cost.

use super::plan::Plan;
use crate::json::{self, nanoseconds};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    time::{Duration, Instant},
};

/// How a query was answered: given by [`Collection::explain`](crate::Collection::explain) and
/// [`Collection::search_profiled`](crate::Collection::search_profiled). Its `Display` has a line for each query and each part.
/// As JSON durations are numbers of nanoseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Explained {
    /// The query, with those below it.
    pub query: ExplainedQuery,
    /// How many hits there are.
    pub hits: usize,
    /// How long it took to read what hits show, and to mark what they highlight.
    #[serde(with = "nanoseconds")]
    pub reading: Duration,
    /// How long all of it took, without the wait for a thread.
    #[serde(with = "nanoseconds")]
    pub took: Duration,
}

/// A query of a tree, and what it found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExplainedQuery {
    /// What it asks: `nearest`, `text`, `sparse`, `fuse` and so on.
    pub kind: String,
    /// How many points it found, after its threshold, MMR, limit and offset.
    pub found: usize,
    /// How long it took, with the queries below it.
    #[serde(with = "nanoseconds")]
    pub took: Duration,
    /// What was done in each memtable and segment, the oldest first; once for each time that they were gone through, as
    /// they are for the nearest of several examples. Nothing of a query with prefetches, which compares what they found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<ExplainedPart>,
    /// Its prefetches; those that do not count are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefetches: Vec<ExplainedQuery>,
}

/// What a query did in a memtable or segment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExplainedPart {
    /// The number of the segment's file; none for a memtable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<u64>,
    /// Its rows, those that have ended included.
    pub rows: u64,
    /// What was done.
    pub strategy: Strategy,
    /// Whether a walk met too few matches and was given up: then what matches was listed after all.
    #[serde(default, skip_serializing_if = "json::is_default")]
    pub gave_up: bool,
    /// Why.
    pub why: String,
    /// How many rows match about, by the columns of declared fields; none if that was not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated: Option<u64>,
    /// How many live rows match, if it was [explained](crate::Collection::explain): a profile does not count them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matches: Option<u64>,
    /// Nodes of the index whose neighbours were read.
    pub visited: u64,
    /// Rows that were compared by codes or by bits.
    pub glanced: u64,
    /// Rows that were compared by their vectors; of other queries than the nearest those that were good enough to be asked
    /// whether they match.
    pub compared: u64,
    /// How long it took to bring the filter to the columns, and to choose.
    #[serde(with = "nanoseconds")]
    pub planning: Duration,
    /// How long it took to find the rows that are worth comparing.
    #[serde(with = "nanoseconds")]
    pub finding: Duration,
    /// How long it took to compare them; of other queries than the nearest to find them, too.
    #[serde(with = "nanoseconds")]
    pub comparing: Duration,
}

/// How a part is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Strategy {
    /// Every row is compared, but for those that are seen to be too far at a glance.
    OneByOne,
    /// The rows that match are listed, and compared; of many those that are nearest.
    Matches,
    /// The lists of the query's terms or dimensions are gone through, past what cannot score enough.
    Lists,
    /// The values of a field are gone through in their order, up to the last that is wanted.
    Values,
    /// The index is walked, past rows that do not match.
    Walk {
        /// How many rows were kept in view.
        ef: usize,
    },
    /// The index is walked from match to match.
    WalkMatches {
        /// How many rows were kept in view.
        ef: usize,
    },
}

impl From<Plan> for Strategy {
    fn from(plan: Plan) -> Self {
        match plan {
            Plan::OneByOne => Self::OneByOne,
            Plan::Matches => Self::Matches,
            Plan::Walk { ef } => Self::Walk { ef },
            Plan::WalkMatches { ef } => Self::WalkMatches { ef },
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneByOne => f.write_str("one by one"),
            Self::Matches => f.write_str("matches listed"),
            Self::Lists => f.write_str("lists of terms gone through"),
            Self::Values => f.write_str("values gone through in order"),
            Self::Walk { ef } => write!(f, "index walked, ef {ef}"),
            Self::WalkMatches { ef } => write!(f, "index walked from match to match, ef {ef}"),
        }
    }
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            query,
            hits,
            reading,
            took,
        } = self;
        writeln!(f, "{hits} hits in {took:.1?}, read in {reading:.1?}")?;
        query.write(f, 1)
    }
}

impl ExplainedQuery {
    /// No deeper than queries may be.
    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        let indent = "  ".repeat(depth);
        let Self {
            kind, found, took, ..
        } = self;
        writeln!(f, "{indent}{kind}: {found} found in {took:.1?}")?;
        for part in &self.parts {
            writeln!(f, "{indent}  {part}")?;
        }
        let mut prefetches = self.prefetches.iter();
        prefetches.try_for_each(|query| query.write(f, depth + 1))
    }
}

impl fmt::Display for ExplainedPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.segment {
            Some(file) => write!(f, "segment {file}")?,
            None => write!(f, "memory")?,
        }
        write!(f, " of {} rows: {}", self.rows, self.strategy)?;
        if self.gave_up {
            write!(f, ", given up")?;
        }
        write!(f, " ({})", self.why)?;
        if let Some(about) = self.estimated {
            write!(f, "; about {about} match")?;
        }
        if let Some(matches) = self.matches {
            write!(f, "; {matches} match in fact")?;
        }
        write!(
            f,
            "; {} visited, {} glanced at, {} compared; planned in {:.1?}, found in {:.1?}, compared in {:.1?}",
            self.visited, self.glanced, self.compared, self.planning, self.finding, self.comparing
        )
    }
}

/// What is noted while a query is answered.
#[derive(Debug)]
pub(super) struct Trace {
    /// Whether all matches are counted, which takes a look at every row.
    pub(super) counts_matches: bool,
    /// Of the query that is being answered.
    pub(super) parts: Vec<ExplainedPart>,
    /// The queries beside it that were answered before.
    queries: Vec<ExplainedQuery>,
}

/// A query that is being answered.
pub(super) struct Begun {
    at: Instant,
    beside: Vec<ExplainedQuery>,
}

impl Trace {
    pub(super) fn new(counts_matches: bool) -> Self {
        Self {
            counts_matches,
            parts: Vec::new(),
            queries: Vec::new(),
        }
    }

    pub(super) fn begin(&mut self) -> Begun {
        Begun {
            at: Instant::now(),
            beside: std::mem::take(&mut self.queries),
        }
    }

    pub(super) fn end(&mut self, begun: Begun, kind: &str, found: usize) {
        let query = ExplainedQuery {
            kind: kind.to_owned(),
            found,
            took: begun.at.elapsed(),
            parts: std::mem::take(&mut self.parts),
            prefetches: std::mem::replace(&mut self.queries, begun.beside),
        };
        self.queries.push(query);
    }

    /// The outermost query, once it is answered.
    pub(super) fn into_query(mut self) -> Option<ExplainedQuery> {
        self.queries.pop()
    }
}

/// How long stages take, if anybody wants to know.
pub(super) struct Lap(Option<Instant>);

impl Lap {
    pub(super) fn begin(is_wanted: bool) -> Self {
        Self(is_wanted.then(Instant::now))
    }

    /// How long it has been since the last one; nothing if nobody wants to know.
    pub(super) fn end(&mut self) -> Duration {
        let Some(begun) = &mut self.0 else {
            return Duration::ZERO;
        };
        let now = Instant::now();
        now - std::mem::replace(begun, now)
    }
}
