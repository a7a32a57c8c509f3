//! The faults that are planted, and those that cannot be planted from outside.

/// A fault with its name.
pub(crate) struct Plant {
    pub(crate) name: &'static str,
    pub(crate) fault: Fault,
}

/// What a disk does wrong. "The one" is the call of this kind whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// The one sync of a file does nothing.
    SyncSkipped,
    /// All from the one on.
    SyncNever,
    /// Each sync from the one on is done only when the next call is made, long after it was
    /// answered.
    SyncLate,
    /// The one sync fails; it is tried again, succeeds, and means nothing.
    SyncRetried,
    /// The sync of a new file is done after it was given its name.
    SyncAfterRename,
    /// The one sync covers only the first half of what was written since the last.
    SyncOfHalf,
    /// The one sync of the directory does nothing.
    SyncDirSkipped,
    /// All from the one on.
    SyncDirNever,
    /// Each from the one on is done only when the directory is asked for something again.
    SyncDirLate,
    /// A sync of the directory is done after the next removal.
    SyncDirAfterRemove,
    /// The one rename does nothing.
    RenameSkipped,
    /// The one write is made by half.
    WriteTorn,
    /// The one write goes a sector too far.
    WriteMisplaced,
    /// The one write does nothing.
    WriteDropped,
    /// The one write changes a bit.
    WriteFlipped,
    /// The one write clears what is before it in its page.
    PageZeroed,
    /// The one write is made, and an older one again over it.
    WriteReplayed,
    /// Reads of what the one write went over give what was there before.
    ReadStale,
    /// The one read gives half, and zeros.
    ReadTruncated,
    /// The one read changes a bit.
    ReadFlipped,
    /// The one read gives what lies a sector further.
    ReadMisplaced,
    /// Files are shorter than they are.
    LenShort,
    /// Files are longer than they are.
    LenLong,
    /// The one listing leaves out a name.
    ListForgets,
    /// Of the one batch that ends in deletes, these are not in the log.
    BatchHalved,
    /// From the one manifest on, the newest snapshot lacks a segment.
    SnapshotIncomplete,
    /// From the one index on, each node is said to be the row of the next.
    IndexShifted,
    /// From the one index on, all nodes are said to be one row.
    IndexRepeated,
}

macro_rules! plants {
    ($($name:literal $fault:ident)*) => {
        &[$(Plant { name: $name, fault: Fault::$fault }),*]
    };
}

pub(crate) const PLANTS: &[Plant] = plants![
    "sync_skipped" SyncSkipped
    "sync_never" SyncNever
    "sync_acknowledged_early" SyncLate
    "failed_sync_retried" SyncRetried
    "sync_after_rename" SyncAfterRename
    "sync_of_half" SyncOfHalf
    "directory_sync_skipped" SyncDirSkipped
    "directory_sync_never" SyncDirNever
    "directory_sync_acknowledged_early" SyncDirLate
    "removed_before_directory_sync" SyncDirAfterRemove
    "rename_skipped" RenameSkipped
    "write_torn" WriteTorn
    "write_misplaced" WriteMisplaced
    "write_dropped" WriteDropped
    "write_bit_flipped" WriteFlipped
    "page_zeroed" PageZeroed
    "write_replayed" WriteReplayed
    "read_stale" ReadStale
    "read_truncated" ReadTruncated
    "read_bit_flipped" ReadFlipped
    "read_misplaced" ReadMisplaced
    "length_too_short" LenShort
    "length_too_long" LenLong
    "name_not_listed" ListForgets
    "batch_halved" BatchHalved
    "snapshot_without_segment" SnapshotIncomplete
    "index_rows_shifted" IndexShifted
    "index_rows_repeated" IndexRepeated
];

/// These need a change of the engine.
pub(crate) const NOT_COVERED: &[&str] = &[
    "a checksum that leaves out the length, the sequence number or the file",
    "writes accepted after a failed sync",
    "a write acknowledged before its group is synced",
    "a refused write that is not taken back",
    "a merge that removes its sources before the manifest without them is durable",
    "a flusher that writes into a collection that came again under its name",
    "recovery that shows what it has not synced",
    "an index that gives rows that have ended",
    "an index that is that of another segment",
];
