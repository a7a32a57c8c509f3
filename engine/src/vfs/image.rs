//! What a power loss may leave of a recorded run: the strict crash model.
//!
//! Content is durable from the end of a `sync` of its file, a name from the end of a `sync_dir`;
//! nothing else is. What was not synced may survive in part: any subset of the 512-byte sectors,
//! zeroed or torn in place of the rest, under any subset of the changes of names. A pure function
//! of the recorded calls; it opens nothing.

use std::{collections::BTreeMap, sync::Arc};

/// A call on a [`MemoryVfs`](super::MemoryVfs), as recorded. Files are named by number, since
/// names move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// A file was created under a name.
    Create(String, u64),
    /// Bytes were written to a file at an offset.
    Write(u64, u64, Arc<[u8]>),
    /// The content of a file was synced.
    Sync(u64),
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
    /// Of the changes of names a subset survives, in their order; of each sector of 512 bytes
    /// either the old content, the new, zeros, or garbage. Drawn from this seed.
    Random(u64),
}

const SECTOR: usize = 512;

type Names = BTreeMap<String, u64>;
type Files = BTreeMap<u64, Vec<u8>>;

#[derive(Default)]
struct Content {
    durable: Vec<u8>,
    /// Written since the last sync, in order.
    pending: Vec<(usize, Arc<[u8]>)>,
}

pub(super) fn build(calls: &[Call], loss: Loss) -> (Names, Files) {
    let mut random = Random(match loss {
        Loss::Random(seed) => seed,
        Loss::All | Loss::Nothing => 0,
    });
    let mut files: BTreeMap<u64, Content> = BTreeMap::new();
    let mut names = Names::new();
    let mut pending_names: Vec<&Call> = Vec::new();
    for call in calls {
        match call {
            Call::Write(file, offset, bytes) => {
                let content = files.entry(*file).or_default();
                content.pending.push((*offset as usize, Arc::clone(bytes)));
            }
            Call::Sync(file) => {
                let content = files.entry(*file).or_default();
                for (offset, bytes) in content.pending.drain(..) {
                    write(&mut content.durable, offset, &bytes);
                }
            }
            Call::SyncDir => {
                for change in pending_names.drain(..) {
                    rename(&mut names, change);
                }
            }
            Call::Acknowledged(_) => {}
            Call::Create(_, file) => {
                files.entry(*file).or_default();
                pending_names.push(call);
            }
            Call::Rename(..) | Call::Remove(_) => pending_names.push(call),
        }
    }
    for change in pending_names {
        let survives = match loss {
            Loss::All => false,
            Loss::Nothing => true,
            Loss::Random(_) => random.below(2) == 0,
        };
        if survives {
            rename(&mut names, change);
        }
    }
    let files = files
        .into_iter()
        .map(|(file, content)| (file, survivors(content, loss, &mut random)))
        .collect();
    (names, files)
}

fn survivors(content: Content, loss: Loss, random: &mut Random) -> Vec<u8> {
    let Content { durable, pending } = content;
    if loss == Loss::All {
        return durable;
    }
    let mut newest = durable.clone();
    for (offset, bytes) in &pending {
        write(&mut newest, *offset, bytes);
    }
    if loss == Loss::Nothing {
        return newest;
    }
    // The new length may have become durable or not; it is cut at a sector at random.
    let sectors = newest.len().div_ceil(SECTOR);
    let first_new = durable.len() / SECTOR;
    let kept = first_new + random.below(sectors - first_new + 1);
    newest.truncate((kept * SECTOR).max(durable.len()));
    for start in (0..newest.len()).step_by(SECTOR) {
        let end = (start + SECTOR).min(newest.len());
        let mut old = vec![0; end - start];
        let known = durable.get(start..end.min(durable.len())).unwrap_or(&[]);
        old[..known.len()].copy_from_slice(known);
        if old == newest[start..end] {
            continue;
        }
        match random.below(4) {
            0 => newest[start..end].copy_from_slice(&old),
            // Only what was never durable may turn to zeros or garbage.
            1 if known.is_empty() => newest[start..end].fill(0),
            2 if known.is_empty() => newest[start..end].fill_with(|| random.below(256) as u8),
            _ => {}
        }
    }
    newest
}

fn rename(names: &mut Names, change: &Call) {
    match change {
        Call::Create(name, file) => {
            names.insert(name.clone(), *file);
        }
        Call::Rename(from, to) => {
            // Lost with the creation that it renames.
            if let Some(file) = names.remove(from) {
                names.insert(to.clone(), file);
            }
        }
        Call::Remove(name) => {
            names.remove(name);
        }
        _ => {}
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
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % bound.max(1) as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> Vec<Call> {
        vec![
            Call::Create("a".into(), 1),
            Call::Write(1, 0, Arc::from([1u8; 600])),
            Call::Sync(1),
            Call::SyncDir,
            Call::Write(1, 600, Arc::from([2u8; 600])),
            Call::Create("b".into(), 2),
        ]
    }

    #[test]
    fn what_was_synced_survives_everything() {
        for seed in 0..200 {
            for loss in [Loss::All, Loss::Nothing, Loss::Random(seed)] {
                let (names, files) = build(&run(), loss);
                assert_eq!(names.get("a"), Some(&1));
                assert_eq!(files[&1][..600], [1; 600]);
            }
        }
    }

    #[test]
    fn what_was_not_synced_may_be_lost_or_kept() {
        assert_eq!(build(&run(), Loss::All).1[&1].len(), 600);
        assert_eq!(build(&run(), Loss::Nothing).1[&1].len(), 1200);
        let images: Vec<_> = (0..200).map(|s| build(&run(), Loss::Random(s))).collect();
        assert!(images.iter().any(|(names, _)| names.contains_key("b")));
        assert!(images.iter().any(|(names, _)| !names.contains_key("b")));
        assert!(images.iter().any(|(_, files)| files[&1].ends_with(&[0; 8])));
        assert!(images.iter().any(|(_, files)| files[&1].ends_with(&[2; 8])));
    }
}
