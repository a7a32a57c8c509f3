//! A gate that holds up whoever comes to it until a test opens it: a job, or a disk that hangs.

use crate::layer::{Kind, Layer, Layered};
use amphora::vfs::Vfs;
use std::{
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// A gate, open at first. Clones are one gate.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug, Default)]
struct State {
    shut: bool,
    /// How often it was opened: who came before is let go, even if it is shut again at once.
    opened: u64,
    waiting: usize,
}

impl Gate {
    /// A gate that is shut.
    #[must_use]
    pub fn shut() -> Self {
        let gate = Self::default();
        gate.close();
        gate
    }

    /// From now on whoever comes waits.
    pub fn close(&self) {
        self.state().shut = true;
    }

    /// Lets all go on who wait, and all who come.
    pub fn open(&self) {
        let mut state = self.state();
        state.shut = false;
        state.opened += 1;
        state.waiting = 0;
        self.0.1.notify_all();
    }

    /// Opens it when the guard is dropped, also by a panic: whoever waits here may be waited for.
    #[must_use = "dropped at once, it opens the gate at once"]
    pub fn opened_at_end(&self) -> OpenedAtEnd {
        OpenedAtEnd(self.clone())
    }

    /// Blocks while it is shut.
    pub fn pass(&self) {
        let mut state = self.state();
        if !state.shut {
            return;
        }
        state.waiting += 1;
        self.0.1.notify_all();
        let came = state.opened;
        while state.opened == came {
            let woken = self.0.1.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns once somebody waits at it.
    ///
    /// # Panics
    /// When nobody comes for 10 seconds.
    pub fn wait_for_arrival(&self) {
        let until = Instant::now() + Duration::from_secs(10);
        let mut state = self.state();
        while state.waiting == 0 {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "nobody came to the gate");
            let woken = self.0.1.wait_timeout(state, left);
            (state, _) = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Opens its gate when it is dropped.
#[derive(Debug)]
pub struct OpenedAtEnd(Gate);

impl Drop for OpenedAtEnd {
    fn drop(&mut self) {
        self.0.open();
    }
}

/// A directory whose syncs go through a gate: shut, it is a disk that hangs.
pub type GatedVfs = Layered<Gate>;

impl GatedVfs {
    /// The directory `below` behind `gate`.
    pub fn new(below: impl Vfs + 'static, gate: &Gate) -> Self {
        Self::on(below, gate.clone())
    }
}

impl Layer for Gate {
    type File = ();

    fn call<T>(&self, kind: Kind, make: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        if kind == Kind::Sync {
            self.pass();
        }
        make()
    }
}
