//! Hits put together by a field of their payloads.

use super::{
    Filter, Hit, Query, Scope, Shows, field,
    found::Found,
    scan::get,
    search::{Answer, find, hits},
};
use crate::{
    cancel::Cancel,
    error::{Error, Result},
    fields::{SortKey, some_value},
    id::PointId,
    point::Point,
    schema::check_name,
    view::View,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// How hits are put together; see [`Collection::search_groups`](crate::Collection::search_groups). As JSON
/// `{ "field": "author", "size": 2, "lookup": "authors" }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupBy {
    /// The field whose values are the groups: a key of the payload, or keys joined by dots. A point with
    /// a list of values is in each of their groups, one without a value in none.
    pub field: String,
    /// The most hits of a group: 3 unless changed.
    #[serde(default = "default_size")]
    pub size: usize,
    /// The collection in which the point is looked up whose id is the value, by its name or an alias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookup: Option<String>,
}

fn default_size() -> usize {
    3
}

impl GroupBy {
    /// Groups of up to 3 hits by the values of a field.
    pub fn new(field: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            size: default_size(),
            lookup: None,
        }
    }

    /// Groups of up to so many hits.
    #[must_use]
    pub fn size(mut self, size: usize) -> Self {
        self.size = size;
        self
    }

    /// Has each group carry the point of another collection whose id is its value: a number, a string, or a
    /// UUID written as a string.
    #[must_use]
    pub fn lookup(mut self, collection: impl Into<String>) -> Self {
        self.lookup = Some(collection.into());
        self
    }
}

/// The hits of one value of a field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// The value: a string, a number or a boolean. A float that is a whole number is that.
    pub key: Value,
    /// Its hits, the best first.
    pub hits: Vec<Hit>,
    /// The point that was looked up; none if that was not asked for, or it does not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookup: Option<Point>,
}

/// So many times as many hits are asked for where there were too few groups among them.
const MORE: usize = 4;

/// So many groups are filled in one search, whose filter has a condition for each.
const AT_ONCE: usize = 64;

/// A group of which nothing has been read but its value.
struct Gathered {
    key: Value,
    found: Vec<Found>,
}

/// The groups of a query's hits, in the order of their best ones.
pub(crate) fn groups(
    mut query: Query,
    by: &GroupBy,
    scope: &mut Scope<'_>,
    cancel: &Cancel,
) -> Result<Vec<Group>> {
    let (view, most) = (scope.view, scope.limits.hits);
    let wanted = check(&query, by, most)?;
    if let Some(collection) = &by.lookup {
        scope.other(collection)?;
    }
    query.check_depth(scope)?;
    query.clone().checked(scope)?;
    let offset = std::mem::take(&mut query.offset);
    let mut limit = wanted.saturating_mul(by.size).min(most);
    // Those of fused queries depend on what else is found.
    let can_fill = query.prefetches.is_empty();
    let (checked, answer, mut groups) = loop {
        let checked = query.clone().limited(limit, scope)?;
        let answer = find(view, &checked, cancel)?;
        let groups = gather(view, &answer.found, by, wanted, cancel)?;
        let are_all = answer.found.len() < limit || limit == most;
        let are_full = groups.iter().all(|group| group.found.len() == by.size);
        if are_all || groups.len() == wanted && (can_fill || are_full) {
            break (checked, answer, groups);
        }
        limit = limit.saturating_mul(MORE).min(most);
    };
    groups.drain(..offset.min(groups.len()));
    if can_fill && answer.found.len() >= limit {
        let wanting = groups.iter_mut();
        let mut wanting: Vec<_> = wanting
            .filter(|group| group.found.len() < by.size)
            .collect();
        for some in wanting.chunks_mut(AT_ONCE) {
            fill(some, &query, by, scope, cancel)?;
        }
    }
    let sizes: Vec<usize> = groups.iter().map(|group| group.found.len()).collect();
    let keys: Vec<Value> = groups.iter().map(|group| group.key.clone()).collect();
    let found = groups.into_iter().flat_map(|group| group.found).collect();
    let lists = answer.lists;
    let mut hits = hits(view, &checked, Answer { found, lists }, cancel)?.into_iter();
    let group = |(key, size): (Value, usize)| {
        Ok(Group {
            hits: hits.by_ref().take(size).collect(),
            lookup: look_up(&key, by, scope, cancel)?,
            key,
        })
    };
    keys.into_iter().zip(sizes).map(group).collect()
}

