//! Names and places that mean harm: nothing outside the database's directory is touched by them.
//!
//! Each run has a directory of its own, in which the database's directory is one among others. All
//! that lies around it is compared before and after: names, kinds, sizes, modes, times, contents.
//! The engine runs in a child process, under several umasks, and is watched, so that neither a
//! hang nor a signal goes unseen. It knows no file of a database by name; it lists the directory.

#[cfg(unix)]
mod names;
#[cfg(unix)]
mod places;
#[cfg(unix)]
mod surroundings;
#[cfg(unix)]
mod used;

use amphora_tests::settings::Settings;
use std::{env, process::ExitCode};

const HELP: &str = "\
Hostile names and places; nothing outside the database's directory may change, nothing may hang.";

#[cfg(unix)]
fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("--names") => return used::child(&arguments[1..]),
        Some("--place") => return places::child(arguments.get(1).map_or("", |path| path)),
        _ => {}
    }
    let settings = match Settings::read(HELP) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    let mut met = true;
    loop {
        met &= used::run(settings.seed);
        met &= places::run();
        if !settings.goes_on() {
            break;
        }
    }
    let seconds = settings.elapsed().as_secs_f64();
    amphora_tests::report::Figure::new("hostile/seconds", seconds, "s", 1).print();
    ExitCode::from(u8::from(!met))
}

#[cfg(not(unix))]
fn main() -> ExitCode {
    let _ = (Settings::read(HELP), env::args());
    eprintln!("this program needs symbolic links, modes and umasks");
    ExitCode::from(2)
}
