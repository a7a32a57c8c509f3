//! The arguments that the long programs share: how long, and from which seed.

use std::{
    env,
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

const THREADS: usize = 2;

const SHARED: &str = "\
  --quick         once (the default)
  --duration 1h   go on for so long (s, m, h)
  --seed S        repeat the choices of an earlier run";

/// What the caller of a program wants.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Go on with new choices for so long; once without it.
    pub duration: Option<Duration>,
    /// What every choice follows from.
    pub seed: u64,
    started: Instant,
}

/// The arguments that are left.
pub type Values<'a> = &'a mut dyn Iterator<Item = String>;

impl Settings {
    /// Those of the command line.
    ///
    /// # Errors
    /// The exit code of the program, which has said how it is used.
    pub fn read(help: &str) -> Result<Self, ExitCode> {
        Self::read_with(help, |argument, _| Err(unknown(argument)))
    }

    /// Those of the command line; what is not shared goes to `other`, with the arguments after it.
    ///
    /// # Errors
    /// The exit code of the program, which has said how it is used.
    pub fn read_with(
        help: &str,
        other: impl FnMut(&str, Values<'_>) -> Result<(), String>,
    ) -> Result<Self, ExitCode> {
        let settings = Self::parse(env::args().skip(1), other).map_err(|problem| {
            eprintln!("{problem}\n\n{help}\n\n{SHARED}");
            ExitCode::from(2)
        })?;
        eprintln!("seed {}", settings.seed);
        Ok(settings)
    }

    fn parse(
        mut arguments: impl Iterator<Item = String>,
        mut other: impl FnMut(&str, Values<'_>) -> Result<(), String>,
    ) -> Result<Self, String> {
        let clock = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let mut settings = Self {
            duration: None,
            seed: clock.as_nanos() as u64,
            started: Instant::now(),
        };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => settings.duration = None,
                "--seed" => settings.seed = number(&argument, &mut arguments)?,
                "--duration" => {
                    settings.duration = Some(duration(&value(&argument, &mut arguments)?)?);
                }
                _ => other(&argument, &mut arguments)?,
            }
        }
        Ok(settings)
    }

    /// How long the program has been running.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Whether to do another round after the first.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        self.duration
            .is_some_and(|duration| self.elapsed() < duration)
    }

    /// Does rounds on two threads, by their numbers from 0 on: so many, and others for as long as was asked. Gives what each
    /// comes to to `take`.
    ///
    /// # Panics
    ///
    /// If a round does.
    pub fn rounds<T>(&self, least: u64, run: impl Fn(u64) -> T + Sync, take: impl FnMut(T) + Send) {
        let (next, take) = (AtomicU64::new(0), Mutex::new(take));
        let work = || {
            loop {
                let round = next.fetch_add(1, Ordering::Relaxed);
                if round >= least && !self.goes_on() {
                    return;
                }
                let done = run(round);
                let mut take = take.lock().unwrap_or_else(PoisonError::into_inner);
                take(done);
            }
        };
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(work);
            }
        });
    }
}

/// The complaint about an argument.
#[must_use]
pub fn unknown(argument: &str) -> String {
    format!("what is {argument}?")
}

/// The value of `argument`.
///
/// # Errors
/// When nothing follows.
pub fn value(argument: &str, rest: Values<'_>) -> Result<String, String> {
    rest.next().ok_or(format!("{argument} needs a value"))
}

/// The value of `argument`, a number.
///
/// # Errors
/// When nothing follows, or something else.
pub fn number(argument: &str, rest: Values<'_>) -> Result<u64, String> {
    let text = value(argument, rest)?;
    text.parse()
        .map_err(|_| format!("{argument}: {text} is no number"))
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text} is no duration such as 90s, 10m or 1h");
    let (number, seconds) = [("s", 1), ("m", 60), ("h", 3_600)]
        .into_iter()
        .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)))
        .ok_or_else(wrong)?;
    let number: u64 = number.parse().map_err(|_| wrong())?;
    Ok(Duration::from_secs(number * seconds))
}
