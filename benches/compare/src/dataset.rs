//! What is searched: vectors, payloads, queries.

use crate::protocol::Files;
use amphora_tests::{
    clustered::normalize,
    data::{self, Matrix},
};
use serde_json::Value;
use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

/// How many hits a query asks for.
pub(crate) const K: usize = 10;

pub(crate) struct Dataset {
    pub(crate) base: Matrix,
    pub(crate) queries: Matrix,
    pub(crate) payloads: Vec<Value>,
    pub(crate) indexed: Vec<String>,
}

impl Dataset {
    /// The passages of `books30k`; `None`, with a line on standard error, when they are not there.
    pub(crate) fn books() -> Option<Self> {
        let (mut base, mut queries) = data::books().zip(data::book_queries())?;
        // The values are float16, so that their lengths are only about 1.
        normalize(&mut base);
        normalize(&mut queries);
        Some(Self {
            base,
            queries,
            payloads: data::book_payloads()?,
            indexed: Vec::new(),
        })
    }

    /// Writes the files that every system reads.
    pub(crate) fn write(&self, directory: &Path) -> io::Result<Files> {
        let files = Files {
            dimensions: self.base.dimensions,
            base: directory.join("base.f32"),
            queries: directory.join("queries.f32"),
            payloads: directory.join("payloads.jsonl"),
            indexed: self.indexed.clone(),
            terms: None,
        };
        std::fs::write(&files.base, bytemuck::cast_slice(&self.base.values))?;
        std::fs::write(&files.queries, bytemuck::cast_slice(&self.queries.values))?;
        let mut lines = BufWriter::new(File::create(&files.payloads)?);
        for payload in &self.payloads {
            writeln!(lines, "{payload}")?;
        }
        lines.flush()?;
        Ok(files)
    }
}
