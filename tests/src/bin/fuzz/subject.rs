//! What is asked what could be read: a small collection with something of every kind.

use amphora::{
    Collection, Database, ErrorKind, Field, Metric, Point, Schema, Sparse, SparseVector, Text,
    Vector, vfs::MemoryVfs,
};
use serde_json::json;

/// The collection, and the database that it is of.
pub(crate) struct Subject {
    pub(crate) docs: Collection,
    _db: Database,
}

impl Subject {
    pub(crate) fn new() -> amphora::Result<Self> {
        let db = Database::builder_on(MemoryVfs::new()).open().wait()?;
        let schema = Schema::new()
            .vector("v", Vector::new(2, Metric::Dot))
            .vector("w", Vector::new(2, Metric::Cosine).multi())
            .sparse("s", Sparse::new())
            .text("body", Text::english())
            .text("title", Text::plain())
            .field("year", Field::Integer)
            .field("t", Field::DateTime)
            .field("place", Field::Geo);
        let docs = db.create_collection("docs", schema).wait()?;
        for number in 0..12u16 {
            let x = f32::from(number) - 5.5;
            let point = Point::new(u64::from(number))
                .vector("v", [x, 1.0])
                .multi_vector("w", [[x, 1.0], [1.0, x]])
                .sparse("s", SparseVector::new([(7, x), (12, 1.0)])?)
                .payload(json!({
                    "year": 1850 + number, "t": format!("2024-05-{:02}", number + 1),
                    "place": { "lon": 13.4, "lat": 52.5 }, "title": "Heat transfer", "body": "A boundary layer of heat",
                    "tags": ["a", number], "author": { "name": "ann" }, "likes": number,
                }));
            docs.upsert([point]).wait()?;
            // Half of them in a segment.
            if number == 6 {
                db.flush().wait()?;
            }
        }
        Ok(Self { docs, _db: db })
    }
}

/// Whether it was answered, if it was answered or refused as it may be.
pub(crate) fn answered<T>(answer: amphora::Result<T>) -> Result<Option<T>, String> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) => match error.kind() {
            ErrorKind::InvalidInput | ErrorKind::NotFound => Ok(None),
            _ => Err(format!("it was not refused, but failed: {error}")),
        },
    }
}
