//! Searches an index in its file.

use super::{
    About, Kind, Moved, Subject, Wanted,
    pick::{Candidates, Pick, Picker},
};
use crate::{
    cancel::Cancel,
    container::{SectionId, Sections},
    error::{Error, Result},
    schema::Quantization,
    sync::{Mutex, lock},
    vector::{
        bits::{self, BitProbe, Bits, Glanced},
        codes::{Codes, Encoder, Probe, Scores},
        hnsw::{Base, Counted, MAX_LEVELS, NONE, Nodes, Params, Scratch, Tally, Walk, Whole},
    },
    vfs::Vfs,
};
use std::sync::atomic::{AtomicUsize, Ordering};

/// How much is checked at once of an index that was opened: some tens of microseconds, if the
/// system has it in memory.
const STEP: usize = 256 << 10;

/// An open index file.
#[derive(Debug)]
pub(crate) struct Index {
    sections: Sections<Kind>,
    about: About,
    encoder: Encoder,
    rows: SectionId,
    nodes: SectionId,
    /// With their factors, unless quantization is binary.
    codes: Option<(SectionId, SectionId)>,
    /// Under most metrics.
    bits: Option<SectionId>,
    links: Vec<SectionId>,
    /// So many bytes of all sections were checked, or are being.
    checked: AtomicUsize,
    rooms: Mutex<Vec<Room>>,
}

/// What a search computes in.
#[derive(Debug, Default)]
struct Room {
    scratch: Scratch,
    probe: Probe,
    bit_probe: BitProbe,
    picker: Picker,
}

impl Index {
    /// Opens the index `name` of what `subject` says; reads little of it.
    pub(crate) fn open(vfs: &dyn Vfs, name: &str, subject: Subject) -> Result<Self> {
        let sections = Sections::<Kind>::open(vfs, name)?;
        let about: About = serde_json::from_slice(sections.extra())
            .map_err(|error| sections.corrupted_directory(error))?;
        if about.subject() != subject {
            return Err(sections.corrupted_directory("it is an index of something else"));
        }
        if !about.is_sound(sections.rows) {
            return Err(sections.corrupted_directory("it describes no graph"));
        }
        let need = |kind, number, len: u64| {
            let id = sections.need(kind, number)?;
            sections.expect_len(id, Some(len))?;
            Ok::<_, Error>(id)
        };
        let (nodes, width) = (u64::from(sections.rows), u64::from(subject.dimensions));
        let center_id = need(Kind::Center, 0, width * 4)?;
        let center: &[f32] = sections.values(center_id, 0, subject.dimensions as usize)?;
        if !center.iter().all(|value| value.is_finite()) {
            return Err(sections.corrupted(center_id, 0, "the center is no vector"));
        }
        let params = about.params();
        let links = (0..).zip(&about.levels).map(|(level, count)| {
            let list = params.width(level as usize) as u64 * 4;
            need(Kind::Links, level, u64::from(*count) * list)
        });
        Ok(Self {
            rows: need(Kind::Rows, 0, nodes * 4)?,
            nodes: sections.need(Kind::Nodes, 0)?,
            codes: (subject.quantization != Quantization::Binary)
                .then(|| {
                    let codes = need(Kind::Codes, 0, nodes * width)?;
                    Ok::<_, Error>((codes, need(Kind::Factors, 0, nodes * 8)?))
                })
                .transpose()?,
            bits: bits::serve(subject.metric)
                .then(|| {
                    let cell = bits::words(subject.dimensions as usize) as u64 * 8;
                    need(Kind::Bits, 0, nodes * cell)
                })
                .transpose()?,
            links: links.collect::<Result<_>>()?,
            encoder: Encoder {
                metric: subject.metric,
                center: center.to_vec(),
                step: about.step,
            },
            about,
            sections,
            checked: AtomicUsize::new(0),
            rooms: Mutex::default(),
        })
    }

