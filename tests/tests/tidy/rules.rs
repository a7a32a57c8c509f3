//! The rules. To add one, add a function and a row with what it must catch and must not.

use super::{
    layers::Layers,
    source::{Source, paths, words},
};

/// Breaches are lines, each with what is wrong there.
type Breaches = Vec<(usize, String)>;

/// One rule over one file.
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    pub(crate) breaches: fn(&Layers, &Source) -> Breaches,
    /// Files, by path and text, that break it.
    pub(crate) planted: &'static [(&'static str, &'static str)],
    /// Files that look like it and do not.
    pub(crate) innocent: &'static [(&'static str, &'static str)],
}

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "a module uses only those listed before it",
        breaches: Layers::breaches,
        planted: &[
            ("engine/src/vfs/mod.rs", "use crate::wal::Wal;"),
            (
                "engine/src/vfs/disk.rs",
                "use crate::{error::Error, wal::{self, Wal}};",
            ),
            (
                "engine/src/schema.rs",
                "fn f() -> crate::database::Database {}",
            ),
            ("engine/src/schema.rs", "use crate::Database;"),
            ("engine/src/schema.rs", "use super::vfs;"),
            ("engine/src/vfs/disk.rs", "use super::super::wal;"),
            (
                "engine/src/error.rs",
                "#[cfg(test)] mod tests { use super::super::vfs::Vfs; }",
            ),
            (
                "engine/src/error.rs",
                "#[cfg(test)] mod tests { use crate::vfs::Vfs; }",
            ),
            ("engine/src/error.rs", "use crate::nowhere::X;"),
            ("engine/src/nowhere.rs", ""),
        ],
        innocent: &[
            ("engine/src/lib.rs", "mod b; mod a; pub use crate::a::A;"),
            (
                "engine/src/wal/mod.rs",
                "use crate::{error::Error, vfs::Vfs, wal::format};",
            ),
            (
                "engine/src/wal/writer.rs",
                "use super::{format, super::error}; use crate::Error;",
            ),
            (
                "engine/src/schema.rs",
                "/// [`Database`](crate::database::Database)\nstruct S;",
            ),
            (
                "engine/src/schema.rs",
                "#[cfg(test)] mod tests { use super::Schema; }",
            ),
            ("tests/src/lib.rs", "use crate::report;"),
        ],
    },
    Rule {
        name: "the engine names no runtime",
        breaches: |_, source| runtimes(source),
        planted: &[
            ("engine/src/op/mod.rs", "use tokio::time;"),
            (
                "engine/src/op/mod.rs",
                "fn f() { async_std::task::spawn(g()) }",
            ),
            ("engine/src/op/mod.rs", "extern crate smol;"),
            ("engine/Cargo.toml", "[dependencies]\ntokio = \"1\"\n"),
            (
                "engine/Cargo.toml",
                "[dependencies]\nrt = { package = \"smol\" }\n",
            ),
            (
                "engine/Cargo.toml",
                "[target.'cfg(unix)'.dependencies]\nasync-std.workspace = true",
            ),
            (
                "engine/Cargo.toml",
                "[dependencies.tokio]\nversion = \"1\"\n",
            ),
            ("engine/Cargo.toml", "[build-dependencies]\ntokio = \"1\"\n"),
        ],
        innocent: &[
            (
                "engine/src/op/mod.rs",
                "//! Under tokio and smol.\nfn f() -> &str { \"tokio\" }",
            ),
            (
                "engine/src/op/mod.rs",
                "#[cfg(test)] mod tests { use smol::block_on; }",
            ),
            (
                "engine/Cargo.toml",
                "description = \"tokio\"\n[dev-dependencies]\nsmol = \"2\"\n",
            ),
            (
                "engine/Cargo.toml",
                "[dependencies]\n# not tokio\nrayon = \"1\"\n",
            ),
            ("executor-tokio/src/lib.rs", "use tokio::runtime::Handle;"),
            (
                "executor-tokio/Cargo.toml",
                "[dependencies]\ntokio = \"1\"\n",
            ),
        ],
    },
    Rule {
        name: "a file opens with what it is for",
        breaches: |_, source| opening(source),
        planted: &[
            ("engine/src/id.rs", "use std::fmt;\n//! Too late.\n"),
            ("tests/tests/x.rs", "// A comment.\n"),
            ("benches/src/main.rs", "\n//! Below an empty line.\n"),
            ("engine/src/id.rs", ""),
            ("engine/src/id.rs", "//!\n//! Says nothing first.\n"),
        ],
        innocent: &[
            ("engine/src/id.rs", "//! Identities.\n"),
            ("engine/Cargo.toml", "[package]\n"),
        ],
    },
    Rule {
        name: "files are opened in vfs/",
        breaches: |_, source| rooms(source, FILES, |inside| inside.starts_with("vfs/")),
        planted: &[
            ("engine/src/wal/writer.rs", "use std::fs::File;"),
            (
                "engine/src/wal/writer.rs",
                "use std::{io, fs::{self, File}};",
            ),
            ("engine/src/database.rs", "fn f() { std::fs::read(p); }"),
            ("engine/src/vfs.rs", "use std::fs;"),
            (
                "engine/src/wal/writer.rs",
                "use std::os::unix::fs::FileExt;",
            ),
        ],
        innocent: &[
            ("engine/src/vfs/disk.rs", "use std::{io, fs::{self, File}};"),
            ("engine/src/wal/writer.rs", "//! `std::fs`\nuse std::io;"),
            (
                "engine/src/wal/writer.rs",
                "#[cfg(test)] mod tests { use std::fs; }",
            ),
            ("tests/src/count.rs", "use std::fs;"),
        ],
    },
    Rule {
        name: "threads are started where threads live",
        breaches: |_, source| threads(source),
        planted: &[
            ("engine/src/wal/writer.rs", "use std::thread;"),
            (
                "engine/src/op/mod.rs",
                "use std::{sync::Arc, thread::{self, Builder}};",
            ),
            (
                "engine/src/collection/mod.rs",
                "fn f() { std::thread::spawn(g); }",
            ),
            (
                "engine/src/database.rs",
                "use std::thread; fn f() { thread::spawn(g); }",
            ),
            ("engine/src/database.rs", "use std::thread::Builder;"),
            ("engine/src/query/scan.rs", "fn f() { rayon::join(a, b); }"),
            ("engine/src/query/scan.rs", "use rayon::prelude::*;"),
            ("engine/src/vector/mod.rs", "use std::thread;"),
        ],
        innocent: &[
            (
                "engine/src/pool/lane.rs",
                "use std::thread; use rayon::ThreadPool;",
            ),
            ("engine/src/executor/timer.rs", "use std::thread::Builder;"),
            ("engine/src/collection/committer.rs", "use std::thread;"),
            ("engine/src/vector/hnsw/build.rs", "use rayon::prelude::*;"),
            (
                "engine/src/database.rs",
                "use std::thread; fn f() { thread::sleep(d); }",
            ),
            (
                "engine/src/op/mod.rs",
                "#[cfg(test)] mod tests { use std::thread; }",
            ),
        ],
    },
    Rule {
        name: "unsafe stays in its rooms",
        breaches: |_, source| unsafe_code(source),
        planted: &[
            ("engine/src/op/mod.rs", "fn f() { unsafe { g() } }"),
            ("engine/src/vfs/disk.rs", "unsafe impl Send for X {}"),
            (
                "engine/src/op/mod.rs",
                "#[cfg(test)] mod tests { fn f() { unsafe { g() } } }",
            ),
            ("executor-smol/src/lib.rs", "unsafe fn f() {}"),
        ],
        innocent: &[
            ("engine/src/kernel/avx2.rs", "unsafe { load(x) }"),
            ("engine/src/vfs/map.rs", "unsafe { map(x) }"),
            ("engine/src/lib.rs", "#![deny(unsafe_code)]\n// unsafe"),
        ],
    },
    Rule {
        name: "the engine does not give up",
        breaches: |_, source| giving_up(source),
        planted: &[
            ("engine/src/id.rs", "fn f() { g().unwrap(); }"),
            ("engine/src/id.rs", "fn f() { todo!(\"later\") }"),
            ("engine/src/id.rs", "fn f() { dbg!(x); }"),
            ("engine/src/id.rs", "fn f() { unimplemented!() }"),
        ],
        innocent: &[
            (
                "engine/src/id.rs",
                "/// g().unwrap()\nfn f() { g().unwrap_or_default(); }",
            ),
            (
                "engine/src/id.rs",
                "#[cfg(test)] mod tests { fn f() { g().unwrap() } }",
            ),
            ("tests/src/count.rs", "fn f() { g().unwrap(); }"),
        ],
    },
    Rule {
        name: "a file can be read in one sitting",
        breaches: |_, source| length(source),
        planted: &[("tests/tests/long.rs", LONG)],
        innocent: &[("tests/tests/short.rs", "//! Short.\n")],
    },
];

