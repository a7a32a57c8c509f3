//! Whatever people and programs may hand over to be read: no text panics, takes long, or is read as something else
//! than what it is written as.
//!
//! Each input follows from the seed and its number (`draw`): random bytes, tokens of a grammar, and what was valid before it
//! was cut, doubled, swapped, nested or filled with odd numbers and characters. It is given to one parser
//! (`targets`), and what that reads is written and read again, and asked of a small collection. The time of an input
//! is that of its thread on the processor, so that a busy machine makes none look slow.
//! Last come parsers with a fault each (`planted`), which must be found.

mod draw;
mod planted;
mod subject;
mod targets;

use amphora_tests::{
    random::Random,
    report::Figure,
    settings::{self, Settings},
};
use rustix::time::{ClockId, clock_gettime};
use std::{
    any::Any,
    panic::{self, AssertUnwindSafe},
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use subject::Subject;
use targets::TARGETS;

const HELP: &str = "\
Texts of every kind to everything that reads some; without --duration 1,200,000 of them.
  --inputs N      another number of them";

const INPUTS: u64 = 1_200_000;
/// Inputs that one thread takes at once.
const BATCH: u64 = 1_000;
/// What an input may take, and each of its bytes: ten times what they do take, and more.
const BASE: Duration = Duration::from_millis(50);
const PER_BYTE: Duration = Duration::from_micros(2);
/// So many problems are shown, and so many characters of each.
const SHOWN: u64 = 50;
const SHOWN_CHARACTERS: usize = 1_000;

/// Reads a text, and checks what it reads: whether it could be read, or what is wrong with the parser.
type Check = fn(&Subject, &str) -> Result<bool, String>;

/// One thing that reads texts.
struct Target {
    name: &'static str,
    /// What it can read.
    valid: &'static [&'static str],
    /// What such texts are made of.
    tokens: &'static [&'static str],
    check: Check,
}

/// What came of the inputs of one target.
#[derive(Clone, Copy, Default)]
struct Tally {
    inputs: u64,
    read: u64,
    problems: u64,
    slowest: Duration,
}

fn main() -> ExitCode {
    let mut wanted = INPUTS;
    let settings = Settings::read_with(HELP, |argument, rest| match argument {
        "--inputs" => {
            wanted = settings::number(argument, rest)?;
            Ok(())
        }
        _ => Err(settings::unknown(argument)),
    });
    let settings = match settings {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    // A panic is told with the input that it came of.
    panic::set_hook(Box::new(|_| {}));
    let subject = match Subject::new() {
        Ok(subject) => subject,
        Err(error) => {
            eprintln!("nothing to ask: {error}");
            return ExitCode::FAILURE;
        }
    };
    let shown = AtomicU64::new(0);
    let mut all = [Tally::default(); TARGETS.len()];
    let batch = |batch: u64| run(&subject, settings.seed.wrapping_add(batch), &shown);
    settings.rounds(wanted.div_ceil(BATCH), batch, |tallies| {
        for (all, one) in all.iter_mut().zip(tallies) {
            all.inputs += one.inputs;
            all.read += one.read;
            all.problems += one.problems;
            all.slowest = all.slowest.max(one.slowest);
        }
    });
    let seed = settings.seed;
    let mut met = true;
    let mut print = |figure: Figure| met &= figure.seeded(seed).print().met != Some(false);
    for (target, tally) in TARGETS.iter().zip(all) {
        let name = |what| format!("fuzz/{}/{what}", target.name);
        let (inputs, read) = (tally.inputs as f64, tally.read as f64);
        // Else only errors would have been looked at.
        print(Figure::new(name("read"), 100.0 * read / inputs, "%", tally.inputs).at_least(5.0));
        let slowest = tally.slowest.as_secs_f64() * 1e3;
        print(Figure::new(name("slowest"), slowest, "ms", tally.inputs));
        let problems = tally.problems as f64;
        print(Figure::new(name("problems"), problems, "count", tally.inputs).at_most(0.0));
    }
    let inputs: u64 = all.iter().map(|tally| tally.inputs).sum();
    print(Figure::new("fuzz/inputs", inputs as f64, "count", inputs).at_least(wanted as f64));
    let (found, planted) = planted::found(&subject, seed);
    let figure = Figure::new("fuzz/planted_found", found as f64, "count", planted);
    print(figure.at_least(planted as f64));
    ExitCode::from(u8::from(!met))
}

/// A batch of inputs, for every target in turn.
fn run(subject: &Subject, seed: u64, shown: &AtomicU64) -> [Tally; TARGETS.len()] {
    let random = &mut Random(Random(seed).draw());
    let mut tallies = [Tally::default(); TARGETS.len()];
    for number in 0..BATCH {
        let place = number as usize % TARGETS.len();
        let (target, tally) = (&TARGETS[place], &mut tallies[place]);
        let input = draw::input(target, random);
        let (found, took) = examine(subject, target.check, &input);
        tally.inputs += 1;
        tally.slowest = tally.slowest.max(took);
        match found {
            Ok(read) => tally.read += u64::from(read),
            Err(problem) => {
                tally.problems += 1;
                if shown.fetch_add(1, Ordering::Relaxed) < SHOWN {
                    let cut = |text: &str| text.chars().take(SHOWN_CHARACTERS).collect::<String>();
                    let (name, problem, len) = (target.name, cut(&problem), input.len());
                    let input = cut(&input);
                    eprintln!("{name}: {problem}; of {len} bytes, batch seed {seed}:\n{input:?}");
                }
            }
        }
    }
    tallies
}

/// One input: whether it could be read, or the problem; and the time that it took.
fn examine(subject: &Subject, check: Check, input: &str) -> (Result<bool, String>, Duration) {
    let begun = thread_time();
    let found = panic::catch_unwind(AssertUnwindSafe(|| check(subject, input)));
    let took = thread_time().saturating_sub(begun);
    let most = BASE + PER_BYTE * u32::try_from(input.len()).unwrap_or(u32::MAX);
    let found = match found {
        Err(panic) => Err(format!("it panicked: {}", told(&*panic))),
        Ok(Ok(_)) if took > most => Err(format!("it took {took:?}, more than {most:?}")),
        Ok(found) => found,
    };
    (found, took)
}

fn told(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a word")
}

/// How long the processor has worked for this thread.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        time.tv_nsec.unsigned_abs() as u32,
    )
}
