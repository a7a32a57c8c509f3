//! Every name, in the place of every name: collections, vectors, fields, ids, payload keys.

use super::{
    names,
    surroundings::{around, differences, too_open},
};
use amphora::{
    Database, Error, ErrorKind, Field, Metric, Op, Point, Query, Result, Schema, Vector, field,
};
use amphora_tests::{
    opening::{self, Memory},
    report::Figure,
};
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeMap,
    env, fs,
    path::Path,
    process::{Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The umasks, each with how many of the names are used under it: one of so many.
const UMASKS: [(&str, usize); 3] = [("000", 1), ("022", 4), ("077", 4)];
const PATIENCE: Duration = Duration::from_secs(120);

/// Makes a place with things that must stay as they are.
pub(crate) fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().expect("a temporary directory");
    for directory in ["outside", "cwd", "outside/deeper"] {
        fs::create_dir(place.path().join(directory)).expect("room for a directory");
    }
    for file in ["outside/secret.txt", "neighbour", "cwd/here"] {
        fs::write(place.path().join(file), "keep").expect("room for a file");
    }
    place
}

pub(crate) fn run(seed: u64) -> bool {
    let mut met = true;
    for (umask, step) in UMASKS {
        let place = place();
        let data = place.path().join("data");
        let before = around(place.path(), &[&data]);
        let started = Instant::now();
        let mut child = Command::new("sh")
            .args(["-c", "umask \"$0\"; exec \"$@\"", umask])
            .arg(env::current_exe().expect("the path of this program"))
            .arg("--names")
            .args([place.path(), Path::new(&step.to_string())])
            .arg((seed % step as u64).to_string())
            .current_dir(place.path().join("cwd"))
            .stdin(Stdio::null())
            .spawn()
            .expect("a shell");
        let mut hangs = true;
        while hangs && started.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(20));
            hangs = child.try_wait().expect("it is our child").is_none();
        }
        if hangs {
            let _ = child.kill();
        }
        let well = child.wait().expect("it is our child").success();
        let escaped = differences(&before, &around(place.path(), &[&data]));
        let open = too_open(&data);
        for problem in escaped.iter().chain(&open) {
            eprintln!("umask {umask}: {problem}");
        }
        let count = names::all(&place.path().join("outside")).len() / step;
        let figure = |what: &str, value: usize| {
            let name = format!("hostile/names/umask-{umask}/{what}");
            Figure::new(name, value as f64, "count", count as u64)
        };
        let hangs = figure("hangs", usize::from(hangs));
        let figures = [
            figure("changes_outside", escaped.len()).at_most(0.0),
            figure("modes_too_open", open.len()).at_most(0.0),
            hangs.at_most(0.0),
            figure("failures_of_the_child", usize::from(!well)).at_most(0.0),
        ];
        met &= figures
            .map(Figure::print)
            .iter()
            .all(|f| f.met == Some(true));
    }
    met
}

/// What the names led to.
#[derive(Default)]
struct Tally {
    accepted: u64,
    refused: u64,
    wrong: u64,
}

impl Tally {
    /// Counts an operation with a hostile name. Refusals must be of one of these kinds.
    fn note<T: Send + 'static>(
        &mut self,
        what: &str,
        name: &str,
        op: Op<T>,
        kinds: &[ErrorKind],
    ) -> Option<T> {
        match op.wait() {
            Ok(value) => {
                self.accepted += 1;
                Some(value)
            }
            // A message may quote the beginning of a name, and escape each of its letters.
            Err(error) if kinds.contains(&error.kind()) && error.to_string().len() < 1_200 => {
                self.refused += 1;
                None
            }
            Err(error) => {
                self.wrong(what, name, &error.to_string());
                None
            }
        }
    }

    fn wrong(&mut self, what: &str, name: &str, why: &str) {
        self.wrong += 1;
        let name: String = name.chars().take(60).collect();
        eprintln!("{what} {name:?}: {why}");
    }
}

