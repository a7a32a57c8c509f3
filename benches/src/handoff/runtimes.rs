//! The runtimes, and how one or many callers run under each.

use super::{Work, ways::Way};
use futures::{StreamExt, stream::FuturesUnordered};
use std::{future::Future, time::Instant};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runtime {
    TokioCurrentThread,
    TokioMultiThread,
    Smol,
    BlockOn,
}

impl Runtime {
    pub(crate) const ALL: [Self; 4] = [
        Self::TokioCurrentThread,
        Self::TokioMultiThread,
        Self::Smol,
        Self::BlockOn,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::TokioCurrentThread => "tokio-ct",
            Self::TokioMultiThread => "tokio-mt",
            Self::Smol => "smol",
            Self::BlockOn => "block_on",
        }
    }

    pub(crate) fn is_tokio(self) -> bool {
        matches!(self, Self::TokioCurrentThread | Self::TokioMultiThread)
    }

    /// Microseconds of each of `calls` round trips of a single caller.
    pub(crate) fn latencies(self, way: &Way, work: Work, calls: usize) -> Vec<f64> {
        let way = way.clone();
        self.run(async move {
            let mut latencies = Vec::with_capacity(calls);
            // The first ones warm it up.
            for call in 0..calls + calls / 10 {
                let started = Instant::now();
                way.call(work).await;
                if call >= calls / 10 {
                    latencies.push(started.elapsed().as_secs_f64() * 1e6);
                }
            }
            latencies
        })
    }

    /// Seconds that `callers` take for `each` round trips apiece.
    pub(crate) fn seconds(self, way: &Way, work: Work, callers: usize, each: usize) -> f64 {
        let caller = move |way: Way| async move {
            for _ in 0..each {
                way.call(work).await;
            }
        };
        let way = way.clone();
        match self {
            Self::TokioCurrentThread | Self::TokioMultiThread => self.run(async move {
                let started = Instant::now();
                let tasks: Vec<_> = (0..callers)
                    .map(|_| tokio::spawn(caller(way.clone())))
                    .collect();
                for task in tasks {
                    task.await.expect("a caller does not panic");
                }
                started.elapsed().as_secs_f64()
            }),
            Self::Smol => {
                let executor = smol::Executor::new();
                let started = Instant::now();
                let tasks: Vec<_> = (0..callers)
                    .map(|_| executor.spawn(caller(way.clone())))
                    .collect();
                smol::block_on(executor.run(async {
                    for task in tasks {
                        task.await;
                    }
                }));
                started.elapsed().as_secs_f64()
            }
            Self::BlockOn => {
                let started = Instant::now();
                let callers: FuturesUnordered<_> =
                    (0..callers).map(|_| caller(way.clone())).collect();
                futures::executor::block_on(callers.collect::<Vec<()>>());
                started.elapsed().as_secs_f64()
            }
        }
    }

    fn run<T: Send + 'static>(self, future: impl Future<Output = T> + Send + 'static) -> T {
        let tokio = |mut builder: tokio::runtime::Builder| {
            builder.enable_all().build().expect("a tokio runtime")
        };
        match self {
            Self::TokioCurrentThread => {
                tokio(tokio::runtime::Builder::new_current_thread()).block_on(future)
            }
            // On a worker, where applications run, not on the thread that called `block_on`.
            Self::TokioMultiThread => {
                let runtime = tokio(tokio::runtime::Builder::new_multi_thread());
                let task = runtime.spawn(future);
                runtime.block_on(task).expect("the bench does not panic")
            }
            Self::Smol => smol::block_on(future),
            Self::BlockOn => futures::executor::block_on(future),
        }
    }
}
