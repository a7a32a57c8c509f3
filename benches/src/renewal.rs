//! What searches find after points were deleted or replaced, beside what they found before: with the
//! ended rows still there, and once all is merged and indexed anew.
//!
//! The points are the passages of `books30k`. A fifth of them is deleted, here and there or the
//! lot on one side of a direction; or every one is replaced ten times, each time by another of the
//! passages, so that at the end the same vectors are there under other ids. A hit is a ghost if its
//! point was deleted, is what was replaced, or was there already; a list is short if more points
//! were there than it has. And what a fifth takes that comes when the others are indexed already.
//!
//! By default an index chooses its `ef` by 256 samples of its own, so that the recall of two builds
//! of the same points differs by as much as may be lost here; with an `ef` that is given it is the
//! graphs alone that are compared.

use crate::subject::{K, Subject, VECTOR, building_fast, schema};
use amphora::{Hit, Point, PointId, Query};
use amphora_tests::{
    clustered::{direction, normalize},
    data::{self, Matrix},
    process::processor,
    random::Random,
    report::Figure,
    sample::shuffled,
    truth::{self, dot},
};
use serde_json::json;
use std::collections::BTreeSet;

const SEED: u64 = 1_862;
/// One point in so many is deleted.
const DELETED: usize = 5;
/// How often every point is replaced.
const ROUNDS: usize = 10;
/// How far on the passage lies that takes the place of one; it divides no number of passages.
const STEP: usize = 7_919;
const EF: usize = 64;
/// The most of the processor time for all that taking in a fifth may take.
const GROWN: f64 = 0.5;
/// How much recall may be lost.
const LOST: f64 = 0.005;

pub(crate) fn run(_quick: bool, only: Option<&str>) {
    let Some((mut base, mut queries)) = data::books().zip(data::book_queries()) else {
        return;
    };
    normalize(&mut base);
    normalize(&mut queries);
    let books = Books { base, queries };
    let mut random = Random(SEED);
    let scattered = shuffled(books.count(), &mut random);
    let together = books.along(&direction(books.base.dimensions, &mut random));
    let wanted = |name: &str| only.is_none_or(|only| name.contains(only));
    for (name, order) in [
        ("renewal/deleted/scattered", scattered),
        ("renewal/deleted/together", together),
    ] {
        if wanted(name) {
            books.delete(name, &order[..books.count() / DELETED]);
        }
    }
    if wanted("renewal/replaced") {
        books.replace("renewal/replaced");
    }
    if wanted("renewal/grown") {
        books.grow("renewal/grown");
    }
}

struct Books {
    base: Matrix,
    queries: Matrix,
}

