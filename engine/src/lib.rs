//! An embedded vector and hybrid search database that needs no async runtime and works under all
//! of them.
//!
//! Every operation is an [`Op`]: `.await` it under any executor, or `.wait()` for it on any
//! thread. Blocking work runs on [`Pools`] of the engine's own, never on the caller's executor.
//!
//! ```
//! use amphora::{Database, Metric, Point, Query, Schema, Vector};
//! use serde_json::json;
//!
//! # let directory = std::env::temp_dir().join(format!("amphora-doc-{}", std::process::id()));
//! # let path = &directory;
//! let db = Database::builder(path).open().wait()?;
//! let schema = Schema::new().vector("embedding", Vector::new(3, Metric::Cosine));
//! let docs = db.create_collection("docs", schema).wait()?;
//! docs.upsert([Point::new("doc-1")
//!     .vector("embedding", [0.1, 0.2, 0.3])
//!     .payload(json!({ "title": "Walden", "year": 1854 }))]).wait()?;
//!
//! // The same operation, waited for and awaited:
//! let query = Query::nearest("embedding", [0.1, 0.2, 0.3]).limit(10);
//! let hits = docs.search(query.clone()).wait()?;
//! # smol::block_on(async {
//! let same = docs.search(query).await?;
//! # assert_eq!(hits, same); Ok::<_, amphora::Error>(()) })?;
//! db.close().wait()?;
//! # std::fs::remove_dir_all(&directory).unwrap();
//! # Ok::<_, amphora::Error>(())
//! ```
//!
//! # Layers
//!
//! A module uses only modules listed before it; a test keeps that.

#![warn(clippy::unwrap_used, clippy::expect_used)]
#![deny(unsafe_code)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")
)]

// vocabulary: no I/O, no threads
mod error;
mod datetime;
mod json;
mod geo;
mod id;
mod expiry;
mod payload;
mod sparse_vector;
mod point;
mod schema;
mod shape;
mod options;
// compute: bytes and numbers in, numbers out
#[expect(
    dead_code,
    reason = "the benches compile this module too, and measure what the engine does not call"
)]
mod kernel;
mod codec;
mod top_k;
mod analysis;
// host: the only contact with the OS, threads and runtimes
mod sync;
pub mod vfs;
mod reply;
mod cancel;
mod pool;
mod executor;
mod op;
// log: what is durable
mod wal;
mod manifest;
mod container;
// index: how a value is checked, compared and found
mod vector;
mod fields;
mod postings;
mod grown;
mod text;
mod texts;
mod sparse;
// segment: the points
mod memtable;
mod segment;
mod view;
// query: language and execution over a pinned view
mod query;
// collection: the only place that changes state
mod collection;
// snapshot: a database in another place, or as one file
mod snapshot;
// database: the facade
mod database;

#[doc = include_str!("../COOKBOOK.md")]
pub mod cookbook {}

pub use cancel::{Cancel, CancelToken};
pub use collection::{
    Batch, Collection, Damage, Edit, OptimizeProgress, ReadView, Selection, Stats, Verification,
};
pub use database::{Database, DatabaseBuilder, Health};
pub use error::{Error, ErrorKind, Outcome, Result};
pub use executor::{BoxFuture, Executor, ThreadExecutor, block_on};
pub use geo::{GeoArea, GeoPoint};
pub use id::PointId;
pub use op::{Feed, IntoIter, Op};
pub use options::{Durability, Limits, Options, PoolOptions};
pub use payload::Payload;
pub use point::Point;
pub use pool::{Histogram, Lane, LaneStats, PoolStats, Pools};
pub use query::{
    Bm25, Condition, CountEstimate, Cursor, CursorValue, Decay, DecayShape, Distance,
    DistanceMatrix, Effort, Example, ExamplePoint, Explained, ExplainedPart, ExplainedQuery, Expr,
    Facet, FacetHit, FieldPath, Filter, Function, Fusion, Get, Group, GroupBy, Hit, Least, Mmr,
    Neighbors, OrderBy, ParseError, PrefetchScore, Projection, Query, QueryKind, Recommend,
    RecommendStrategy, Scroll, ScrollOrder, ScrollPage, Snippet, Strategy, TextQuery, Wording,
    field,
};
pub use schema::{
    Datatype, Field, Hnsw, Language, Metric, Quantization, Schema, Sparse, StopWords, Text,
    Tokenization, Tokenizer, Tokenizers, Vector,
};
pub use snapshot::Snapshot;
pub use sparse_vector::SparseVector;
