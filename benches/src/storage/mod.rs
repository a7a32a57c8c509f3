//! What durable storage costs, beside plain files that hold the same bytes.
//!
//! Bulk ingest, single durable upserts, opening, snapshots, and space. Each part has directories of its own
//! on the disk that holds the temporary files, which must be a real one: on a file system in
//! memory a sync costs nothing. Ways take turns in a new order each, and a figure is the median.

mod ingest;
mod open;
mod passages;
mod single;
mod space;

use amphora::{Collection, Database, Durability, Options, Point};
use futures::{StreamExt, stream};
use std::{path::Path, time::Duration};

/// What a part is called and how it is run; `true` stands for fewer turns.
type Part = (&'static str, fn(bool));

const PARTS: [Part; 4] = [
    ("ingest", ingest::run),
    ("single", single::run),
    ("open", open::run),
    ("space", space::run),
];

pub(crate) fn run(quick: bool, only: Option<&str>) {
    for (name, part) in PARTS {
        if only.is_none_or(|only| name.contains(only)) {
            part(quick);
        }
    }
}

/// The deadline of what rewrites everything.
const LONG: Duration = Duration::from_secs(600);
/// How many batches [`write_all`] has under way.
const AT_ONCE: usize = 4;

fn open(path: &Path, options: Options) -> Database {
    let builder = Database::builder(path).options(options);
    builder.open().wait().expect("nothing prevents opening")
}

/// The quickest way to write many points: several batches under way, none waiting for the disk,
/// and one flush at the end.
fn write_all(
    db: &Database,
    collection: &Collection,
    batches: impl IntoIterator<Item = Vec<Point>>,
) {
    let hasty = collection.with_durability(Durability::Os);
    let writes = stream::iter(batches)
        .map(|batch| hasty.upsert(batch))
        .buffered(AT_ONCE)
        .for_each(async |written| written.expect("nothing prevents writing"));
    amphora::block_on(writes);
    db.flush().wait().expect("nothing prevents syncing");
}
