//! The order of the engine's modules, which is the order of their lines in its `lib.rs`.

use super::source::{Source, paths, words};
use std::collections::BTreeMap;

/// Where the order stands.
pub(crate) const LIB: &str = "engine/src/lib.rs";

/// The modules in their order, and which module each name of the root comes from.
pub(crate) struct Layers {
    modules: Vec<String>,
    exports: BTreeMap<String, String>,
}

impl Layers {
    pub(crate) fn read(lib: &Source) -> Self {
        let words = words(&lib.shipped);
        let pairs = words.iter().zip(words.iter().skip(1));
        let modules = pairs
            .filter(|((_, word), _)| *word == "mod")
            .map(|(_, (_, name))| (*name).to_owned())
            .collect();
        let exports = paths(&lib.shipped)
            .into_iter()
            .filter_map(|(_, path)| {
                let (module, name) = path.split_once("::")?;
                let name = name.rsplit("::").next()?;
                Some((name.to_owned(), module.to_owned()))
            })
            .collect();
        Self { modules, exports }
    }

    pub(crate) fn place(&self, module: &str) -> Option<usize> {
        self.modules.iter().position(|known| known == module)
    }

    /// Paths that lead to a module listed after the one that the file belongs to.
    pub(crate) fn breaches(&self, source: &Source) -> Vec<(usize, String)> {
        let Some(inside) = source.in_engine().filter(|inside| *inside != "lib.rs") else {
            return Vec::new();
        };
        let parts: Vec<&str> = inside.trim_end_matches(".rs").split('/').collect();
        let own = parts[0];
        let Some(place) = self.place(own) else {
            return vec![(1, format!("{own} is no module of lib.rs"))];
        };
        // How many `super` lead to the root; one more inside a module of tests.
        let is_level = |part: &&&str| !["mod", "tests"].contains(*part);
        let depth = parts.iter().filter(is_level).count();
        let shipped = paths(&source.shipped).into_iter().map(|path| (depth, path));
        let tests = paths(&source.tests)
            .into_iter()
            .map(|path| (depth + 1, path));
        shipped
            .chain(tests)
            .filter_map(|(depth, (line, path))| {
                let name = below_root(&path, depth)?;
                let module = self.exports.get(name).map_or(name, |module| module);
                match self.place(module) {
                    Some(used) if used <= place => None,
                    Some(_) => Some((line, format!("{own} uses {module}, listed after it"))),
                    None => Some((line, format!("{path} is nothing that lib.rs lists"))),
                }
            })
            .collect()
    }
}

/// The name directly below the crate's root that a path leads through.
fn below_root(path: &str, depth: usize) -> Option<&str> {
    if let Some(rest) = path.strip_prefix("crate::") {
        return rest.split("::").next();
    }
    let ups = path.split("::").take_while(|part| *part == "super").count();
    path.split("::")
        .nth(ups)
        .filter(|_| ups > 0 && ups >= depth)
}
