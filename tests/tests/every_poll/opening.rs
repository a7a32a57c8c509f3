//! Openings and closings that are dropped: the directory can be opened again at once, and holds
//! what was acknowledged.

use super::{every_poll, schema, tiny};
use amphora::{Database, ErrorKind, Point};
use amphora_tests::runtimes::Way;
use std::{path::Path, sync::Mutex};

/// `path` holds a database that is closed.
pub(crate) async fn check(way: Way, path: &Path) {
    let reopened = |path: &Path| {
        let builder = Database::builder(path).options(tiny());
        builder.open().wait().unwrap()
    };
    let opening = |path: &Path| way.builder(path).unwrap().options(tiny()).open();

    every_poll(
        |_| opening(path),
        |_, answer| {
            // With the last handle, if it ended.
            drop(answer.map(Result::unwrap));
            let db = reopened(path);
            assert_eq!(db.collections().wait().unwrap(), ["docs"]);
            db.close().wait().unwrap();
        },
    )
    .await;

    let new = |round| path.with_file_name(format!("new {round}"));
    every_poll(
        |round| opening(&new(round)),
        |round, answer| {
            drop(answer.map(Result::unwrap));
            let db = reopened(&new(round));
            assert!(db.collections().wait().unwrap().is_empty());
            db.close().wait().unwrap();
        },
    )
    .await;

    let left = Mutex::new(None);
    let closing = path.with_file_name("closing");
    every_poll(
        |round| {
            let db = reopened(&closing);
            if round == 1 {
                db.create_collection("docs", schema()).wait().unwrap();
            }
            let docs = db.collection("docs").wait().unwrap();
            docs.upsert([Point::new(round)]).wait().unwrap();
            let close = db.close();
            *left.lock().unwrap() = Some(db);
            close
        },
        |round, answer| {
            let db = left.lock().unwrap().take().unwrap();
            let open = db.collections().wait();
            if let Some(answer) = answer {
                answer.unwrap();
                assert_eq!(open.as_ref().unwrap_err().kind(), ErrorKind::Closed);
            }
            if let Err(error) = open {
                assert_eq!(error.kind(), ErrorKind::Closed);
            }
            drop(db);
            let db = reopened(&closing);
            let docs = db.collection("docs").wait().unwrap();
            assert_eq!(docs.count().wait().unwrap(), round);
            drop((db, docs));
        },
    )
    .await;
}
