//! The child: writes from several threads, and says what was answered, until it is killed.

use crate::plan::{Planned, THREADS, open, planned, point, schema};
use amphora::{Batch, Collection, Database, Edit, Result};
use serde_json::json;
use std::{
    io::Write,
    path::Path,
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
    thread::{self, ScopedJoinHandle},
    time::Duration,
};

/// Arguments: directory, seed, milliseconds to closing (0: never), the next operation of each thread.
pub(crate) fn run(arguments: &[String]) -> ExitCode {
    let number = |n: usize| {
        arguments[n]
            .parse::<u64>()
            .expect("the parent passes numbers")
    };
    let (seed, close_after) = (number(1), number(2));
    let db = match open(Path::new(&arguments[0])) {
        Ok(db) => db,
        Err(error) => {
            eprintln!("the child cannot open the database: {error}");
            return ExitCode::FAILURE;
        }
    };
    say("open");
    let stop = AtomicBool::new(false);
    let failed = thread::scope(|scope| {
        let writers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (db, stop) = (&db, &stop);
                let first = number(3 + thread as usize);
                scope.spawn(move || -> Result<()> {
                    for n in first.. {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        perform(db, planned(seed, thread, n), n)?;
                        say(&format!("{thread} {n}"));
                    }
                    Ok(())
                })
            })
            .collect();
        if close_after > 0 {
            thread::sleep(Duration::from_millis(close_after));
            stop.store(true, Ordering::Relaxed);
        }
        let ended = writers.into_iter().map(ScopedJoinHandle::join);
        ended
            .filter_map(|answer| answer.expect("a writer panicked").err())
            .last()
    });
    match failed.map_or_else(|| db.close().wait(), Err) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the child failed: {error}");
            ExitCode::FAILURE
        }
    }
}

/// One write for the line, so that a kill tears none.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // Without a parent there is nobody to tell.
    let _ = out.write_all(format!("{line}\n").as_bytes());
    let _ = out.flush();
}

fn perform(db: &Database, planned: Planned, n: u64) -> Result<()> {
    let find = |name: String| -> Result<Collection> { db.collection(name).wait() };
    match planned {
        Planned::Create(name) => db.create_collection(name, schema()).wait().map(drop),
        Planned::Remove(name) => db.delete_collection(name).wait(),
        Planned::Upsert(name, ids) => {
            let points = ids.into_iter().map(|id| point(id, n));
            find(name)?.upsert(points).wait()
        }
        Planned::Delete(name, ids) => find(name)?.delete(ids).wait().map(drop),
        Planned::Edit(name, ids) => find(name)?.apply(edited(ids, n)).wait().map(drop),
        Planned::Batch(parts) => {
            let mut batch = Batch::new();
            for part in parts {
                let (name, edit) = match part {
                    Planned::Upsert(name, ids) => {
                        (name, Edit::upsert(ids.into_iter().map(|id| point(id, n))))
                    }
                    Planned::Delete(name, ids) => (name, Edit::delete(ids)),
                    Planned::Edit(name, ids) => (name, edited(ids, n)),
                    _ => unreachable!("no part of a batch"),
                };
                batch = batch.edit(&find(name)?, edit);
            }
            db.write(batch).wait().map(drop)
        }
        Planned::Snapshot(name) => db.create_snapshot(name).wait().map(drop),
        Planned::Forget(name) => db.delete_snapshot(name).wait(),
        Planned::Optimize => db.optimize().wait(),
    }
}

fn edited(ids: Vec<u64>, n: u64) -> Edit {
    Edit::set_payload(ids, json!({ "edited": n }))
}
