//! Indexes as files: what they find, and that nothing in them is believed.

use super::*;
use crate::{
    cancel::{Cancel, CancelToken},
    container::tamper::Parts,
    error::{Error, ErrorKind, Result},
    schema::Quantization,
    vector::{
        VectorSource,
        fixture::{METRICS, Random, Rows},
    },
    vfs::{MemoryVfs, Vfs},
};
use proptest::prelude::*;
use serde_json::{Value, json};

const NAME: &str = "index-1";
const PARAMS: Params = Params {
    m: 16,
    ef_construction: 100,
    seed: 1,
};
const NARROW: Params = Params { m: 3, ..PARAMS };

/// What indexes are built under.
const KINDS: [(Metric, Quantization); 7] = [
    (Metric::Cosine, Quantization::Scalar),
    (Metric::Dot, Quantization::Scalar),
    (Metric::Euclidean, Quantization::Scalar),
    (Metric::Manhattan, Quantization::Scalar),
    (Metric::Cosine, Quantization::Binary),
    (Metric::Dot, Quantization::Binary),
    (Metric::Euclidean, Quantization::Binary),
];

fn subject(rows: &Rows) -> Subject {
    Subject {
        segment: 77,
        vector: 2,
        metric: rows.metric,
        dimensions: rows.dimensions as u32,
        quantization: Quantization::Scalar,
        multi: false,
    }
}

/// The file of an index over rows.
fn file(rows: &Rows, params: Params) -> Vec<u8> {
    file_of(rows, subject(rows), params)
}

fn file_of(rows: &Rows, subject: Subject, params: Params) -> Vec<u8> {
    let vfs = MemoryVfs::new();
    let len = write(
        &vfs,
        NAME,
        &Build::new(subject, rows, params),
        &Cancel::default(),
    )
    .unwrap();
    let content = vfs.content(NAME).unwrap();
    assert_eq!(len, content.len() as u64);
    content
}

fn open(content: &[u8], subject: Subject) -> Result<Index> {
    let vfs = MemoryVfs::new();
    vfs.set_content(NAME, content);
    Index::open(&vfs, NAME, subject)
}

/// The rows that a search gives, as they come.
fn raw_search(index: &Index, query: (&[f32], f32), limit: usize, ef: usize) -> Result<Vec<u32>> {
    let wanted = Wanted {
        limit,
        compared: None,
        ef,
        visits: usize::MAX,
        few_pass: false,
    };
    let found = index.walk(query.0, query.1, wanted, &Cancel::default(), None)?;
    let found = found.expect("it does not give up");
    Ok(found.into_iter().map(|(_, row)| row).collect())
}

/// What a search finds, compared again by the vectors: their places.
fn search(index: &Index, rows: &Rows, query: (&[f32], f32), limit: usize, ef: usize) -> Vec<u32> {
    let found = raw_search(index, query, limit, ef).unwrap();
    assert!(found.len() >= limit.min(rows.count()));
    rows.best(query, limit, found.iter().map(|row| row / 2))
}

/// Which share of the nearest 10 of queries is found.
fn recall(index: &Index, rows: &Rows, queries: &Rows, ef: usize) -> f32 {
    let mut found = 0;
    for query in 0..queries.count() {
        let query = queries.scaled(query);
        let truth = rows.best(query, 10, 0..rows.len());
        let answer = search(index, rows, query, 10, ef);
        found += answer.iter().filter(|row| truth.contains(row)).count();
    }
    found as f32 / (10 * queries.count()) as f32
}

fn check_recall(metric: Metric, quantization: Quantization) {
    let rows = Rows::clusters(metric, 2_500, 32, 11);
    let queries = Rows::clusters(metric, 100, 32, 12);
    let subject = Subject {
        quantization,
        ..subject(&rows)
    };
    let index = open(&file_of(&rows, subject, PARAMS), subject).unwrap();
    index.check(&Cancel::default()).unwrap();
    let ef = match quantization {
        Quantization::Scalar => 100,
        Quantization::Binary => 400,
    };
    let most = recall(&index, &rows, &queries, ef);
    assert!(most >= 0.95, "{metric:?}: {most} at ef {ef}");
    let mut report = format!("{metric:?}: ef {ef} finds {most}");
    for wanted in [0.9, 0.95, 0.99] {
        let ef = index.ef(wanted, 10);
        let found = recall(&index, &rows, &queries, ef);
        report += &format!("; {wanted} by ef {ef} is {found}");
        assert!(found >= wanted - 0.02, "{report}");
    }
}

