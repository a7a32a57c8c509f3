//! One immutable file of checksummed sections, found from a footer: what a segment is kept in.
//!
//! [`Output`] writes sections one after the other, [`Sections`] reads them in place through a map,
//! checking each chunk when it is first touched, so that opening costs the same for any size. What
//! a section holds is its owner's matter, who names its [`SectionKind`]s; nothing here changes a
//! file, or decides which files there are.

#[cfg(target_endian = "big")]
compile_error!("numbers are read in place, and files are little-endian");

mod format;
mod output;
mod sections;

pub(crate) use format::SectionKind;
pub(crate) use output::Output;
pub(crate) use sections::{SectionId, Sections};

/// Files that are not as they were written, with checksums that agree all the same.
#[cfg(test)]
pub(crate) mod tamper {
    use super::{
        SectionKind,
        format::{CHUNK, Directory, FOOTER, Footer, directory_sum},
    };
    use crate::codec::checksum;
    use std::ops::Range;

    /// A file, taken apart.
    #[derive(Clone, Debug)]
    pub(crate) struct Parts<K> {
        /// What comes before the directory.
        pub(crate) content: Vec<u8>,
        pub(super) directory: Directory<K>,
        pub(super) footer: Footer,
        len: usize,
    }

    impl<K: SectionKind> Parts<K> {
        pub(crate) fn of(file: &[u8]) -> Self {
            let (before, footer) = file.split_last_chunk::<FOOTER>().unwrap();
            let footer = Footer::decode(footer, file.len() as u64).unwrap();
            let (content, directory) = before.split_at(footer.directory_offset as usize);
            Self {
                content: content.to_vec(),
                directory: Directory::decode(directory, &footer).unwrap(),
                footer,
                len: file.len(),
            }
        }

        pub(crate) fn rows(&mut self) -> &mut u32 {
            &mut self.footer.rows
        }

        pub(crate) fn extra(&mut self) -> &mut Vec<u8> {
            &mut self.directory.extra
        }

        /// The kind of each section, where it is, and where its table starts.
        pub(crate) fn sections(&self) -> impl Iterator<Item = (K, Range<usize>, usize)> {
            self.directory.sections.iter().map(|section| {
                let start = section.offset as usize;
                let end = start + section.len as usize;
                (section.kind, start..end, section.table_offset as usize)
            })
        }

        /// Whether the byte lies between two sections, where nothing is read.
        pub(crate) fn is_padding(&self, at: usize) -> bool {
            let behind = self.sections().find(|(_, bytes, _)| at < bytes.end);
            behind.is_some_and(|(_, bytes, _)| at >= 64 && at < bytes.start)
        }

