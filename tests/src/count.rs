//! Counts what this process holds: threads of the engine and open files, read from `/proc`.
//!
//! Where there is no `/proc` there is no count, and a test that wants one skips that part. Only
//! threads named by the engine are counted: the test harness and the runtimes have theirs.

use std::{
    collections::BTreeMap,
    fmt, fs,
    time::{Duration, Instant},
};

/// Threads by name and open files by target, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Count {
    threads: BTreeMap<String, usize>,
    files: BTreeMap<String, usize>,
    timer: bool,
}

/// What the engine's threads are named.
const OURS: &str = "amphora-";
/// There is at most one in a process, and it comes and goes with those who sleep.
const TIMER: &str = "amphora-timer";

impl Count {
    /// What there is now; `None` where it cannot be told.
    #[must_use]
    pub fn now() -> Option<Self> {
        let mut count = Self::default();
        for thread in fs::read_dir("/proc/self/task").ok()? {
            // It may have ended meanwhile.
            let name = fs::read_to_string(thread.ok()?.path().join("comm")).unwrap_or_default();
            let name = name.trim();
            if name == TIMER {
                count.timer = true;
            } else if name.starts_with(OURS) {
                *count.threads.entry(name.to_owned()).or_default() += 1;
            }
        }
        for file in fs::read_dir("/proc/self/fd").ok()? {
            // Another thread may have closed it meanwhile.
            let Ok(target) = fs::read_link(file.ok()?.path()) else {
                continue;
            };
            // The directory that is being read here is open too.
            let target = target.display().to_string();
            if !target.starts_with("/proc/") {
                *count.files.entry(kind_of(&target)).or_default() += 1;
            }
        }
        Some(count)
    }

    /// Whether the timer thread of the process runs; it is counted nowhere else.
    #[must_use]
    pub fn timer(&self) -> bool {
        self.timer
    }

    /// How many threads of the engine there are.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads.values().sum()
    }

    /// How many files are open.
    #[must_use]
    pub fn files(&self) -> usize {
        self.files.values().sum()
    }

    /// Waits until there is nothing that was not there in this count, name by name.
    ///
    /// # Panics
    /// When something is still there after `limit`.
    pub fn returns_within(&self, limit: Duration) {
        let started = Instant::now();
        while let Some(more) = Self::now().map(|now| now.beyond(self)) {
            if more.threads.is_empty() && more.files.is_empty() {
                return;
            }
            assert!(started.elapsed() < limit, "left after {limit:?}: {more}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What this has more than `other`.
    fn beyond(&self, other: &Self) -> Self {
        let more = |all: &BTreeMap<String, usize>, known: &BTreeMap<String, usize>| {
            all.iter()
                .map(|(name, count)| {
                    let known = known.get(name).copied().unwrap_or(0);
                    (name.clone(), count.saturating_sub(known))
                })
                .filter(|(_, count)| *count > 0)
                .collect()
        };
        Self {
            threads: more(&self.threads, &other.threads),
            files: more(&self.files, &other.files),
            timer: false,
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "threads {:?}, files {:?}", self.threads, self.files)
    }
}

/// The target without its number: one socket or pipe is like another.
fn kind_of(target: &str) -> String {
    let kind = target.split_once(":[").map_or(target, |(kind, _)| kind);
    kind.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use amphora::{Lane, PoolOptions, Pools};

    /// One test, since the counts are of the whole process.
    #[test]
    fn a_thread_and_a_file_are_counted_while_they_are_there() {
        let Some(before) = Count::now() else { return };
        let pools = Pools::new(&PoolOptions::default()).unwrap();
        pools.run(Lane::Io, || ()).wait().unwrap();
        let file = tempfile::tempfile().unwrap();
        // A thread has its name once it runs.
        crate::runtimes::eventually(Duration::from_secs(5), "the threads run", || {
            Count::now().is_some_and(|now| now.threads() >= before.threads() + 3)
        });
        let during = Count::now().unwrap();
        assert_eq!(during.files(), before.files() + 1, "{during}");
        drop((pools, file));
        before.returns_within(Duration::from_secs(5));
    }
}
