//! The clock that points expire by.

use crate::{expiry::Expiry, vfs::Vfs};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

/// The clock of the directory, which never goes back: what has expired stays so.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    /// The system's clock without one.
    vfs: Option<Arc<dyn Vfs>>,
    latest: AtomicU64,
}

impl Clock {
    pub(super) fn new(vfs: Arc<dyn Vfs>) -> Self {
        Self {
            vfs: Some(vfs),
            latest: AtomicU64::new(0),
        }
    }

    pub(super) fn now(&self) -> Expiry {
        let vfs = self.vfs.as_ref();
        let now = Expiry::at(vfs.map_or_else(SystemTime::now, |vfs| vfs.now()));
        let latest = self.latest.fetch_max(now.0, Ordering::Relaxed);
        now.max(Expiry(latest))
    }
}
