//! Searching against scoring every row, in memory, in bytes, and merged; and bytes that are not as they
//! were written.

use super::{memory::View, *};
use crate::{
    codec::put_u64,
    error::ErrorKind,
    postings::{Collector, Source},
    sparse_vector::{Halves, SparseVector},
    top_k::TopK,
};
use proptest::prelude::*;

/// The vectors of the rows of a part.
type Rows = Vec<Option<Halves>>;

/// An index in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Bytes {
    starts: Vec<u8>,
    vectors: Vec<u8>,
    dimensions: Vec<u8>,
    postings: Vec<u8>,
}

impl Bytes {
    fn section(&self, section: Section) -> &[u8] {
        match section {
            Section::Starts => &self.starts,
            Section::Vectors => &self.vectors,
            Section::Dimensions => &self.dimensions,
            Section::Postings => &self.postings,
        }
    }

    /// Of the rows that stay of these, which have these vectors.
    fn merged(inputs: &[Input<'_>], rows: &Rows) -> Result<Self> {
        let mut bytes = Self::default();
        for vector in rows {
            put_u64(&mut bytes.starts, bytes.vectors.len() as u64);
            if let Some(vector) = vector {
                put_vector(&mut bytes.vectors, vector);
            }
        }
        put_u64(&mut bytes.starts, bytes.vectors.len() as u64);
        let filled = rows.iter().flatten().count() as u32;
        let postings = &mut bytes.postings;
        let put = &mut |list: &[u8]| {
            postings.extend_from_slice(list);
            Ok(())
        };
        bytes.dimensions = merge(inputs, (rows.len() as u32, filled), &Cancel::default(), put)?;
        Ok(bytes)
    }
}

impl Source<Section> for &Bytes {
    fn len(&self, section: Section) -> usize {
        self.section(section).len()
    }

    fn bytes(&self, section: Section, start: usize, len: usize) -> Result<&[u8]> {
        let bytes = self.section(section);
        let end = start.checked_add(len);
        end.and_then(|end| bytes.get(start..end))
            .ok_or_else(|| Error::corrupted("bytes", 0, "out of the section"))
    }

    fn corrupted(&self, _: Section, at: usize, flaw: DecodeError) -> Error {
        Error::corrupted("bytes", at as u64, flaw)
    }
}

fn view(rows: &Rows) -> View {
    let grown = GrownSparse::default();
    let vector = |row: u32| rows[row as usize].as_ref();
    // Some first, as if somebody had searched between two writes.
    let (some, all) = (rows.len() as u32 / 3, rows.len() as u32);
    let cancel = Cancel::default();
    grown.up_to(some, 0, vector, &cancel).unwrap();
    let view = grown.up_to(all, 0, vector, &cancel).unwrap();
    assert_eq!(view.filled(), rows.iter().flatten().count() as u64);
    view
}

fn stored(rows: &Rows) -> Bytes {
    let input = Input {
        index: &view(rows),
        map: &Some,
    };
    Bytes::merged(&[input], rows).unwrap()
}

/// Keeps the best rows of which two in three are live.
struct Best {
    top: TopK<u32>,
    first: u32,
}

fn is_live(row: u32) -> bool {
    row % 3 != 2
}

impl Collector for Best {
    fn last_wanted(&self) -> f32 {
        self.top.last_wanted()
    }

    fn accepts(&mut self, row: u32) -> Result<bool> {
        Ok(is_live(self.first + row))
    }