/// The child. Arguments: the place, and which of the names: one of so many, from this one on.
pub(crate) fn child(arguments: &[String]) -> ExitCode {
    let [place, step, first] = arguments else {
        return ExitCode::from(2);
    };
    let place = Path::new(place);
    let (Ok(step), Ok(first)) = (step.parse(), first.parse()) else {
        return ExitCode::from(2);
    };
    let all = names::all(&place.join("outside"));
    let names: Vec<&str> = all
        .iter()
        .skip(first)
        .step_by(step)
        .map(String::as_str)
        .collect();
    match use_all(&place.join("data"), &names) {
        Ok(tally) => {
            let n = tally.accepted + tally.refused + tally.wrong;
            let figure = |what: &str, value: u64| {
                Figure::new(
                    format!("hostile/operations/{what}"),
                    value as f64,
                    "count",
                    n,
                )
            };
            let count = Figure::new("hostile/names", names.len() as f64, "count", n);
            let least = if step == 1 { 500.0 } else { 100.0 };
            let figures = [
                count.at_least(least),
                figure("accepted", tally.accepted).at_least(1.0),
                figure("refused", tally.refused).at_least(1.0),
                figure("wrong_answers", tally.wrong).at_most(0.0),
            ];
            let missed = figures
                .map(Figure::print)
                .iter()
                .any(|f| f.met != Some(true));
            ExitCode::from(u8::from(missed))
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn use_all(path: &Path, names: &[&str]) -> Result<Tally> {
    let open = || {
        let builder = Database::builder(path).options(opening::options(Memory::Tiny));
        builder.open().wait()
    };
    let mut tally = Tally::default();
    let mut kept = BTreeMap::new();
    let db = open()?;
    let points = Schema::new().vector("v", Vector::new(2, Metric::Dot));
    let ids = db.create_collection("\u{1F3FA} ids", points).wait()?;
    for (number, name) in (0u64..).zip(names) {
        absent(&db, name, &mut tally);
        if as_collection(&db, name, number, &mut tally)? {
            kept.insert((*name).to_owned(), number);
        }
        in_schema(&db, name, number, &mut tally);
        as_id(&ids, name, &mut tally);
        as_key(&ids, name, &mut tally);
        if number % 100 == 50 {
            opening::optimize(&db)?;
        }
    }
    let known = ids.count().wait()?;
    db.close().wait()?;
    let db = open()?;
    let ids = db.collection("\u{1F3FA} ids").wait()?;
    if ids.count().wait()? != known {
        tally.wrong("after reopening", "ids", "their number differs");
    }
    let mut expected: Vec<&str> = kept.keys().map(String::as_str).collect();
    expected.push("\u{1F3FA} ids");
    expected.sort_unstable();
    if db.collections().wait()? != expected {
        tally.wrong("after reopening", "collections", "their names differ");
    }
    for (name, number) in &kept {
        let found = db.collection(name).wait()?.get(*number).wait()?;
        if found.is_none_or(|point| point.payload.get("name") != Some(&json!(name))) {
            tally.wrong("after reopening", name, "its point differs");
        }
        db.delete_collection(name).wait()?;
    }
    opening::optimize(&db)?;
    db.close().wait()?;
    Ok(tally)
}

const NOT_THERE: &[ErrorKind] = &[ErrorKind::NotFound, ErrorKind::InvalidInput];
const INVALID: &[ErrorKind] = &[ErrorKind::InvalidInput];

/// A name that nothing has: found nowhere, deleted nowhere.
fn absent(db: &Database, name: &str, tally: &mut Tally) {
    let found = tally.note("collection", name, db.collection(name), NOT_THERE);
    let deleted = tally.note(
        "delete_collection",
        name,
        db.delete_collection(name),
        NOT_THERE,
    );
    if found.is_some() || deleted.is_some() {
        tally.wrong("collection", name, "it was there before it was created");
    }
}

/// Whether there is now a collection of this name.
fn as_collection(db: &Database, name: &str, number: u64, tally: &mut Tally) -> Result<bool, Error> {
    let create = || db.create_collection(name, Schema::new());
    let Some(made) = tally.note("create_collection", name, create(), INVALID) else {
        return Ok(false);
    };
    let twin = [ErrorKind::AlreadyExists];
    if tally
        .note("create_collection", name, create(), &twin)
        .is_some()
    {
        tally.wrong("create_collection", name, "twice");
    }
    let point = Point::new(number).payload(json!({ "name": name }));
    made.upsert([point]).wait()?;
    if made.name() != name || db.collection(name).wait()?.count().wait()? != 1 {
        tally.wrong("create_collection", name, "it is another one");
    }
    if number.is_multiple_of(2) {
        return Ok(true);
    }
    db.delete_collection(name).wait()?;
    Ok(false)
}

/// As the name of a vector and of a field, and in the questions that use them.
fn in_schema(db: &Database, name: &str, number: u64, tally: &mut Tally) {
    let schema = Schema::new()
        .vector(name, Vector::new(2, Metric::Cosine))
        .field(name, Field::Keyword);
    let own = format!("schema {number}");
    let made = tally.note("schema", name, db.create_collection(&*own, schema), INVALID);
    let Some(made) = made else {
        return;
    };
    let mut payload = Map::new();
    payload.insert(name.to_owned(), json!(name));
    let point = Point::new(name).vector(name, [1.0, 0.0]).payload(payload);
    let written = tally.note("upsert", name, made.upsert([point]), INVALID);
    let query = Query::nearest(name, [1.0, 0.0]).filter(field(name).eq(name));
    if let Some(hits) = tally.note("search", name, made.search(query), INVALID)
        && hits.len() != usize::from(written.is_some())
    {
        tally.wrong("search", name, "it does not find what was written");
    }
    let _ = tally.note("delete_collection", name, db.delete_collection(own), &[]);
}

fn as_id(ids: &amphora::Collection, name: &str, tally: &mut Tally) {
    let payload = json!({ "id": name });
    let written = ids.upsert([Point::new(name).payload(payload.clone())]);
    let written = tally.note("upsert", name, written, INVALID).is_some();
    let found = tally.note("get", name, ids.get(name), INVALID).flatten();
    if found.map(|point| point.payload.to_value()) != written.then_some(payload) {
        tally.wrong("get", name, "it is not what was written");
    }
    drop(tally.note("get_many", name, ids.get_many([name, "absent"]), INVALID));
    if name.len().is_multiple_of(2)
        && let Some(count) = tally.note("delete", name, ids.delete([name]), INVALID)
        && count != u64::from(written)
    {
        tally.wrong("delete", name, "it was not there");
    }
    let query = Query::nearest(name, [1.0, 0.0]);
    drop(tally.note("search", name, ids.search(query), INVALID));
}

fn as_key(ids: &amphora::Collection, name: &str, tally: &mut Tally) {
    let value = json!({ name: name, "nested": { name: [{ name: 1 }] } });
    let point = Point::new("payload").payload(value.clone());
    if tally
        .note("upsert", name, ids.upsert([point]), INVALID)
        .is_some()
    {
        let found = tally.note("get", name, ids.get("payload"), &[]).flatten();
        if found.map(|point| point.payload.to_value()) != Some(value) {
            tally.wrong("payload", name, "it is not what was written");
        }
        let filter = field(name).eq(name) & !field(format!("nested.{name}")).eq(Value::from(2));
        let _ = tally.note("count_matching", name, ids.count_matching(filter), INVALID);
    }
}
