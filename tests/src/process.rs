//! What this process takes: processor time, memory, maps, and the space of a directory.
//!
//! Where there is no `/proc` there is no number, and everything is 0.

use rustix::time::{ClockId, clock_gettime};
use std::{
    collections::BTreeMap,
    fs, io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// Seconds of processor time that all threads of the process have used.
#[must_use]
pub fn processor() -> f64 {
    seconds(ClockId::ProcessCPUTime)
}

/// Seconds of processor time that this thread has used.
#[must_use]
pub fn thread_processor() -> f64 {
    seconds(ClockId::ThreadCPUTime)
}

fn seconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Bytes of resident memory.
#[must_use]
pub fn resident() -> u64 {
    status("VmRSS:")
}

/// Bytes of resident memory that belong to no file: what was allocated.
#[must_use]
pub fn anonymous() -> u64 {
    status("RssAnon:")
}

fn status(key: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
    kilobytes.unwrap_or(0) * 1_024
}

/// How many files below `directory` are mapped, those included that were removed since.
#[must_use]
pub fn maps_below(directory: &Path) -> usize {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let directory = directory.display().to_string();
    maps.lines()
        .filter(|line| line.contains(&directory))
        .count()
}

/// Resident bytes of each file below `directory` that is mapped, by its name.
#[must_use]
pub fn resident_below(directory: &Path) -> BTreeMap<String, u64> {
    let maps = fs::read_to_string("/proc/self/smaps").unwrap_or_default();
    let directory = directory.display().to_string();
    let mut resident = BTreeMap::new();
    let mut current = None;
    for line in maps.lines() {
        if let Some(kilobytes) = line.strip_prefix("Rss:") {
            let kilobytes = kilobytes.trim().trim_end_matches(" kB").parse::<u64>();
            if let (Some(name), Ok(kilobytes)) = (current.take(), kilobytes) {
                *resident.entry(name).or_default() += kilobytes * 1_024;
            }
        } else if let Some((_, file)) = line.split_once(&directory) {
            current = Some(file.trim_start_matches('/').to_owned());
        }
    }
    resident
}

/// What the files of a directory take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// How many there are.
    pub files: u64,
    /// Their lengths together.
    pub bytes: u64,
}

/// The size of a directory without directories.
///
/// # Panics
/// When the directory cannot be read.
#[must_use]
pub fn directory_size(directory: &Path) -> Size {
    let lengths = lengths_below(directory);
    Size {
        files: lengths.len() as u64,
        bytes: lengths.values().sum(),
    }
}

/// The lengths of the files of a directory, by their names.
///
/// # Panics
/// When the directory cannot be read.
#[must_use]
pub fn lengths_below(directory: &Path) -> BTreeMap<String, u64> {
    let entries = fs::read_dir(directory).expect("a directory that can be read");
    let length = |entry: io::Result<fs::DirEntry>| {
        let entry = entry.ok()?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // One that was removed meanwhile is none.
        Some((name, entry.metadata().ok()?.len()))
    };
    entries.filter_map(length).collect()
}

/// Watches how far something grows, from a thread of its own.
#[derive(Debug)]
pub struct Growth {
    probe: fn() -> u64,
    before: u64,
    most: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
}

impl Growth {
    /// Begins to watch what `probe` gives, in bytes.
    #[must_use]
    pub fn begin(probe: fn() -> u64) -> Self {
        let before = probe();
        let (most, over) = (
            Arc::new(AtomicU64::new(before)),
            Arc::<AtomicBool>::default(),
        );
        let watch = (Arc::clone(&most), Arc::clone(&over));
        thread::spawn(move || {
            let (most, over) = watch;
            while !over.load(Ordering::Relaxed) {
                most.fetch_max(probe(), Ordering::Relaxed);
                thread::sleep(Duration::from_millis(2));
            }
        });
        Self {
            probe,
            before,
            most,
            over,
        }
    }

    /// By how many MiB it grew at most.
    #[must_use]
    pub fn end(&self) -> f64 {
        self.over.store(true, Ordering::Relaxed);
        let most = self.most.load(Ordering::Relaxed).max((self.probe)());
        most.saturating_sub(self.before) as f64 / f64::from(1 << 20)
    }
}