    fn offer(&mut self, row: u32, score: f32) -> Result<()> {
        self.top.offer(score, self.first + row);
        Ok(())
    }
}

type Passes = fn(u32) -> bool;

/// All rows; a few, far from each other; those of a stretch.
const LISTED: [Passes; 3] = [
    |_| true,
    |row| row.is_multiple_of(41),
    |row| (150..300).contains(&row),
];

/// The best rows by scoring all of them.
fn expected(
    rows: &Rows,
    query: &SparseVector,
    idf: bool,
    k: usize,
    passes: Passes,
) -> Vec<(f32, u32)> {
    let filled = rows.iter().flatten().count() as f64;
    let weighed: Vec<(u32, f32)> = query
        .iter()
        .map(|(dimension, weight)| {
            let has = |vector: &&Halves| vector.dimensions().contains(&dimension);
            let count = rows.iter().flatten().filter(has).count() as f64;
            let factor = (1.0 + (filled - count + 0.5) / (count + 0.5)).ln();
            match idf {
                true => (dimension, (f64::from(weight) * factor) as f32),
                false => (dimension, weight),
            }
        })
        .collect();
    let mut top = TopK::new(k);
    for (row, vector) in (0..).zip(rows) {
        let Some(vector) = vector.as_ref().filter(|_| is_live(row) && passes(row)) else {
            continue;
        };
        let vector = widened(vector);
        let products = weighed.iter().filter_map(|(dimension, weight)| {
            let at = vector.dimensions().binary_search(dimension).ok()?;
            Some(f64::from(*weight) * f64::from(vector.weights()[at]))
        });
        let products: Vec<f64> = products.collect();
        if !products.is_empty() {
            top.offer(dot::exact(products), row);
        }
    }
    top.into_sorted().collect()
}

/// The best rows of all parts, by searching these or by listing some of their rows.
fn found(
    parts: &[&dyn Index],
    query: &SparseVector,
    idf: bool,
    k: usize,
    listed: Option<Passes>,
) -> Vec<(f32, u32)> {
    let cancel = Cancel::default();
    let weighed = Weighed::new(query, idf, parts, &cancel).unwrap();
    let mut best = Best {
        top: TopK::new(k),
        first: 0,
    };
    for part in parts {
        match listed {
            Some(passes) => {
                let first = best.first;
                let rows = (0..part.rows()).filter(|row| passes(first + row));
                search_rows(&weighed, *part, rows, &mut best, &cancel)
            }
            None => search(&weighed, *part, &mut best, &cancel),
        }
        .unwrap();
        best.first += part.rows();
    }
    best.top.into_sorted().collect()
}

fn bits(found: &[(f32, u32)]) -> Vec<(u32, u32)> {
    let bits = |(score, row): &(f32, u32)| (score.to_bits(), *row);
    found.iter().map(bits).collect()
}

/// Compares searches of rows in memory, in bytes, in two parts, and merged of these.
fn check(rows: &Rows, split: usize, queries: &[SparseVector], ks: &[usize]) {
    let (first, second) = (rows[..split].to_vec(), rows[split..].to_vec());
    let (whole_view, first_view, second_view) = (view(rows), view(&first), view(&second));
    let (whole, second_bytes) = (stored(rows), stored(&second));
    let whole_stored = Stored::open(&whole, rows.len() as u32).unwrap();
    let second_stored = Stored::open(&second_bytes, second.len() as u32).unwrap();
    let shift = |row| Some(row + split as u32);
    let merged = Bytes::merged(
        &[
            Input {
                index: &first_view,
                map: &Some,
            },
            Input {
                index: &second_stored,
                map: &shift,
            },
        ],
        rows,
    );
    assert!(merged.unwrap() == whole, "the same bytes");
    whole_stored.verify(&Cancel::default()).unwrap();
    for (row, vector) in (0..).zip(rows) {
        assert_eq!(&whole_stored.vector(row).unwrap(), vector);
    }
    let ways: [&[&dyn Index]; 4] = [
        &[&whole_view],
        &[&whole_stored],
        &[&first_view, &second_view],
        &[&first_view, &second_stored],
    ];
    for query in queries {
        for idf in [false, true] {
            for k in ks {
                for (listing, passes) in LISTED.into_iter().enumerate() {
                    let expected = bits(&expected(rows, query, idf, *k, passes));
                    for (number, parts) in ways.iter().enumerate() {
                        if listing == 0 {
                            let searched = found(parts, query, idf, *k, None);
                            assert_eq!(bits(&searched), expected, "{k} best of {number}");
                        }
                        let listed = found(parts, query, idf, *k, Some(passes));
                        assert_eq!(bits(&listed), expected, "{k} of {listing} of {number}");
                    }
                }
            }
        }
    }
}

fn any_half() -> impl Strategy<Value = u16> {
    prop_oneof![
        4 => 0x3800u16..0x4200,
        2 => prop::sample::select(vec![0x3c00u16, 0x4000, 0xbc00, 0xc000]),
        1 => 1u16..0x7c00,
        1 => 0x8001u16..0xfc00,
    ]
}

fn any_rows() -> impl Strategy<Value = Rows> {
    let vector = prop::collection::btree_map(0u32..9, any_half(), 0..6);
    let vector = vector.prop_map(|entries| {
        let (dimensions, weights) = entries.into_iter().unzip();
        Halves::new(dimensions, weights).unwrap()
    });
    prop::collection::vec(prop::option::weighted(0.9, vector), 1..400)
}

fn any_query() -> impl Strategy<Value = SparseVector> {
    let weight =
        prop_oneof![4 => 0.01f32..5.0, 2 => -3.0f32..3.0, 1 => Just(1.0f32), 1 => -1e16f32..1e16];
    let entries = prop::collection::btree_map(0u32..11, weight, 0..8);
    entries.prop_map(|entries| SparseVector::new(entries).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_best_are_those_of_all_rows(
        rows in any_rows(),
        split: prop::sample::Index,
        queries in prop::collection::vec(any_query(), 1..6),
    ) {
        let split = split.index(rows.len());
        check(&rows, split, &queries, &[1, 5, 1_000]);
    }
}

/// Numbers that look random (`SplitMix64`).
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % below
    }
}

