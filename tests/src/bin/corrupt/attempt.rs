//! One damaged directory: opened, read whole, and judged.

use super::{
    damage::Damage,
    subject::{Files, Seen, Subject, directory},
};
use amphora::{Error, ErrorKind, Point, Result, vfs::Vfs};
use amphora_tests::{
    indexes::{self, open_as_it_is},
    opening::{self, Memory},
};
use std::{
    collections::BTreeMap,
    panic,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// What a damage led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// An error named the file.
    Detected,
    /// Everything was read as it was written.
    Harmless,
    /// Something else was read.
    Wrong,
    /// An error did not say which file.
    Unnamed,
    /// Something was refused for the sake of an index, or it was not built anew.
    Refused,
    /// The process died.
    Died,
}

impl Verdict {
    pub(crate) const ALL: [Self; 6] = [
        Self::Detected,
        Self::Harmless,
        Self::Wrong,
        Self::Unnamed,
        Self::Refused,
        Self::Died,
    ];

    fn is_bad(self) -> bool {
        !matches!(self, Self::Detected | Self::Harmless)
    }
}

/// How many attempts ended how.
#[derive(Default)]
pub(crate) struct Tally {
    verdicts: BTreeMap<Verdict, u64>,
    pub(crate) kinds: BTreeMap<&'static str, u64>,
    /// By the kind of file.
    pub(crate) files: BTreeMap<(String, Verdict), u64>,
    said: u64,
}

impl Tally {
    pub(crate) fn count(&mut self, damage: &Damage, verdict: Verdict) {
        *self.verdicts.entry(verdict).or_default() += 1;
        *self.kinds.entry(damage.kind()).or_default() += 1;
        *self.files.entry((damage.of(), verdict)).or_default() += 1;
        let bad = verdict.is_bad();
        self.said += u64::from(bad);
        if bad && self.said <= 20 {
            eprintln!("{verdict:?}: {damage}");
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (verdict, count) in other.verdicts {
            *self.verdicts.entry(verdict).or_default() += count;
        }
        for (kind, count) in other.kinds {
            *self.kinds.entry(kind).or_default() += count;
        }
        for (kind, count) in other.files {
            *self.files.entry(kind).or_default() += count;
        }
    }

    pub(crate) fn of(&self, verdict: Verdict) -> u64 {
        self.verdicts.get(&verdict).copied().unwrap_or(0)
    }

    pub(crate) fn attempts(&self) -> u64 {
        self.verdicts.values().sum()
    }
}

/// What a thread is at, for whoever watches it.
#[derive(Default)]
pub(crate) struct Attempts(Mutex<Option<(Instant, Damage)>>);

impl Attempts {
    pub(crate) fn begin(&self, damage: &Damage) {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Some((Instant::now(), damage.clone()));
    }

    pub(crate) fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(crate) fn hangs(&self, patience: Duration) -> Option<Damage> {
        let current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, damage) = current.as_ref()?;
        (since.elapsed() > patience).then(|| damage.clone())
    }
}

static PANICS: AtomicU64 = AtomicU64::new(0);

/// Counts the panics of all threads from now on; the engine answers for its own with errors.
pub(crate) fn count_panics() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if PANICS.fetch_add(1, Ordering::Relaxed) < 20 {
            usual(info);
        }
    }));
}

pub(crate) fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// In memory, and now and then once more, since what was shown must be there the next time too; and
/// what was damaged of an index must be found and mended.
pub(crate) fn in_memory(subject: &Subject, damage: &Damage, files: Files) -> Verdict {
    let vfs = directory(&files);
    let before = panics();
    let mut verdict = judge(subject, damage, look(vfs.clone()));
    let shown = !matches!(verdict, Verdict::Detected | Verdict::Wrong);
    if shown && files.values().map(Vec::len).sum::<usize>() % 8 == 0 {
        verdict = verdict.max(judge(subject, damage, look(vfs.clone())));
    }
    if damage.is_of_indexes() && !verdict.is_bad() {
        let verified = of_index(damage, vfs);
        verdict = verified.unwrap_or_else(|error| {
            eprintln!("{damage}: {error}");
            Verdict::Refused
        });
    }
    if panics() > before {
        eprintln!("there was a panic at about {damage}");
    }
    verdict
}

/// Whether reading all of a damaged index finds that out; and then, that it is built anew beside
/// writes.
fn of_index(damage: &Damage, vfs: impl Vfs + Clone + 'static) -> Result<Verdict> {
    let db = open_as_it_is(vfs.clone())?;
    let found = db.verify().wait()?.damaged;
    db.close().wait()?;
    let db = opening::open(vfs.clone(), Memory::Tiny)?;
    for name in db.collections().wait()? {
        let collection = db.collection(&name).wait()?;
        collection.upsert([Point::new("late")]).wait()?;
        collection.delete(["late"]).wait()?;
    }
    opening::optimize(&db)?;
    let left = db.verify().wait()?.damaged;
    db.close().wait()?;
    let problem = indexes::problem(&vfs)?;
    if let Some(problem) = problem.or_else(|| left.first().map(Error::to_string)) {
        eprintln!("{damage}: {problem}");
        return Ok(Verdict::Refused);
    }
    Ok(match found.first() {
        Some(error) if names(error, damage) => Verdict::Detected,
        Some(_) => Verdict::Unnamed,
        None => Verdict::Harmless,
    })
}

/// Opens, reads and closes.
pub(crate) fn look(vfs: impl Vfs + 'static) -> Result<Seen> {
    let db = open_as_it_is(vfs)?;
    let seen = Seen::read(&db);
    let closed = db.close().wait();
    let seen = seen?;
    closed.map(|()| seen)
}

pub(crate) fn judge(subject: &Subject, damage: &Damage, seen: Result<Seen>) -> Verdict {
    match seen {
        Ok(seen) if seen == subject.right => Verdict::Harmless,
        Ok(_) => Verdict::Wrong,
        Err(error) if damage.is_of_indexes() => {
            eprintln!("{damage}: {error}");
            Verdict::Refused
        }
        Err(error) if names(&error, damage) => Verdict::Detected,
        Err(error) => {
            eprintln!("{damage}: {error}");
            Verdict::Unnamed
        }
    }
}

fn names(error: &Error, damage: &Damage) -> bool {
    let said = error.to_string();
    match (error.kind(), error.location()) {
        // Nothing says what a manifest that is missing was called; the log says that there was one.
        (ErrorKind::Corrupted, Some(_)) if matches!(damage, Damage::Missing(_)) => {
            let missing = |file: &&str| file.starts_with("manifest-");
            said.contains("manifest is missing") && damage.files().iter().any(missing)
                || damage.files().iter().any(|file| said.contains(file))
        }
        (ErrorKind::Corrupted, Some((file, _))) => damage.files().contains(&file),
        (ErrorKind::Unsupported | ErrorKind::NotFound | ErrorKind::Io, _) => {
            damage.files().iter().any(|file| said.contains(file))
        }
        _ => false,
    }
}
