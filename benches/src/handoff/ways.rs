//! The ways to hand a closure over: ours, and what people write without it.
//!
//! Each has two threads, and each answers by what comes natural to it.

use super::{Work, runtimes::Runtime};
use amphora::{Lane, PoolOptions, Pools};
use futures::channel::oneshot;
use std::{
    cell::RefCell,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};
use tokio::sync::mpsc;

type Job = Box<dyn FnOnce() + Send>;

const THREADS: usize = 2;
const QUEUE: usize = 1_024;

#[derive(Clone)]
pub(crate) enum Way {
    Direct,
    Amphora(Pools),
    Rayon(Arc<rayon::ThreadPool>),
    Crossbeam(crossbeam_channel::Sender<Job>),
    AsyncChannel(async_channel::Sender<Job>),
    /// With a number that no other has.
    ThreadPool(usize, Arc<Mutex<threadpool::ThreadPool>>),
    Unblock,
    SpawnBlocking,
    /// A runtime of its own, in which a loop over a bounded channel spawns a task per request.
    MpscLoop {
        requests: mpsc::Sender<Request>,
        _runtime: Arc<tokio::runtime::Runtime>,
    },
}

/// What the loop receives.
pub(crate) type Request = (Work, oneshot::Sender<()>);

impl Way {
    /// All that can run under this runtime.
    pub(crate) fn under(runtime: Runtime) -> Vec<Self> {
        let options = PoolOptions {
            search_threads: THREADS,
            queue: QUEUE,
            ..PoolOptions::default()
        };
        let rayon = rayon::ThreadPoolBuilder::new().num_threads(THREADS).build();
        let (crossbeam, jobs) = crossbeam_channel::bounded::<Job>(QUEUE);
        for _ in 0..THREADS {
            let jobs = jobs.clone();
            thread::spawn(move || jobs.iter().for_each(|job| job()));
        }
        let (channel, jobs) = async_channel::bounded::<Job>(QUEUE);
        for _ in 0..THREADS {
            let jobs = jobs.clone();
            thread::spawn(move || {
                while let Ok(job) = jobs.recv_blocking() {
                    job();
                }
            });
        }
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let mut ways = vec![
            Self::Direct,
            Self::Amphora(Pools::new(&options).expect("a private set of pools")),
            Self::Rayon(Arc::new(rayon.expect("a rayon pool"))),
            Self::Crossbeam(crossbeam),
            Self::AsyncChannel(channel),
            Self::ThreadPool(
                NEXT.fetch_add(1, Ordering::Relaxed),
                Arc::new(Mutex::new(threadpool::ThreadPool::new(THREADS))),
            ),
            Self::Unblock,
            mpsc_loop(),
        ];
        if runtime.is_tokio() {
            ways.push(Self::SpawnBlocking);
        }
        ways
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Amphora(_) => "amphora",
            Self::Rayon(_) => "rayon",
            Self::Crossbeam(_) => "crossbeam",
            Self::AsyncChannel(_) => "async-channel",
            Self::ThreadPool(..) => "threadpool",
            Self::Unblock => "unblock",
            Self::SpawnBlocking => "spawn_blocking",
            Self::MpscLoop { .. } => "mpsc-loop",
        }
    }

    /// Whether it hands the closure over, and is not ours.
    pub(crate) fn is_peer(&self) -> bool {
        !matches!(self, Self::Direct | Self::Amphora(_))
    }

    pub(crate) async fn call(&self, work: Work) {
        match self {
            Self::Direct => work.run(),
            Self::Amphora(pools) => {
                let done = pools.run(Lane::Search, move || work.run()).await;
                done.expect("it runs");
            }
            Self::Rayon(pool) => answered(work, |job| pool.spawn(job)).await,
            Self::Crossbeam(queue) => {
                answered(work, |job| {
                    queue.send(job).expect("the threads are there");
                })
                .await;
            }
            Self::AsyncChannel(queue) => {
                let (job, answer) = job(work);
                queue.send(job).await.expect("the threads are there");
                answer.await.expect("it answers");
            }
            Self::ThreadPool(number, pool) => {
                thread_local! {
                    /// The pool is `Send` and not `Sync`: each thread has a handle of its own.
                    static HANDLE: RefCell<Option<(usize, threadpool::ThreadPool)>> =
                        const { RefCell::new(None) };
                }
                answered(work, |job| {
                    HANDLE.with_borrow_mut(|handle| {
                        if handle.as_ref().is_none_or(|(known, _)| known != number) {
                            let pool = pool.lock().expect("no panic while it is held").clone();
                            *handle = Some((*number, pool));
                        }
                        if let Some((_, pool)) = handle {
                            pool.execute(job);
                        }
                    });
                })
                .await;
            }
            Self::Unblock => blocking::unblock(move || work.run()).await,
            Self::SpawnBlocking => {
                let task = tokio::task::spawn_blocking(move || work.run());
                task.await.expect("it does not panic");
            }
            Self::MpscLoop { requests, .. } => {
                let (answer, answered) = oneshot::channel();
                let sent = requests.send((work, answer)).await;
                sent.expect("the loop is there");
                answered.await.expect("it answers");
            }
        }
    }
}

fn mpsc_loop() -> Way {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .build()
        .expect("a tokio runtime");
    let (requests, mut received) = mpsc::channel::<Request>(QUEUE);
    runtime.spawn(async move {
        while let Some((work, answer)) = received.recv().await {
            tokio::spawn(async move {
                work.run();
                let _ = answer.send(());
            });
        }
    });
    Way::MpscLoop {
        requests,
        _runtime: Arc::new(runtime),
    }
}

fn job(work: Work) -> (Job, oneshot::Receiver<()>) {
    let (answer, answered) = oneshot::channel();
    let job = Box::new(move || {
        work.run();
        let _ = answer.send(());
    });
    (job, answered)
}

async fn answered(work: Work, submit: impl FnOnce(Job)) {
    let (job, answer) = job(work);
    submit(job);
    answer.await.expect("it answers");
}
