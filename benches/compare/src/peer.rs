//! A system in a process of its own, which ends with its handle.

use crate::{
    options::Options,
    protocol::{Answer, Ask, Build, Files, Search, Took},
    python::Python,
    systems::{Host, SYSTEMS, System},
};
use std::{
    cell::OnceCell,
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

const M: usize = 16;
const EF_CONSTRUCTION: usize = 128;
const THREADS: usize = 2;

/// A system that has taken in the data.
pub(crate) struct Peer {
    pub(crate) system: &'static System,
    pub(crate) built: Took,
    process: Process,
}

/// Starts the wanted systems, one after another, each with the data built into it, and says how many
/// could not be, which a line on standard error explains.
pub(crate) fn start(
    options: &Options,
    wanted: impl Fn(&System) -> bool,
    data: &Files,
    directory: &Path,
) -> (Vec<Peer>, usize) {
    let python = OnceCell::new();
    let (mut peers, mut skipped) = (Vec::new(), 0);
    for system in SYSTEMS.iter().filter(|it| options.wants(it) && wanted(it)) {
        match Peer::start(system, &python, data, directory) {
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
        python: &OnceCell<Result<Python, String>>,
        data: &Files,
        directory: &Path,
    ) -> Result<Self, String> {
        let mut command = match system.host {
            Host::Rust => {
                let this = env::current_exe().map_err(|error| error.to_string())?;
                let mut command = Command::new(this);
                command.arg("serve");
                command
            }
            Host::Python => {
                let python = python.get_or_init(Python::prepare);
                python.as_ref().map_err(String::clone)?.command()
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
        let asked = Ask::Search(search.clone());
        self.process
            .ask(&asked)
            .map_err(|error| format!("{} cannot answer: {error}", self.system.name))
    }
}

struct Process {
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Process {
    fn start(command: &mut Command) -> Result<Self, String> {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped
            .spawn()
            .map_err(|error| format!("{:?} cannot be started: {error}", piped.get_program()))?;
        let (Some(asks), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the process has no pipes".to_owned());
        };
        Ok(Self {
            child,
            asks,
            answers: BufReader::new(answers),
        })
    }

    fn ask(&mut self, ask: &Ask) -> Result<Took, String> {
        let ask = serde_json::to_string(ask).map_err(|error| error.to_string())?;
        writeln!(self.asks, "{ask}").map_err(|error| format!("its process ended: {error}"))?;
        loop {
            let mut line = String::new();
            let read = self.answers.read_line(&mut line);
            if read.map_err(|error| error.to_string())? == 0 {
                return Err("its process ended".to_owned());
            }
            match serde_json::from_str(&line) {
                Ok(Answer::Done(took)) => return Ok(took),
                Ok(Answer::Failed(error)) => return Err(error),
                // Some libraries print.
                Err(_) => eprint!("{line}"),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It holds nothing that matters after the run.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
