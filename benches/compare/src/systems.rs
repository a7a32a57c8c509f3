//! The systems that are compared.

/// One of them.
#[derive(Debug)]
pub(crate) struct System {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) host: Host,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Vectors in memory and nothing else.
    Index,
    /// Payloads, filters, and files.
    Database,
    /// Texts, and no vectors.
    Texts,
    /// Vectors and words, asked for in `hybrid` alone.
    Hybrid,
    /// Vectors, and words as sparse vectors, asked for in `hybrid` and `sparse`.
    Sparse,
}

/// Which program runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// This one, as `serve NAME`.
    Rust,
    /// `peers.py`, or `hybrid.py`.
    Python,
}

pub(crate) const AMPHORA: &str = "amphora";
pub(crate) const AMPHORA_SPARSE: &str = "amphora-sparse";
pub(crate) const QDRANT_EDGE: &str = "qdrant-edge";
pub(crate) const TANTIVY: &str = "tantivy";

/// Those in Rust are there if the program was built with their features.
pub(crate) const SYSTEMS: &[System] = &[
    system(AMPHORA, Kind::Database, Host::Rust),
    system(AMPHORA_SPARSE, Kind::Sparse, Host::Rust),
    system("hnswlib", Kind::Index, Host::Python),
    system("faiss", Kind::Index, Host::Python),
    system("faiss-sq8", Kind::Index, Host::Python),
    system("usearch", Kind::Index, Host::Python),
    system("usearch-f16", Kind::Index, Host::Python),
    #[cfg(feature = "hnsw_rs")]
    system("hnsw_rs", Kind::Index, Host::Rust),
    #[cfg(feature = "hannoy")]
    system("hannoy", Kind::Index, Host::Rust),
    system(QDRANT_EDGE, Kind::Database, Host::Python),
    system("qdrant-edge-sparse", Kind::Sparse, Host::Python),
    system("lancedb", Kind::Hybrid, Host::Python),
    system("lancedb-10", Kind::Hybrid, Host::Python),
    system("zvec", Kind::Database, Host::Python),
    system("zvec-int8", Kind::Database, Host::Python),
    #[cfg(feature = "tantivy")]
    system(TANTIVY, Kind::Texts, Host::Rust),
];

impl System {
    pub(crate) fn is_ours(&self) -> bool {
        [AMPHORA, AMPHORA_SPARSE].contains(&self.name)
    }
}

const fn system(name: &'static str, kind: Kind, host: Host) -> System {
    System { name, kind, host }
}
