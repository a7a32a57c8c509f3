//! Byte layouts of a file of sections. All numbers are little-endian.
//!
//! ```text
//! file       header (64 bytes, as in `codec/header.rs`), sections, checksum tables, directory, footer
//! section    starts at the next multiple of 64, zeros before it
//! table      of each section in their order, with nothing between: a checksum u32 for every
//!            16 KiB of the section, the last for what is left
//! directory  length u32, so many bytes that are the owner's own;
//!            count u32, then for each section: kind u32, number u32, offset u64, length u64,
//!            offset of its table u64, checksum of its table u32
//! footer     0 offset of directory u64  8 its length u32  12 checksum u32 over it and the file id
//!            16 rows u32  20 format u32  24 file id u64  32 length of file u64  40 zero u32
//!            44 checksum u32 over bytes 0..44
//! ```
//!
//! There is one way to lay out given sections, and a directory that departs from it is refused:
//! sections can neither overlap nor leave gaps. The footer's checksum, and through it all others,
//! covers the file id, so that no part of another file is taken for one of this.

use crate::codec::{
    DecodeError, Decoded, Decoder, checksum,
    header::{FILE_HEADER, FORMAT, FileKind},
    put_bytes, put_u32, put_u64,
};
use std::fmt;

/// So much of a section is checked at once, when any of it is first read.
pub(super) const CHUNK: usize = 16 << 10;
/// Where sections start: no number straddles a cache line, and kernels may load aligned.
const ALIGN: u64 = 64;
pub(super) const FOOTER: usize = 48;
/// What the sections of one kind of file hold.
pub(crate) trait SectionKind: Copy + Eq + fmt::Debug + 'static {
    /// The kind of file.
    const FILE: FileKind;
    /// The most sections that such a file has.
    const MAX_SECTIONS: usize;
    /// Every kind of section that such a file has.
    const ALL: &'static [Self];

    /// What stands for it in a file.
    fn code(self) -> u32;
}

/// A section, as the directory lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SectionEntry<K> {
    pub(super) kind: K,
    /// Which of its kind it is.
    pub(super) number: u32,
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) table_offset: u64,
    pub(super) table_sum: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Directory<K> {
    /// The owner's own.
    pub(super) extra: Vec<u8>,
    pub(super) sections: Vec<SectionEntry<K>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Footer {
    pub(super) directory_offset: u64,
    pub(super) directory_len: u32,
    pub(super) directory_sum: u32,
    pub(super) rows: u32,
    pub(super) file_id: u64,
    pub(super) file_len: u64,
}

/// Where the section that follows `end` starts.
pub(super) fn aligned(end: u64) -> Option<u64> {
    end.checked_next_multiple_of(ALIGN)
}

/// The length of the table of a section.
pub(super) fn table_len(section_len: u64) -> u64 {
    section_len.div_ceil(CHUNK as u64) * 4
}

/// Covers which file it is, too.
pub(super) fn directory_sum(directory: &[u8], file_id: u64) -> u32 {
    checksum(&[directory, &file_id.to_le_bytes()])
}

impl Footer {
    pub(super) fn encode(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FOOTER);
        put_u64(&mut out, self.directory_offset);
        put_u32(&mut out, self.directory_len);
        put_u32(&mut out, self.directory_sum);
        put_u32(&mut out, self.rows);
        put_u32(&mut out, FORMAT);
        put_u64(&mut out, self.file_id);
        put_u64(&mut out, self.file_len);
        put_u32(&mut out, 0);
        let sum = checksum(&[&out]);
        put_u32(&mut out, sum);
        out
    }

    /// The footer of a file of `file_len` bytes, its directory within these bounds.
    pub(super) fn decode(bytes: &[u8; FOOTER], file_len: u64) -> Decoded<Self> {
        let (covered, sum) = bytes.split_at(FOOTER - 4);
        if checksum(&[covered]).to_le_bytes() != sum {
            return Err(DecodeError("the footer's checksum differs"));
        }
        let mut decoder = Decoder::new(covered);
        let directory_offset = decoder.u64()?;
        let directory_len = decoder.u32()?;
        let directory_sum = decoder.u32()?;
        let rows = decoder.u32()?;
        let format = decoder.u32()?;
        let footer = Self {
            directory_offset,
            directory_len,
            directory_sum,
            rows,
            file_id: decoder.u64()?,
            file_len: decoder.u64()?,
        };
        let end = directory_offset
            .checked_add(u64::from(directory_len))
            .and_then(|end| end.checked_add(FOOTER as u64));
        if format != FORMAT {
            return Err(DecodeError("the footer is of another format"));
        }
        if footer.file_len != file_len || end != Some(file_len) {
            return Err(DecodeError("the file has not the length that it had"));
        }
        Ok(footer)
    }
}