#[test]
fn recall_under_cosine() {
    check_recall(Metric::Cosine, Quantization::Scalar);
}

#[test]
fn recall_under_dot() {
    check_recall(Metric::Dot, Quantization::Scalar);
}

#[test]
fn recall_under_euclidean() {
    check_recall(Metric::Euclidean, Quantization::Scalar);
}

#[test]
fn recall_under_manhattan() {
    check_recall(Metric::Manhattan, Quantization::Scalar);
}

#[test]
fn recall_by_bits() {
    check_recall(Metric::Cosine, Quantization::Binary);
    check_recall(Metric::Dot, Quantization::Binary);
    check_recall(Metric::Euclidean, Quantization::Binary);
}

/// Picked from all rows, or from some of them.
#[test]
fn the_nearest_of_listed_rows_are_picked() {
    for (metric, quantization) in KINDS {
        let rows = Rows::clusters(metric, 2_000, 48, 15);
        let queries = Rows::clusters(metric, 50, 48, 16);
        let subject = Subject {
            quantization,
            ..subject(&rows)
        };
        let index = open(&file_of(&rows, subject, PARAMS), subject).unwrap();
        let cancel = &Cancel::default();
        let pick_some = |compared, query: (&[f32], f32), listed: &[u32]| {
            let not_every_seventh = |row: u32| Ok(!row.is_multiple_of(7));
            let pick = Pick {
                limit: 10,
                compared,
                thorough: false,
            };
            index.nearest_of(listed, query.0, query.1, pick, cancel, not_every_seventh)
        };
        let pick = |query, listed: &[u32]| pick_some(None, query, listed);
        assert_eq!(pick(queries.scaled(0), &[0]).unwrap(), None, "unchecked");
        index.check(cancel).unwrap();
        let all: Vec<u32> = (0..4_000).step_by(2).collect();
        for compared in [10, 40] {
            let some = pick_some(Some(compared), queries.scaled(0), &all);
            assert_eq!(some.unwrap().unwrap().len(), compared);
        }
        for step in [1, 3, 40] {
            let listed: Vec<u32> = (0..4_000).step_by(2 * step).collect();
            let (mut found, mut picked) = (0, 0);
            for query in 0..queries.count() {
                let query = queries.scaled(query);
                let passing = listed.iter().filter(|row| !row.is_multiple_of(7));
                let truth = rows.best(query, 10, passing.map(|row| row / 2));
                let near = pick(query, &listed).unwrap().unwrap();
                picked += near.len();
                let best = rows.best(query, 10, near.iter().map(|row| row / 2));
                found += best.iter().filter(|row| truth.contains(row)).count();
            }
            let said = format!("{metric:?} {quantization:?}: {found} of 500, {picked} picked");
            assert!(found >= 490, "{said}");
            assert!(step == 40 || picked < 50 * listed.len() / 3, "{said}");
        }
    }
}

#[test]
fn what_is_found_does_not_depend_on_what_was_checked_before() {
    for (metric, quantization) in KINDS {
        let rows = Rows::clusters(metric, 600, 12, 21);
        let queries = Rows::clusters(metric, 20, 12, 22);
        let subject = Subject {
            quantization,
            ..subject(&rows)
        };
        let file = file_of(&rows, subject, PARAMS);
        let index = open(&file, subject).unwrap();
        let checked = open(&file, subject).unwrap();
        checked.check(&Cancel::default()).unwrap();
        assert!(checked.verify(&Cancel::default()).unwrap().is_empty());
        assert!(!index.is_whole() && checked.is_whole());
        assert_eq!(index.rows(), checked.rows());
        for query in 0..20 {
            let query = queries.scaled(query);
            for (limit, ef) in [(1, 1), (10, 10), (10, 100), (700, 5), (0, 9)] {
                let found = raw_search(&index, query, limit, ef).unwrap();
                assert_eq!(found, raw_search(&checked, query, limit, ef).unwrap());
                assert!(found.len() >= limit.min(600));
            }
        }
    }
}

#[test]
fn the_same_bytes_on_any_number_of_threads() {
    let rows = Rows::clusters(Metric::Cosine, 900, 16, 31);
    let of = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let file = pool.build().unwrap().install(|| file(&rows, PARAMS));
        // But for the file's id, and the checksums that cover it.
        let parts = Parts::<Kind>::of(&file);
        let content = parts.content[64..].to_vec();
        (content, parts.clone().extra().clone())
    };
    let one = of(1);
    assert!(one == of(2) && one == of(4));
}

