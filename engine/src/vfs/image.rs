//! What a power loss may leave of a recorded run: the strict crash model.
//!
//! Content is durable from the end of a `sync` of its file, a name from the end of a `sync_dir`;
//! nothing else is. What was not synced may survive in part: any subset of the writes and of
//! their 512-byte sectors, zeros or garbage in place of the rest, under any subset of the changes
//! of names. A name leads to a file and not to another name, so that a rename may survive the
//! creation that it followed. The model follows the calls and opens nothing.

use super::MemoryVfs;
use std::{collections::BTreeMap, sync::Arc};

/// A call on a [`MemoryVfs`], as recorded. Files are named by number, since names move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// A file was created under a name.
    Create(String, u64),
    /// Bytes were written to a file at an offset.
    Write(u64, u64, Arc<[u8]>),
    /// The content of a file was synced.
    Sync(u64),
    /// The sync of a file failed. What was written stays readable, and no later sync makes it
    /// durable: the system takes it for written.
    SyncFailed(u64),
    /// A name was changed.
    Rename(String, String),
    /// A name was removed.
    Remove(String),
    /// All changes of names were synced.
    SyncDir,
    /// The test saw the operation of this number succeed.
    Acknowledged(u64),
}

/// What becomes of the writes and changes of names that were not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// They are all lost.
    All,
    /// They all survive, as after a kill of the process.
    Nothing,
    /// The one of this number survives, counted from 0 in the order in which they were made.
    OnlyOne(usize),
    /// The one of this number is lost, and all others survive.
    AllButOne(usize),
    /// Names and lengths survive; where content was added there are zeros, and what was
    /// overwritten is as before.
    Zeros,
    /// As [`Zeros`](Self::Zeros), but whole new sectors hold what lay on the disk: noise, or
    /// sectors of other files. Drawn from this seed.
    Garbage(u64),
    /// Of the changes of names any subset survives. Each file loses all, nothing, or of each
    /// sector of 512 bytes what is drawn: the old content, the new, zeros, or garbage.
    Random(u64),
    /// As [`Random`](Self::Random), but changes of names survive up to one of them and not
    /// beyond, as in a file system with a journal.
    Ordered(u64),
}

const SECTOR: usize = 512;

pub(super) type Names = BTreeMap<String, u64>;
pub(super) type Files = BTreeMap<u64, Arc<Vec<u8>>>;

/// What is durable after some calls, and what is not: the images that a power loss may leave.
///
/// ```
/// use amphora::vfs::{CrashModel, Loss, MemoryVfs, Vfs};
///
/// let vfs = MemoryVfs::recording();
/// vfs.create("a")?.write_all_at(b"lost", 0)?;
/// let mut model = CrashModel::default();
/// vfs.record().iter().for_each(|call| model.apply(call));
/// assert_eq!(model.unsynced(), 2);
/// assert_eq!(model.image(Loss::All).content("a"), None);
/// assert_eq!(model.image(Loss::OnlyOne(0)).content("a"), Some(vec![]));
/// assert_eq!(model.image(Loss::Nothing).content("a"), Some(b"lost".to_vec()));
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct CrashModel {
    files: BTreeMap<u64, Content>,
    /// What is durable.
    names: Names,
    /// What the process sees.
    current: Names,
    /// Changed since the directory was synced, in order.
    changes: Vec<Change>,
    /// Calls so far, those before an earlier power loss included.
    calls: u64,
    /// The greatest number of a file so far.
    last_file: u64,
}

#[derive(Clone, Debug, Default)]
struct Content {
    durable: Arc<Vec<u8>>,
    /// Written since the last sync, in order.
    pending: Vec<Pending>,
}

#[derive(Clone, Debug)]
struct Pending {
    /// The number of its call.
    call: u64,
    offset: usize,
    bytes: Arc<[u8]>,
}

/// A change of names, by the file it was about when it was made.
#[derive(Clone, Debug)]
struct Change {
    call: u64,
    gone: Option<String>,
    new: Option<(String, u64)>,
}

impl CrashModel {
    /// Goes on by one call.
    pub fn apply(&mut self, call: &Call) {
        self.calls += 1;
        match call {
            Call::Write(file, offset, bytes) => {
                let write = Pending {
                    call: self.calls,
                    offset: *offset as usize,
                    bytes: Arc::clone(bytes),
                };
                self.files.entry(*file).or_default().pending.push(write);
            }
            Call::Sync(file) => {
                let content = self.files.entry(*file).or_default();
                if !content.pending.is_empty() {
                    let durable = Arc::make_mut(&mut content.durable);
                    for pending in content.pending.drain(..) {
                        write(durable, pending.offset, &pending.bytes);
                    }
                }
            }
            Call::SyncFailed(file) => self.files.entry(*file).or_default().pending.clear(),
            Call::SyncDir => {
                for change in self.changes.drain(..) {
                    change.apply(&mut self.names);
                }
                // What has no name any more cannot come back.
                let names = &self.names;
                self.files
                    .retain(|file, _| names.values().any(|named| named == file));
            }
            Call::Acknowledged(_) => {}
            Call::Create(name, file) => {
                self.files.entry(*file).or_default();
                self.last_file = self.last_file.max(*file);
                self.change(None, Some((name.clone(), *file)));
            }
            Call::Rename(from, to) => {
                if let Some(file) = self.current.get(from).copied() {
                    self.change(Some(from.clone()), Some((to.clone(), file)));
                }
            }
            Call::Remove(name) => self.change(Some(name.clone()), None),
        }
    }