    /// How many rows it is over.
    pub(crate) fn rows(&self) -> u32 {
        self.sections.rows
    }

    /// Whether this is the name of its file.
    pub(crate) fn is_file(&self, name: &str) -> bool {
        self.sections.is_file(name)
    }

    /// Whether a row which it gave is one of so many.
    pub(crate) fn check_row(&self, row: u32, rows: u32) -> Result<()> {
        if row < rows {
            return Ok(());
        }
        let message = format!("the segment has no row {row}");
        Err(self.sections.corrupted(self.rows, 0, message))
    }

    /// Checks all of it, so that searches need not.
    pub(crate) fn check(&self, cancel: &Cancel) -> Result<()> {
        self.parts()
            .try_for_each(|section| self.sections.check_all(section, cancel))
    }

    /// Checks the next [`STEP`] bytes, unless all were checked: each search of an index that was
    /// opened brings it nearer to where searches need not check what they read.
    pub(crate) fn check_on(&self) -> Result<()> {
        if self.is_whole() {
            return Ok(());
        }
        let mut start = self.checked.fetch_add(STEP, Ordering::Relaxed);
        let mut left = STEP;
        for section in self.parts() {
            let len = self.sections.len(section);
            let now = left.min(len.saturating_sub(start));
            self.sections.bytes(section, start.min(len), now)?;
            start = start.saturating_sub(len);
            left -= now;
        }
        Ok(())
    }

    /// All that searches read.
    fn parts(&self) -> impl Iterator<Item = SectionId> {
        let codes = self
            .codes
            .into_iter()
            .flat_map(|(codes, factors)| [codes, factors]);
        let sections = [self.rows, self.nodes].into_iter().chain(codes);
        sections.chain(self.bits).chain(self.links.iter().copied())
    }

    /// Whether all of it was checked.
    pub(super) fn is_whole(&self) -> bool {
        self.parts()
            .all(|section| self.sections.whole::<u8>(section).is_some())
    }

    /// Everything that is wrong with it.
    pub(crate) fn verify(&self, cancel: &Cancel) -> Result<Vec<Error>> {
        self.sections.verify(cancel)
    }

    /// The `ef` that finds this share of the nearest, by what was measured when it was built.
    pub(crate) fn ef(&self, recall: f32, limit: usize) -> usize {
        self.about.curve.ef(recall, limit)
    }

    /// Rows near to a vector of which `passes` holds, if it is given, with their scores by codes, at least `limit` of
    /// them if the walk finds so many, the best first. Codes err: it gives so many that the nearest of
    /// those that were found are among them. Where rows have lists, a row comes as often as vectors of
    /// its list are near. A row is what the file says, and may be none of the segment's. `None`
    /// when the walk has given up, since too few pass. What it looked at is counted in `tally`.
    pub(crate) fn search(
        &self,
        values: &[f32],
        scale: f32,
        wanted: Wanted,
        cancel: &Cancel,
        mut passes: Option<Passes<'_>>,
        tally: &Tally,
    ) -> Result<Option<Vec<(f32, u32)>>> {
        if self.sections.rows == 0 || wanted.limit == 0 {
            return Ok(Some(Vec::new()));
        }
        let mut room = lock(&self.rooms).pop().unwrap_or_default();
        let Room {
            scratch,
            probe,
            bit_probe,
            ..
        } = &mut room;
        self.encoder.probe(values, scale, probe);
        if self.codes.is_none() {
            bit_probe.set(probe);
        }
        let mut walk = Search {
            index: self,
            probe,
            wanted,
            cancel,
            scratch,
            tally,
        };
        let bits = self.bits().filter(|_| self.codes.is_none());
        let glanced = bits.map(|bits| Glanced {
            bits,
            probe: bit_probe,
        });
        let in_place =
            |rows: &[u32], node: u32| Ok(rows.get(node as usize).copied().unwrap_or(NONE));
        let found = match (self.whole(self.codes()), self.whole(glanced)) {
            (Some((nodes, rows)), _) => walk.run(&nodes, |node| in_place(rows, node), &mut passes),
            (_, Some((nodes, rows))) => walk.run(&nodes, |node| in_place(rows, node), &mut passes),
            (None, None) => {
                let row = |node| self.sections.value(self.rows, node as usize);
                let nodes = Unchecked {
                    index: self,
                    bit_probe,
                };
                walk.run(&nodes, row, &mut passes)
            }
        };
        lock(&self.rooms).push(room);
        found
    }