/// How many groups are looked for, if that may be asked.
fn check(query: &Query, by: &GroupBy, most: usize) -> Result<usize> {
    check_name("field", &by.field)?;
    if query.mmr.is_some() {
        return Err(Error::invalid(
            "a query for groups has an MMR; expected none, which may be in a prefetch",
        ));
    }
    let limit = query.limit.unwrap_or(Query::DEFAULT_LIMIT);
    let wanted = limit.saturating_add(query.offset);
    let hits = wanted.saturating_mul(by.size);
    if limit == 0 || !(1..=most).contains(&hits) {
        return Err(Error::invalid(format!(
            "a query asks for {limit} groups from {} on of {} hits each; expected 1 or more of each, and at most \
             {most} hits together",
            query.offset, by.size
        )));
    }
    Ok(wanted)
}

/// The first groups of these hits.
fn gather(
    view: &View,
    found: &[Found],
    by: &GroupBy,
    wanted: usize,
    cancel: &Cancel,
) -> Result<Vec<Gathered>> {
    let parts = view.parts()?;
    let mut payloads: Vec<_> = parts.iter().map(|part| part.payloads()).collect();
    let mut places: BTreeMap<SortKey<'static>, usize> = BTreeMap::new();
    let mut groups: Vec<Gathered> = Vec::new();
    for found in found {
        cancel.check()?;
        let payload = payloads[found.part].get(found.row)?;
        let mut keys: BTreeSet<SortKey<'_>> = BTreeSet::new();
        some_value(payload.checked()?, &by.field, &mut |value| {
            keys.extend(SortKey::of(value));
            false
        });
        for key in keys {
            let place = match places.get(&key) {
                Some(place) => *place,
                None if groups.len() == wanted => continue,
                None => {
                    places.insert(key.clone().into_owned(), groups.len());
                    groups.push(Gathered {
                        key: key.into_value(),
                        found: Vec::new(),
                    });
                    groups.len() - 1
                }
            };
            if groups[place].found.len() < by.size {
                groups[place].found.push(found.clone());
            }
        }
    }
    Ok(groups)
}

/// Looks for more hits of these groups: of all in one search, and again of those that the hits of others have
/// left too little room for.
fn fill(
    groups: &mut [&mut Gathered],
    query: &Query,
    by: &GroupBy,
    scope: &mut Scope<'_>,
    cancel: &Cancel,
) -> Result<()> {
    let (view, most) = (scope.view, scope.limits.hits);
    let mut limit = groups.len().saturating_mul(by.size);
    loop {
        let wanting = groups.iter().filter(|group| group.found.len() < by.size);
        // Filters compare with no longer ones.
        let is_short = |key: &&Value| {
            key.as_str()
                .is_none_or(|text| text.len() <= Filter::MAX_STRING_BYTES)
        };
        let keys: Vec<Value> = wanting
            .map(|group| &group.key)
            .filter(is_short)
            .cloned()
            .collect();
        if keys.is_empty() {
            return Ok(());
        }
        let are_in = field(by.field.clone())
            .any_of(keys)
            .checked(scope.terms())?;
        limit = limit.saturating_mul(MORE).min(most);
        let mut checked = query.clone().limited(limit, scope)?;
        checked.narrow(are_in);
        let found = find(view, &checked, cancel)?.found;
        let mut gathered: BTreeMap<SortKey<'static>, Vec<Found>> = BTreeMap::new();
        for group in gather(view, &found, by, usize::MAX, cancel)? {
            let key = SortKey::of(&group.key).map(SortKey::into_owned);
            gathered.extend(key.map(|key| (key, group.found)));
        }
        for group in groups.iter_mut() {
            let key = SortKey::of(&group.key).map(SortKey::into_owned);
            let more = key.and_then(|key| gathered.remove(&key));
            if let Some(more) = more.filter(|more| more.len() > group.found.len()) {
                group.found = more;
            }
        }
        if found.len() < limit || limit == most {
            return Ok(());
        }
    }
}

fn look_up(
    key: &Value,
    by: &GroupBy,
    scope: &mut Scope<'_>,
    cancel: &Cancel,
) -> Result<Option<Point>> {
    let Some(collection) = &by.lookup else {
        return Ok(None);
    };
    let other = scope.other(collection)?;
    let view = other.as_deref().unwrap_or(scope.view);
    let ids = match key {
        Value::Number(number) => [number.as_u64().map(PointId::from), None],
        Value::String(text) => [
            Some(PointId::from(text.as_str())).filter(|id| id.check().is_ok()),
            Uuid::parse_str(text).ok().map(PointId::from),
        ],
        _ => [None, None],
    };
    for id in ids.into_iter().flatten() {
        let found = get(view, &[id], &Shows::ALL, cancel)?;
        if let Some(point) = found.into_iter().flatten().next() {
            return Ok(Some(point));
        }
    }
    Ok(None)
}
