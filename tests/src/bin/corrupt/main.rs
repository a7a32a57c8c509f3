//! Damages every file of a database in every way, one at a time, and looks at what is then said.
//!
//! Every byte is flipped and overwritten, files are cut at every length, pages are zeroed, swapped,
//! and put back as they were before. What is left is opened and read whole: it must be exactly
//! what was written, or an error that names the file. It knows no file by name; it lists the
//! directory. All of it happens in memory, and a sample on a real directory, in a child process
//! whose death by a signal would be seen.

mod attempt;
mod damage;
mod disk;
mod subject;

use amphora_tests::{random::Random, report::Figure, settings::Settings};
use attempt::{Attempts, Tally, Verdict};
use damage::Damage;
use std::{
    env,
    process::{self, ExitCode},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};
use subject::Subject;

const HELP: &str = "\
Damages each file of a database in every way; what is read is right, or the error names the file.
Once is each of 40,000 bytes in four ways: half an hour on two cores.";

const THREADS: usize = 2;
/// An attempt that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    amphora_tests::opening::with_indexes();
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "--child") {
        return disk::child(&arguments[1..]);
    }
    let settings = match Settings::read(HELP) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    attempt::count_panics();
    let mut memory = Tally::default();
    let mut disk = Tally::default();
    let mut seed = settings.seed;
    let mut rounds = 0;
    loop {
        let subject = Subject::build(seed);
        if rounds == 0 {
            for (name, content) in &subject.files {
                let bytes = content.len();
                let name = format!("corrupt/file/{name}");
                Figure::new(name, bytes as f64, "bytes", bytes as u64).print();
            }
        }
        memory.add(in_memory(&subject));
        disk.add(disk::sample(&subject));
        rounds += 1;
        if !settings.goes_on() {
            break;
        }
        seed = Random(seed).draw();
    }
    let mut met = report("corrupt/memory", &memory);
    met &= report("corrupt/disk", &disk);
    let panics = attempt::panics();
    let name = format!("corrupt/panics/seed-{}", settings.seed);
    let panics = Figure::new(name, panics as f64, "count", memory.attempts());
    met &= panics.at_most(0.0).print().met == Some(true);
    let seconds = settings.elapsed().as_secs_f64();
    Figure::new("corrupt/seconds", seconds, "s", rounds).print();
    ExitCode::from(u8::from(!met))
}

/// Every damage, each on a directory in memory of its own.
fn in_memory(subject: &Subject) -> Tally {
    let damages = Damage::all(subject);
    let next = AtomicUsize::new(0);
    let tally = Mutex::new(Tally::default());
    let watched: [Attempts; THREADS] = Default::default();
    thread::scope(|scope| {
        let workers: Vec<_> = watched
            .iter()
            .map(|watched| {
                let (next, tally, damages) = (&next, &tally, &damages);
                scope.spawn(move || {
                    let mut own = Tally::default();
                    while let Some(damage) = damages.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let Some(damaged) = damage.apply(subject) else {
                            continue;
                        };
                        watched.begin(damage);
                        let verdict = attempt::in_memory(subject, damage, damaged);
                        own.count(damage, verdict);
                    }
                    watched.end();
                    tally
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .add(own);
                })
            })
            .collect();
        while !workers.iter().all(thread::ScopedJoinHandle::is_finished) {
            thread::sleep(Duration::from_millis(20));
            if let Some(damage) = watched.iter().find_map(|watched| watched.hangs(PATIENCE)) {
                eprintln!("{damage}: it hangs");
                Figure::new("corrupt/memory/hangs", 1.0, "count", 1)
                    .at_most(0.0)
                    .print();
                process::exit(1);
            }
        }
    });
    tally.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn report(name: &str, tally: &Tally) -> bool {
    let attempts = tally.attempts();
    let figure = |what: &str, verdict: Verdict| {
        let count = tally.of(verdict);
        Figure::new(format!("{name}/{what}"), count as f64, "count", attempts)
    };
    for (kind, count) in &tally.kinds {
        Figure::new(
            format!("{name}/damage/{kind}"),
            *count as f64,
            "count",
            attempts,
        )
        .print();
    }
    for ((file, verdict), count) in &tally.files {
        let name = format!("{name}/of/{file}/{verdict:?}").to_lowercase();
        Figure::new(name, *count as f64, "count", attempts).print();
    }
    let figures = [
        Figure::new(
            format!("{name}/attempts"),
            attempts as f64,
            "count",
            attempts,
        )
        .at_least(1.0),
        figure("detected", Verdict::Detected).at_least(1.0),
        figure("harmless", Verdict::Harmless),
        figure("wrong_answers", Verdict::Wrong).at_most(0.0),
        figure("errors_that_name_no_file", Verdict::Unnamed).at_most(0.0),
        figure("refused_for_an_index", Verdict::Refused).at_most(0.0),
        figure("signals_and_deaths", Verdict::Died).at_most(0.0),
    ];
    let missed = |figure: &Figure| figure.met == Some(false);
    !figures.map(Figure::print).iter().any(missed)
}