    fn change(&mut self, gone: Option<String>, new: Option<(String, u64)>) {
        let call = self.calls;
        let change = Change { call, gone, new };
        change.apply(&mut self.current);
        self.changes.push(change);
    }

    /// How many writes and changes of names are not synced: the bound of the numbers in
    /// [`Loss::OnlyOne`] and [`Loss::AllButOne`].
    #[must_use]
    pub fn unsynced(&self) -> usize {
        let writes = self.files.values().map(|content| content.pending.len());
        self.changes.len() + writes.sum::<usize>()
    }

    /// A directory as a power loss here may leave it. It records the calls on it.
    #[must_use]
    pub fn image(&self, loss: Loss) -> MemoryVfs {
        self.after(loss).directory()
    }

    /// What is left after a power loss: all of it is durable, and the model may go on.
    #[must_use]
    pub fn after(&self, loss: Loss) -> Self {
        let (names, files) = self.survivors(loss);
        let durable = |durable| Content {
            durable,
            pending: Vec::new(),
        };
        Self {
            files: files.into_iter().map(|(f, c)| (f, durable(c))).collect(),
            current: names.clone(),
            names,
            changes: Vec::new(),
            calls: self.calls,
            last_file: self.last_file,
        }
    }

    /// A directory that holds what is durable, without a copy of it. It records the calls on it.
    #[must_use]
    pub fn directory(&self) -> MemoryVfs {
        let file = |&file| Some((file, Arc::clone(&self.files.get(&file)?.durable)));
        let files = self.names.values().filter_map(file).collect();
        // Neither a file nor a drawn number comes again.
        MemoryVfs::of_image(self.names.clone(), files, self.last_file + self.calls + 1)
    }

    /// Whether the same is durable in both.
    #[must_use]
    pub fn holds_the_same(&self, other: &Self) -> bool {
        fn content<'a>(model: &'a CrashModel, file: &u64) -> Option<&'a Arc<Vec<u8>>> {
            model.files.get(file).map(|content| &content.durable)
        }
        self.names.len() == other.names.len()
            && self.names.iter().zip(&other.names).all(|(ours, theirs)| {
                ours.0 == theirs.0 && content(self, ours.1) == content(other, theirs.1)
            })
    }

    fn survivors(&self, loss: Loss) -> (Names, Files) {
        let mut random = Random(match loss {
            Loss::Random(seed) | Loss::Ordered(seed) | Loss::Garbage(seed) => seed,
            _ => 0,
        });
        let mut names = self.names.clone();
        let the_one = self.number(loss);
        let cut = random.below(self.changes.len() + 1);
        for (place, change) in self.changes.iter().enumerate() {
            let survives = match loss {
                Loss::All => false,
                Loss::Nothing | Loss::Zeros | Loss::Garbage(_) => true,
                Loss::OnlyOne(_) => Some(change.call) == the_one,
                Loss::AllButOne(_) => Some(change.call) != the_one,
                Loss::Random(_) => random.below(2) == 0,
                Loss::Ordered(_) => place < cut,
            };
            if survives {
                change.apply(&mut names);
            }
        }
        let mut files = Files::new();
        for &file in names.values() {
            let Some(content) = self.files.get(&file) else {
                continue;
            };
            let durable = &content.durable;
            let content = match loss {
                _ if content.pending.is_empty() => Arc::clone(durable),
                Loss::All => Arc::clone(durable),
                Loss::Nothing => content.with(|_| true),
                Loss::OnlyOne(_) => content.with(|write| Some(write.call) == the_one),
                Loss::AllButOne(_) => content.with(|write| Some(write.call) != the_one),
                Loss::Zeros => content.grown(),
                Loss::Garbage(_) => self.garbage(file, content, &mut random),
                Loss::Random(_) | Loss::Ordered(_) => content.torn(&mut random),
            };
            files.insert(file, content);
        }
        (names, files)
    }

    /// The call that `loss` names by its place among those that are not synced.
    fn number(&self, loss: Loss) -> Option<u64> {
        let (Loss::OnlyOne(place) | Loss::AllButOne(place)) = loss else {
            return None;
        };
        let writes = self.files.values().flat_map(|content| &content.pending);
        let changes = self.changes.iter().map(|change| change.call);
        let mut calls: Vec<u64> = writes.map(|write| write.call).chain(changes).collect();
        calls.sort_unstable();
        calls.get(place).copied()
    }

    /// New sectors as they lay on the disk.
    fn garbage(&self, file: u64, content: &Content, random: &mut Random) -> Arc<Vec<u8>> {
        let mut grown = content.grown();
        let first = content.durable.len().next_multiple_of(SECTOR);
        let others: Vec<&Content> = self
            .files
            .iter()
            .filter(|(other, content)| **other != file && !content.durable.is_empty())
            .map(|(_, content)| content)
            .collect();
        for sector in Arc::make_mut(&mut grown)
            .get_mut(first..)
            .unwrap_or_default()
            .chunks_mut(SECTOR)
        {
            let from = others.get(random.below(others.len() * 2));
            let Some(from) = from else {
                random.fill(sector);
                continue;
            };
            let start = random.below(from.durable.len().div_ceil(SECTOR)) * SECTOR;
            let stale = &from.durable[start..from.durable.len().min(start + sector.len())];
            sector[..stale.len()].copy_from_slice(stale);
        }
        grown
    }
}