    /// As [`search`](Self::search), uncounted.
    #[cfg(test)]
    pub(super) fn walk(
        &self,
        values: &[f32],
        scale: f32,
        wanted: Wanted,
        cancel: &Cancel,
        passes: Option<Passes<'_>>,
    ) -> Result<Option<Vec<(f32, u32)>>> {
        self.search(values, scale, wanted, cancel, passes, &Tally::default())
    }

    /// Those of `rows` that are near to a vector and pass, as by [`search`](Self::search), all of
    /// them compared by their codes. `None` when the index was not checked yet.
    pub(crate) fn nearest_of(
        &self,
        rows: &[u32],
        values: &[f32],
        scale: f32,
        pick: Pick,
        cancel: &Cancel,
        passes: impl FnMut(u32) -> Result<bool>,
    ) -> Result<Option<Vec<u32>>> {
        let Some(candidates) = self.candidates() else {
            return Ok(None);
        };
        let mut room = lock(&self.rooms).pop().unwrap_or_default();
        let Room { probe, picker, .. } = &mut room;
        self.encoder.probe(values, scale, probe);
        let margin = self.about.curve.margin(probe.length());
        let near = picker.pick(&candidates, (probe, margin), pick, rows, cancel, passes);
        lock(&self.rooms).push(room);
        near.map(Some)
    }

    /// Its graph, for one over so many rows to begin with. `place` tells where each of its rows is among
    /// these, if it still is. None if that is to be built otherwise, or this was not checked yet.
    pub(super) fn base(&self, params: Params, rows: u32, place: Moved<'_>) -> Option<Base<'_>> {
        let of_level = |(level, section): (usize, &SectionId)| {
            Some((params.width(level), self.sections.whole(*section)?))
        };
        let levels = self.links.iter().enumerate().map(of_level);
        let levels = levels.collect::<Option<_>>()?;
        let places = self.sections.whole(self.rows)?.iter();
        let places = places.map(|row| place(*row).unwrap_or(NONE)).collect();
        (self.about.params() == params).then(|| Base::new(levels, places, rows))
    }

    /// The graph in place with what its nodes are compared by, and their rows, once all was checked.
    fn whole<T>(&self, table: Option<T>) -> Option<(Whole<'_, T>, &[u32])> {
        let mut links = [&[][..]; MAX_LEVELS];
        for (links, section) in links.iter_mut().zip(&self.links) {
            *links = self.sections.whole(*section)?;
        }
        let links = links.into_iter().take(self.links.len());
        let whole = Whole::new(table?, self.about.params(), links);
        Some((whole, self.sections.whole(self.rows)?))
    }

    /// The codes, if there are any and they were checked.
    fn codes(&self) -> Option<Codes<'_>> {
        let (codes, factors) = self.codes?;
        Some(Codes {
            metric: self.about.metric,
            dimensions: self.about.dimensions as usize,
            bytes: self.sections.whole(codes)?,
            factors: self.sections.whole(factors)?,
        })
    }

    /// The bits, if there are any and they were checked.
    fn bits(&self) -> Option<Bits<'_>> {
        Some(Bits {
            dimensions: self.about.dimensions as usize,
            cells: self.sections.whole(self.bits?)?,
        })
    }

    /// What rows are picked from, once it was checked.
    fn candidates(&self) -> Option<Candidates<'_>> {
        let (codes, bits) = (self.codes(), self.bits());
        let is_checked =
            codes.is_some() == self.codes.is_some() && bits.is_some() == self.bits.is_some();
        let nodes = self.sections.whole(self.nodes).filter(|_| is_checked)?;
        Some(Candidates { codes, bits, nodes })
    }
}

