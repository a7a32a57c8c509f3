//! What was asked for on the command line.

use crate::systems::{SYSTEMS, System};
use std::path::PathBuf;

#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) bench: String,
    /// Fewer turns and queries.
    pub(crate) quick: bool,
    /// Whether it is a failure when something had to be skipped.
    pub(crate) strict: bool,
    /// Where `search` draws recall against cost.
    pub(crate) plot: Option<PathBuf>,
    only: Option<Vec<String>>,
    /// What the kinds of `queries` begin with that are asked.
    pub(crate) kind: Option<String>,
}

impl Options {
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--quick" => options.quick = true,
                "--strict" => options.strict = true,
                "--plot" => {
                    let path = rest.next().ok_or("--plot needs the path of a file")?;
                    options.plot = Some(PathBuf::from(path));
                }
                "--only" => {
                    let names = rest.next().ok_or("--only needs names of systems")?;
                    options.only = Some(names.split(',').map(known).collect::<Result<_, _>>()?);
                }
                "--kind" => {
                    let kind = rest.next().ok_or("--kind needs what a kind begins with")?;
                    options.kind = Some(kind.clone());
                }
                name if options.bench.is_empty() && !name.starts_with('-') => {
                    options.bench = name.to_owned();
                }
                other => return Err(format!("{other:?} is not understood")),
            }
        }
        Ok(options)
    }

    pub(crate) fn wants(&self, system: &System) -> bool {
        let only = self.only.as_ref();
        only.is_none_or(|only| only.iter().any(|name| name == system.name))
    }
}

fn known(name: &str) -> Result<String, String> {
    let found = SYSTEMS.iter().any(|system| system.name == name);
    found
        .then(|| name.to_owned())
        .ok_or_else(|| format!("there is no system {name:?}"))
}
