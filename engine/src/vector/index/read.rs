//! Searches an index in its file.

use super::{
    About, Kind, Subject, Wanted,
    pick::{Candidates, Picker},
};
use crate::{
    cancel::Cancel,
    container::{SectionId, Sections},
    error::{Error, Result},
    sync::{Mutex, lock},
    vector::{
        bits::{self, Bits},
        codes::{Codes, Encoder, Probe, Scores},
        hnsw::{MAX_LEVELS, NONE, Nodes, Scratch, Walk, Whole},
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
    codes: SectionId,
    factors: SectionId,
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
            codes: need(Kind::Codes, 0, nodes * width)?,
            factors: need(Kind::Factors, 0, nodes * 8)?,
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
        if self.whole().is_some() {
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
        let sections = [self.rows, self.nodes, self.codes, self.factors];
        let sections = sections.into_iter().chain(self.bits);
        sections.chain(self.links.iter().copied())
    }

    /// Everything that is wrong with it.
    pub(crate) fn verify(&self, cancel: &Cancel) -> Result<Vec<Error>> {
        self.sections.verify(cancel)
    }

    /// The `ef` that finds this share of the nearest, by what was measured when it was built.
    pub(crate) fn ef(&self, recall: f32, limit: usize) -> usize {
        self.about.curve.ef(recall, limit)
    }

    /// Rows near to a vector of which `passes` holds, at least `limit` of them if the walk finds
    /// so many, the best first by codes, which err: so many that the nearest of those that were
    /// found are among them. A row is what the file says, and may be none of the segment's. `None`
    /// when the walk has given up, since too few pass.
    pub(crate) fn search(
        &self,
        values: &[f32],
        scale: f32,
        wanted: Wanted,
        cancel: &Cancel,
        mut passes: impl FnMut(u32) -> Result<bool>,
    ) -> Result<Option<Vec<u32>>> {
        if self.sections.rows == 0 || wanted.limit == 0 {
            return Ok(Some(Vec::new()));
        }
        let mut room = lock(&self.rooms).pop().unwrap_or_default();
        self.encoder.probe(values, scale, &mut room.probe);
        let found = match self.whole() {
            Some((nodes, rows)) => {
                let row = |node| Ok(rows.get(node as usize).copied().unwrap_or(NONE));
                self.walk(&nodes, wanted, cancel, &mut room, row, &mut passes)
            }
            None => {
                let row = |node| self.sections.value(self.rows, node as usize);
                let nodes = Unchecked(self);
                self.walk(&nodes, wanted, cancel, &mut room, row, &mut passes)
            }
        };
        lock(&self.rooms).push(room);
        found
    }

    /// Those of `rows` that are near to a vector and pass, as by [`search`](Self::search), all of
    /// them compared by their codes. `None` when the index was not checked yet.
    pub(crate) fn nearest_of(
        &self,
        rows: &[u32],
        values: &[f32],
        scale: f32,
        limit: usize,
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
        let near = picker.pick(&candidates, probe, (limit, margin), rows, cancel, passes)?;
        lock(&self.rooms).push(room);
        Ok(Some(near))
    }

    fn walk<N: Nodes>(
        &self,
        nodes: &N,
        Wanted {
            limit,
            ef,
            visits,
            few_pass,
        }: Wanted,
        cancel: &Cancel,
        Room { scratch, probe, .. }: &mut Room,
        row: impl Fn(u32) -> Result<u32>,
        passes: &mut impl FnMut(u32) -> Result<bool>,
    ) -> Result<Option<Vec<u32>>> {
        let walk = Walk {
            nodes,
            probe,
            hidden: None,
            visits,
            cancel,
        };
        let entry = walk.descend(self.links.len() - 1, 1, scratch)?;
        let (ef, passes) = (ef.max(limit), |node| passes(row(node)?));
        let has_ended = if few_pass {
            walk.spread_matching(entry, ef, passes, scratch)?
        } else {
            walk.spread(0, entry, ef, passes, scratch)?
        };
        if !has_ended {
            return Ok(None);
        }
        let margin = self.about.curve.margin(probe.length());
        let last = scratch.answers().nth(limit - 1);
        let least = last.map_or(f32::NEG_INFINITY, |last| last.score - margin);
        let near = scratch.answers().take_while(|found| found.score >= least);
        near.map(|found| row(found.node))
            .collect::<Result<_>>()
            .map(Some)
    }

    /// All of it in place, once it was checked.
    pub(super) fn whole(&self) -> Option<(Whole<'_>, &[u32])> {
        let mut links = [&[][..]; MAX_LEVELS];
        for (links, section) in links.iter_mut().zip(&self.links) {
            *links = self.sections.whole(*section)?;
        }
        let links = links.into_iter().take(self.links.len());
        let whole = Whole::new(self.whole_codes()?, self.about.params(), links);
        Some((whole, self.sections.whole(self.rows)?))
    }

    fn whole_codes(&self) -> Option<Codes<'_>> {
        Some(Codes {
            metric: self.about.metric,
            dimensions: self.about.dimensions as usize,
            bytes: self.sections.whole(self.codes)?,
            factors: self.sections.whole(self.factors)?,
        })
    }

    /// What rows are picked from, once it was checked.
    fn candidates(&self) -> Option<Candidates<'_>> {
        let cells = match self.bits {
            Some(bits) => Some(self.sections.whole(bits)?),
            None => None,
        };
        let dimensions = self.about.dimensions as usize;
        Some(Candidates {
            codes: self.whole_codes()?,
            bits: cells.map(|cells| Bits { dimensions, cells }),
            nodes: self.sections.whole(self.nodes)?,
        })
    }
}

/// An index in its file, each part of which is checked before it is read.
struct Unchecked<'a>(&'a Index);

impl Nodes for Unchecked<'_> {
    fn len(&self) -> usize {
        self.0.sections.rows as usize
    }

    fn links(&self, level: usize, node: u32) -> Result<&[u32]> {
        let width = self.0.about.params().width(level);
        self.0
            .sections
            .values(self.0.links[level], node as usize * width, width)
    }

    fn score(&self, probe: &Probe, nodes: &[u32], scores: &mut Scores) -> Result<()> {
        let Index {
            sections, about, ..
        } = self.0;
        let width = about.dimensions as usize;
        scores.values.clear();
        for node in nodes {
            let node = *node as usize;
            let code = sections.bytes(self.0.codes, node * width, width)?;
            let factors = sections.value(self.0.factors, node)?;
            scores.values.push(probe.score(about.metric, code, factors));
        }
        Ok(())
    }

    fn prefetch(&self, _: u32) {}

    fn prefetch_links(&self, _: usize, _: u32) {}
}
