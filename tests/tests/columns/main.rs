//! Columns of fields that are declared after points were written: made in the background, durable, used in place of
//! payloads, and of no influence on any answer.

mod answers;
mod files;
mod life;

use amphora::{
    Collection, Database, Field, Metric, Options, Point, Schema, Vector, vfs::MemoryVfs,
};
use amphora_tests::random::Random;
use serde_json::{Value, json};

/// Fields of every type, and one within others.
const FIELDS: [(&str, Field); 8] = [
    ("tag", Field::Keyword),
    ("whole", Field::Integer),
    ("number", Field::Float),
    ("flag", Field::Bool),
    ("time", Field::DateTime),
    ("key", Field::Uuid),
    ("place", Field::Geo),
    ("author.born", Field::Integer),
];

fn options() -> Options {
    Options {
        memtable_bytes: 96 << 10,
        ..Options::default()
    }
}

fn open(vfs: &MemoryVfs) -> Database {
    let opened = Database::builder_on(vfs.clone()).options(options()).open();
    opened.wait().expect("it opens")
}

/// An open database with a collection that declares no field.
fn new() -> (MemoryVfs, Database, Collection) {
    let vfs = MemoryVfs::new();
    let db = open(&vfs);
    let schema = Schema::new().vector("v", Vector::new(2, Metric::Euclidean));
    let docs = db.create_collection("docs", schema).wait();
    (vfs, db, docs.expect("it is new"))
}

/// A point that has each field, or several values, or none; if it does not fit, now and then values of other types.
fn point(id: u64, fits: bool, random: &mut Random) -> Point {
    let value = |name: &str, random: &mut Random| -> Value {
        if !fits && random.below(7) == 0 {
            let strays = [
                json!("seven"),
                json!(7),
                json!(true),
                json!({ "a": 1 }),
                json!([]),
            ];
            return strays[random.below(5) as usize].clone();
        }
        match name {
            "tag" => json!(format!("tag-{}", random.below(12))),
            "whole" => json!(random.below(50) as i64 - 20),
            "number" => json!(random.below(100) as f64 / 4.0),
            "flag" => json!(random.below(2) == 0),
            "time" => json!(format!("2024-01-{:02}T00:00:00Z", 1 + random.below(28))),
            "key" => json!(uuid::Uuid::from_u128(u128::from(random.below(9))).to_string()),
            "place" => json!({ "lon": random.unit() * 90.0, "lat": random.unit() * 45.0 }),
            _ => json!(1800 + random.below(30)),
        }
    };
    let mut several = |name: &str| match random.below(9) {
        0 => Value::Null,
        1 => json!([value(name, random), value(name, random), null]),
        _ => value(name, random),
    };
    let payload = json!({
        "tag": several("tag"),
        "whole": several("whole"),
        "number": several("number"),
        "flag": several("flag"),
        "time": several("time"),
        "key": several("key"),
        "place": several("place"),
        "author": { "born": several("born") },
        "id": id,
    });
    Point::new(id)
        .vector("v", [id as f32, 1.0])
        .payload(payload)
}

/// Points in several segments, of which the first outweighs the others, and in memory, some of them written twice
/// or deleted.
fn fill(db: &Database, docs: &Collection, fits: bool, random: &mut Random) {
    let first: Vec<Point> = (10_000..11_600).map(|id| point(id, fits, random)).collect();
    docs.upsert(first).wait().expect("it is written");
    db.optimize().wait().expect("it is written out");
    for batch in 0..6u64 {
        let ids = batch * 150..batch * 150 + 250;
        let points: Vec<Point> = ids.map(|id| point(id, fits, random)).collect();
        docs.upsert(points).wait().expect("it is written");
        docs.delete([batch * 150 + 7, batch * 150 + 9])
            .wait()
            .expect("it is deleted");
    }
    amphora_tests::opening::settle(db).expect("nothing is merged any more");
}

fn declare(docs: &Collection, fields: &[(&str, Field)]) {
    for (name, field) in fields {
        docs.add_field(*name, *field)
            .wait()
            .expect("it is declared");
    }
}

/// Waits until segments have the columns that they want, without merging them.
fn settle(db: &Database) {
    let patience = std::time::Instant::now();
    while db.stats().wanting_columns > 0 {
        assert!(patience.elapsed().as_secs() < 60, "columns are wanting");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// The names of the files of columns.
fn files(vfs: &MemoryVfs) -> Vec<String> {
    use amphora::vfs::Vfs;
    let names = vfs.list().expect("a directory").into_iter();
    names.filter(|name| name.ends_with(".col")).collect()
}
