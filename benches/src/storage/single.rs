//! Durable upserts of one point each, by one caller and by many, beside the least that makes such
//! a record durable: a write into prepared space and a sync.
//!
//! One caller and the plain file take turns, since a sync may take ten times as long a moment
//! later: ten writes, one after another, or one, which finds the commit thread asleep.

use super::passages::{Passages, plain_bytes};
use crate::{
    sample::{Samples, in_turns},
    subject::open,
};
use amphora::{Collection, Database, Options, Point};
use amphora_tests::report::Figure;
use futures::{StreamExt, stream::FuturesUnordered};
use std::{
    fs::File,
    io::{Seek, Write},
    path::Path,
    sync::Barrier,
    thread,
    time::Instant,
};

const DIMENSIONS: u32 = 384;
/// What the log adds to a record, about.
const RECORD_HEADER: usize = 32;

/// Writes of one caller in a turn, and of each of many.
const ALONE: u64 = 200;
const EACH: u64 = 40;

/// How many writes one caller makes before it is the file's turn.
const IN_A_ROW: [(&str, usize); 2] = [("alone", 10), ("alone-after-a-pause", 1)];

#[derive(Clone, Copy)]
enum Way {
    /// Threads that wait.
    Threads,
    /// Tasks on one thread.
    Tasks,
}

const CROWDS: [(&str, Way, u64); 4] = [
    ("threads", Way::Threads, 16),
    ("threads", Way::Threads, 256),
    ("tasks", Way::Tasks, 16),
    ("tasks", Way::Tasks, 256),
];

pub(super) fn run(quick: bool) {
    let turns = if quick { 5 } else { 21 };
    let mut plain = IN_A_ROW.map(|_| Samples::default());
    // The first places are those of one caller.
    let samples = in_turns(turns, IN_A_ROW.len() + CROWDS.len(), |place| {
        let directory = tempfile::tempdir().expect("a directory");
        match place.checked_sub(IN_A_ROW.len()) {
            None => {
                let (file, caller) = alone(directory.path(), IN_A_ROW[place].1);
                plain[place].push(file);
                caller
            }
            Some(crowd) => together(directory.path(), CROWDS[crowd].1, CROWDS[crowd].2),
        }
    });
    let (alone, crowds) = samples.split_at(IN_A_ROW.len());
    let n = turns as u64 * ALONE;
    let figure = |name: String, samples: &Samples| {
        let name = format!("storage/single/{name} {}", samples.spread());
        Figure::new(name, samples.median(), "us", n)
    };
    for (((name, in_a_row), plain), samples) in IN_A_ROW.iter().zip(&plain).zip(alone) {
        figure(format!("{name}/plain"), plain).print();
        let figure = figure((*name).to_owned(), samples).against(plain.median());
        if *in_a_row > 1 {
            figure.ratio_at_most(1.3).print();
        } else {
            figure.print();
        }
    }
    let single = alone[0].median();
    for ((name, _, callers), samples) in CROWDS.iter().zip(crowds) {
        let name = format!("storage/single/{name}/{callers} {}", samples.spread());
        let n = turns as u64 * callers * EACH;
        let rate = Figure::new(name, 1e6 / samples.median(), "1/s", n).against(1e6 / single);
        if *callers == 256 {
            rate.ratio_at_least(20.0).print();
        } else {
            rate.print();
        }
    }
}

fn create(directory: &Path, passages: &mut Passages) -> (Database, Collection) {
    let db = open(directory, Options::default());
    let books = db.create_collection("books", passages.schema()).wait();
    let books = books.expect("it is new");
    // The first write creates what is missing.
    write(&books, passages.point(0));
    (db, books)
}

fn write(books: &Collection, point: Point) {
    books.upsert([point]).wait().expect("it is written");
}

/// Microseconds that the plain file takes for a record, and one caller for a point: the medians.
fn alone(directory: &Path, in_a_row: usize) -> (f64, f64) {
    let mut passages = Passages::new(DIMENSIONS);
    let (db, books) = create(directory, &mut passages);
    let points = passages.batch(0..ALONE);
    let records = (0..).zip(&points);
    let records =
        records.map(|(id, point)| [vec![0; RECORD_HEADER], plain_bytes(id, point)].concat());
    let records: Vec<Vec<u8>> = records.collect();
    let mut file = File::create(directory.join("plain")).expect("a file");
    let bytes: usize = records.iter().map(Vec::len).sum();
    file.write_all(&vec![0; bytes]).expect("room on the disk");
    file.sync_all().expect("a sync");
    file.rewind().expect("a file has a start");
    let (mut plain, mut single) = (Samples::default(), Samples::default());
    for (points, records) in points.chunks(in_a_row).zip(records.chunks(in_a_row)) {
        for record in records {
            plain.push(micros(|| {
                file.write_all(record).expect("room on the disk");
                file.sync_data().expect("a sync");
            }));
        }
        for point in points.iter().cloned() {
            single.push(micros(|| write(&books, point)));
        }
    }
    db.close().wait().expect("it closes");
    (plain.median(), single.median())
}

fn micros(act: impl FnOnce()) -> f64 {
    let started = Instant::now();
    act();
    started.elapsed().as_secs_f64() * 1e6
}

/// Microseconds for each write of so many callers.
fn together(directory: &Path, way: Way, callers: u64) -> f64 {
    let mut passages = Passages::new(DIMENSIONS);
    let (db, books) = create(directory, &mut passages);
    let points = passages.batch(0..callers * EACH);
    let points = points
        .chunks(EACH as usize)
        .map(<[Point]>::to_vec)
        .collect();
    let seconds = match way {
        Way::Threads => threads(&books, points),
        Way::Tasks => tasks(&books, points),
    };
    db.close().wait().expect("it closes");
    seconds * 1e6 / (callers * EACH) as f64
}

fn threads(books: &Collection, callers: Vec<Vec<Point>>) -> f64 {
    let ready = Barrier::new(callers.len() + 1);
    let caller = |points: Vec<Point>| {
        ready.wait();
        for point in points {
            write(books, point);
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = callers
            .into_iter()
            .map(|points| scope.spawn(|| caller(points)))
            .collect();
        ready.wait();
        let started = Instant::now();
        for thread in threads {
            thread.join().expect("no caller panics");
        }
        started.elapsed().as_secs_f64()
    })
}

fn tasks(books: &Collection, callers: Vec<Vec<Point>>) -> f64 {
    let caller = async |points: Vec<Point>| {
        for point in points {
            books.upsert([point]).await.expect("it is written");
        }
    };
    let started = Instant::now();
    let callers: FuturesUnordered<_> = callers.into_iter().map(caller).collect();
    amphora::block_on(callers.collect::<Vec<()>>());
    started.elapsed().as_secs_f64()
}
