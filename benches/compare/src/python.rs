//! The virtual environment that the peers in Python run in, made once below the target directory.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const REQUIREMENTS: &str = include_str!("../requirements.txt");
/// Holds the requirements that the environment was made for, once all are installed.
const MARKER: &str = "requirements.txt";

/// A Python that has the peers.
pub(crate) struct Python {
    program: PathBuf,
}

impl Python {
    /// Makes the environment if it is not there yet. A package that cannot be installed is named on
    /// standard error; its peers then cannot be started.
    pub(crate) fn prepare() -> Result<Self, String> {
        let directory = directory()?;
        let program = directory.join("bin/python");
        let marker = directory.join(MARKER);
        if fs::read_to_string(&marker).is_ok_and(|installed| installed == REQUIREMENTS) {
            return Ok(Self { program });
        }
        eprintln!("installing the peers from PyPI in {}", directory.display());
        run(Command::new("python3").args(["-m", "venv"]).arg(&directory))
            .map_err(|error| format!("no Python environment can be made: {error}"))?;
        let mut complete = true;
        for package in REQUIREMENTS.lines() {
            if let Err(error) = install(&program, package) {
                eprintln!("{package} cannot be installed (is PyPI reached?): {error}");
                complete = false;
            }
        }
        if complete {
            fs::write(&marker, REQUIREMENTS).map_err(|error| error.to_string())?;
        }
        Ok(Self { program })
    }

    /// A script that lies beside `src`; the name of the peer is to be added.
    pub(crate) fn command(&self, script: &str) -> Command {
        let mut command = Command::new(&self.program);
        // A script that imports another would leave it compiled beside it.
        command.arg("-B");
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(script));
        command
    }
}

/// Beside `release/`, where this program lies.
fn directory() -> Result<PathBuf, String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let target = program.ancestors().nth(2);
    Ok(target.ok_or("no target directory")?.join("peers-venv"))
}

fn install(python: &Path, package: &str) -> Result<(), String> {
    let quiet = ["--quiet", "--disable-pip-version-check"];
    let patience = ["--retries", "1", "--timeout", "20"];
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--no-input"]);
    run(pip.args(quiet).args(patience).arg(package))
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{:?}: {error}", command.get_program()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let last = said.lines().rfind(|line| !line.trim().is_empty());
    Err(last.unwrap_or("it failed without a word").to_owned())
}