        /// The file, its checksums made to agree with what it holds.
        pub(crate) fn seal(mut self) -> Vec<u8> {
            for section in &mut self.directory.sections {
                let range = |start: u64, len: u64| {
                    let end = start.checked_add(len)?;
                    Some(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
                };
                let bytes = range(section.offset, section.len);
                let bytes = bytes.and_then(|bytes| self.content.get(bytes));
                let chunks = bytes.unwrap_or_default().chunks(CHUNK);
                let table: Vec<u8> = chunks.flat_map(|c| checksum(&[c]).to_le_bytes()).collect();
                section.table_sum = checksum(&[&table]);
                let place = range(section.table_offset, table.len() as u64);
                if let Some(place) = place.and_then(|place| self.content.get_mut(place)) {
                    place.copy_from_slice(&table);
                }
            }
            let directory = self.directory.encode();
            let mut footer = self.footer;
            footer.directory_sum = directory_sum(&directory, footer.file_id);
            footer.directory_len = directory.len() as u32;
            let len = self.content.len() + directory.len() + FOOTER;
            // Unless the test says another one.
            if footer.file_len == self.len as u64 {
                footer.file_len = len as u64;
            }
            [self.content, directory, footer.encode()].concat()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        format::{CHUNK, SectionEntry},
        tamper::Parts,
        *,
    };
    use crate::{
        cancel::Cancel,
        codec::header::FileKind,
        error::{ErrorKind, Result},
        vfs::{MemoryVfs, Vfs},
    };
    use proptest::prelude::*;

    const NAME: &str = "sections-1";
    const FILE_ID: u64 = 0xfeed;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Kind {
        Meta = 1,
        Links = 2,
    }

    impl SectionKind for Kind {
        const FILE: FileKind = FileKind::Index;
        const MAX_SECTIONS: usize = 8;
        const ALL: &'static [Self] = &[Self::Meta, Self::Links];

        fn code(self) -> u32 {
            self as u32
        }
    }

    /// The same sections in another kind of file.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Other(Kind);

    impl SectionKind for Other {
        const FILE: FileKind = FileKind::Segment;
        const MAX_SECTIONS: usize = Kind::MAX_SECTIONS;
        const ALL: &'static [Self] = &[Self(Kind::Meta), Self(Kind::Links)];

        fn code(self) -> u32 {
            self.0.code()
        }
    }

    /// A file with a section of links for each of `links`, numbered from 0, behind one of 8 bytes.
    fn file(links: &[Vec<u8>], extra: &[u8]) -> Vec<u8> {
        let vfs = MemoryVfs::new();
        let cancel = Cancel::default();
        let file = vfs.create(NAME).unwrap();
        let mut output = Output::new(file, NAME, FILE_ID, &cancel).unwrap();
        output.begin(Kind::Meta, 0).unwrap();
        output.put(&7u64.to_le_bytes()).unwrap();
        for (number, bytes) in (0..).zip(links) {
            output.begin(Kind::Links, number).unwrap();
            bytes.chunks(1_000).for_each(|c| output.put(c).unwrap());
        }
        let len = output.finish(9, extra.to_vec()).unwrap();
        let content = vfs.content(NAME).unwrap();
        assert_eq!(len, content.len() as u64);
        content
    }

    fn bytes(len: usize) -> Vec<u8> {
        (0..len).map(|at| (at % 251) as u8).collect()
    }

    fn small() -> Vec<u8> {
        file(&[bytes(100), Vec::new(), bytes(64), bytes(3)], b"extra")
    }

    fn open(content: &[u8]) -> Result<Sections<Kind>> {
        let vfs = MemoryVfs::new();
        vfs.set_content(NAME, content);
        Sections::open(&vfs, NAME)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_was_written_is_read_from_anywhere(
            links in prop::collection::vec(
                (0usize..3, 0usize..200).prop_map(|(chunks, more)| (chunks * CHUNK + more).saturating_sub(100)),
                0..6,
            ),
            extra: Vec<u8>,
            places: Vec<(prop::sample::Index, prop::sample::Index)>,
        ) {
            let links: Vec<_> = links.into_iter().map(bytes).collect();
            let sections = open(&file(&links, &extra)).unwrap();
            prop_assert_eq!((sections.rows, sections.file_id), (9, FILE_ID));
            prop_assert_eq!(sections.extra(), &extra);
            let meta = sections.need(Kind::Meta, 0).unwrap();
            prop_assert_eq!(sections.value::<u64>(meta, 0).unwrap(), 7);
            for (number, expected) in (0..).zip(&links) {
                let id = sections.need(Kind::Links, number).unwrap();
                for (a, b) in &places {
                    let (a, b) = (a.index(expected.len() + 1), b.index(expected.len() + 1));
                    let (start, end) = (a.min(b), a.max(b));
                    let found = sections.bytes(id, start, end - start).unwrap();
                    prop_assert_eq!(found, &expected[start..end]);
                }
            }
            prop_assert!(sections.find(Kind::Links, links.len() as u32).is_none());
            prop_assert!(sections.verify(&Cancel::default()).unwrap().is_empty());
        }
    }

    #[test]
    fn every_flipped_byte_is_seen_or_between_sections() {
        let good = small();
        let parts = Parts::<Kind>::of(&good);
        for at in 0..good.len() {
            let mut content = good.clone();
            content[at] ^= 1 << (at % 8);
            match open(&content) {
                Ok(sections) => {
                    let flaws = sections.verify(&Cancel::default()).unwrap();
                    assert_eq!(flaws.is_empty(), parts.is_padding(at), "byte {at}");
                    assert!(flaws.iter().all(|flaw| flaw.location().is_some()));
                }
                Err(error) => {
                    let newer = at < 12 && error.kind() == ErrorKind::Unsupported;
                    assert!(newer || error.kind() == ErrorKind::Corrupted, "{error}");
                }
            }
        }
    }

    #[test]
    fn no_truncated_or_lengthened_file_opens() {
        let good = small();
        for len in 0..good.len() {
            assert_eq!(open(&good[..len]).unwrap_err().kind(), ErrorKind::Corrupted);
        }
        for more in [1, 8, 64, 4_096] {
            let long = [&good[..], &vec![0; more]].concat();
            assert_eq!(open(&long).unwrap_err().kind(), ErrorKind::Corrupted);
        }
        assert!(open(&[&good[..], &good].concat()).is_err());
    }

    #[test]
    fn hostile_directories_with_sound_checksums_are_refused() {
        let good = small();
        let refused = |change: &dyn Fn(&mut Parts<Kind>)| {
            let mut parts = Parts::of(&good);
            change(&mut parts);
            let opened = open(&parts.seal());
            opened.is_err_and(|error| error.kind() == ErrorKind::Corrupted)
        };
        let section = |at: usize, change: &dyn Fn(&mut SectionEntry<Kind>)| {
            refused(&|parts| change(&mut parts.directory.sections[at]))
        };
        assert!(!refused(&|_| {}), "the control opens");
        for huge in [u64::MAX, u64::MAX - 63, 1 << 63, 1 << 40, good.len() as u64] {
            for at in 0..5 {
                assert!(section(at, &|section| section.len = huge));
                assert!(section(at, &|section| section.offset = huge & !63));
                assert!(section(at, &|section| section.table_offset = huge));
            }
            assert!(refused(&|parts| parts.footer.directory_offset = huge));
            assert!(refused(&|parts| parts.footer.file_len = huge ^ 1));
        }
        assert!(refused(&|parts| parts.footer.file_id ^= 1));
        let first = Parts::<Kind>::of(&good).directory.sections[0];
        assert!(section(1, &|section| section.offset = first.offset));
        assert!(section(2, &|section| section.number = 0));
        assert!(refused(&|parts| parts.directory.sections.swap(0, 1)));
        assert!(refused(&|parts| parts.directory.sections.truncate(3)));
        assert!(refused(&|parts| {
            let last = parts.directory.sections[4];
            let more = std::iter::repeat_n(last, Kind::MAX_SECTIONS);
            parts.directory.sections.extend(more);
        }));
    }

    #[test]
    fn what_leads_out_of_a_section_is_refused() {
        let sections = open(&small()).unwrap();
        let id = sections.need(Kind::Links, 0).unwrap();
        for (start, len) in [
            (0, 101),
            (100, 1),
            (101, 0),
            (1, usize::MAX),
            (usize::MAX, 1),
        ] {
            let error = sections.bytes(id, start, len).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupted, "{start} {len}");
        }
        assert!(sections.values::<u64>(id, usize::MAX / 4, 2).is_err());
        assert!(sections.value::<u32>(id, 25).is_err());
        assert!(sections.value::<u32>(id, 24).is_ok());
        assert!(sections.expect_len(id, Some(99)).is_err());
        assert!(sections.need(Kind::Links, 4).is_err());
        assert_eq!(
            sections.check_row(9).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
    }

    #[test]
    fn a_file_of_another_kind_or_with_an_unknown_section_is_refused() {
        let vfs = MemoryVfs::new();
        vfs.set_content(NAME, small());
        let error = Sections::<Other>::open(&vfs, NAME).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupted);

        let cancel = Cancel::default();
        let file = vfs.create("other").unwrap();
        let mut output = Output::new(file, "other", 1, &cancel).unwrap();
        output.begin(Other(Kind::Links), 0).unwrap();
        output.finish(0, Vec::new()).unwrap();
        assert!(Sections::<Other>::open(&vfs, "other").is_ok());
        assert!(Sections::<Kind>::open(&vfs, "other").is_err());
    }