impl Change {
    fn apply(&self, names: &mut Names) {
        if let Some(gone) = &self.gone {
            names.remove(gone);
        }
        if let Some((name, file)) = &self.new {
            names.insert(name.clone(), *file);
        }
    }
}

impl Content {
    /// With those of the unsynced writes.
    fn with(&self, mut survives: impl FnMut(&Pending) -> bool) -> Arc<Vec<u8>> {
        let mut content = Arc::clone(&self.durable);
        for pending in self.pending.iter().filter(|pending| survives(pending)) {
            write(Arc::make_mut(&mut content), pending.offset, &pending.bytes);
        }
        content
    }

    /// With the length that the unsynced writes gave it, and zeros there.
    fn grown(&self) -> Arc<Vec<u8>> {
        let mut content = Arc::clone(&self.durable);
        if self.len() > content.len() {
            Arc::make_mut(&mut content).resize(self.len(), 0);
        }
        content
    }

    /// The length with all unsynced writes.
    fn len(&self) -> usize {
        let ends = self.pending.iter().map(|p| p.offset + p.bytes.len());
        ends.fold(self.durable.len(), usize::max)
    }

    fn torn(&self, random: &mut Random) -> Arc<Vec<u8>> {
        let subset = match random.below(4) {
            0 => return Arc::clone(&self.durable),
            1 => return self.with(|_| true),
            // So that a sector may hold a write which a later one went over.
            2 => self.with(|_| random.below(2) == 0),
            _ => self.with(|_| true),
        };
        let durable = &*self.durable;
        let mut torn = Arc::unwrap_or_clone(subset);
        // The new length may have become durable or not; it is cut at a sector at random.
        let first_new = durable.len() / SECTOR;
        let sectors = torn.len().div_ceil(SECTOR);
        let kept = first_new + random.below(sectors - first_new + 1);
        torn.truncate((kept * SECTOR).max(durable.len()));
        let touched = |at: usize| {
            let writes = &self.pending;
            writes
                .iter()
                .any(|write| write.offset < at + SECTOR && at < write.offset + write.bytes.len())
        };
        for start in (0..torn.len()).step_by(SECTOR).filter(|at| touched(*at)) {
            let end = (start + SECTOR).min(torn.len());
            let known = durable.get(start..end.min(durable.len())).unwrap_or(&[]);
            let sector = &mut torn[start..end];
            match random.below(4) {
                0 => {
                    sector[..known.len()].copy_from_slice(known);
                    sector[known.len()..].fill(0);
                }
                // Only what was never durable may turn to zeros or garbage.
                1 if known.is_empty() => sector.fill(0),
                2 if known.is_empty() => random.fill(sector),
                _ => {}
            }
        }
        Arc::new(torn)
    }
}

/// Writes as a file does: a gap before `offset` reads as zeros.
pub(super) fn write(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}

/// `SplitMix64` (Steele, Lea and Flood, 2014): a seed gives one image.
struct Random(u64);

