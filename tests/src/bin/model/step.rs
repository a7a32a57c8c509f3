//! What can be done to a database, as data, and what it can answer.

use super::edit::Change;
use amphora::{ErrorKind, Field, Filter, Hit, Point, PointId, Query, Schema, Text, Vector};
use amphora_tests::nearest;
use std::collections::BTreeMap;

/// The names of collections; few, so that they come again.
pub(crate) const NAMES: [&str; 4] = ["docs", "Docs", "../notes", "日本"];
/// Feeds that may be open at once.
pub(crate) const FEEDS: usize = 3;

/// The names of snapshots.
pub(crate) const SNAPSHOTS: [&str; 3] = ["a", "A", "../b"];
/// Where the clock stands at first, in seconds.
pub(crate) const START: u64 = 1_000;

/// One step of an episode. Collections are given by their place in [`NAMES`].
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one at a time is looked at")]
pub(crate) enum Step {
    Create(usize, Schema),
    Remove(usize),
    Rename(usize, usize),
    /// Lets the first name mean the collection of the second.
    Alias(usize, usize),
    Unalias(usize),
    Alter(usize, Alteration),
    Snapshot(&'static str),
    Forget(&'static str),
    Restore(&'static str),
    /// Moves the clock by so many seconds.
    Advance(u64),
    Write(Write),
    /// Writes that are all under way before the first is answered, in this order.
    Together(Vec<Write>),
    Get(usize, PointId),
    GetMany(usize, Vec<PointId>),
    Count(usize),
    CountMatching(usize, Filter),
    Scroll(usize),
    ScrollMatching(usize, Filter),
    Search(usize, Query),
    List,
    Aliases,
    Snapshots,
    /// Opens a feed in this slot, and reads its first point: that is its moment.
    OpenFeed(usize, usize, Option<Filter>),
    /// Reads on in the feed of a slot, so many points.
    ReadFeed(usize, usize),
    /// Uses a handle of a collection that was deleted, in one of several ways.
    Stale(usize),
    Optimize,
    Reopen(Way),
    /// Reads everything there is.
    Everything,
}

/// A write of points.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    Upsert(usize, Vec<Point>),
    Delete(usize, Vec<PointId>),
    Edit(usize, Change),
    Batch(Vec<(usize, Change)>),
}

/// A change of a schema.
#[derive(Clone, Debug)]
pub(crate) enum Alteration {
    AddVector(String, Vector),
    DropVector(String),
    AddField(String, Field),
    DropField(String),
    AddText(String, Text),
    DropText(String),
}

/// How a database ends before it is opened again.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    Close,
    /// The last handle is dropped, and closes in the background.
    Drop,
    /// The process ends: what is in its files stays, and nothing is told.
    Crash,
}

impl Step {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Create(..) => "create",
            Self::Remove(_) => "remove",
            Self::Rename(..) => "rename",
            Self::Alias(..) => "alias",
            Self::Unalias(_) => "delete_alias",
            Self::Alter(_, Alteration::AddVector(..)) => "add_vector",
            Self::Alter(_, Alteration::DropVector(_)) => "drop_vector",
            Self::Alter(_, Alteration::AddField(..)) => "add_field",
            Self::Alter(_, Alteration::DropField(_)) => "drop_field",
            Self::Alter(_, Alteration::AddText(..)) => "add_text",
            Self::Alter(_, Alteration::DropText(_)) => "drop_text",
            Self::Snapshot(_) => "create_snapshot",
            Self::Forget(_) => "delete_snapshot",
            Self::Restore(_) => "restore_snapshot",
            Self::Advance(_) => "advance",
            Self::Write(Write::Upsert(..)) => "upsert",
            Self::Write(Write::Delete(..)) => "delete",
            Self::Write(Write::Edit(_, change)) => change.kind(),
            Self::Write(Write::Batch(_)) => "batch",
            Self::Together(_) => "together",
            Self::Get(..) => "get",
            Self::GetMany(..) => "get_many",
            Self::Count(_) => "count",
            Self::CountMatching(..) => "count_matching",
            Self::Scroll(_) => "scroll",
            Self::ScrollMatching(..) => "scroll_matching",
            Self::Search(..) => "search",
            Self::List => "list",
            Self::Aliases => "aliases",
            Self::Snapshots => "snapshots",
            Self::OpenFeed(..) => "open_feed",
            Self::ReadFeed(..) => "read_feed",
            Self::Stale(_) => "stale_handle",
            Self::Optimize => "optimize",
            Self::Reopen(Way::Close) => "reopen_closed",
            Self::Reopen(Way::Drop) => "reopen_dropped",
            Self::Reopen(Way::Crash) => "reopen_crashed",
            Self::Everything => "everything",
        }
    }
}

/// All collections: their schemas and points.
pub(crate) type Contents = BTreeMap<String, (Schema, Vec<Point>)>;

/// What a step was answered.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    Done,
    Point(Option<Point>),
    Maybe(Vec<Option<Point>>),
    Count(u64),
    Points(Vec<Point>),
    Hits(Vec<Hit>),
    Names(Vec<String>),
    Contents(Contents),
    Together(Vec<Answer>),
    Refused(ErrorKind, String),
}

/// What a step must be answered.
#[derive(Debug)]
pub(crate) enum Expected {
    Exactly(Answer),
    Hits(Ranking),
    Refused(ErrorKind),
    Together(Vec<Expected>),
}

