//! A process that answers lines by lines, and ends with its handle.

use crate::protocol::{Answer, Ask, Took};
use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// This program, told what to do; the name of the system is to be added.
pub(crate) fn this_program(what: &str) -> Result<Command, String> {
    let this = env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(this);
    command.arg(what);
    Ok(command)
}

pub(crate) struct Process {
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Result<Self, String> {
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

    pub(crate) fn ask(&mut self, ask: &Ask) -> Result<Took, String> {
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
