//! A sample of the damages on a real directory, in a child process that a signal may end.

use super::{
    PATIENCE,
    attempt::{Tally, Verdict, judge, look},
    damage::Damage,
    subject::Subject,
};
use amphora::{Result, vfs::DiskVfs};
use amphora_tests::child::Child;
use std::{collections::BTreeMap, fs, io::Write, path::Path, process::ExitCode};

/// How many damages are tried on a real directory.
const SAMPLE: usize = 2_000;

/// Runs children until each damage of the sample was tried.
pub(crate) fn sample(subject: &Subject) -> Tally {
    let place = tempfile::tempdir().expect("a temporary directory");
    let path = place.path().join("subject.json");
    subject.save(&path).expect("room for a file");
    let path = path.to_str().expect("temporary paths are texts");
    let chosen = chosen(subject);
    let mut tally = Tally::default();
    let mut next = 0;
    while next < chosen.len() {
        let mut child = Child::start(["--child", path, &next.to_string()]);
        while let Ok(said) = child.line(PATIENCE) {
            let verdict = Verdict::ALL
                .into_iter()
                .find(|verdict| format!("{verdict:?}") == said);
            if let Some(verdict) = verdict {
                tally.count(&chosen[next], verdict);
            }
            next += 1;
        }
        // It may hang.
        child.kill();
        let (status, _) = child.end();
        if next < chosen.len() {
            eprintln!("the child ended with {status}");
            tally.count(&chosen[next], Verdict::Died);
            next += 1;
        }
    }
    tally
}

/// As many of each kind of damage, spread over all places.
fn chosen(subject: &Subject) -> Vec<Damage> {
    let mut kinds: BTreeMap<&str, Vec<Damage>> = BTreeMap::new();
    for damage in Damage::all(subject) {
        kinds.entry(damage.kind()).or_default().push(damage);
    }
    let each = SAMPLE / kinds.len().max(1);
    let spread = kinds.into_values().flat_map(|all| {
        let step = all.len().div_ceil(each).max(1);
        all.into_iter().step_by(step)
    });
    spread.collect()
}

/// The child. Arguments: where the subject was saved, and where in the sample to begin. Says a verdict on each line.
pub(crate) fn child(arguments: &[String]) -> ExitCode {
    let [path, first] = arguments else {
        return ExitCode::from(2);
    };
    let first: usize = first.parse().expect("a number");
    let subject = Subject::load(path.as_ref()).expect("it was saved");
    let place = tempfile::tempdir().expect("a temporary directory");
    for (number, damage) in chosen(&subject).iter().enumerate().skip(first) {
        let verdict = damage.apply(&subject).map(|files| {
            let path = place.path().join(number.to_string());
            fs::create_dir(&path).expect("room for a directory");
            for (name, content) in &files {
                fs::write(path.join(name), content).expect("room for a file");
            }
            let seen = on_disk(&path);
            fs::remove_dir_all(&path).expect("it is ours");
            judge(&subject, damage, seen)
        });
        let said = verdict.map_or_else(|| "-".to_owned(), |verdict| format!("{verdict:?}"));
        let mut out = std::io::stdout();
        // A parent that has gone wants no answer.
        if writeln!(out, "{said}").and_then(|()| out.flush()).is_err() {
            break;
        }
    }
    ExitCode::SUCCESS
}

fn on_disk(path: &Path) -> Result<super::subject::Seen> {
    look(DiskVfs::open(path, false).expect("the directory is there"))
}
