//! The rules that the source keeps, checked by reading it: layers, rooms, words, lengths.
//!
//! A rule is a function over one file. Each brings texts that break it and texts that do not, so
//! that a rule which has stopped catching anything is caught itself.

mod layers;
mod rules;
mod source;

use layers::Layers;
use rules::RULES;
use source::Source;
use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("a workspace").to_owned()
}

/// All source files and manifests of the workspace.
fn workspace() -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    open.push(path);
                }
            } else if name.ends_with(".rs") || name == "Cargo.toml" {
                let inside = path.strip_prefix(&root).unwrap();
                let inside = inside.to_string_lossy().replace('\\', "/");
                found.push(Source::new(inside, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

#[test]
fn the_source_keeps_the_rules() {
    let sources = workspace();
    let lib = sources.iter().find(|file| file.path == layers::LIB);
    let layers = Layers::read(lib.expect("the engine"));
    let mut breaches = Vec::new();
    for rule in RULES {
        for source in &sources {
            for (line, what) in (rule.breaches)(&layers, source) {
                breaches.push(format!("{}:{line}: {}: {what}", source.path, rule.name));
            }
        }
    }
    // One `use` may name several things of one module.
    breaches.dedup();
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

#[test]
fn the_walk_finds_the_source() {
    let sources = workspace();
    let has = |path: &str| sources.iter().any(|file| file.path == path);
    for path in [
        "engine/Cargo.toml",
        "engine/src/lib.rs",
        "engine/src/vfs/disk.rs",
        "executor-tokio/src/lib.rs",
        "tests/tests/tidy/main.rs",
    ] {
        assert!(has(path), "{path}");
    }
    let lib = sources
        .iter()
        .find(|file| file.path == layers::LIB)
        .unwrap();
    let layers = Layers::read(lib);
    let place = |module: &str| layers.place(module).unwrap();
    assert!(place("error") < place("vfs") && place("vfs") < place("database"));
}

#[test]
fn every_rule_catches_what_is_planted() {
    let lib = "mod error;\nmod schema;\npub mod vfs;\nmod wal;\nmod database;\n\
               pub use database::Database;\npub use error::{Error, Result as Res};";
    let layers = Layers::read(&Source::new(layers::LIB.into(), lib.into()));
    for rule in RULES {
        for (path, text) in rule.planted {
            let source = Source::new((*path).into(), (*text).into());
            let found = (rule.breaches)(&layers, &source);
            assert!(!found.is_empty(), "{} missed {path}:\n{text}", rule.name);
        }
        for (path, text) in rule.innocent {
            let source = Source::new((*path).into(), (*text).into());
            let found = (rule.breaches)(&layers, &source);
            assert!(
                found.is_empty(),
                "{}: {found:?} in {path}:\n{text}",
                rule.name
            );
        }
    }
}
