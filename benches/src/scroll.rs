//! Going over 100,000 points with their payloads in each order, beside doing so in the order in which they were
//! written; and facets and counts, beside those by payloads, and of the same field once it is declared.

use crate::{
    sample::in_turns,
    subject::{Subject, VECTOR, building_fast, schema},
};
use amphora::{Facet, Field, OrderBy, Point, Scroll, field};
use amphora_tests::{process::processor, report::Figure};
use serde_json::json;
use std::time::Instant;

const POINTS: u64 = 100_000;
const PAGE: usize = 1_000;
/// How many bytes of text each payload has.
const TEXT: usize = 200;

/// Goes over all points, and counts them.
type Go<'a> = &'a dyn Fn() -> u64;

pub(crate) fn run(quick: bool, only: Option<&str>) {
    let turns = if quick { 5 } else { 21 };
    let subject = Subject::new(schema(4).field("year", Field::Integer), building_fast());
    let text = "It is the luxurious and dissipated who set the fashions. ".repeat(4);
    subject.fill((0..POINTS).map(|id| {
        // Not in the order of their ids.
        let id = id * 7_919 % POINTS;
        let shown = &text[(id % 20) as usize..][..TEXT];
        let payload =
            json!({ "year": 1800 + id % 200, "decade": id % 200 / 10, "id": id, "text": shown });
        Point::new(id)
            .vector(VECTOR, [1.0, 0.0, id as f32, 1.0])
            .payload(payload)
    }));
    subject.optimize();
    let scroll = || Scroll::new().with_vectors(false);
    let years = || OrderBy::ascending("year");
    let ways: [(&str, Go<'_>); 7] = [
        ("written", &|| feed(&subject, scroll())),
        ("ids", &|| feed(&subject, scroll().order_by_id())),
        ("pages", &|| pages(&subject, &scroll())),
        ("field", &|| pages(&subject, &scroll().order_by(years()))),
        ("facet", &|| facet(&subject, "year")),
        ("facet of payloads", &|| facet(&subject, "decade")),
        ("count of payloads", &|| count(&subject, "decade")),
    ];
    let written = measure(&ways, None, turns, only);
    // The segments that lie there get its columns.
    let declared = Instant::now();
    let decade = subject.points.add_field("decade", Field::Integer);
    decade.wait().expect("a field");
    subject.optimize();
    let name = "scroll/columns of a late field";
    if only.is_none_or(|only| name.contains(only)) {
        let took = declared.elapsed().as_secs_f64() * 1e3;
        Figure::new(name, took, "ms", 1).print();
    }
    let decades = || OrderBy::ascending("decade");
    let ways: [(&str, Go<'_>); 3] = [
        ("late field", &|| {
            pages(&subject, &scroll().order_by(decades()))
        }),
        ("facet of a late field", &|| facet(&subject, "decade")),
        ("count of a late field", &|| count(&subject, "decade")),
    ];
    measure(&ways, Some(written), turns, only);
    subject.close();
}

/// What each way costs, beside what another does, or else the first. Gives what that costs.
fn measure(ways: &[(&str, Go<'_>)], beside: Option<f64>, turns: usize, only: Option<&str>) -> f64 {
    let costs = in_turns(turns, ways.len(), |way| {
        let before = processor();
        assert_eq!((ways[way].1)(), POINTS);
        (processor() - before) * 1e3
    });
    let beside = beside.unwrap_or_else(|| costs[0].median());
    for ((name, _), cost) in ways.iter().zip(&costs) {
        let name = format!("scroll/{name}");
        if only.is_none_or(|only| name.contains(only)) {
            Figure::new(name, cost.median(), "ms", turns as u64)
                .against(beside)
                .print();
        }
    }
    beside
}

fn feed(subject: &Subject, scroll: Scroll) -> u64 {
    let points = subject.points.scroll_by(scroll).into_iter();
    points.fold(0, |count, point| count + u64::from(point.is_ok()))
}

fn pages(subject: &Subject, scroll: &Scroll) -> u64 {
    let (mut count, mut after) = (0, None);
    loop {
        let page = scroll.clone().limit(PAGE).after(after);
        let page = subject.points.scroll_page(page).wait().expect("a page");
        count += page.points.len() as u64;
        after = page.next;
        if after.is_none() {
            return count;
        }
    }
}

fn facet(subject: &Subject, field: &str) -> u64 {
    let facet = subject.points.facet(Facet::new(field).limit(1_000)).wait();
    facet.expect("a facet").iter().map(|hit| hit.count).sum()
}

fn count(subject: &Subject, name: &str) -> u64 {
    let all = subject.points.count_matching(field(name).at_least(0));
    all.wait().expect("a count")
}
