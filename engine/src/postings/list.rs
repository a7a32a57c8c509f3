//! One posting list: where its blocks are, and what bounds them.
//!
//! ```text
//! bound   8 bytes: of all full blocks; if there is one
//! skips   for each full block: last row u32, where it ends in blocks u32, bound 8 bytes, and if there
//!         are positions, where it ends in them u32
//! blocks  full ones, of 128 postings each
//! rest    what is left, fewer than 128
//! ```
//!
//! How many postings there are is known from elsewhere. A list of positions lies elsewhere too: those
//! of each full block, then those of the rest.

use super::block::{BLOCK, put_block};
use crate::codec::{DecodeError, Decoded};
use std::sync::Arc;

/// What the owner of a list keeps of a block, so as to tell what its postings can be worth at most.
pub(crate) type Bound = [u8; 8];

const SKIP: usize = 16;
const BOUND: usize = size_of::<Bound>();

/// The full blocks of a list that is being written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Blocks {
    last: Option<u32>,
    bound: Bound,
    skips: Vec<u8>,
    blocks: Vec<u8>,
    positions: Vec<u8>,
}

/// What is known of a full block without unpacking it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Skip {
    pub(crate) last: u32,
    pub(crate) bound: Bound,
    pub(super) end: u32,
    pub(super) positions_end: u32,
}

/// A list as it is read.
#[derive(Clone, Debug)]
pub(crate) struct List<'a> {
    count: u32,
    /// No row is as large, by what the list is in.
    rows: u32,
    /// Where it lies in its file, for errors.
    place: usize,
    has_positions: bool,
    body: Body<'a>,
}

#[derive(Clone, Debug)]
enum Body<'a> {
    /// In a file.
    Stored {
        bound: Bound,
        skips: &'a [u8],
        blocks: &'a [u8],
        rest: &'a [u8],
        positions: &'a [u8],
    },
    /// In memory: full blocks, which may be written on in a copy, and a copy of the rest.
    Shared {
        blocks: Arc<Blocks>,
        rest: Box<[u8]>,
        rest_positions: Box<[u8]>,
    },
}

impl Blocks {
    /// The last row of the last block.
    pub(crate) fn last(&self) -> Option<u32> {
        self.last
    }

    /// What bounds all blocks.
    pub(crate) fn bound(&self) -> Bound {
        self.bound
    }

    /// About how much memory they take.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.skips.capacity() + self.blocks.capacity() + self.positions.capacity()
    }

    /// Appends a block, with what bounds it and what now bounds all of them; `positions` appends those
    /// of its postings, if the list has any.
    pub(crate) fn push(
        &mut self,
        rows: &[u32; BLOCK],
        values: &[u32; BLOCK],
        bounds: (Bound, Bound),
        positions: Option<impl FnOnce(&mut Vec<u8>)>,
    ) -> Decoded<()> {
        let too_long = |_| DecodeError("a posting list is longer than 4 GiB");
        put_block(&mut self.blocks, self.last, rows, values);
        let last = rows[BLOCK - 1];
        self.last = Some(last);
        self.bound = bounds.1;
        let end = u32::try_from(self.blocks.len()).map_err(too_long)?;
        self.skips.extend_from_slice(&last.to_le_bytes());
        self.skips.extend_from_slice(&end.to_le_bytes());
        self.skips.extend_from_slice(&bounds.0);
        if let Some(put) = positions {
            put(&mut self.positions);
            let end = u32::try_from(self.positions.len()).map_err(too_long)?;
            self.skips.extend_from_slice(&end.to_le_bytes());
        }
        Ok(())
    }

    /// Appends the blocks to a file's lists and positions, and forgets them. The rests follow.
    pub(crate) fn drain_to(&mut self, out: &mut Vec<u8>, positions: &mut Vec<u8>) {
        if !self.skips.is_empty() {
            out.extend_from_slice(&self.bound);
        }
        out.append(&mut self.skips);
        out.append(&mut self.blocks);
        positions.append(&mut self.positions);
        self.last = None;
        self.bound = Bound::default();
    }
}

fn skip_len(has_positions: bool) -> usize {
    if has_positions { SKIP + 4 } else { SKIP }
}

