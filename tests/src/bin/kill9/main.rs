//! Kills a writing process at random times and at every storage call, and looks for what it had
//! acknowledged.
//!
//! A child of this same program writes from several threads and says on a pipe which operations
//! were answered. The parent kills it by SIGKILL, also while it opens or closes the database, opens
//! what is left, and compares. The next child goes on in the same directory. What an operation
//! writes follows from its number, so that both know it without telling each other. Before that a
//! fixed script is killed at each of its storage calls in turn.

mod calls;
mod child;
mod parent;
mod plan;
mod stopped;

use amphora_tests::settings::{Settings, number, unknown, value};
use parent::Parent;
use std::{env, process::ExitCode, time::Duration};

const HELP: &str = "\
Kills a writing child at each storage call of a script, and others at random times; no
acknowledged write may be lost. With --quick 500 cycles.

  --cycles N         so many cycles
  --plant lose-acks  the control: the parent expects writes that were never made, and must
                     report them as lost; exit code 1";

const CYCLES: u64 = 500;

fn main() -> ExitCode {
    amphora_tests::opening::with_indexes();
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("--child") => return child::run(&arguments[1..]),
        Some("--stopped") => return stopped::run(&arguments[1..]),
        _ => {}
    }
    let wanted = match Wanted::read() {
        Ok(wanted) => wanted,
        Err(code) => return code,
    };
    // The control is about the random kills alone.
    let mut met = wanted.plant || calls::run();
    met &= Parent::new(wanted).run();
    ExitCode::from(u8::from(!met))
}

/// What the caller wants.
struct Wanted {
    cycles: u64,
    duration: Option<Duration>,
    seed: u64,
    plant: bool,
}

impl Wanted {
    fn read() -> Result<Self, ExitCode> {
        let mut cycles = CYCLES;
        let mut plant = false;
        let settings = Settings::read_with(HELP, |argument, rest| {
            match argument {
                "--cycles" => cycles = number(argument, rest)?,
                "--plant" if value(argument, rest)? == "lose-acks" => plant = true,
                _ => return Err(unknown(argument)),
            }
            Ok(())
        })?;
        Ok(Self {
            cycles,
            duration: settings.duration,
            seed: settings.seed,
            plant,
        })
    }
}