const MOST_LINES: usize = 600;
const LONG: &str = match std::str::from_utf8(&[b'\n'; MOST_LINES + 1]) {
    Ok(text) => text,
    Err(_) => "",
};

const FILES: &[&str] = &[
    "std::fs",
    "std::os::unix::fs",
    "std::os::windows::fs",
    "rustix::fs",
];
const THREADS: &[&str] = &["std::thread", "rayon"];
/// As words of code and as packages; `-` is `_` there.
const RUNTIMES: &[&str] = &[
    "tokio",
    "smol",
    "async_std",
    "async_executor",
    "async_io",
    "async_global_executor",
    "futures_executor",
    "pollster",
    "monoio",
    "glommio",
    "compio",
    "embassy_executor",
    "actix_rt",
];

fn runtimes(source: &Source) -> Breaches {
    let named = |word: &str| RUNTIMES.contains(&word.replace('-', "_").as_str());
    if source.in_engine().is_some() {
        return words(&source.shipped)
            .into_iter()
            .filter(|(_, word)| named(word))
            .map(|(at, word)| (line_of(&source.shipped, at), format!("{word} is named")))
            .collect();
    }
    if source.path != "engine/Cargo.toml" {
        return Vec::new();
    }
    let mut ships = false;
    let mut found = Vec::new();
    for (line, number) in source.text.lines().zip(1..) {
        let line = line.split('#').next().unwrap_or_default();
        if line.starts_with('[') {
            ships = line.contains("dependencies") && !line.contains("dev-dependencies");
        }
        let mut words = line.split(|c: char| !c.is_alphanumeric() && !"-_".contains(c));
        if let Some(word) = words.find(|word| ships && named(word)) {
            found.push((number, format!("the engine depends on {word}")));
        }
    }
    found
}

