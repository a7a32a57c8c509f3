//! The ways in which a file can be damaged, as data.

use super::subject::{Files, Subject};
use std::{fmt, ops::Range};

/// One damage to one file, or to two that exchange something. Files by name, places in bytes.
#[derive(Clone, Debug)]
pub(crate) enum Damage {
    /// One bit is another.
    Flip(String, usize, u32),
    /// One byte is this.
    Set(String, usize, u8),
    /// The file ends here.
    Cut(String, usize),
    /// There is no file.
    Missing(String),
    /// A page is zeros.
    Zero(String, Range<usize>),
    /// Two pages have changed places.
    Swap(String, Range<usize>, String, Range<usize>),
    /// A page is as it was after this write.
    StalePage(String, Range<usize>, usize),
    /// A file is as it was after this write.
    StaleFile(String, usize),
}

const PAGES: [usize; 2] = [512, 4_096];

impl Damage {
    /// Every damage to a subject.
    pub(crate) fn all(subject: &Subject) -> Vec<Self> {
        let mut all = Vec::new();
        let pages = |name: &str, size: usize| {
            let len = subject.files.get(name).map_or(0, Vec::len);
            (0..len)
                .step_by(size)
                .map(move |at| at..(at + size).min(len))
        };
        for (name, content) in &subject.files {
            for at in 0..content.len() {
                all.push(Self::Flip(name.clone(), at, (at as u32 * 5) % 8));
                all.extend([0, 0xFF].map(|byte| Self::Set(name.clone(), at, byte)));
                all.push(Self::Cut(name.clone(), at));
            }
            all.push(Self::Missing(name.clone()));
            for (number, files) in subject.versions.iter().enumerate() {
                if files.contains_key(name) {
                    all.push(Self::StaleFile(name.clone(), number));
                }
            }
            for size in PAGES {
                for page in pages(name, size) {
                    all.push(Self::Zero(name.clone(), page.clone()));
                    for other in subject.files.keys().filter(|other| *other >= name) {
                        for with in pages(other, size) {
                            if (name, page.start) < (other, with.start) {
                                all.push(Self::Swap(
                                    name.clone(),
                                    page.clone(),
                                    other.clone(),
                                    with,
                                ));
                            }
                        }
                    }
                    for number in 0..subject.versions.len() {
                        all.push(Self::StalePage(name.clone(), page.clone(), number));
                    }
                }
            }
        }
        all
    }

    /// The files with this damage; `None` if they are no different.
    pub(crate) fn apply(&self, subject: &Subject) -> Option<Files> {
        let mut files = subject.files.clone();
        match self {
            Self::Flip(name, at, bit) => *files.get_mut(name)?.get_mut(*at)? ^= 1 << bit,
            Self::Set(name, at, byte) => *files.get_mut(name)?.get_mut(*at)? = *byte,
            Self::Cut(name, len) => files.get_mut(name)?.truncate(*len),
            Self::Missing(name) => drop(files.remove(name)),
            Self::Zero(name, page) => files.get_mut(name)?[page.clone()].fill(0),
            Self::Swap(a, page_a, b, page_b) => {
                // The last page of a file may be shorter.
                let len = page_a.len().min(page_b.len());
                let (page_a, page_b) = (
                    page_a.start..page_a.start + len,
                    page_b.start..page_b.start + len,
                );
                let first = subject.files.get(a)?[page_a.clone()].to_vec();
                let second = subject.files.get(b)?[page_b.clone()].to_vec();
                files.get_mut(a)?[page_a].copy_from_slice(&second);
                files.get_mut(b)?[page_b].copy_from_slice(&first);
            }
            Self::StalePage(name, page, version) => {
                let old = subject.versions.get(*version)?.get(name)?;
                let old = old.get(page.start..page.end.min(old.len()))?;
                let content = &mut files.get_mut(name)?[page.clone()];
                content.fill(0);
                content[..old.len()].copy_from_slice(old);
            }
            Self::StaleFile(name, version) => {
                let old = subject.versions.get(*version)?.get(name)?;
                files.insert(name.clone(), old.clone());
            }
        }
        (files != subject.files).then_some(files)
    }

    /// The files that an error about this damage may name.
    pub(crate) fn files(&self) -> Vec<&str> {
        match self {
            Self::Flip(name, ..)
            | Self::Set(name, ..)
            | Self::Cut(name, _)
            | Self::Missing(name)
            | Self::Zero(name, _)
            | Self::StalePage(name, ..)
            | Self::StaleFile(name, _) => vec![name],
            Self::Swap(a, _, b, _) => vec![a, b],
        }
    }

    /// Whether it is to indexes alone, or to columns that came later, which can be built anew.
    pub(crate) fn is_of_indexes(&self) -> bool {
        let is_made_anew = |file: &&str| file.starts_with("index-") || file.starts_with("columns-");
        self.files().iter().all(is_made_anew)
    }

    /// What kind of file is damaged, by the beginning of its name; the first of two.
    pub(crate) fn of(&self) -> String {
        let name = self.files().first().copied().unwrap_or_default();
        name.split('-').next().unwrap_or_default().to_owned()
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Flip(..) => "bit_flipped",
            Self::Set(..) => "byte_overwritten",
            Self::Cut(..) => "cut",
            Self::Missing(_) => "missing",
            Self::Zero(..) => "page_zeroed",
            Self::Swap(..) => "pages_swapped",
            Self::StalePage(..) => "page_stale",
            Self::StaleFile(..) => "file_stale",
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
