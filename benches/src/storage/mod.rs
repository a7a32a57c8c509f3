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