impl<K: SectionKind> Directory<K> {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_bytes(&mut out, &self.extra);
        put_u32(&mut out, self.sections.len() as u32);
        for section in &self.sections {
            put_u32(&mut out, section.kind.code());
            put_u32(&mut out, section.number);
            put_u64(&mut out, section.offset);
            put_u64(&mut out, section.len);
            put_u64(&mut out, section.table_offset);
            put_u32(&mut out, section.table_sum);
        }
        out
    }

    /// The directory that `footer` points to: every section in its place, none twice.
    pub(super) fn decode(bytes: &[u8], footer: &Footer) -> Decoded<Self> {
        if directory_sum(bytes, footer.file_id) != footer.directory_sum {
            return Err(DecodeError("the directory's checksum differs"));
        }
        let mut decoder = Decoder::new(bytes);
        let extra = decoder.bytes()?.to_vec();
        let sections = (0..decoder.count(36)?)
            .map(|_| SectionEntry::decode(&mut decoder))
            .collect::<Decoded<Vec<_>>>()?;
        let directory = Self { extra, sections };
        if !decoder.is_empty() {
            return Err(DecodeError("the directory is followed by further bytes"));
        }
        directory.check(footer)?;
        Ok(directory)
    }

    fn check(&self, footer: &Footer) -> Decoded<()> {
        if self.sections.len() > K::MAX_SECTIONS {
            return Err(DecodeError("the directory lists more than there can be"));
        }
        for (at, section) in self.sections.iter().enumerate() {
            let key = |entry: &SectionEntry<K>| (entry.kind, entry.number);
            if self.sections[..at].iter().any(|o| key(o) == key(section)) {
                return Err(DecodeError("the directory lists a section twice"));
            }
        }
        if self.is_laid_out(footer.directory_offset) != Some(true) {
            return Err(DecodeError("a section is not where it must be"));
        }
        Ok(())
    }

    /// Whether everything follows what is before it, up to the directory. `None` when the
    /// offsets overflow.
    fn is_laid_out(&self, directory_offset: u64) -> Option<bool> {
        let mut end = FILE_HEADER as u64;
        for section in &self.sections {
            if section.offset != aligned(end)? {
                return Some(false);
            }
            end = section.offset.checked_add(section.len)?;
        }
        for section in &self.sections {
            if section.table_offset != end {
                return Some(false);
            }
            end = end.checked_add(table_len(section.len))?;
        }
        Some(end == directory_offset)
    }
}

impl<K: SectionKind> SectionEntry<K> {
    fn decode(decoder: &mut Decoder<'_>) -> Decoded<Self> {
        let kind = decoder.u32()?;
        let kind = K::ALL.iter().find(|known| known.code() == kind);
        Ok(Self {
            kind: *kind.ok_or(DecodeError("a section is of an unknown kind"))?,
            number: decoder.u32()?,
            offset: decoder.u64()?,
            len: decoder.u64()?,
            table_offset: decoder.u64()?,
            table_sum: decoder.u32()?,
        })
    }
}
