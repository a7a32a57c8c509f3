//! A system that holds vectors, in a process of its own.

use crate::{
    options::Options,
    process::{Process, this_program},
    protocol::{Ask, Build, Files, Fuse, Search, Took},
    python::Python,
    question::{Hold, Questions},
    systems::{Host, SYSTEMS, System},
};
use std::{cell::OnceCell, path::Path};

const M: usize = 16;
const EF_CONSTRUCTION: usize = 128;
const THREADS: usize = 2;

/// What the systems are asked for, which tells the programs that hold them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    Vectors,
    Hybrid,
}

impl Role {
    /// The command of this program, and the script.
    const fn programs(self) -> (&'static str, &'static str) {
        match self {
            Self::Vectors => ("serve", "peers.py"),
            Self::Hybrid => ("serve-hybrid", "hybrid.py"),
        }
    }
}

/// A system that has taken in the data.
pub(crate) struct Peer {
    pub(crate) system: &'static System,
    pub(crate) built: Took,
    process: Process,
}

/// A system that has taken in points, and answers questions of all kinds.
pub(crate) struct Answering {
    pub(crate) system: &'static System,
    process: Process,
}

/// Starts the wanted systems, one after another, each with the data built into it, and says how many
/// could not be, which a line on standard error explains.
pub(crate) fn start(
    options: &Options,
    role: Role,
    wanted: impl Fn(&System) -> bool,
    data: &Files,
    directory: &Path,
) -> (Vec<Peer>, usize) {
    let python = OnceCell::new();
    let (mut peers, mut skipped) = (Vec::new(), 0);
    for system in SYSTEMS.iter().filter(|it| options.wants(it) && wanted(it)) {
        match Peer::start(system, role, &python, data, directory) {
            Ok(peer) => peers.push(peer),
            Err(error) => {
                eprintln!("{} is skipped: {error}", system.name);
                skipped += 1;
            }
        }
    }
    (peers, skipped)
}

impl Peer {
    fn start(
        system: &'static System,
        role: Role,
        python: &OnceCell<Result<Python, String>>,
        data: &Files,
        directory: &Path,
    ) -> Result<Self, String> {
        let (command, script) = role.programs();
        let mut command = match system.host {
            Host::Rust => this_program(command)?,
            Host::Python => {
                let python = python.get_or_init(Python::prepare);
                python.as_ref().map_err(String::clone)?.command(script)
            }
        };
        let mut process = Process::start(command.arg(system.name))?;
        let built = process.ask(&Ask::Build(Build {
            data: data.clone(),
            m: M,
            ef_construction: EF_CONSTRUCTION,
            threads: THREADS,
            directory: directory.join(system.name),
        }))?;
        Ok(Self {
            system,
            built,
            process,
        })
    }

    pub(crate) fn search(&mut self, search: &Search) -> Result<Took, String> {
        self.ask(&Ask::Search(search.clone()))
    }

    pub(crate) fn fuse(&mut self, fuse: &Fuse) -> Result<Took, String> {
        self.ask(&Ask::Fuse(fuse.clone()))
    }

    fn ask(&mut self, ask: &Ask) -> Result<Took, String> {
        self.process
            .ask(ask)
            .map_err(|error| format!("{} cannot answer: {error}", self.system.name))
    }
}

impl Answering {
    pub(crate) fn start(name: &str, hold: &Hold) -> Result<(Self, Took), String> {
        let system = SYSTEMS.iter().find(|system| system.name == name);
        let system = system.ok_or_else(|| format!("there is no system {name:?}"))?;
        let mut command = match system.host {
            Host::Rust => this_program("serve-questions")?,
            Host::Python => Python::prepare()?.command("questions.py"),
        };
        let mut process = Process::start(command.arg(system.name))?;
        let built = process.ask(&Ask::Hold(hold.clone()))?;
        Ok((Self { system, process }, built))
    }

    pub(crate) fn ask(&mut self, questions: &Questions) -> Result<Took, String> {
        let took = self.process.ask(&Ask::Questions(questions.clone()));
        took.map_err(|error| format!("{} cannot answer: {error}", self.system.name))
    }
}
