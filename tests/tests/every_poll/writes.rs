//! Writes that are dropped: each is there whole or not at all, at once and after the queue.

use super::{barrier, batch, every_poll, schema, whole};
use amphora::{Collection, Database, ErrorKind, Point};

/// Leaves a collection `docs` behind.
pub(crate) async fn check(db: &Database) {
    let docs = db.create_collection("docs", schema()).await.unwrap();
    // The second is prepared on a pool, the first is not.
    for size in [5, 200] {
        upserts(&docs, size).await;
        deletes(&docs, size).await;
    }
    created_collections(db, &docs).await;
    deleted_collections(db, &docs).await;
    docs.upsert(batch(100, 1)).await.unwrap();
}

async fn upserts(docs: &Collection, size: u64) {
    let mut stands = 0;
    every_poll(
        |round| docs.upsert(batch(size, round)),
        |round, answer| {
            let seen = whole(docs, size);
            assert!([stands, round].contains(&seen), "{seen} in round {round}");
            barrier(docs).wait().unwrap();
            stands = whole(docs, size);
            assert!(stands == round || stands < round && stands == seen);
            if let Some(answer) = answer {
                answer.unwrap();
                assert_eq!(stands, round);
            }
        },
    )
    .await;
}

async fn deletes(docs: &Collection, size: u64) {
    every_poll(
        |round| {
            docs.upsert(batch(size, round)).wait().unwrap();
            docs.delete(0..size)
        },
        |round, answer| {
            let seen = whole(docs, size);
            barrier(docs).wait().unwrap();
            let stands = whole(docs, size);
            assert!([0, round].contains(&stands) && stands <= seen);
            if let Some(answer) = answer {
                assert_eq!((answer.unwrap(), stands), (size, 0));
            }
        },
    )
    .await;
}

async fn created_collections(db: &Database, docs: &Collection) {
    let name = |round| format!("created {round}");
    every_poll(
        |round| db.create_collection(name(round), schema()),
        |round, answer| {
            barrier(docs).wait().unwrap();
            let made = db.collection(name(round)).wait();
            if let Some(answer) = answer {
                assert_eq!(answer.unwrap().name(), made.as_ref().unwrap().name());
            }
            match made {
                Ok(made) => {
                    made.upsert([Point::new(1)]).wait().unwrap();
                    assert_eq!(made.count().wait().unwrap(), 1);
                    db.delete_collection(name(round)).wait().unwrap();
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound),
            }
        },
    )
    .await;
    assert_eq!(db.collections().await.unwrap(), ["docs"]);
}

async fn deleted_collections(db: &Database, docs: &Collection) {
    let name = |round| format!("deleted {round}");
    every_poll(
        |round| {
            let made = db.create_collection(name(round), schema()).wait().unwrap();
            made.upsert(batch(3, round)).wait().unwrap();
            db.delete_collection(name(round))
        },
        |round, answer| {
            barrier(docs).wait().unwrap();
            let ended = answer.map(Result::unwrap).is_some();
            match db.collection(name(round)).wait() {
                Ok(left) => {
                    assert!(!ended);
                    assert_eq!(whole(&left, 3), round);
                    db.delete_collection(name(round)).wait().unwrap();
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound),
            }
        },
    )
    .await;
    assert_eq!(db.collections().await.unwrap(), ["docs"]);
}
