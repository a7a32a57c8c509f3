//! What each adapter gives the engine: a place for a future, and a clock.

use amphora::Executor;
use amphora_smol::SmolExecutor;
use amphora_tests::runtimes::{Way, current_thread_tokio, within};
use amphora_tokio::TokioExecutor;
use futures::channel::oneshot;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

fn executor(way: Way) -> Arc<dyn Executor> {
    match way {
        Way::TokioCurrentThread | Way::TokioMultiThread | Way::WaitInTokio => {
            Arc::new(TokioExecutor::current().unwrap())
        }
        Way::Smol => Arc::new(SmolExecutor::global()),
        Way::AsyncStd | Way::FuturesBlockOn | Way::Pollster | Way::Thread => {
            Arc::new(amphora_blocking::BlockingExecutor)
        }
    }
}

#[test]
fn a_spawned_future_runs_and_a_sleeper_wakes() {
    const NAP: Duration = Duration::from_millis(30);
    for way in Way::ASYNC {
        within(Duration::from_secs(20), "an executor", move || {
            way.run(async move {
                let executor = executor(way);
                let (sender, answer) = oneshot::channel();
                let inner = Arc::clone(&executor);
                let started = Instant::now();
                executor.spawn(Box::pin(async move {
                    inner.sleep(NAP).await;
                    sender.send(started.elapsed()).unwrap();
                }));
                assert!(answer.await.unwrap() >= NAP, "{way:?}");
                executor.sleep(Duration::ZERO).await;
                drop(executor.sleep(Duration::MAX));
            });
        });
    }
}

#[test]
fn a_future_that_is_spawned_too_late_is_dropped() {
    let runtime = current_thread_tokio();
    let executor = TokioExecutor::new(runtime.handle().clone()).unwrap();
    drop(runtime);
    let (sender, answer) = oneshot::channel::<()>();
    executor.spawn(Box::pin(async move { sender.send(()).unwrap() }));
    assert!(pollster::block_on(answer).is_err());
}

#[test]
fn a_future_is_spawned_on_the_smol_executor_that_was_given() {
    let given = Arc::new(smol::Executor::new());
    let (sender, mut answer) = oneshot::channel();
    SmolExecutor::new(&given).spawn(Box::pin(async move { sender.send(7).unwrap() }));
    assert!(answer.try_recv().unwrap().is_none(), "nobody runs it yet");
    assert_eq!(smol::block_on(given.run(answer)).unwrap(), 7);
}