    #[test]
    fn a_section_is_whole_once_every_chunk_was_read_or_checked() {
        let content = bytes(3 * CHUNK + 8);
        let cancel = Cancel::default();
        let file = file(&[content.clone(), Vec::new()], &[]);
        for checks in [false, true] {
            let sections = open(&file).unwrap();
            let id = sections.need(Kind::Links, 0).unwrap();
            for chunk in [2, 0, 2, 3] {
                sections.bytes(id, chunk * CHUNK, 8).unwrap();
                assert_eq!(sections.whole::<u8>(id), None, "chunk 1 is missing");
            }
            if checks {
                sections.check_all(id, &cancel).unwrap();
            } else {
                sections.bytes(id, CHUNK - 1, 2).unwrap();
            }
            assert_eq!(sections.whole(id), Some(&content[..]));
            let numbers = sections.values::<u64>(id, 0, content.len() / 8).unwrap();
            assert_eq!(sections.whole(id), Some(numbers));
            assert_eq!(
                sections.whole::<[u64; 2]>(id),
                None,
                "8 bytes are left over"
            );
            let other = sections.need(Kind::Meta, 0).unwrap();
            assert_eq!(sections.whole::<u64>(other), None);
            let empty = sections.need(Kind::Links, 1).unwrap();
            assert_eq!(sections.whole::<u64>(empty), Some(&[][..]));
        }
    }

