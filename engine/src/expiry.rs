//! When a point ends by itself: a time in milliseconds, compared with the clock of the directory.

use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};

/// A time in milliseconds since 1970, or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Expiry(pub(crate) u64);

impl Expiry {
    pub(crate) const NEVER: Self = Self(u64::MAX);

    /// Before every time, so that nothing has expired.
    pub(crate) const BEGINNING: Self = Self(0);

    /// Whether a point that ends at this time has ended `now`.
    pub(crate) fn has_come(self, now: Self) -> bool {
        self <= now && now != Self::BEGINNING && self != Self::NEVER
    }

    /// Rounded down to a millisecond; what lies before 1970 is 1970.
    pub(crate) fn at(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH);
        let millis = since.unwrap_or_default().as_millis();
        Self(u64::try_from(millis).unwrap_or(u64::MAX))
    }

    /// The time; `None` for never, and for one that the system's clock cannot hold.
    pub(crate) fn time(self) -> Option<SystemTime> {
        let since = Duration::from_millis(self.0);
        (self != Self::NEVER)
            .then(|| SystemTime::UNIX_EPOCH.checked_add(since))
            .flatten()
    }
}

impl From<Option<SystemTime>> for Expiry {
    fn from(time: Option<SystemTime>) -> Self {
        time.map_or(Self::NEVER, Self::at)
    }
}

impl Default for Expiry {
    fn default() -> Self {
        Self::NEVER
    }
}
