//! This program again, as a child process that says lines until it ends or is killed.

use std::{
    env,
    ffi::OsStr,
    io::{BufRead, BufReader},
    process::{self, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread::{self, JoinHandle},
    time::Duration,
};

/// A child process. It is to be ended: dropped, it goes on.
#[derive(Debug)]
pub struct Child {
    process: process::Child,
    lines: Receiver<String>,
    reader: JoinHandle<()>,
}

impl Child {
    /// Runs this program with these arguments.
    ///
    /// # Panics
    /// When there can be no child.
    #[must_use]
    pub fn start<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Self {
        let program = env::current_exe().expect("the path of this program");
        let mut process = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child process");
        let out = BufReader::new(process.stdout.take().expect("a pipe"));
        let (line, lines) = mpsc::channel();
        let reader = thread::spawn(move || {
            for said in out.lines().map_while(Result::ok) {
                let _ = line.send(said);
            }
        });
        Self {
            process,
            lines,
            reader,
        }
    }

    /// The next line that it says.
    ///
    /// # Errors
    /// `Timeout` when it says nothing for so long, `Disconnected` when it ends.
    pub fn line(&self, patience: Duration) -> Result<String, RecvTimeoutError> {
        self.lines.recv_timeout(patience)
    }

    /// Kills it, unless it has ended already.
    pub fn kill(&mut self) {
        // An error says that it has.
        let _ = self.process.kill();
    }

    /// Waits for its end. Gives how it ended, and the lines that were not asked for.
    ///
    /// # Panics
    /// When the system does not know it.
    #[must_use]
    pub fn end(mut self) -> (ExitStatus, Vec<String>) {
        let status = self.process.wait();
        let status = status.expect("the child was not waited for before");
        self.reader.join().expect("the reader does not panic");
        (status, self.lines.iter().collect())
    }
}
