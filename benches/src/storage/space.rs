//! The space on disk once every id was written ten times and all is merged, beside once.

use super::passages::Passages;
use crate::subject::{LONG, open, write_all};
use amphora::Options;
use amphora_tests::{process::directory_size, report::Figure};

const DIMENSIONS: u32 = 128;
const POINTS: u64 = 20_000;
const BATCH: u64 = 1_000;

pub(super) fn run(_quick: bool) {
    let [once, ten_times] = [1, 10].map(mebibytes_after);
    Figure::new("storage/space/once", once, "MiB", POINTS).print();
    Figure::new("storage/space/ten-times", ten_times, "MiB", POINTS)
        .against(once)
        .ratio_at_most(1.1)
        .print();
}

fn mebibytes_after(rounds: u64) -> f64 {
    let directory = tempfile::tempdir().expect("a directory");
    let db = open(directory.path(), Options::default());
    let mut passages = Passages::new(DIMENSIONS);
    let books = db.create_collection("books", passages.schema()).wait();
    let books = books.expect("it is new");
    for _ in 0..rounds {
        let ids = (0..POINTS).step_by(BATCH as usize);
        let batches = ids.map(|first| passages.batch(first..first + BATCH));
        write_all(&db, &books, batches);
    }
    let optimized = db.optimize().timeout(LONG).wait();
    optimized.expect("nothing prevents merging");
    let size = directory_size(directory.path());
    db.close().wait().expect("it closes");
    size.bytes as f64 / f64::from(1 << 20)
}