impl<'a> List<'a> {
    /// A list of `count` postings in a file, at `place`, all below `rows`. Of a list with positions
    /// these may be left out if they are not asked for.
    pub(crate) fn stored(
        (place, bytes): (usize, &'a [u8]),
        positions: &'a [u8],
        count: u32,
        rows: u32,
        has_positions: bool,
    ) -> Decoded<Self> {
        let short = DecodeError("a posting list is shorter than its count says");
        let full = count as usize / BLOCK;
        let split = |bytes: &'a [u8], at: usize| bytes.split_at_checked(at).ok_or(short);
        let (bound, bytes) = split(bytes, if full == 0 { 0 } else { BOUND })?;
        let skips = full.checked_mul(skip_len(has_positions)).ok_or(short)?;
        let (skips, bytes) = split(bytes, skips)?;
        let mut list = Self {
            count,
            rows,
            place,
            has_positions,
            body: Body::Stored {
                bound: bound.try_into().unwrap_or_default(),
                skips,
                blocks: bytes,
                rest: &[],
                positions,
            },
        };
        let end = match full.checked_sub(1) {
            Some(last) => list.skip(last)?.end as usize,
            None => 0,
        };
        let (within, behind) = split(bytes, end)?;
        if let Body::Stored { blocks, rest, .. } = &mut list.body {
            (*blocks, *rest) = (within, behind);
        }
        Ok(list)
    }

    /// A list in memory, of which the rows below `rows` are seen.
    pub(crate) fn shared(
        blocks: Arc<Blocks>,
        rest: (Box<[u8]>, Box<[u8]>),
        count: u32,
        rows: u32,
        has_positions: bool,
    ) -> Self {
        Self {
            count,
            rows,
            place: 0,
            has_positions,
            body: Body::Shared {
                blocks,
                rest: rest.0,
                rest_positions: rest.1,
            },
        }
    }

    /// How many postings there are. In memory some may not be seen.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    pub(crate) fn place(&self) -> usize {
        self.place
    }

    /// What no row reaches.
    pub(crate) fn rows(&self) -> u32 {
        self.rows
    }

    /// Whether rows from there on are to be passed over, rather than damage.
    pub(super) fn is_view(&self) -> bool {
        matches!(self.body, Body::Shared { .. })
    }

    /// Blocks of 128 postings.
    pub(crate) fn full_blocks(&self) -> usize {
        self.count as usize / BLOCK
    }

    /// Postings behind them.
    pub(crate) fn rest_len(&self) -> usize {
        self.count as usize % BLOCK
    }

    /// What bounds all full blocks, if there is one.
    pub(crate) fn bound(&self) -> Option<Bound> {
        (self.full_blocks() > 0).then(|| match &self.body {
            Body::Stored { bound, .. } => *bound,
            Body::Shared { blocks, .. } => blocks.bound,
        })
    }

    /// What is known of a full block.
    pub(crate) fn skip(&self, block: usize) -> Decoded<Skip> {
        let skips = match &self.body {
            Body::Stored { skips, .. } => skips,
            Body::Shared { blocks, .. } => &blocks.skips[..],
        };
        let len = skip_len(self.has_positions);
        let entry = block
            .checked_mul(len)
            .and_then(|at| skips.get(at..at + len));
        let none = DecodeError("a posting list has fewer blocks than its count says");
        let (head, tail) = entry
            .and_then(|entry| entry.split_first_chunk::<SKIP>())
            .ok_or(none)?;
        let number =
            |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let mut bound = Bound::default();
        bound.copy_from_slice(&head[8..]);
        Ok(Skip {
            last: number(0),
            end: number(4),
            bound,
            positions_end: tail.try_into().map_or(0, u32::from_le_bytes),
        })
    }

    /// The last row of the block before this one.
    pub(super) fn before(&self, block: usize) -> Decoded<Option<u32>> {
        let before = block.checked_sub(1).map(|before| self.skip(before));
        Ok(before.transpose()?.map(|skip| skip.last))
    }

    /// The bytes of a full block.
    pub(super) fn block(&self, block: usize) -> Decoded<&[u8]> {
        let bytes = match &self.body {
            Body::Stored { blocks, .. } => blocks,
            Body::Shared { blocks, .. } => &blocks.blocks[..],
        };
        let start = match block.checked_sub(1) {
            Some(before) => self.skip(before)?.end,
            None => 0,
        };
        let end = self.skip(block)?.end;
        bytes
            .get(start as usize..end as usize)
            .ok_or(DecodeError("a block leads out of its posting list"))
    }

    pub(super) fn rest(&self) -> &[u8] {
        match &self.body {
            Body::Stored { rest, .. } => rest,
            Body::Shared { rest, .. } => rest,
        }
    }

    /// The bytes of the positions of a block, or of the rest.
    pub(super) fn positions(&self, block: usize) -> Decoded<&[u8]> {
        let is_full = block < self.full_blocks();
        let bytes = match &self.body {
            Body::Stored { positions, .. } => positions,
            Body::Shared { rest_positions, .. } if !is_full => return Ok(rest_positions),
            Body::Shared { blocks, .. } => &blocks.positions[..],
        };
        let start = match block.checked_sub(1) {
            Some(before) => self.skip(before)?.positions_end as usize,
            None => 0,
        };
        let end = match is_full {
            true => self.skip(block)?.positions_end as usize,
            false => bytes.len(),
        };
        bytes.get(start..end).ok_or(DecodeError(
            "the positions of a block lead out of their list",
        ))
    }
}
