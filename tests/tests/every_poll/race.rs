//! A token that is cancelled in the very moment in which the commit thread takes the write.

use super::{alone, barrier, schema};
use amphora::{CancelToken, Database, ErrorKind, vfs::MemoryVfs};
use amphora_tests::runtimes::within;
use std::{
    future::Future,
    hint,
    pin::Pin,
    task::{Context, Waker},
    time::Duration,
};

/// Either the write was taken first and completes, or the token was first and it has no effect;
/// in no case does the caller's poll panic.
#[test]
fn a_write_is_cancelled_or_completed() {
    let _alone = alone();
    within(Duration::from_secs(60), "a cancelled write", || {
        let db = Database::builder_on(MemoryVfs::new())
            .open()
            .wait()
            .unwrap();
        let docs = db.create_collection("docs", schema()).wait().unwrap();
        let mut context = Context::from_waker(Waker::noop());
        let (mut cancelled, mut completed) = (0, 0);
        for round in 0..30_000 {
            let token = CancelToken::new();
            let mut op = docs.delete([1]).cancel_on(&token);
            // Sends it. The commit thread looks for it on the other processor.
            if Pin::new(&mut op).poll(&mut context).is_ready() {
                continue;
            }
            (0..round % 50).for_each(|_| hint::spin_loop());
            token.cancel();
            match op.wait() {
                Ok(_) => completed += 1,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Cancelled);
                    cancelled += 1;
                }
            }
        }
        println!("{cancelled} cancelled, {completed} completed");
        barrier(&docs).wait().unwrap();
    });
}
