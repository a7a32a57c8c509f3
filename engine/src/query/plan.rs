//! How a part of a view is searched: a pure function of what is known of the part and the query.

/// What a choice is made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// Rows of the part that have the vector, about.
    pub(super) rows: usize,
    /// Rows that match the filter and have not ended, about: all that have not without a filter,
    /// `None` when it is not known.
    pub(super) matching: Option<usize>,
    /// How many rows the index is to keep in view, if there is one and it may be asked.
    pub(super) ef: Option<usize>,
    /// Whether much less of the rows near to the query match than of all.
    pub(super) is_far: bool,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Every row is compared, and asked whether it matches if it is near enough.
    OneByOne,
    /// The rows that match are listed and compared.
    Matches,
    /// The index is walked, past rows that do not count.
    Walk { ef: usize },
    /// The index is walked from match to match.
    WalkMatches { ef: usize },
}

/// When one in so many rows matches, a walk may as well pass by those that do not. So many fewer
/// are kept in view in addition as are passed by.
const PASSED_BY: usize = 3;
const FEWER: usize = 4;
/// So many times the limit of lists are compared without asking an index.
const FEW_LISTS: usize = 256;
/// An index is of no use if it keeps more than one in so many of its rows in view.
const USEFUL: usize = 8;
/// Nanoseconds, about: to list and compare a row that matches, to ask whether one does, and to
/// compare what a node leads to.
const LISTED: u64 = 8;
const ASKED: u64 = 12;
const VISITED: u64 = 600;
/// How many times as many nodes as it keeps in view a walk visits at most, and how many more; and
/// how many times if listing what matches costs less.
const PATIENCE: usize = 4;
const LEAST_VISITS: usize = 256;
const LEAST_PATIENCE: usize = 2;
/// What a node leads to, at most, and how many that match are looked for there.
const BEHIND: u64 = 1_024;
const WANTED: u64 = 32;

pub(super) fn plan(facts: Facts) -> Plan {
    let Facts {
        rows,
        matching,
        ef,
        is_far,
    } = facts;
    let ef = ef.filter(|ef| ef.saturating_mul(USEFUL) <= rows);
    match (ef, matching) {
        (Some(ef), Some(matching)) if matching >= rows => Plan::Walk { ef },
        (Some(ef), Some(matching))
            if !is_far
                && matching.saturating_mul(PASSED_BY) >= rows
                && walking_past(ef, matching, rows) < listing(matching) =>
        {
            let passed_by = (rows - matching) as f32 / (FEWER * matching) as f32;
            let ef = ef + (ef as f32 * passed_by) as usize;
            Plan::Walk { ef }
        }
        (Some(ef), Some(matching)) if walking(ef, matching, rows) < listing(matching) => {
            Plan::WalkMatches { ef }
        }
        // By their codes if there are any.
        (Some(_), Some(_)) => Plan::Matches,
        (None, Some(matching)) if matching < rows / 2 => Plan::Matches,
        _ => Plan::OneByOne,
    }
}

/// The same for lists of vectors. To compare one takes as long as to walk far: what could be compared
/// in place of what a walk leads to is, and no more.
pub(super) fn plan_lists(facts: Facts, limit: usize) -> Plan {
    let Facts {
        rows, matching, ef, ..
    } = facts;
    let few = limit.saturating_mul(FEW_LISTS);
    match (ef, matching) {
        (Some(_), Some(matching)) if matching <= few => Plan::Matches,
        (Some(ef), Some(matching)) if matching.saturating_mul(PASSED_BY) >= rows => {
            Plan::Walk { ef }
        }
        (Some(ef), Some(_)) => Plan::WalkMatches { ef },
        (None, Some(matching)) if matching < rows / 2 => Plan::Matches,
        _ => Plan::OneByOne,
    }
}

/// After how many nodes a walk gives up: some times as many as it keeps in view, which is about how
/// many it usually visits, but no more than cost as much as listing what matches, which comes next.
pub(super) fn patience(ef: usize, facts: Facts) -> usize {
    let usual = ef.saturating_mul(PATIENCE) + LEAST_VISITS;
    let matching = facts.matching.unwrap_or(facts.rows);
    let as_listing = (listing(matching) / VISITED) as usize;
    usual.min(as_listing.max(ef.saturating_mul(LEAST_PATIENCE)))
}