#[test]
fn indexes_of_few_rows_find_them_all() {
    for metric in METRICS {
        for count in [0, 1, 2, 17] {
            let rows = Rows::clusters(metric, count, 5, 41);
            let query = Rows::clusters(metric, 1, 5, 42);
            for params in [PARAMS, NARROW] {
                let index = open(&file(&rows, params), subject(&rows)).unwrap();
                index.check(&Cancel::default()).unwrap();
                let ef = index.ef(0.9, 20);
                let found = search(&index, &rows, query.scaled(0), 20, ef);
                assert_eq!(found, rows.best(query.scaled(0), 20, 0..rows.len()));
            }
        }
    }
}

#[test]
fn a_filter_finds_each_of_many_copies() {
    for (metric, of) in [
        (Metric::Cosine, 1),
        (Metric::Euclidean, 5),
        (Metric::Manhattan, 5),
    ] {
        let rows = Rows::copies(metric, 2_000, of);
        let index = open(&file(&rows, PARAMS), subject(&rows)).unwrap();
        index.check(&Cancel::default()).unwrap();
        let wanted = Wanted {
            limit: 1,
            compared: None,
            ef: 10,
            visits: usize::MAX,
            few_pass: false,
        };
        for place in (0..2_000).step_by(13) {
            let (query, scale) = rows.scaled(place + 1 - place % 2);
            let is_it = &mut |row| Ok(row == place as u32 * 2);
            let found = index.walk(query, scale, wanted, &Cancel::default(), Some(is_it));
            let found = found.unwrap().expect("it does not give up");
            let rows: Vec<u32> = found.into_iter().map(|(_, row)| row).collect();
            assert_eq!(rows, [place as u32 * 2], "{metric:?}, {of}");
        }
    }
}

#[test]
fn an_opened_index_is_checked_little_by_little() {
    let rows = Rows::clusters(Metric::Cosine, 4_000, 32, 71);
    let content = file(&rows, PARAMS);
    let index = open(&content, subject(&rows)).unwrap();
    let mut steps = 0;
    while !index.is_whole() {
        index.check_on().unwrap();
        steps += 1;
    }
    assert_eq!(steps, content.len() / (256 << 10) + 1);
    let mut damaged = content;
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    let index = open(&damaged, subject(&rows)).unwrap();
    let error = (0..steps).find_map(|_| index.check_on().err()).unwrap();
    assert_eq!(error.kind(), ErrorKind::Corrupted);
    assert!(!index.is_whole());
}

#[test]
fn a_row_in_the_center_spoils_no_index() {
    for metric in METRICS {
        let values = [[1.5, 1.0], [0.5, 1.0], [1.0, 1.5], [1.0, 0.5], [1.0, 1.0]];
        let rows = Rows::new(metric, 2, values.repeat(20).concat());
        let index = open(&file(&rows, PARAMS), subject(&rows)).unwrap();
        let found = raw_search(&index, (&[1.0, 1.0], 1.0), 100, 100).unwrap();
        assert_eq!(found.len(), 100);
    }
}