impl Random {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.draw() % bound.max(1) as u64) as usize
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.draw().to_le_bytes()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(calls: &[Call]) -> CrashModel {
        let mut model = CrashModel::default();
        calls.iter().for_each(|call| model.apply(call));
        model
    }

    fn run() -> Vec<Call> {
        vec![
            Call::Create("a".into(), 1),
            Call::Write(1, 0, Arc::from([1u8; 600])),
            Call::Sync(1),
            Call::SyncDir,
            Call::Write(1, 600, Arc::from([2u8; 600])),
            Call::Create("b".into(), 2),
            Call::Write(2, 0, Arc::from([3u8; 100])),
        ]
    }

    const KINDS: [fn(u64) -> Loss; 8] = [
        |_| Loss::All,
        |_| Loss::Nothing,
        |_| Loss::Zeros,
        |n| Loss::OnlyOne(n as usize % 3),
        |n| Loss::AllButOne(n as usize % 3),
        Loss::Garbage,
        Loss::Random,
        Loss::Ordered,
    ];

    #[test]
    fn what_was_synced_survives_everything() {
        let model = after(&run());
        for seed in 0..200 {
            for kind in KINDS {
                let image = model.image(kind(seed));
                assert_eq!(image.content("a").unwrap()[..600], [1; 600]);
            }
        }
    }

    #[test]
    fn what_was_not_synced_may_be_lost_or_kept() {
        let model = after(&run());
        let len = |loss, name: &str| model.image(loss).content(name).map(|c| c.len());
        assert_eq!(len(Loss::All, "a"), Some(600));
        assert_eq!(len(Loss::Nothing, "a"), Some(1200));
        let images: Vec<_> = (0..200).map(|s| model.image(Loss::Random(s))).collect();
        assert!(images.iter().any(|image| image.content("b").is_some()));
        assert!(images.iter().any(|image| image.content("b").is_none()));
        let ends = |end: [u8; 8]| {
            let mut contents = images.iter().filter_map(|image| image.content("a"));
            contents.any(|content| content.ends_with(&end))
        };
        assert!(ends([0; 8]) && ends([2; 8]));
    }

    #[test]
    fn one_that_was_not_synced_is_kept_or_lost_alone() {
        let model = after(&run());
        assert_eq!(model.unsynced(), 3, "a write, a name, a write");
        let found = |loss| {
            let image = model.image(loss);
            ["a", "b"].map(|name| image.content(name).map_or(0, |content| 1 + content.len()))
        };
        assert_eq!(found(Loss::OnlyOne(0)), [1201, 0]);
        assert_eq!(found(Loss::OnlyOne(1)), [601, 1]);
        assert_eq!(found(Loss::OnlyOne(2)), [601, 0], "it has no name");
        assert_eq!(found(Loss::AllButOne(0)), [601, 101]);
        assert_eq!(found(Loss::AllButOne(1)), [1201, 0]);
        assert_eq!(found(Loss::AllButOne(2)), [1201, 1]);
    }

    #[test]
    fn lengths_may_survive_without_content() {
        let model = after(&run());
        let zeros = model.image(Loss::Zeros);
        assert_eq!(zeros.content("b").unwrap(), [0; 100]);
        assert_eq!(zeros.content("a").unwrap()[600..], [0; 600]);
        let garbage = model.image(Loss::Garbage(7)).content("a").unwrap();
        assert_eq!(garbage[600..1024], [0; 424], "its sector was allocated");
        assert!(garbage[1024..] != [0; 176] && garbage[1024..] != [2; 176]);
    }

    #[test]
    fn a_rename_leads_to_its_file_whatever_becomes_of_other_names() {
        let model = after(&[
            Call::Create("new".into(), 1),
            Call::SyncDir,
            Call::Remove("new".into()),
            Call::Create("new".into(), 2),
            Call::Write(2, 0, Arc::from([2u8])),
            Call::Sync(2),
            Call::Rename("new".into(), "name".into()),
        ]);
        let image = model.image(Loss::OnlyOne(2));
        assert_eq!(image.content("name").unwrap(), [2]);
        for seed in 0..50 {
            let image = model.image(Loss::Ordered(seed));
            let content = |name| image.content(name);
            match (content("new"), content("name")) {
                (Some(_), None) | (None, Some(_) | None) => {}
                found => panic!("{found:?} is out of order"),
            }
        }
    }

    #[test]
    fn what_a_failed_sync_left_is_never_durable() {
        let mut model = after(&run());
        model.apply(&Call::SyncFailed(1));
        model.apply(&Call::Sync(1));
        assert_eq!(model.image(Loss::Nothing).content("a").unwrap(), [1; 600]);
    }

    #[test]
    fn the_model_goes_on_after_a_loss() {
        let mut again = after(&run()).after(Loss::Zeros);
        assert_eq!(again.unsynced(), 0);
        assert!(again.holds_the_same(&after(&run()).after(Loss::Zeros)));
        assert!(!again.holds_the_same(&after(&run()).after(Loss::Nothing)));
        again.apply(&Call::Write(2, 0, Arc::from([9u8])));
        assert_eq!(again.image(Loss::All).content("b").unwrap(), [0; 100]);
        assert_eq!(again.image(Loss::Nothing).content("b").unwrap()[0], 9);
    }
}