/// What was found by all queries.
struct Seen {
    /// By default, and with [`EF`].
    recalls: [(&'static str, f64); 2],
    ghosts: usize,
    short: usize,
}

impl Books {
    fn count(&self) -> usize {
        self.base.rows().len()
    }

    /// The passages by how far they lie along a direction.
    fn along(&self, direction: &[f32]) -> Vec<usize> {
        let heights: Vec<f32> = self.base.rows().map(|row| dot(row, direction)).collect();
        let mut order: Vec<usize> = (0..self.count()).collect();
        order.sort_by(|a, b| heights[*a].total_cmp(&heights[*b]));
        order
    }

    fn delete(&self, name: &str, ids: &[usize]) {
        let gone: BTreeSet<usize> = ids.iter().copied().collect();
        let subject = self.build();
        let before = self.seen(&subject, |_| true, Some);
        self.report(&format!("{name}/before"), &before, None);
        let deleted = subject
            .points
            .delete(ids.iter().map(|id| *id as u64))
            .wait();
        assert_eq!(deleted.expect("they are deleted"), ids.len() as u64);
        let left = |row: usize| !gone.contains(&row);
        self.after(name, &subject, &before, left, |id| left(id).then_some(id));
        subject.close();
    }

    fn replace(&self, name: &str) {
        let subject = self.build();
        let before = self.seen(&subject, |_| true, Some);
        self.report(&format!("{name}/before"), &before, None);
        for round in 1..=ROUNDS {
            subject.fill(self.points(round));
        }
        self.after(
            name,
            &subject,
            &before,
            |_| true,
            |id| Some(self.held(id, ROUNDS)),
        );
        subject.close();
    }

    /// A fifth comes when the others are indexed, beside indexing all at once.
    fn grow(&self, name: &str) {
        let (subject, at_once) = self.built();
        let before = self.seen(&subject, |_| true, Some);
        self.report(&format!("{name}/at-once"), &before, None);
        subject.close();

        let early = self.count() - self.count() / DELETED;
        let subject = Subject::new(schema(self.base.dimensions), building_fast());
        subject.fill(self.points(0).take(early));
        subject.optimize();
        subject.fill(self.points(0).skip(early));
        let later = optimizing(&subject);
        let seen = self.seen(&subject, |_| true, Some);
        self.report(&format!("{name}/later"), &seen, Some(&before));
        Figure::new(format!("{name}/processor"), later, "s", 1)
            .seeded(SEED)
            .against(at_once)
            .ratio_at_most(GROWN)
            .print();
        subject.close();
    }

    fn build(&self) -> Subject {
        self.built().0
    }

    /// All of them indexed, and the processor time that merging and indexing took.
    fn built(&self) -> (Subject, f64) {
        let subject = Subject::new(schema(self.base.dimensions), building_fast());
        subject.fill(self.points(0));
        let spent = optimizing(&subject);
        (subject, spent)
    }

    /// The points after so many rounds of replacing.
    fn points(&self, round: usize) -> impl Iterator<Item = Point> {
        (0..self.count()).map(move |id| {
            let row = self.held(id, round);
            Point::new(id as u64)
                .vector(VECTOR, self.base.row(row))
                .payload(json!({ "row": row }))
        })
    }

    /// The passage that an id holds after so many rounds.
    fn held(&self, id: usize, round: usize) -> usize {
        (id + round * STEP) % self.count()
    }

    /// Before anything is merged, and then.
    fn after(
        &self,
        name: &str,
        subject: &Subject,
        before: &Seen,
        left: impl Fn(usize) -> bool + Sync,
        held: impl Fn(usize) -> Option<usize>,
    ) {
        let seen = self.seen(subject, &left, &held);
        self.report(&format!("{name}/at-once"), &seen, Some(before));
        subject.optimize();
        let seen = self.seen(subject, left, held);
        self.report(&format!("{name}/optimized"), &seen, Some(before));
    }

    /// Searches by default and with [`EF`]. `left` says which passages are there, and `held` which
    /// one an id holds, if any.
    fn seen(
        &self,
        subject: &Subject,
        left: impl Fn(usize) -> bool + Sync,
        held: impl Fn(usize) -> Option<usize>,
    ) -> Seen {
        let truth = truth::nearest(&self.base, &self.queries, K, left);
        let (mut ghosts, mut short) = (0, 0);
        let mut recall = |ask: fn(Query) -> Query| {
            let mut found = Vec::new();
            for (values, truth) in self.queries.rows().zip(&truth) {
                let hits = subject.search(ask(Query::nearest(VECTOR, values).limit(K)));
                let rows = hits.iter().filter_map(|hit| living(hit, &held));
                let rows: BTreeSet<i64> = rows.collect();
                ghosts += hits.len() - rows.len();
                short += usize::from(hits.len() < truth.len());
                found.push(rows.into_iter().collect());
            }
            truth::recall(&found, &truth, K)
        };
        Seen {
            recalls: [
                ("recall", recall(|query| query)),
                ("recall-at-ef-64", recall(|query| query.ef(EF))),
            ],
            ghosts,
            short,
        }
    }

    fn report(&self, name: &str, seen: &Seen, before: Option<&Seen>) {
        let n = self.queries.rows().len() as u64;
        let figure = |what: &str, value: f64, unit| {
            Figure::new(format!("{name}/{what}"), value, unit, n).seeded(SEED)
        };
        for (place, (what, recall)) in seen.recalls.into_iter().enumerate() {
            let recall = figure(what, recall, "share");
            let recall = match before.map(|before| before.recalls[place].1) {
                Some(before) => recall.against(before).at_least(before - LOST),
                None => recall,
            };
            recall.print();
        }
        for (what, count) in [("ghosts", seen.ghosts), ("short", seen.short)] {
            figure(what, count as f64, "count").at_most(0.0).print();
        }
    }
}

/// The processor time of merging and indexing, in seconds.
fn optimizing(subject: &Subject) -> f64 {
    let before = processor();
    subject.optimize();
    processor() - before
}

/// The passage of a hit that is what its id holds.
fn living(hit: &Hit, held: impl Fn(usize) -> Option<usize>) -> Option<i64> {
    let PointId::Number(id) = hit.id else {
        return None;
    };
    let held = held(id as usize)?;
    (hit.payload.to_value()["row"] == held).then_some(held as i64)
}