#[test]
fn what_cannot_be_built_leaves_no_file() {
    let vfs = MemoryVfs::new();
    let rows = Rows::clusters(Metric::Dot, 300, 8, 51);
    for m in [0, 1, 1_025, usize::MAX] {
        let params = Params { m, ..PARAMS };
        let written = write(
            &vfs,
            NAME,
            &Build::new(subject(&rows), &rows, params),
            &Cancel::default(),
        );
        assert_eq!(written.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    let token = CancelToken::new();
    token.cancel();
    let cancel = Cancel::by(token);
    let written = write(
        &vfs,
        NAME,
        &Build::new(subject(&rows), &rows, PARAMS),
        &cancel,
    );
    assert_eq!(written.unwrap_err().kind(), ErrorKind::Cancelled);
    vfs.fail_sync(1);
    let written = write(
        &vfs,
        NAME,
        &Build::new(subject(&rows), &rows, PARAMS),
        &Cancel::default(),
    );
    assert!(written.is_err());
    assert!(vfs.list().unwrap().is_empty());
}

#[test]
fn searches_end_when_cancelled_or_when_the_filter_fails() {
    let rows = Rows::clusters(Metric::Cosine, 500, 8, 61);
    let index = open(&file(&rows, PARAMS), subject(&rows)).unwrap();
    let (query, scale) = rows.scaled(3);
    let wanted = Wanted {
        limit: 10,
        compared: None,
        ef: 400,
        visits: usize::MAX,
        few_pass: false,
    };
    let cancel = Cancel::default();
    cancel.cancel();
    let error = index.walk(query, scale, wanted, &cancel, None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    let fails = &mut |_| Err(Error::invalid("the filter"));
    let error = index
        .walk(query, scale, wanted, &Cancel::default(), Some(fails))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    // What they computed in is as good as new.
    assert!(
        raw_search(&index, (query, scale), 10, 50)
            .unwrap()
            .contains(&6)
    );
}

#[test]
fn an_index_of_something_else_is_refused() {
    let rows = Rows::clusters(Metric::Cosine, 20, 8, 1);
    let content = file(&rows, NARROW);
    let right = subject(&rows);
    assert!(open(&content, right).is_ok());
    for other in [
        Subject {
            segment: 78,
            ..right
        },
        Subject { vector: 0, ..right },
        Subject {
            metric: Metric::Dot,
            ..right
        },
        Subject {
            dimensions: 7,
            ..right
        },
        Subject {
            quantization: Quantization::Binary,
            ..right
        },
    ] {
        let error = open(&content, other).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupted);
        assert!(error.location().is_some_and(|(name, _)| name == NAME));
    }
}

/// A small file, a query, and what it finds there.
fn small((metric, quantization): (Metric, Quantization)) -> (Rows, Subject, Vec<u8>, Vec<u32>) {
    let rows = Rows::clusters(metric, 40, 6, 71);
    let subject = Subject {
        quantization,
        ..subject(&rows)
    };
    let content = file_of(&rows, subject, NARROW);
    let index = open(&content, subject).unwrap();
    let found = raw_search(&index, rows.scaled(5), 8, 12).unwrap();
    (rows, subject, content, found)
}

#[test]
fn every_flipped_byte_is_seen_or_harms_nothing() {
    for kind in [KINDS[2], KINDS[4]] {
        let (rows, subject, good, expected) = small(kind);
        for at in 0..good.len() {
            let mut content = good.clone();
            content[at] ^= 1 << (at % 8);
            let outcome = open(&content, subject).and_then(|index| {
                // First a search that checks what it reads, then all, then one that reads all in
                // place.
                let found = raw_search(&index, rows.scaled(5), 8, 12)?;
                assert_eq!(found, expected, "byte {at}");
                index.check(&Cancel::default())?;
                raw_search(&index, rows.scaled(5), 8, 12)
            });
            match outcome {
                Ok(found) => assert_eq!(found, expected, "byte {at}"),
                Err(error) => {
                    let newer = at < 12 && error.kind() == ErrorKind::Unsupported;
                    let named = error.location().is_some_and(|(name, _)| name == NAME);
                    let is_named = named && error.kind() == ErrorKind::Corrupted;
                    assert!(newer || is_named, "{error}");
                }
            }
        }
    }
}

#[test]
fn no_cut_file_opens() {
    for kind in [KINDS[3], KINDS[5]] {
        let (_, subject, good, _) = small(kind);
        for len in 0..good.len() {
            let error = open(&good[..len], subject).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupted);
            assert!(error.location().is_some_and(|(name, _)| name == NAME));
        }
    }
}

/// A node that there is, one that there is not, an odd number of either kind, or any bits.
fn hostile(random: &mut Random) -> u32 {
    const NODES: [u32; 5] = [u32::MAX, 1 << 31, 1 << 30, 41, 40];
    const NUMBERS: [f32; 5] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, -0.0];
    let at = (random.number() % 5) as usize;
    match random.number() % 4 {
        0 => (random.number() % 40) as u32,
        1 => NODES[at],
        2 => NUMBERS[at].to_bits(),
        _ => random.number() as u32,
    }
}

