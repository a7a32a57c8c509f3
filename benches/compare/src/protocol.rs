//! What a system is asked and what it answers: one JSON object per line.
//!
//! Vectors, payloads and texts go by files, so that every system reads the same bytes and no question
//! is large. `peers.py`, `hybrid.py` and `questions.py` speak the same, but for texts.

use crate::question::{Hold, Questions};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Ask {
    Build(Build),
    Search(Search),
    Index(Index),
    Find(Find),
    Fuse(Fuse),
    Hold(Hold),
    Questions(Questions),
}

/// Take in a data set, until all of it is indexed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Build {
    pub(crate) data: Files,
    pub(crate) m: usize,
    pub(crate) ef_construction: usize,
    pub(crate) threads: usize,
    /// Where files may be laid; it does not exist yet.
    pub(crate) directory: PathBuf,
}

/// The files of a data set.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Files {
    pub(crate) dimensions: usize,
    /// Unit vectors, f32 in the machine's byte order, row after row.
    pub(crate) base: PathBuf,
    pub(crate) queries: PathBuf,
    /// A JSON object per row and line.
    pub(crate) payloads: PathBuf,
    /// The integer fields that filters will be on.
    pub(crate) indexed: Vec<String>,
    /// A [`Sparse`] per row and line, for what looks for words by them.
    pub(crate) terms: Option<PathBuf>,
}

/// Answer queries one after another for a single caller.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Search {
    pub(crate) ef: usize,
    pub(crate) first: usize,
    pub(crate) count: usize,
    pub(crate) k: usize,
    pub(crate) filter: Option<Below>,
}

/// Only rows whose field is below this.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Below {
    pub(crate) field: String,
    pub(crate) below: u64,
}

/// Take in texts and keep them, in place of those before, until all of them can be searched.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Index {
    /// A text per line.
    pub(crate) texts: PathBuf,
    /// Otherwise they are kept alone.
    pub(crate) is_indexed: bool,
    /// Where files may be laid; emptied before.
    pub(crate) directory: PathBuf,
}

/// Answer queries, which ask for any of their words, one after another for a single caller.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Find {
    /// A query per line, as it is typed.
    pub(crate) queries: PathBuf,
    pub(crate) k: usize,
    pub(crate) way: Way,
}

/// Answer queries by vectors and by words, fused by reciprocal ranks, or by words alone, one after
/// another for a single caller.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Fuse {
    /// An [`Asked`] per line; its vector is in the same row of the queries of the data.
    pub(crate) queries: PathBuf,
    pub(crate) count: usize,
    pub(crate) ef: usize,
    /// What each part finds.
    pub(crate) depth: usize,
    /// Whether terms alone are looked for: then nothing is fused.
    pub(crate) by_terms: bool,
    pub(crate) k: usize,
    /// Whether only the works of the author are looked at.
    pub(crate) is_filtered: bool,
    /// Otherwise ids alone.
    pub(crate) with_payload: bool,
}

/// What is asked for beside a vector.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) words: String,
    pub(crate) author: String,
    /// The words, for what looks for them by terms.
    pub(crate) terms: Sparse,
}

/// A number for each of some terms.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sparse {
    pub(crate) indices: Vec<u32>,
    pub(crate) values: Vec<f32>,
}

/// What a query comes from and what it gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Way {
    /// Rows for what was typed.
    Rows,
    /// Their texts too.
    Texts,
    /// Rows for what was brought to terms before the clock starts.
    Prepared,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Answer {
    Done(Took),
    Failed(String),
}

/// What came out, and what it took.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Took {
    /// For each query the rows found, best first; some libraries fill up with -1.
    pub(crate) rows: Vec<Vec<i64>>,
    /// Seconds.
    pub(crate) wall: f64,
    /// Seconds of all threads of the process.
    pub(crate) cpu: f64,
    /// Seconds that each query took, where they are wanted.
    #[serde(default)]
    pub(crate) walls: Vec<f64>,
    /// To each [`Question`](crate::question::Question), if they are wanted.
    #[serde(default)]
    pub(crate) answers: Vec<Value>,
}

/// Writes one JSON object per line.
pub(crate) fn write_lines(
    path: &Path,
    lines: impl IntoIterator<Item = impl Serialize>,
) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for line in lines {
        serde_json::to_writer(&mut file, &line)?;
        writeln!(file)?;
    }
    file.flush()
}
