//! The real data of larger checks: embeddings of book passages, which lie outside the project.
//!
//! The folder is named by the variable `AMPHORA_DATA`; without it, `shared/data` beside the
//! checkout is looked at. Whoever needs the data and does not find it says so and skips.

use half::f16;
use serde_json::{Value, json};
use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

/// Rows of equal length.
#[derive(Clone, Debug)]
pub struct Matrix {
    /// The length of a row.
    pub dimensions: usize,
    /// The rows, one after another.
    pub values: Vec<f32>,
}

impl Matrix {
    /// The rows in their order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> + Clone {
        self.values.chunks_exact(self.dimensions)
    }

    /// One row.
    ///
    /// # Panics
    /// When there is none of this number.
    #[must_use]
    pub fn row(&self, number: usize) -> &[f32] {
        &self.values[number * self.dimensions..][..self.dimensions]
    }
}

/// The 30,000 x 384 passages of `books30k`; `None`, with a line on standard error, when they are
/// not there.
#[must_use]
pub fn books() -> Option<Matrix> {
    load("books30k/base.f16.npy")
}

/// The 1,000 queries of `books30k`, likewise.
#[must_use]
pub fn book_queries() -> Option<Matrix> {
    load("books30k/query.f16.npy")
}

/// The vectors of a file of numbers of 16 bits, likewise.
#[must_use]
pub fn vectors(name: &str) -> Option<Matrix> {
    load(name)
}

/// The objects of a file that has one in each line, packed or not, likewise.
///
/// # Panics
/// When the file is there and is not what it should be.
#[must_use]
pub fn objects(name: &str) -> Option<Vec<Value>> {
    let bytes = read(name)?;
    let object = |line: Result<String, _>| serde_json::from_str(&line.expect("text"));
    let objects: Result<Vec<Value>, _> = if name.ends_with(".zst") {
        let text = ruzstd::decoding::StreamingDecoder::new(&bytes[..]).expect("a zstd file");
        BufReader::new(text).lines().map(object).collect()
    } else {
        bytes.lines().map(object).collect()
    };
    Some(objects.expect("JSON"))
}

fn load(name: &str) -> Option<Matrix> {
    let bytes = read(name)?;
    let array = npyz::NpyFile::new(&bytes[..]).expect("a header of the npy format");
    let dimensions = *array.shape().last().expect("an array of two dimensions") as usize;
    let values: Vec<f16> = array.into_vec().expect("float16 values");
    Some(Matrix {
        dimensions,
        values: values.into_iter().map(f16::to_f32).collect(),
    })
}

/// For each query of `books30k` the rows of its nearest 100 passages by cosine, nearest first,
/// likewise.
///
/// # Panics
/// When the file is there and is not what it should be.
#[must_use]
pub fn book_neighbours() -> Option<Vec<Vec<u32>>> {
    let bytes = read("books30k/gt_cosine_ids.npy")?;
    let array = npyz::NpyFile::new(&bytes[..]).expect("a header of the npy format");
    let each = *array.shape().last().expect("an array of two dimensions") as usize;
    let rows: Vec<i32> = array.into_vec().expect("int32 values");
    let rows: Vec<u32> = rows.into_iter().map(i32::cast_unsigned).collect();
    Some(rows.chunks_exact(each).map(<[u32]>::to_vec).collect())
}

/// What is known of each of the passages, likewise: its text, its author, and its place in the
/// chapter.
///
/// # Panics
/// When the file is there and is not what it should be.
#[must_use]
pub fn book_payloads() -> Option<Vec<Value>> {
    let passages = objects("books30k/passages.jsonl.zst")?.into_iter();
    let payload = |passage: Value| json!({ "text": passage["text"], "author": passage["author"], "pos": passage["pos"] });
    Some(passages.map(payload).collect())
}

/// A file of the data; `None`, with a line on standard error, when it is not there.
#[must_use]
pub fn read(name: &str) -> Option<Vec<u8>> {
    let path = folder().join(name);
    let bytes = fs::read(&path).ok();
    if bytes.is_none() {
        eprintln!(
            "skipped: there is no {}; set AMPHORA_DATA to the folder of the data",
            path.display()
        );
    }
    bytes
}

fn folder() -> PathBuf {
    env::var_os("AMPHORA_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    )
}
