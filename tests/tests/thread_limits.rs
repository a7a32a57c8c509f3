//! Threads that cannot be started: an error that says so, and nothing else lost.

use amphora::{ErrorKind, Lane, PoolOptions, Pools};
use std::{env, process::Command};

const CHILD: &str = "AMPHORA_THREAD_LIMITS_CHILD";

/// In a process whose address space has no room for the stacks of a thousand threads.
#[test]
fn pools_that_cannot_start_their_threads_are_an_error() {
    if env::var_os(CHILD).is_some() {
        return too_many_threads();
    }
    if cfg!(not(target_os = "linux")) {
        eprintln!("skipped: address space is limited by the shell of Linux");
        return;
    }
    let test = "pools_that_cannot_start_their_threads_are_an_error";
    let child = Command::new("sh")
        .args(["-c", "ulimit -v 1000000; exec \"$0\" \"$@\""])
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "yes")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{}: {said}", child.status);
}

fn too_many_threads() {
    let few = PoolOptions {
        search_threads: 1,
        update_threads: 1,
        io_threads: 1,
        queue: 4,
    };
    let before = Pools::new(&few).unwrap();
    let many = PoolOptions {
        search_threads: PoolOptions::MAX_THREADS,
        ..few
    };
    let error = Pools::new(&many).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    assert!(error.to_string().contains("1024 threads"), "{error}");
    assert_eq!(before.run(Lane::Io, || 42).wait().unwrap(), 42);
}
