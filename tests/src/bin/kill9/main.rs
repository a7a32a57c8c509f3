//! Kills a writing process at random times, and looks for what it had acknowledged.
//!
//! A child of this same program writes from several threads and says on a pipe which operations
//! were answered. The parent kills it by SIGKILL, also while it opens or closes the database, opens
//! what is left, and compares. The next child goes on in the same directory. What an operation
//! writes follows from its number, so that both know it without telling each other.

mod child;
mod parent;
mod plan;

use parent::Parent;
use std::{env, process::ExitCode, time::Duration};

const HELP: &str = "\
Kills a writing child at random times; no acknowledged write may be lost.

  --quick            200 cycles (the default)
  --cycles N         so many cycles
  --duration 90s     as many cycles as fit in this time (s, m, h)
  --seed S           repeat the choices of an earlier run
  --plant lose-acks  the control: the parent expects writes that were never made, and must
                     report them as lost; exit code 1";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "--child") {
        return child::run(&arguments[1..]);
    }
    match Settings::parse(&arguments) {
        Ok(settings) => Parent::new(settings).run(),
        Err(problem) => {
            eprintln!("{problem}\n\n{HELP}");
            ExitCode::from(2)
        }
    }
}

/// What the caller wants.
struct Settings {
    cycles: u64,
    duration: Option<Duration>,
    seed: u64,
    plant: bool,
}

impl Settings {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let clock = std::time::SystemTime::UNIX_EPOCH
            .elapsed()
            .unwrap_or_default();
        let mut settings = Self {
            cycles: 200,
            duration: None,
            seed: clock.as_nanos() as u64,
            plant: false,
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            let number = |text: &str| text.parse().map_err(|_| format!("{text} is no number"));
            match argument.as_str() {
                "--quick" => {}
                "--cycles" => settings.cycles = number(value()?)?,
                "--seed" => settings.seed = number(value()?)?,
                "--duration" => settings.duration = Some(duration(value()?)?),
                "--plant" if value()? == "lose-acks" => settings.plant = true,
                _ => return Err(format!("what is {argument}?")),
            }
        }
        Ok(settings)
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.len().saturating_sub(1));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return Err(format!("{text} is no duration such as 90s, 10m or 1h")),
    };
    let number: u64 = number
        .parse()
        .map_err(|_| format!("{text} is no duration"))?;
    Ok(Duration::from_secs(number * seconds))
}