/// All points that may be hits, the best first, and what is wanted of them.
#[derive(Debug)]
pub(crate) struct Ranking {
    pub(crate) all: Vec<Ranked>,
    pub(crate) limit: usize,
    /// Whether all of the best are wanted, or what an index finds of them.
    pub(crate) is_exact: bool,
    pub(crate) with_payload: bool,
    pub(crate) with_vectors: bool,
}

#[derive(Debug)]
pub(crate) struct Ranked {
    pub(crate) score: f64,
    /// How much rounding may make of it; nothing when all numbers are small integers.
    pub(crate) tolerance: f64,
    pub(crate) point: Point,
}

impl Expected {
    /// In what the answer differs from what it must be.
    pub(crate) fn differs(&self, found: &Answer) -> Option<String> {
        match (self, found) {
            (Self::Exactly(expected), found) if expected == found => None,
            (Self::Refused(kind), Answer::Refused(found, _)) if kind == found => None,
            (Self::Hits(ranking), Answer::Hits(hits)) => ranking.differs(hits),
            (Self::Together(expected), Answer::Together(found))
                if expected.len() == found.len() =>
            {
                let mut pairs = expected.iter().zip(found);
                pairs.find_map(|(expected, found)| expected.differs(found))
            }
            (Self::Exactly(Answer::Points(expected)), Answer::Points(found)) => {
                Some(lists_differ(expected, found))
            }
            (Self::Exactly(Answer::Contents(expected)), Answer::Contents(found)) => {
                let names = |contents: &Contents| contents.keys().cloned().collect::<Vec<_>>();
                if names(expected) != names(found) {
                    return Some(format!("{:?} != {:?}", names(expected), names(found)));
                }
                let mut pairs = expected.iter().zip(found.values());
                pairs.find_map(|((name, expected), found)| {
                    if expected.0 != found.0 {
                        return Some(format!("{name}: {:?} != {:?}", expected.0, found.0));
                    }
                    let differs = expected.1 != found.1;
                    differs.then(|| format!("{name}: {}", lists_differ(&expected.1, &found.1)))
                })
            }
            (expected, found) => Some(format!("expected {expected:?}; found {found:?}")),
        }
    }
}

fn lists_differ(expected: &[Point], found: &[Point]) -> String {
    let at = expected.iter().zip(found).take_while(|(a, b)| a == b);
    let at = at.count();
    format!(
        "expected {} points, found {}; at {at} expected {:?}, found {:?}",
        expected.len(),
        found.len(),
        expected.get(at),
        found.get(at)
    )
}

impl Ranked {
    /// Whether rounding can make nothing of its having the same score as `other` and the smaller id.
    fn ties_before(&self, other: &Self) -> bool {
        let exact = self.tolerance == 0.0 && other.tolerance == 0.0;
        exact && self.score.total_cmp(&other.score).is_eq() && self.point.id < other.point.id
    }
}

impl Ranking {
    fn differs(&self, hits: &[Hit]) -> Option<String> {
        let most = self.all.len().min(self.limit);
        let fewest = match self.is_exact {
            true => most,
            false => nearest::least(self.all.len(), self.limit),
        };
        if !(fewest..=most).contains(&hits.len()) {
            let found = hits.len();
            return Some(format!("expected {fewest} to {most} hits; found {found}"));
        }
        for (place, (hit, best)) in hits.iter().zip(&self.all).enumerate() {
            let wrong = |what: &str| {
                Some(format!(
                    "hit {place}: {what}: expected {best:?}; found {hit:?}"
                ))
            };
            let Some(own) = self.all.iter().find(|ranked| ranked.point.id == hit.id) else {
                return wrong("no candidate");
            };
            if hits[..place].iter().any(|other| other.id == hit.id) {
                return wrong("twice");
            }
            let score = f64::from(hit.score);
            let off = |ranked: &Ranked, times: f64| {
                (score - ranked.score).abs() > ranked.tolerance.max(own.tolerance) * times
            };
            if !score.is_finite() || off(own, 1.0) {
                return wrong(&format!("its score should be {}", own.score));
            }
            // Two that rounding may have exchanged.
            if self.is_exact && off(best, 2.0) {
                return wrong("a better one is missing");
            }
            // Between two that are exact may come one that rounding moved there.
            let mut earlier = self.all.iter().filter(|ranked| ranked.ties_before(own));
            if self.is_exact
                && earlier.any(|ranked| !hits[..place].iter().any(|hit| hit.id == ranked.point.id))
            {
                return wrong("of equal scores the smaller id is first");
            }
            if self.with_payload && hit.payload != own.point.payload
                || !self.with_payload && !hit.payload.is_empty()
            {
                return wrong("its payload differs");
            }
            let (none, no_lists) = Default::default();
            let (vectors, lists) = if self.with_vectors {
                (&own.point.vectors, &own.point.multi_vectors)
            } else {
                (&none, &no_lists)
            };
            if hit.vectors != *vectors || hit.multi_vectors != *lists {
                return wrong("its vectors differ");
            }
        }
        let mut pairs = hits.windows(2);
        let is_before = |a: &Hit, b: &Hit| a.score > b.score || a.score == b.score && a.id < b.id;
        let unsorted = pairs.any(|pair| !is_before(&pair[0], &pair[1]));
        unsorted.then(|| "the hits are not in the order of their scores and ids".to_owned())
    }
}
