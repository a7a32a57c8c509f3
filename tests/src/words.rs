//! Whether searches for words find what has them, whatever happened to the database before.
//!
//! Texts are of words between spaces, taken as they are, so that what matches can be told by looking.

use amphora::{Collection, Point, PointId, Query, Result, Text, TextQuery};
use std::collections::{BTreeMap, BTreeSet};

/// How many words are searched for.
const SAMPLES: usize = 3;

/// A text that is judged here.
#[must_use]
pub fn text() -> Text {
    Text::whitespace().positions(true)
}

/// Searches a collection that holds these points for words of each of its texts, and for phrases. What is
/// wrong with the hits, if anything is.
///
/// # Errors
/// Those of searching.
pub fn problem(collection: &Collection, points: &[&Point]) -> Result<Option<String>> {
    for name in collection.schema().texts.keys() {
        let texts = points.iter().filter_map(|point| {
            let payload = point.payload.to_value();
            let text = payload.get(name)?.as_str()?;
            Some((&point.id, text.split(' ').map(str::to_owned).collect()))
        });
        let texts: Vec<(&PointId, Vec<String>)> = texts.collect();
        let mut wanted: BTreeMap<String, BTreeSet<PointId>> = BTreeMap::new();
        for (id, words) in &texts {
            let phrases = words.windows(2).map(|two| two.join(" "));
            for asked in words.iter().cloned().chain(phrases) {
                wanted.entry(asked).or_default().insert((*id).clone());
            }
        }
        let step = wanted.len().div_ceil(SAMPLES).max(1);
        for (asked, expected) in wanted.iter().step_by(step) {
            let query = Query::text(name, TextQuery::phrase(asked)).limit(points.len() + 1);
            let hits = collection.search(query.with_payload(false)).wait()?;
            let found: BTreeSet<PointId> = hits.iter().map(|hit| hit.id.clone()).collect();
            let sorted =
                hits.is_sorted_by(|a, b| a.score > b.score || a.score == b.score && a.id < b.id);
            let positive = hits.iter().all(|hit| hit.score > 0.0);
            if found != *expected || found.len() != hits.len() || !sorted || !positive {
                return Ok(Some(format!(
                    "searching {name:?} of {} for {asked:?}: {hits:?} for {expected:?}",
                    collection.name()
                )));
            }
        }
    }
    Ok(None)
}
