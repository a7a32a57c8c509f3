//! Whether two answers to one question are the same, ties aside.

use crate::question::Question;
use serde_json::Value;
use std::collections::HashMap;

/// How far two scores may lie apart that are meant to be the same, beside [`SHARE`] of the larger.
const ABSOLUTE: f64 = 1e-5;
const SHARE: f64 = 1e-4;

/// Checks it; an error says what differs.
pub(crate) fn agree(question: &Question, ours: &Value, theirs: &Value) -> Result<(), String> {
    match (ours, theirs) {
        // What both refuse.
        (Value::String(_), Value::String(_)) => return Ok(()),
        (Value::String(refused), _) => return Err(format!("ours refuses: {refused}")),
        (_, Value::String(refused)) => return Err(format!("theirs refuses: {refused}")),
        _ => {}
    }
    match question {
        Question::Count { .. } if ours == theirs => Ok(()),
        Question::Count { .. } => Err(format!("{ours} for {theirs}")),
        Question::Facet { limit, .. } => facets(&entries(ours)?, &entries(theirs)?, *limit),
        Question::Scroll { order: None, .. } => in_order(&entries(ours)?, &entries(theirs)?),
        Question::Scroll { page, .. } => lists(&entries(ours)?, &entries(theirs)?, *page, 0),
        Question::Search(search) => {
            let (ours, theirs) = (entries(ours)?, entries(theirs)?);
            lists(&ours, &theirs, search.limit, search.offset)
        }
    }
}

/// The share of the first list's ids that the second has.
pub(crate) fn overlap(wanted: &Value, found: &Value) -> Option<f64> {
    let (wanted, found) = (entries(wanted).ok()?, entries(found).ok()?);
    let has = |(id, _): &&Entry<'_>| found.iter().any(|(other, _)| other == id);
    let good = wanted.iter().filter(has).count();
    (!wanted.is_empty()).then(|| good as f64 / wanted.len() as f64)
}

/// A value and its count, or an id and what it is ordered by.
type Entry<'a> = (&'a Value, &'a Value);

fn entries(answer: &Value) -> Result<Vec<Entry<'_>>, String> {
    let all = answer.as_array().and_then(|all| {
        let entries = all.iter().map(|entry| Some((entry.get(0)?, entry.get(1)?)));
        entries.collect()
    });
    all.ok_or_else(|| format!("{answer} is no list of pairs"))
}

fn in_order(ours: &[Entry<'_>], theirs: &[Entry<'_>]) -> Result<(), String> {
    if ours.len() != theirs.len() {
        return Err(format!("{} points for {}", ours.len(), theirs.len()));
    }
    let mut both = ours.iter().zip(theirs);
    match both.find(|(ours, theirs)| ours.0 != theirs.0) {
        None => Ok(()),
        Some((ours, theirs)) => Err(format!("{} for {}", ours.0, theirs.0)),
    }
}

/// Among values with as many points as the last one, any may be given.
fn facets(ours: &[Entry<'_>], theirs: &[Entry<'_>], limit: usize) -> Result<(), String> {
    if ours.len() != theirs.len() {
        return Err(format!("{} values for {}", ours.len(), theirs.len()));
    }
    let last = match ours.len() < limit {
        true => None,
        false => ours.last().map(|(_, count)| *count),
    };
    for ((value, count), (_, other)) in ours.iter().zip(theirs) {
        if count != other {
            return Err(format!("a count of {count} for {other}"));
        }
        if Some(*count) != last && !theirs.contains(&(*value, *count)) {
            return Err(format!("value {value} with {count} is not theirs"));
        }
    }
    Ok(())
}

/// Lists of which only ids differ that are ordered by the same, and at an end of the page where others may follow.
fn lists(
    ours: &[Entry<'_>],
    theirs: &[Entry<'_>],
    limit: usize,
    offset: usize,
) -> Result<(), String> {
    if ours.len() != theirs.len() {
        return Err(format!("{} hits for {}", ours.len(), theirs.len()));
    }
    let known = |list: &[Entry<'_>]| -> HashMap<String, Value> {
        let known = list.iter().map(|(id, by)| (id.to_string(), (*by).clone()));
        known.collect()
    };
    let (of_ours, of_theirs) = (known(ours), known(theirs));
    // What may have been cut off between points that are worth the same.
    let is_cut = |list: &[Entry<'_>], by: &Value| {
        let first = list.first().filter(|_| offset > 0);
        let last = list.last().filter(|_| list.len() == limit);
        let mut ends = first.into_iter().chain(last);
        ends.any(|(_, end)| are_same(end, by))
    };
    for (own, other) in ours.iter().zip(theirs) {
        if own.1.is_number() && other.1.is_number() && !are_same(own.1, other.1) {
            return Err(format!("{} has {} for {}", own.0, own.1, other.1));
        }
        match of_ours.get(&other.0.to_string()) {
            Some(by) if are_same(by, own.1) => {}
            Some(by) => {
                return Err(format!(
                    "{} with {by} stands where {} has {}",
                    other.0, own.0, own.1
                ));
            }
            None if is_cut(theirs, other.1) => {}
            None => return Err(format!("{} with {} is theirs alone", other.0, other.1)),
        }
        if !of_theirs.contains_key(&own.0.to_string()) && !is_cut(ours, own.1) {
            return Err(format!("{} with {} is ours alone", own.0, own.1));
        }
    }
    Ok(())
}

fn are_same(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => {
            (one - other).abs() <= ABSOLUTE + SHARE * one.abs().max(other.abs())
        }
        _ => one == other,
    }
}