fn opening(source: &Source) -> Breaches {
    let first = source.text.lines().next().unwrap_or_default();
    let says = first
        .strip_prefix("//! ")
        .is_some_and(|text| !text.trim().is_empty());
    if !source.is_rust() || says {
        return Vec::new();
    }
    vec![(1, "the first line is not `//! ...`".to_owned())]
}

/// Paths that start with one of `prefixes` outside of their room.
fn rooms(source: &Source, prefixes: &[&str], is_room: fn(&str) -> bool) -> Breaches {
    if source.in_engine().is_none_or(is_room) {
        return Vec::new();
    }
    let leads = |path: &str, to: &str| {
        path.strip_prefix(to)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    paths(&source.shipped)
        .into_iter()
        .filter(|(_, path)| prefixes.iter().any(|prefix| leads(path, prefix)))
        .map(|(line, path)| (line, format!("{path} outside of its room")))
        .collect()
}

fn threads(source: &Source) -> Breaches {
    if source.in_engine() == Some("database.rs") {
        // It sleeps while it tries to lock a directory; nothing else.
        let harmless = ["std::thread", "std::thread::sleep", "thread::sleep"];
        return paths(&source.shipped)
            .into_iter()
            .filter(|(_, path)| {
                let about = path.starts_with("std::thread") || path.starts_with("thread::");
                about && !harmless.contains(&path.as_str())
            })
            .map(|(line, path)| (line, format!("{path}; only to sleep")))
            .collect();
    }
    // An index is built on all threads of the lane that it is built on, and starts none.
    let shares_work = source
        .in_engine()
        .is_some_and(|inside| inside.starts_with("vector/"));
    let threads = if shares_work { &THREADS[..1] } else { THREADS };
    rooms(source, threads, |inside| {
        inside.starts_with("pool/")
            || inside.starts_with("executor/")
            || ["collection/committer.rs", "collection/reader.rs"].contains(&inside)
    })
}

fn unsafe_code(source: &Source) -> Breaches {
    let ours = source.path.starts_with("engine/") || source.path.starts_with("executor-");
    let room = source
        .in_engine()
        .is_some_and(|inside| inside.starts_with("kernel/") || inside == "vfs/map.rs");
    if !ours || room || !source.is_rust() {
        return Vec::new();
    }
    words(&source.code)
        .into_iter()
        .filter(|(_, word)| *word == "unsafe")
        .map(|(at, _)| {
            (
                line_of(&source.code, at),
                "unsafe outside of its room".to_owned(),
            )
        })
        .collect()
}

fn giving_up(source: &Source) -> Breaches {
    if source.in_engine().is_none() {
        return Vec::new();
    }
    let lines = source.shipped.lines().zip(1..);
    lines
        .flat_map(|(line, number)| {
            [".unwrap()", "todo!", "dbg!", "unimplemented!"]
                .iter()
                .filter(|word| line.contains(**word))
                .map(move |word| (number, (*word).to_owned()))
        })
        .collect()
}

fn length(source: &Source) -> Breaches {
    let lines = source.text.lines().count();
    if !source.is_rust() || lines <= MOST_LINES {
        return Vec::new();
    }
    vec![(lines, format!("{lines} lines; at most {MOST_LINES}"))]
}

fn line_of(code: &str, at: usize) -> usize {
    1 + code[..at].matches('\n').count()
}
