//! Random edits of points, and changes of schemas.

use super::{
    collection::Collection,
    draw::{DECLARED, VECTORS, collection, expiry, filter, ids, payload, pick, point, vector},
    edit::{Change, How, Selected, When},
    model::Model,
    step::Alteration,
    words::{self, TEXTS},
};
use amphora::{Payload, Point};
use amphora_tests::random::Random;

/// An edit of points with some ids, or by a filter.
pub(crate) fn edit(random: &mut Random, model: &Model, name: usize) -> Change {
    if random.below(6) == 0 {
        return Change::Alter(
            Selected::Matching(filter(random, 2)),
            how(random, model, name),
        );
    }
    edit_by_ids(random, model, name)
}

/// Edits of several collections.
pub(crate) fn edits(random: &mut Random, model: &Model) -> Vec<(usize, Change)> {
    let count = 1 + random.below(4);
    let edits = (0..count).map(|_| {
        let name = collection(random, model);
        (name, edit_by_ids(random, model, name))
    });
    edits.collect()
}

fn edit_by_ids(random: &mut Random, model: &Model, name: usize) -> Change {
    let count = 1 + random.below(6);
    let points = |random: &mut Random| -> Vec<Point> {
        (0..count).map(|_| point(random, model, name)).collect()
    };
    match random.below(12) {
        0 => Change::Put(When::Always, points(random)),
        1 => Change::Put(When::Absent, points(random)),
        2 => Change::Put(When::Present, points(random)),
        3 => Change::Put(When::AbsentOr(filter(random, 2)), points(random)),
        4 => {
            let mut points = points(random);
            // What has more than vectors is refused.
            if random.below(40) > 0 {
                for point in &mut points {
                    (point.payload, point.expires_at) = (Payload::default(), None);
                }
            }
            Change::SetVectors(points)
        }
        _ => {
            let count = if random.below(60) == 0 { 0 } else { count };
            let ids = ids(random, model.collection(name), count as usize);
            Change::Alter(Selected::Ids(ids), how(random, model, name))
        }
    }
}

fn how(random: &mut Random, model: &Model, name: usize) -> How {
    match random.below(8) {
        0 => How::Delete,
        1 | 2 => How::SetPayload(payload(random)),
        3 => How::OverwritePayload(payload(random)),
        4 => How::ClearPayload,
        5 => {
            let keys = ["year", "tag", "author", "absent"];
            How::DeleteKeys(
                keys[..random.below(5) as usize]
                    .iter()
                    .map(|k| (*k).into())
                    .collect(),
            )
        }
        6 => {
            let known = model.collection(name).map(|c| c.schema.vectors.keys());
            let mut names: Vec<String> = known.into_iter().flatten().cloned().collect();
            names.truncate(random.below(4) as usize);
            if random.below(40) == 0 {
                names.push("absent".into());
            }
            How::DeleteVectors(names)
        }
        _ => {
            let ends = random.below(3) > 0;
            How::Expire(ends.then(|| expiry(random, model)))
        }
    }
}

/// One that is possible, for the most part.
pub(crate) fn alteration(random: &mut Random, collection: Option<&Collection>) -> Alteration {
    let name = *pick(random, &VECTORS);
    let (field, declared) = *pick(random, &DECLARED);
    let text = *pick(random, &TEXTS);
    let has = |has: fn(&Collection, &str) -> bool, name| collection.is_some_and(|c| has(c, name));
    let sensible = random.below(10) > 0;
    if random.below(4) == 0 {
        let drops = has(|c, name| c.schema.texts.contains_key(name), text) == sensible;
        return match drops {
            true => Alteration::DropText(text.to_owned()),
            false => Alteration::AddText(text.to_owned(), words::text(random)),
        };
    }
    if random.below(2) == 0 {
        let drops = has(|c, name| c.schema.vectors.contains_key(name), name) == sensible;
        return match drops {
            true => Alteration::DropVector(name.to_owned()),
            false => Alteration::AddVector(name.to_owned(), vector(random, name)),
        };
    }
    let drops = has(|c, name| c.schema.fields.contains_key(name), field) == sensible;
    match drops {
        true => Alteration::DropField(field.to_owned()),
        false => Alteration::AddField(field.to_owned(), declared),
    }
}