    #[test]
    fn threads_that_check_one_section_count_each_chunk_once() {
        let content = bytes(70 * CHUNK);
        let file = file(std::slice::from_ref(&content), &[]);
        for _ in 0..20 {
            let sections = open(&file).unwrap();
            let id = sections.need(Kind::Links, 0).unwrap();
            std::thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        sections.check_all(id, &Cancel::default()).unwrap();
                        assert_eq!(sections.whole(id), Some(&content[..]));
                    });
                }
            });
        }
    }

    #[test]
    fn a_section_with_a_damaged_chunk_or_table_is_never_whole() {
        let good = file(&[bytes(3 * CHUNK), bytes(9)], &[]);
        let (_, place, table) = Parts::<Kind>::of(&good).sections().nth(1).unwrap();
        let chunk_1 = place.start + CHUNK;
        for (damaged, expected) in [(chunk_1 + 5, chunk_1), (table + 4, table)] {
            let mut content = good.clone();
            content[damaged] ^= 1;
            let sections = open(&content).unwrap();
            let id = sections.need(Kind::Links, 0).unwrap();
            let cancel = Cancel::default();
            for _ in 0..3 {
                let error = sections.check_all(id, &cancel).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Corrupted);
                assert_eq!(error.location(), Some((NAME, expected as u64)));
                let _ = sections.bytes(id, 2 * CHUNK, 1);
                assert!(!sections.verify(&cancel).unwrap().is_empty());
                assert_eq!(sections.whole::<u8>(id), None);
            }
            let sound = sections.need(Kind::Links, 1).unwrap();
            sections.check_all(sound, &cancel).unwrap();
            assert_eq!(sections.whole(sound), Some(&bytes(9)[..]));
        }
    }

    #[test]
    fn checking_all_ends_when_cancelled_and_can_be_taken_up_again() {
        let sections = open(&small()).unwrap();
        let id = sections.need(Kind::Links, 0).unwrap();
        let cancel = Cancel::default();
        cancel.cancel();
        let error = sections.check_all(id, &cancel).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        assert_eq!(sections.whole::<u8>(id), None);
        sections.check_all(id, &Cancel::default()).unwrap();
        assert!(sections.whole::<u8>(id).is_some());
    }

    #[test]
    fn a_cancelled_file_is_not_finished() {
        let vfs = MemoryVfs::new();
        let cancel = Cancel::default();
        let file = vfs.create(NAME).unwrap();
        let mut output = Output::new(file, NAME, 1, &cancel).unwrap();
        output.begin(Kind::Links, 0).unwrap();
        cancel.cancel();
        let error = output.finish(0, Vec::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
    }
}
