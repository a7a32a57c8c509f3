//! A filter bound to one part of a view: answered from columns where the part has them.
//!
//! A condition on a field that has a column becomes a stretch of the column's values or a set of rows, as
//! words do by the index over a text; what is left
//! is asked of points, one row at a time and after everything that is cheaper. Answers are those
//! of [`Conditions::hold_for`] the point, whatever they come from. Rows count whether or not they
//! are live, but for those in memory: there the ones that are not may be left out.

use super::{
    filter::{Conditions, Subject, Test, rows_with},
    rows::RowSet,
};
use crate::{
    cancel::Cancel,
    error::{Error, Result},
    fields::{Found, Selection},
    id::PointId,
    payload::Payload,
    view::{Part, Payloads},
};
use roaring::RoaringBitmap;
use serde_json::{Map, Value};

/// A filter over the rows of one part.
pub(crate) struct Bound<'a> {
    part: &'a Part,
    root: Node<'a>,
    payloads: Payloads<'a>,
    cancel: &'a Cancel,
}

/// A filter, its conditions resolved.
enum Node<'a> {
    All(Vec<Node<'a>>),
    Any(Vec<Node<'a>>),
    AtLeast(usize, Vec<Node<'a>>),
    Not(Box<Node<'a>>),
    Column(Selection<'a>),
    Rows(RoaringBitmap),
    /// What was listed before rows are asked for.
    Set(RowSet),
    /// What only the point can answer.
    Asked(&'a Conditions),
}

/// How many rows match: at least and at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Estimate {
    least: u64,
    most: u64,
}

/// So many entries of columns are listed in the time in which one row is asked for.
const LISTED: u64 = 8;

/// A point, whose payload is read when it is first needed.
struct Row<'a, 'b> {
    part: &'b Part,
    number: u32,
    payloads: &'b mut Payloads<'a>,
    payload: Option<Payload>,
    cancel: &'b Cancel,
}

impl<'a> Bound<'a> {
    /// Resolves conditions. The first filter on a field of a segment reads its column.
    pub(crate) fn new(filter: &'a Conditions, part: &'a Part, cancel: &'a Cancel) -> Result<Self> {
        Ok(Self {
            part,
            root: Node::of(filter, part, cancel)?,
            payloads: part.payloads(),
            cancel,
        })
    }

    /// How many rows match at most, and exactly so many for one condition on a field that has one
    /// value in each row. `None` when that is not known without payloads.
    pub(crate) fn estimate(&self) -> Option<u64> {
        let estimate = self.root.estimate(u64::from(self.part.rows()))?;
        Some(estimate.most)
    }

    /// How many rows match at least and at most, as far as it is known without payloads.
    pub(super) fn bounds(&self) -> (u64, u64) {
        let rows = u64::from(self.part.rows());
        let estimate = self.root.estimate(rows);
        estimate.map_or((0, rows), |it| (it.least, it.most))
    }

    /// Whether payloads may have to be read.
    pub(crate) fn reads_payloads(&self) -> bool {
        self.root.asks()
    }

    /// The rows that match, if that is known without payloads. Takes as long as listing what each condition holds for, or
    /// as looking at the rows of the shortest list that they are all in.
    pub(super) fn known(&mut self) -> Result<Option<RowSet>> {
        if self.reads_payloads() {
            return Ok(None);
        }
        let all = self.part.rows();
        if self.root.listed(all).saturating_mul(LISTED) < self.root.entries() {
            let mut found = RowSet::none(all);
            self.rows()?.into_iter().for_each(|row| found.insert(row));
            return Ok(Some(found));
        }
        self.root.known(all, self.cancel)
    }

    /// Lists the rows that match, where that takes less time than to ask for about so many of them one by one.
    pub(super) fn prepare(&mut self, asked: u64) -> Result<()> {
        let is_quick = matches!(self.root, Node::Column(_) | Node::Rows(_) | Node::Set(_));
        if !is_quick
            && self.root.entries() < asked.saturating_mul(LISTED)
            && let Some(found) = self.known()?
        {
            self.root = Node::Set(found);
        }
        Ok(())
    }

    /// About how many rows have to be asked for until so many match.
    pub(super) fn asked(&self, wanted: usize) -> u64 {
        (wanted as f64 / self.root.share(self.part.rows())) as u64
    }

    /// Whether a row matches.
    pub(crate) fn matches(&mut self, row: u32) -> Result<bool> {
        self.root.matches(&mut Row {
            part: self.part,
            number: row,
            payloads: &mut self.payloads,
            payload: None,
            cancel: self.cancel,
        })
    }

    /// The rows that match, each once. Takes as long as listing the shortest list that they are
    /// all in; without any, as looking at each row.
    pub(crate) fn rows(&mut self) -> Result<Vec<u32>> {
        self.root.rows(self.part, &mut self.payloads, self.cancel)
    }
}

impl<'a> Node<'a> {
    fn of(filter: &'a Conditions, part: &'a Part, cancel: &Cancel) -> Result<Self> {
        let nodes = |all: &'a [Conditions]| {
            let nodes = all.iter().map(|filter| Node::of(filter, part, cancel));
            let mut nodes = nodes.collect::<Result<Vec<_>>>()?;
            // Every row pays for the first, and few for the last.
            nodes.sort_by_key(Node::asks);
            Ok::<_, Error>(nodes)
        };
        Ok(match filter {
            Conditions::All(all) => Node::All(nodes(all)?),
            Conditions::Any(any) => Node::Any(nodes(any)?),
            Conditions::AtLeast(count, some) => Node::AtLeast(*count, nodes(some)?),
            Conditions::Not(filter) => Node::Not(Box::new(Node::of(filter, part, cancel)?)),
            Conditions::Ids(ids) => {
                let mut rows = RoaringBitmap::new();
                for (count, id) in (0..).zip(ids.iter()) {
                    cancel.check_at(count)?;
                    rows.extend(part.find(id)?);
                }
                Node::Rows(rows)
            }
            Conditions::Vector(_) => Node::Asked(filter),
            Conditions::Field(path, test) => match Node::of_field(path, test, part, cancel)? {
                Some(node) => node,
                None => Node::Asked(filter),
            },
        })
    }

    /// What is known of a field without its values.
    fn of_field(path: &str, test: &Test, part: &'a Part, cancel: &Cancel) -> Result<Option<Self>> {
        if let Test::Words(words) = test {
            return Ok(rows_with(words, path, part, cancel)?.map(Node::Rows));
        }
        let Some(column) = part.column(path, cancel)? else {
            return Ok(None);
        };
        let found = test.by(&column, cancel)?;
        Ok(found.map(|found| match found {
            Found::Stretch(selection) => Node::Column(selection),
            Found::Rows(rows) => Node::Rows(rows),
        }))
    }

    /// Whether it asks points.
    fn asks(&self) -> bool {
        match self {
            Self::All(nodes) | Self::Any(nodes) | Self::AtLeast(_, nodes) => {
                nodes.iter().any(Node::asks)
            }
            Self::Not(node) => node.asks(),
            Self::Column(_) | Self::Rows(_) | Self::Set(_) => false,
            Self::Asked(_) => true,
        }
    }

    /// How many rows of columns are gone through to know all that match.
    fn entries(&self) -> u64 {
        match self {
            Self::All(nodes) | Self::Any(nodes) | Self::AtLeast(_, nodes) => {
                let entries = nodes.iter().map(Node::entries);
                entries.fold(0, u64::saturating_add)
            }
            Self::Not(node) => node.entries(),
            Self::Column(selection) => u64::from(selection.count()),
            Self::Rows(rows) => rows.len(),
            Self::Set(_) | Self::Asked(_) => u64::MAX,
        }
    }

    fn matches(&self, row: &mut Row<'_, '_>) -> Result<bool> {
        match self {
            Self::Column(selection) => Ok(selection.has(row.number)),
            Self::Rows(rows) => Ok(rows.contains(row.number)),
            Self::Set(rows) => Ok(rows.has(row.number)),
            Self::All(nodes) => all_match(nodes.iter(), row),
            Self::Any(nodes) => {
                for node in nodes {
                    if node.matches(row)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::AtLeast(count, nodes) => {
                let mut missing = *count;
                for (node, left) in nodes.iter().zip((1..=nodes.len()).rev()) {
                    if missing == 0 || left < missing {
                        break;
                    }
                    missing -= usize::from(node.matches(row)?);
                }
                Ok(missing == 0)
            }
            Self::Not(node) => Ok(!node.matches(row)?),
            Self::Asked(conditions) => conditions.hold_for(row),
        }
    }

    /// Of so many rows those that match, unless points are asked.
    fn known(&self, rows: u32, cancel: &Cancel) -> Result<Option<RowSet>> {
        let listed = |listed: &mut dyn Iterator<Item = u32>| {
            let mut found = RowSet::none(rows);
            for (count, row) in (0..).zip(listed) {
                cancel.check_at(count)?;
                found.insert(row);
            }
            Ok(Some(found))
        };
        let joined = |nodes: &[Self], mut found: RowSet, join: fn(&mut RowSet, &RowSet)| {
            for node in nodes {
                let Some(other) = node.known(rows, cancel)? else {
                    return Ok(None);
                };
                join(&mut found, &other);
            }
            Ok(Some(found))
        };
        match self {
            Self::Column(selection) => listed(&mut selection.postings().iter().copied()),
            Self::Rows(rows) => listed(&mut rows.iter()),
            Self::Set(rows) => Ok(Some(rows.clone())),
            Self::All(nodes) => joined(nodes, RowSet::all(rows), RowSet::keep),
            Self::Any(nodes) => joined(nodes, RowSet::none(rows), RowSet::join),
            Self::AtLeast(least, nodes) => {
                let mut counts = vec![0; rows as usize];
                for node in nodes {
                    let Some(found) = node.known(rows, cancel)? else {
                        return Ok(None);
                    };
                    for (count, row) in (0..).zip(found.iter()) {
                        cancel.check_at(count)?;
                        counts[row as usize] += 1usize;
                    }
                }
                let mut enough = (0..rows).filter(|row| counts[*row as usize] >= *least);
                listed(&mut enough)
            }
            Self::Not(node) => {
                let mut found = node.known(rows, cancel)?;
                found.iter_mut().for_each(RowSet::invert);
                Ok(found)
            }
            Self::Asked(_) => Ok(None),
        }
    }

    /// What share of so many rows matches about: as if one condition told nothing of another.
    fn share(&self, rows: u32) -> f64 {
        let of = |count: u64| (count as f64 / f64::from(rows.max(1))).min(1.0);
        match self {
            Self::All(nodes) => nodes.iter().map(|node| node.share(rows)).product(),
            Self::Any(nodes) => {
                let misses = nodes.iter().map(|node| 1.0 - node.share(rows));
                1.0 - misses.product::<f64>()
            }
            Self::Not(node) => 1.0 - node.share(rows),
            Self::Column(selection) => of(selection.count().into()),
            Self::Rows(found) => of(found.len()),
            Self::Set(found) => of(found.len()),
            Self::AtLeast(..) | Self::Asked(_) => 1.0,
        }
    }

    /// How many of so many rows match, as far as columns tell.
    fn estimate(&self, rows: u64) -> Option<Estimate> {
        match self {
            Self::All(nodes) => {
                let nodes: Vec<_> = nodes.iter().map(|node| node.estimate(rows)).collect();
                // What is known of one bounds all of them.
                let is_known = nodes.is_empty() || nodes.iter().any(Option::is_some);
                let unknown = Estimate {
                    least: 0,
                    most: rows,
                };
                let nodes = nodes.into_iter().map(|node| node.unwrap_or(unknown));
                let all = nodes.fold(Estimate::exactly(rows), |all, node| all.and(node, rows));
                is_known.then_some(all)
            }
            Self::Any(nodes) => {
                let mut any = nodes.iter().map(|node| node.estimate(rows));
                any.try_fold(Estimate::exactly(0), |any, node| Some(any.or(node?, rows)))
            }
            Self::AtLeast(0, _) => Some(Estimate::exactly(rows)),
            Self::AtLeast(count, nodes) => {
                let mut most = 0;
                for node in nodes {
                    most += node.estimate(rows)?.most;
                }
                let most = (most / *count as u64).min(rows);
                Some(Estimate { least: 0, most })
            }
            Self::Not(node) => Some(node.estimate(rows)?.not(rows)),
            Self::Rows(found) => Some(Estimate::exactly(found.len().min(rows))),
            Self::Set(found) => Some(Estimate::exactly(found.len())),
            Self::Column(selection) => {
                let most = u64::from(selection.count()).min(rows);
                let least = if selection.is_exact() { most } else { 0 };
                Some(Estimate { least, most })
            }
            Self::Asked(_) => None,
        }
    }

    /// How many rows are looked at to list those of so many that match.
    fn listed(&self, rows: u32) -> u64 {
        let listed = |node: &Node<'_>| node.listed(rows);
        let all = u64::from(rows);
        match self {
            Self::Column(selection) => u64::from(selection.count()),
            Self::Rows(rows) => rows.len(),
            Self::Set(rows) => rows.len(),
            Self::All(nodes) => nodes.iter().map(listed).min().unwrap_or(all),
            Self::Any(nodes) => nodes.iter().map(listed).sum::<u64>().min(all),
            Self::AtLeast(1.., nodes) => nodes.iter().map(listed).sum::<u64>().min(all),
            Self::AtLeast(0, _) | Self::Not(_) | Self::Asked(_) => all,
        }
    }

    /// Of the rows of a part those that match, each once.
    fn rows(&self, part: &Part, payloads: &mut Payloads<'_>, cancel: &Cancel) -> Result<Vec<u32>> {
        let rows = part.rows();
        let has_list = self.listed(rows) < u64::from(rows);
        match self {
            Self::Column(selection) => Ok(selection.rows()),
            Self::Rows(rows) => Ok(rows.iter().collect()),
            Self::Set(rows) => Ok(rows.iter().collect()),
            Self::All(nodes) if has_list => {
                let listed = |(_, node): &(usize, &Node<'_>)| node.listed(rows);
                let Some((place, shortest)) = nodes.iter().enumerate().min_by_key(listed) else {
                    return Ok(Vec::new());
                };
                let found = shortest.rows(part, payloads, cancel)?;
                let others = || nodes[..place].iter().chain(&nodes[place + 1..]);
                filtered(found, part, payloads, cancel, |row| {
                    all_match(others(), row)
                })
            }
            Self::Any(nodes) | Self::AtLeast(_, nodes) if has_list => {
                let mut found = Vec::new();
                for node in nodes {
                    found.append(&mut node.rows(part, payloads, cancel)?);
                }
                found.sort_unstable();
                found.dedup();
                match self {
                    Self::AtLeast(2.., _) => {
                        filtered(found, part, payloads, cancel, |row| self.matches(row))
                    }
                    _ => Ok(found),
                }
            }
            _ => filtered(0..rows, part, payloads, cancel, |row| self.matches(row)),
        }
    }
}

impl Estimate {
    fn exactly(rows: u64) -> Self {
        Self {
            least: rows,
            most: rows,
        }
    }

    /// Of so many rows those that are in both.
    fn and(self, other: Self, rows: u64) -> Self {
        Self {
            least: (self.least + other.least).saturating_sub(rows),
            most: self.most.min(other.most),
        }
    }

    /// Of so many rows those that are in one of them.
    fn or(self, other: Self, rows: u64) -> Self {
        Self {
            least: self.least.max(other.least),
            most: (self.most + other.most).min(rows),
        }
    }

    /// The rest of so many rows.
    fn not(self, rows: u64) -> Self {
        Self {
            least: rows - self.most,
            most: rows - self.least,
        }
    }
}

impl Subject for Row<'_, '_> {
    fn id(&self) -> Result<PointId> {
        self.part.id(self.number)
    }

    fn has_vector(&self, number: u32) -> Result<bool> {
        self.part.has_vector(self.number, number)
    }

    fn payload(&mut self) -> Result<&Map<String, Value>> {
        let payload = match self.payload.take() {
            Some(payload) => payload,
            None => {
                self.cancel.check()?;
                self.payloads.get(self.number)?
            }
        };
        self.payload.insert(payload).checked()
    }
}

fn all_match<'a, 'b: 'a>(
    nodes: impl Iterator<Item = &'a Node<'b>>,
    row: &mut Row<'_, '_>,
) -> Result<bool> {
    for node in nodes {
        if !node.matches(row)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Those of `rows` that match, and are not known to have ended.
fn filtered(
    rows: impl IntoIterator<Item = u32>,
    part: &Part,
    payloads: &mut Payloads<'_>,
    cancel: &Cancel,
    matches: impl Fn(&mut Row<'_, '_>) -> Result<bool>,
) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for (count, number) in (0..).zip(rows) {
        cancel.check_at(count)?;
        if matches!(part, Part::Memory(_)) && !part.is_live(number)? {
            continue;
        }
        let mut row = Row {
            part,
            number,
            payloads: &mut *payloads,
            payload: None,
            cancel,
        };
        if matches(&mut row)? {
            found.push(number);
        }
    }
    Ok(found)
}