/// Which rows may be answers.
pub(crate) type Passes<'a> = &'a mut dyn FnMut(u32) -> Result<bool>;

/// One search of an index.
struct Search<'a> {
    index: &'a Index,
    probe: &'a Probe,
    wanted: Wanted,
    cancel: &'a Cancel,
    scratch: &'a mut Scratch,
    tally: &'a Tally,
}

impl Search<'_> {
    fn run(
        &mut self,
        nodes: &impl Nodes,
        row: impl Fn(u32) -> Result<u32>,
        passes: &mut Option<Passes<'_>>,
    ) -> Result<Option<Vec<(f32, u32)>>> {
        let Self {
            index,
            probe,
            wanted,
            cancel,
            scratch,
            tally,
        } = self;
        let Wanted {
            limit,
            compared,
            ef,
            visits,
            few_pass,
        } = *wanted;
        let walk = Walk {
            nodes: &Counted { nodes, tally },
            probe,
            hidden: None,
            visits,
            cancel,
        };
        let entry = walk.descend(index.links.len() - 1, 1, scratch)?;
        let ef = ef.max(limit).max(compared.unwrap_or(0));
        let has_ended = match passes {
            // Looking up the rows of all nodes that come into view is a third of a walk among a million.
            None => walk.spread(0, entry, ef, |_| Ok(true), scratch)?,
            Some(passes) => {
                let passes = |node| passes(row(node)?);
                match few_pass {
                    true => walk.spread_matching(entry, ef, passes, scratch)?,
                    false => walk.spread(0, entry, ef, passes, scratch)?,
                }
            }
        };
        if !has_ended {
            return Ok(None);
        }
        let margin = index.about.curve.margin(probe.length());
        let last = scratch.answers().nth(limit - 1);
        let least = last.map_or(f32::NEG_INFINITY, |last| last.score - margin);
        let least = compared.map_or(least, |_| f32::NEG_INFINITY);
        let near = scratch.answers().take(compared.unwrap_or(usize::MAX));
        let near = near.take_while(|found| found.score >= least);
        near.map(|found| Ok((found.score, row(found.node)?)))
            .collect::<Result<_>>()
            .map(Some)
    }
}

/// An index in its file, each part of which is checked before it is read.
struct Unchecked<'a> {
    index: &'a Index,
    /// What bits are compared with, if there are no codes.
    bit_probe: &'a BitProbe,
}

impl Nodes for Unchecked<'_> {
    fn len(&self) -> usize {
        self.index.sections.rows as usize
    }

    fn links(&self, level: usize, node: u32) -> Result<&[u32]> {
        let Index {
            sections,
            about,
            links,
            ..
        } = self.index;
        let width = about.params().width(level);
        sections.values(links[level], node as usize * width, width)
    }

    fn score(&self, probe: &Probe, nodes: &[u32], scores: &mut Scores) -> Result<()> {
        let Index {
            sections,
            about,
            codes,
            bits,
            ..
        } = self.index;
        let dimensions = about.dimensions as usize;
        scores.values.clear();
        for node in nodes {
            let node = *node as usize;
            let score = match (codes, bits) {
                (Some((codes, factors)), _) => {
                    let code = sections.bytes(*codes, node * dimensions, dimensions)?;
                    probe.score(about.metric, code, sections.value(*factors, node)?)
                }
                (None, Some(bits)) => {
                    let width = bits::words(dimensions);
                    let cell = sections.values(*bits, node * width, width)?;
                    self.bit_probe.score(cell)
                }
                (None, None) => f32::NEG_INFINITY,
            };
            scores.values.push(score);
        }
        Ok(())
    }

    fn prefetch(&self, _: u32) {}

    fn prefetch_links(&self, _: usize, _: u32) {}
}
