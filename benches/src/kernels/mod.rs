//! The kernels of distances beside what the machine can do at most, measured in the same run.
//!
//! A kernel has to read every row, so that it is beside a loop that only reads the same bytes: from
//! the first two caches, and from memory. Products of f32 are beside multiply-adds in registers too.
//! Rows have 384 dimensions, and are taken in turn or, as a graph leads to them, here and there.

mod peak;

use crate::{
    kernel,
    sample::{Samples, in_turns},
};
use amphora_tests::{process::thread_processor, random::Random, report::Figure, sample::shuffled};
use bytemuck::AnyBitPattern;
use std::hint::black_box;

const SEED: u64 = 1_849;
const DIMENSIONS: usize = 384;
/// Where the rows lie, how many bytes of them, and how many before the first since a line of the
/// cache began: those of files are at its beginning, those in memory often not.
const PLACES: [(&str, usize, usize); 4] = [
    ("first-cache", 24 << 10, 0),
    ("first-cache-16-bytes-off", 24 << 10, 16),
    ("second-cache", 384 << 10, 0),
    ("memory", READ, 0),
];
const CACHE_LINE: usize = 64;
/// What is read of them for one sample, again and again.
const READ: usize = 192 << 20;

/// One pass over a table.
type Pass = Box<dyn FnMut(&[u64])>;
/// A kernel over the rows of these numbers.
type RowsAt<Q, T, O> = fn(&[Q], &[T], &[u32], &mut [O]);

pub(crate) fn run(quick: bool, only: Option<&str>) {
    let turns = if quick { 11 } else { 51 };
    let table = table(READ + CACHE_LINE);
    let table = &table[table.as_ptr().align_offset(CACHE_LINE)..];
    let fma = in_turns(turns, 1, |_| multiply_adds());
    Figure::new(
        "kernels/multiply-adds",
        fma[0].median(),
        "1/ns",
        turns as u64,
    )
    .print();
    for (place, bytes, before) in PLACES {
        if only.is_none_or(|only| place.contains(only)) {
            let words = &table[before / size_of::<u64>()..][..bytes / size_of::<u64>()];
            measure(place, words, turns, fma[0].median());
        }
    }
}

fn measure(place: &str, words: &[u64], turns: usize, multiply_adds: f64) {
    let mut passes = passes();
    if size_of_val(words) >= READ {
        passes.extend(passes_at(words));
    }
    let samples = in_turns(turns, passes.len(), |way| {
        gigabytes_per_second(words, &mut passes[way].1)
    });
    let reading = samples[0].median();
    let figure = |name: &str, samples: &Samples| {
        let name = format!("kernels/{place}/{name} {}", samples.spread());
        Figure::new(name, samples.median(), "GB/s", turns as u64).seeded(SEED)
    };
    for (way, ((name, _), samples)) in passes.iter().zip(&samples).enumerate() {
        match way {
            0 => figure(name, samples).print(),
            _ => figure(name, samples).against(reading).print(),
        };
        if *name == "dot" {
            let each = samples.median() / size_of::<f32>() as f64;
            let name = format!("kernels/{place}/dot/multiply-adds");
            let figure = Figure::new(name, each, "1/ns", turns as u64);
            figure.against(multiply_adds).print();
        }
    }
}

/// What only reads, and then the kernels over rows in turn.
fn passes() -> Vec<(&'static str, Pass)> {
    let read: Pass = Box::new(|words| peak::read(bytemuck::cast_slice(words)));
    let (floats, codes) = (vec![0.5f32; DIMENSIONS], vec![3i8; DIMENSIONS]);
    let bits = vec![0x5555_5555_5555_5555u64; DIMENSIONS / 64];
    vec![
        ("read", read),
        ("dot", pass(&floats, kernel::dots)),
        ("squared_l2", pass(&floats, kernel::squared_l2s)),
        ("l1", pass(&floats, kernel::l1s)),
        ("half_dot", pass(&floats, kernel::half_dots)),
        ("code_dot", pass(&codes, kernel::code_dots)),
        ("hamming", pass(&bits, kernel::hammings)),
    ]
}

/// Kernels over all rows of a table, here and there.
fn passes_at(words: &[u64]) -> [(&'static str, Pass); 2] {
    let (floats, codes) = (vec![0.5f32; DIMENSIONS], vec![3i8; DIMENSIONS]);
    [
        (
            "dot/here-and-there",
            pass_at(words, &floats, kernel::dots_at),
        ),
        (
            "code_dot/here-and-there",
            pass_at(words, &codes, kernel::code_dots_at),
        ),
    ]
}

fn pass<Q, T, O>(query: &[Q], rows: fn(&[Q], &[T], &mut [O])) -> Pass
where
    Q: Clone + 'static,
    T: AnyBitPattern,
    O: Clone + Default + 'static,
{
    let (query, mut out) = (query.to_vec(), Vec::new());
    Box::new(move |words| {
        let table: &[T] = bytemuck::cast_slice(words);
        out.resize(table.len() / query.len(), O::default());
        rows(&query, table, &mut out);
        black_box(&mut out);
    })
}

fn pass_at<Q, T, O>(words: &[u64], query: &[Q], rows_at: RowsAt<Q, T, O>) -> Pass
where
    Q: Clone + 'static,
    T: AnyBitPattern,
    O: Clone + Default + 'static,
{
    let count = size_of_val(words) / size_of::<T>() / query.len();
    let rows = shuffled(count, &mut Random(SEED));
    let rows: Vec<u32> = rows.into_iter().map(|row| row as u32).collect();
    let (query, mut out) = (query.to_vec(), vec![O::default(); count]);
    Box::new(move |words| {
        rows_at(&query, bytemuck::cast_slice(words), &rows, &mut out);
        black_box(&mut out);
    })
}

fn gigabytes_per_second(words: &[u64], pass: &mut Pass) -> f64 {
    let passes = READ / size_of_val(words);
    pass(words);
    let seconds = seconds(|| {
        for _ in 0..passes {
            pass(black_box(words));
        }
    });
    (passes * size_of_val(words)) as f64 / seconds * 1e-9
}

/// Multiply-adds for each nanosecond.
fn multiply_adds() -> f64 {
    const PASSES: usize = 20;
    let mut count = 0;
    let seconds = seconds(|| {
        for _ in 0..PASSES {
            count += peak::multiply_add(black_box(0.5));
        }
    });
    count as f64 / seconds * 1e-9
}

/// Of processor time, so that others on the machine count for less.
fn seconds(act: impl FnOnce()) -> f64 {
    let before = thread_processor();
    act();
    thread_processor() - before
}

/// Bytes that are codes, bits, and numbers of 16 bits from 0.125 to 1 of both signs; two of these
/// are a number of 32 bits whose square does not vanish.
fn table(bytes: usize) -> Vec<u64> {
    let mut random = Random(SEED);
    let word = |_| {
        let halves = random.draw();
        (halves & 0x8BFF_8BFF_8BFF_8BFF) | 0x3000_3000_3000_3000
    };
    (0..bytes / size_of::<u64>()).map(word).collect()
}