/// Rows of which many have the first of 40 dimensions and few the last; of negative weights one in so
/// many, if there are any.
fn many(rows: u32, negative: Option<u64>) -> Rows {
    let mut random = Random(7);
    let row = |_| {
        let mut entries = std::collections::BTreeMap::new();
        for _ in 0..random.next(12) {
            let dimension = random.next(40).min(random.next(40)).min(random.next(40));
            let weight = 0x3000 + random.next(0x1400) as u16;
            let lowers = negative.is_some_and(|one_in| random.next(one_in) == 0);
            entries.insert(
                dimension as u32 * 1_000_003,
                weight | u16::from(lowers) << 15,
            );
        }
        let (dimensions, weights) = entries.into_iter().unzip();
        (random.next(20) > 0).then(|| Halves::new(dimensions, weights).unwrap())
    };
    (0..rows).map(row).collect()
}

#[test]
fn the_best_are_those_of_many_rows() {
    for negative in [None, Some(4), Some(400)] {
        let rows = many(12_000, negative);
        let mut random = Random(11);
        let query = |count: u64| {
            let entries = (0..count).map(|_| {
                let weight = (1 + random.next(400)) as f32 / 100.0;
                let sign = if negative.is_some() && random.next(5) == 0 {
                    -1.0
                } else {
                    1.0
                };
                (random.next(40) as u32 * 1_000_003, weight * sign)
            });
            let entries: std::collections::BTreeMap<u32, f32> = entries.collect();
            SparseVector::new(entries).unwrap()
        };
        let queries: Vec<_> = [1, 2, 4, 12, 60].into_iter().map(query).collect();
        check(&rows, 5_000, &queries, &[1, 10, 900]);
    }
}

#[test]
fn a_weight_with_idf_is_never_nothing() {
    // Every row has the dimension, and the weight is as small as can be.
    let rows = vec![Halves::new(vec![5], vec![0x3c00]); 300];
    let query = SparseVector::new([(5, f32::from_bits(1))]).unwrap();
    let index = view(&rows);
    let found = found(&[&index], &query, true, 1, None);
    assert_eq!(found[0], (f32::from_bits(1), 0));
}

#[test]
fn who_is_cancelled_hears_of_it() {
    let rows = many(2_000, None);
    let index = view(&rows);
    let query = SparseVector::new([(0, 1.0)]).unwrap();
    let cancel = Cancel::default();
    let weighed = Weighed::new(&query, true, &[&index], &cancel).unwrap();
    assert!(cancel.cancel());
    let mut best = Best {
        top: TopK::new(1),
        first: 0,
    };
    for result in [
        search(&weighed, &index, &mut best, &cancel),
        search_rows(&weighed, &index, 0..2_000, &mut best, &cancel),
        Weighed::new(&query, true, &[&index], &cancel).map(drop),
        GrownSparse::default()
            .up_to(1, 0, |_| None, &cancel)
            .map(drop),
    ] {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Cancelled);
    }
}

/// Opens, reads, searches, merges and verifies bytes, whatever they are. Whether verifying has found
/// nothing.
fn use_all(bytes: &Bytes, rows: u32) -> bool {
    let cancel = Cancel::default();
    let Ok(stored) = Stored::open(bytes, rows) else {
        return false;
    };
    for row in 0..rows {
        let _ = stored.vector(row);
    }
    let query = SparseVector::new((0..4).map(|n| (n * 1_000_003, 1.5))).unwrap();
    let parts: [&dyn Index; 1] = [&stored];
    if let Ok(weighed) = Weighed::new(&query, true, &parts, &cancel) {
        for k in [1, 1_000] {
            let mut best = Best {
                top: TopK::new(k),
                first: 0,
            };
            let _ = search(&weighed, &stored, &mut best, &cancel);
            let _ = search_rows(&weighed, &stored, 0..rows, &mut best, &cancel);
        }
    }
    let input = Input {
        index: &stored,
        map: &|row| (row < rows).then_some(row),
    };
    let _ = Bytes::merged(&[input], &vec![None; rows as usize]);
    stored.verify(&cancel).is_ok()
}

#[test]
fn damaged_bytes_end_with_an_answer_or_an_error() {
    let rows = many(600, Some(5));
    let whole = stored(&rows);
    assert!(use_all(&whole, 600));
    let sections: [fn(&mut Bytes) -> &mut Vec<u8>; 4] = [
        |bytes| &mut bytes.starts,
        |bytes| &mut bytes.vectors,
        |bytes| &mut bytes.dimensions,
        |bytes| &mut bytes.postings,
    ];
    let mut random = Random(3);
    for section in sections {
        let len = section(&mut whole.clone()).len();
        for round in 0..150 {
            let mut damaged = whole.clone();
            let at = if round < 30 {
                round
            } else {
                random.next(len as u64) as usize
            };
            let bytes = section(&mut damaged);
            match round % 5 {
                0 => bytes.truncate(at),
                1 => bytes[at] = 0xff,
                _ => bytes[at] ^= 1 << random.next(8),
            }
            let is_sound = use_all(&damaged, 600);
            // A bound may be wider than it need be, and bits that fill up bytes are nobody's.
            let is_seen = damaged.postings == whole.postings && damaged != whole;
            assert!(!is_sound || !is_seen, "byte {at}, round {round}");
        }
    }
}
