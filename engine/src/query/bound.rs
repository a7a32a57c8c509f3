//! A filter bound to one part of a view: answered from columns where the part has them.
//!
//! A condition on a field that has a column becomes a stretch of the column's values; what is left
//! is asked of payloads, one row at a time and after everything that is cheaper. Answers are those
//! of [`Filter::matches`] on the payload, whatever they come from. Rows count whether or not they
//! are live; reading payloads, in memory alone, needs rows that are.

use super::Filter;
use crate::{
    cancel::Cancel,
    error::Result,
    fields::Selection,
    payload::Payload,
    segment::Segment,
    view::{Part, Payloads},
};

/// A filter over the rows of one part.
pub(crate) struct Bound<'a> {
    rows: u32,
    root: Node<'a>,
    payloads: Payloads<'a>,
    cancel: &'a Cancel,
}

/// A filter, its conditions resolved.
enum Node<'a> {
    All(Vec<Node<'a>>),
    Any(Vec<Node<'a>>),
    Not(Box<Node<'a>>),
    Column(Selection<'a>),
    /// What only payloads can answer.
    Payload(&'a Filter),
}

/// How many rows match: at least and at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Estimate {
    least: u64,
    most: u64,
}

/// The payload of one row, read when it is first needed.
struct Row<'a, 'b> {
    number: u32,
    payloads: &'b mut Payloads<'a>,
    payload: Option<Payload>,
    cancel: &'b Cancel,
}

impl<'a> Bound<'a> {
    /// Resolves a filter that was checked. The first filter on a field of a segment reads its
    /// column.
    pub(crate) fn new(filter: &'a Filter, part: &'a Part, cancel: &'a Cancel) -> Result<Self> {
        let root = match part {
            Part::Memory(_) => Node::Payload(filter),
            Part::Stored(stored) => Node::of(filter, &stored.segment.segment, cancel)?,
        };
        Ok(Self {
            rows: part.rows(),
            root,
            payloads: part.payloads(),
            cancel,
        })
    }

    /// How many rows match at most, and exactly so many for one condition on a field that has one
    /// value in each row. `None` when that is not known without payloads.
    pub(crate) fn estimate(&self) -> Option<u64> {
        let estimate = self.root.estimate(u64::from(self.rows))?;
        Some(estimate.most)
    }

    /// How many rows match at least and at most, as far as it is known without payloads.
    pub(super) fn bounds(&self) -> (u64, u64) {
        let rows = u64::from(self.rows);
        let estimate = self.root.estimate(rows);
        estimate.map_or((0, rows), |it| (it.least, it.most))
    }

    /// Whether a row matches.
    pub(crate) fn matches(&mut self, row: u32) -> Result<bool> {
        self.root.matches(&mut Row {
            number: row,
            payloads: &mut self.payloads,
            payload: None,
            cancel: self.cancel,
        })
    }

    /// The rows that match, each once. Takes as long as listing the shortest list that they are
    /// all in; without any, as looking at each row.
    pub(crate) fn rows(&mut self) -> Result<Vec<u32>> {
        self.root.rows(self.rows, &mut self.payloads, self.cancel)
    }
}

impl<'a> Node<'a> {
    fn of(filter: &'a Filter, segment: &'a Segment, cancel: &Cancel) -> Result<Self> {
        let nodes = |filters: &'a [Filter]| {
            let nodes = filters
                .iter()
                .map(|filter| Node::of(filter, segment, cancel));
            let mut nodes = nodes.collect::<Result<Vec<_>>>()?;
            // Every row pays for the first, and few for the last.
            nodes.sort_by_key(Node::reads_payloads);
            Ok(nodes)
        };
        let selection = match filter {
            Filter::All(all) => return nodes(all).map(Node::All),
            Filter::Any(any) => return nodes(any).map(Node::Any),
            Filter::Not(filter) => {
                return Ok(Node::Not(Box::new(Node::of(filter, segment, cancel)?)));
            }
            Filter::Equals(field, value) => {
                let column = segment.column(field, cancel)?;
                column.and_then(|column| column.equal(value))
            }
            Filter::Within(field, low, high) => {
                let column = segment.column(field, cancel)?;
                column.and_then(|column| column.within(low, high))
            }
        };
        Ok(selection.map_or(Node::Payload(filter), Node::Column))
    }

    fn reads_payloads(&self) -> bool {
        match self {
            Self::All(nodes) | Self::Any(nodes) => nodes.iter().any(Node::reads_payloads),
            Self::Not(node) => node.reads_payloads(),
            Self::Column(_) => false,
            Self::Payload(_) => true,
        }
    }

    fn matches(&self, row: &mut Row<'_, '_>) -> Result<bool> {
        match self {
            Self::Column(selection) => Ok(selection.has(row.number)),
            Self::All(nodes) => all_match(nodes.iter(), row),
            Self::Any(nodes) => {
                for node in nodes {
                    if node.matches(row)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Not(node) => Ok(!node.matches(row)?),
            Self::Payload(filter) => Ok(filter.matches(row.payload()?)),
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
            Self::Not(node) => Some(node.estimate(rows)?.not(rows)),
            Self::Column(selection) => {
                let most = u64::from(selection.count()).min(rows);
                let least = if selection.is_exact() { most } else { 0 };
                Some(Estimate { least, most })
            }
            Self::Payload(_) => None,
        }
    }

    /// How many rows are looked at to list those of so many that match.
    fn listed(&self, rows: u32) -> u64 {
        let listed = |node: &Node<'_>| node.listed(rows);
        let all = u64::from(rows);
        match self {
            Self::Column(selection) => u64::from(selection.count()),
            Self::All(nodes) => nodes.iter().map(listed).min().unwrap_or(all),
            Self::Any(nodes) => nodes.iter().map(listed).sum::<u64>().min(all),
            Self::Not(_) | Self::Payload(_) => all,
        }
    }

    /// Of so many rows those that match, each once.
    fn rows(&self, rows: u32, payloads: &mut Payloads<'_>, cancel: &Cancel) -> Result<Vec<u32>> {
        let has_list = self.listed(rows) < u64::from(rows);
        match self {
            Self::Column(selection) => Ok(selection.rows()),
            Self::All(nodes) if has_list => {
                let listed = |(_, node): &(usize, &Node<'_>)| node.listed(rows);
                let Some((place, shortest)) = nodes.iter().enumerate().min_by_key(listed) else {
                    return Ok(Vec::new());
                };
                let found = shortest.rows(rows, payloads, cancel)?;
                let others = || nodes[..place].iter().chain(&nodes[place + 1..]);
                filtered(found, payloads, cancel, |row| all_match(others(), row))
            }
            Self::Any(nodes) if has_list => {
                let mut found = Vec::new();
                for node in nodes {
                    found.append(&mut node.rows(rows, payloads, cancel)?);
                }
                found.sort_unstable();
                found.dedup();
                Ok(found)
            }
            _ => filtered(0..rows, payloads, cancel, |row| self.matches(row)),
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

impl Row<'_, '_> {
    fn payload(&mut self) -> Result<&Payload> {
        let payload = match self.payload.take() {
            Some(payload) => payload,
            None => {
                self.cancel.check()?;
                self.payloads.get(self.number)?
            }
        };
        Ok(self.payload.insert(payload))
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

/// Those of `rows` that match.
fn filtered(
    rows: impl IntoIterator<Item = u32>,
    payloads: &mut Payloads<'_>,
    cancel: &Cancel,
    matches: impl Fn(&mut Row<'_, '_>) -> Result<bool>,
) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for (count, number) in (0..).zip(rows) {
        cancel.check_at(count)?;
        let mut row = Row {
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