/// Why it is done like that.
pub(super) fn why(plan: Plan, facts: Facts, has_index: bool) -> String {
    let Facts {
        rows,
        matching,
        ef,
        is_far,
    } = facts;
    let matches = share(matching, rows);
    let index = match (has_index, ef) {
        (false, _) => "there is no index",
        (true, None) => "the query is exact",
        (true, Some(ef)) if ef.saturating_mul(USEFUL) > rows => {
            "the index would keep too much of its rows in view"
        }
        (true, Some(_)) => "there is an index",
    };
    let least = match plan {
        Plan::Walk { .. } => "walking past those that do not costs least",
        Plan::WalkMatches { .. } if is_far => "few of those near to the query do",
        Plan::WalkMatches { .. } => "walking from match to match costs least",
        Plan::Matches => "comparing those costs least",
        Plan::OneByOne => "all are looked at",
    };
    format!("{index}, {matches}: {least}")
}

/// How many rows match, as far as it is known.
pub(super) fn share(matching: Option<usize>, rows: usize) -> String {
    match matching {
        Some(matching) if matching >= rows => "every row matches".to_owned(),
        Some(matching) => format!("about {matching} of {rows} rows match"),
        None => "how many rows match is not known without their payloads".to_owned(),
    }
}

/// What it costs to list and compare what matches.
fn listing(matching: usize) -> u64 {
    matching as u64 * LISTED
}

/// What it costs to walk past rows that do not match.
fn walking_past(ef: usize, matching: usize, rows: usize) -> u64 {
    let visited = VISITED * rows as u64 / matching.max(1) as u64;
    (ef as u64).saturating_mul(visited)
}

/// What it costs to walk from match to match.
fn walking(ef: usize, matching: usize, rows: usize) -> u64 {
    let asked = BEHIND.min(WANTED * rows as u64 / matching.max(1) as u64);
    (ef as u64).saturating_mul(asked * ASKED + VISITED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quickest_is_done() {
        let (all, few) = (100_000, 1_000);
        for (rows, matching, ef, is_far, expected) in [
            (all, Some(all), Some(60), false, Plan::Walk { ef: 60 }),
            (all, Some(50_000), Some(60), false, Plan::Walk { ef: 75 }),
            (
                all,
                Some(50_000),
                Some(60),
                true,
                Plan::WalkMatches { ef: 60 },
            ),
            (all, Some(50_000), Some(600), false, Plan::Matches),
            (all, Some(99_000), Some(12_000), false, Plan::Matches),
            (
                all,
                Some(30_000),
                Some(60),
                false,
                Plan::WalkMatches { ef: 60 },
            ),
            (all, Some(10_000), Some(60), false, Plan::Matches),
            (all, Some(1_000), Some(60), false, Plan::Matches),
            (all, Some(0), Some(60), false, Plan::Matches),
            (all, None, Some(60), false, Plan::OneByOne),
            (all, Some(1_000), None, false, Plan::Matches),
            (all, Some(50_000), None, false, Plan::OneByOne),
            (all, Some(all), None, false, Plan::OneByOne),
            (few, Some(few), Some(600), false, Plan::OneByOne),
            (few, Some(100), Some(600), false, Plan::Matches),
            (0, Some(0), Some(10), false, Plan::OneByOne),
        ] {
            let facts = Facts {
                rows,
                matching,
                ef,
                is_far,
            };
            assert_eq!(plan(facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn lists_are_compared_where_there_are_few() {
        for (rows, matching, ef, expected) in [
            (100_000, Some(100_000), Some(60), Plan::Walk { ef: 60 }),
            (100_000, Some(40_000), Some(60), Plan::Walk { ef: 60 }),
            (
                100_000,
                Some(20_000),
                Some(60),
                Plan::WalkMatches { ef: 60 },
            ),
            (100_000, Some(2_000), Some(60), Plan::Matches),
            (2_000, Some(2_000), Some(60), Plan::Matches),
            (100_000, None, Some(60), Plan::OneByOne),
            (100_000, Some(20_000), None, Plan::Matches),
            (100_000, Some(60_000), None, Plan::OneByOne),
        ] {
            let facts = Facts {
                rows,
                matching,
                ef,
                is_far: false,
            };
            assert_eq!(plan_lists(facts, 10), expected, "{facts:?}");
        }
    }

    #[test]
    fn a_walk_costs_little_more_than_what_comes_when_it_gives_up() {
        for (rows, matching, ef, expected) in [
            (1_000_000, Some(1_000_000), 60, 496),
            (1_000_000, None, 60, 496),
            (30_000, Some(22_500), 60, 300),
            (30_000, Some(12_000), 60, 160),
            (30_000, Some(1_000), 60, 120),
        ] {
            let facts = Facts {
                rows,
                matching,
                ef: Some(ef),
                is_far: false,
            };
            assert_eq!(patience(ef, facts), expected, "{facts:?}");
        }
    }
}