/// Opens and searches what says of itself that it is sound.
fn endure(content: &[u8], rows: &Rows, subject: Subject) -> Result<Vec<u32>> {
    let index = open(content, subject)?;
    let query = rows.scaled(5);
    for (recall, limit) in [(0.9, 10), (f32::NAN, 0), (2.0, usize::MAX), (-1.0, 1)] {
        index.ef(recall, limit);
    }
    let unchecked = raw_search(&index, query, 8, 12);
    index.check(&Cancel::default())?;
    let few = &mut |row: u32| Ok(row.is_multiple_of(16));
    let wanted = Wanted {
        limit: 8,
        compared: None,
        ef: 12,
        visits: usize::MAX,
        few_pass: false,
    };
    index.walk(query.0, query.1, wanted, &Cancel::default(), Some(few))?;
    raw_search(&index, query, 8, 12)?;
    let listed: Vec<u32> = (0..600).chain([u32::MAX]).collect();
    let pick = Pick {
        limit: 8,
        compared: None,
        thorough: true,
    };
    index.nearest_of(&listed, query.0, query.1, pick, &Cancel::default(), few)?;
    unchecked
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn hostile_sections_with_sound_checksums_never_panic(
        kind in prop::sample::select(&KINDS[..]),
        kinds in prop::collection::vec(1u32..=7, 1..3),
        often in 1u64..20,
        seed: u64,
    ) {
        let (rows, subject, good, _) = small(kind);
        let mut parts = Parts::<Kind>::of(&good);
        let mut random = Random(seed);
        let places: Vec<_> = parts.sections().collect();
        for (_, place, _) in places.iter().filter(|(kind, ..)| kinds.contains(&kind.code())) {
            for word in parts.content[place.clone()].chunks_exact_mut(4) {
                if random.number().is_multiple_of(often) {
                    word.copy_from_slice(&hostile(&mut random).to_le_bytes());
                }
            }
        }
        if let Err(error) = endure(&parts.seal(), &rows, subject) {
            prop_assert_eq!(error.kind(), ErrorKind::Corrupted);
        }
    }
}

#[test]
fn hostile_descriptions_with_sound_checksums_are_refused() {
    let (rows, subject, good, _) = small(KINDS[3]);
    let with = |pointer: &str, value: Value| {
        let mut parts = Parts::<Kind>::of(&good);
        let mut about: Value = serde_json::from_slice(parts.extra()).unwrap();
        *about.pointer_mut(pointer).unwrap() = value;
        *parts.extra() = about.to_string().into_bytes();
        endure(&parts.seal(), &rows, subject)
    };
    assert!(with("/seed", json!(u64::MAX)).is_ok(), "the control");
    let levels = |levels: &[u64]| ("/levels", json!(levels));
    let deep: Vec<u64> = [40].into_iter().chain([1; 16]).collect();
    for (pointer, value) in [
        ("/m", json!(0)),
        ("/m", json!(1)),
        ("/m", json!(4)),
        ("/m", json!(1u64 << 40)),
        ("/m", json!(u64::MAX)),
        ("/m", json!(-1)),
        levels(&[]),
        levels(&[0]),
        levels(&[39]),
        levels(&[40, 0]),
        levels(&[40, 41]),
        levels(&[40, 1, 2]),
        levels(&[40, u64::from(u32::MAX)]),
        levels(&deep),
        ("/step", Value::Null),
        ("/step", json!(-1.0)),
        ("/step", json!(1e300)),
        ("/curve/deviation", Value::Null),
        ("/curve/deviation", json!(-1.0)),
        ("/curve/deviation", json!(1e300)),
        ("/curve/steps", json!([[0, 0.5]])),
        ("/curve/steps", json!([[10, 0.5], [5, 0.6]])),
        ("/curve/steps", json!([[10, 0.5], [20, 0.4]])),
        ("/curve/steps", json!([[10, 1e300]])),
        ("/curve/steps", json!([[10]])),
        ("/metric", json!("other")),
        ("/quantization", json!("binary")),
        ("/dimensions", json!(1u64 << 32)),
    ] {
        let error = with(pointer, value.clone()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupted, "{pointer} {value}");
        assert!(error.location().is_some_and(|(name, _)| name == NAME));
    }
    for extra in [&b""[..], b"{}", b"[]", b"\xff", b"{\"m\":"] {
        let mut parts = Parts::<Kind>::of(&good);
        *parts.extra() = extra.to_vec();
        assert!(endure(&parts.seal(), &rows, subject).is_err());
    }
    for count in [0, 39, 41, u32::MAX] {
        let mut parts = Parts::<Kind>::of(&good);
        *parts.rows() = count;
        assert!(endure(&parts.seal(), &rows, subject).is_err());
    }
}
