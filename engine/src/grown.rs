//! Indexes in memory over the rows of one part, by number: made as far as somebody asks, by whoever
//! asks.
//!
//! Writes pay nothing for them, and who only loads pays in the background. What an index is made of
//! is its owner's matter; here it lies while nobody adds to it.

use crate::{
    cancel::Cancel,
    error::Result,
    sync::{Mutex, lock},
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Condvar, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Who waits for another's work asks this often whether to go on waiting.
const ASK: Duration = Duration::from_millis(5);

/// An index that grows.
pub(crate) trait Grow {
    /// About how much memory it takes. It never falls.
    fn bytes(&self) -> usize;
}

/// The indexes over the rows of one part, by their numbers.
#[derive(Debug)]
pub(crate) struct Grown<T> {
    places: Mutex<BTreeMap<u32, Arc<Place<T>>>>,
    /// About how much memory they take.
    bytes: AtomicUsize,
}

/// Where one of them is, while nobody adds to it.
#[derive(Debug)]
struct Place<T> {
    index: Mutex<Option<T>>,
    returned: Condvar,
}

/// One that was taken, and goes back whatever happens.
struct Taken<'a, T> {
    place: &'a Place<T>,
    index: Option<T>,
}

impl<T> Default for Grown<T> {
    fn default() -> Self {
        Self {
            places: Mutex::default(),
            bytes: AtomicUsize::new(0),
        }
    }
}

impl<T: Grow> Grown<T> {
    /// Has the index of this number to itself, which `new` makes if there is none yet.
    ///
    /// # Errors
    /// Those of `new`, and `Cancelled`, also while another one is at work.
    pub(crate) fn with<R>(
        &self,
        number: u32,
        new: impl FnOnce() -> Result<T>,
        cancel: &Cancel,
        grow: impl FnOnce(&mut T) -> R,
    ) -> Result<R> {
        let place = self.place(number, new)?;
        let mut taken = Taken {
            index: None,
            place: &place,
        };
        let index = taken.index.insert(place.take(cancel)?);
        let before = index.bytes();
        let grown = grow(index);
        let more = index.bytes().saturating_sub(before);
        self.bytes.fetch_add(more, Ordering::Relaxed);
        Ok(grown)
    }

    /// About how much memory they take.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    fn place(&self, number: u32, new: impl FnOnce() -> Result<T>) -> Result<Arc<Place<T>>> {
        let mut places = lock(&self.places);
        if let Some(place) = places.get(&number) {
            return Ok(Arc::clone(place));
        }
        let place = Arc::new(Place {
            index: Mutex::new(Some(new()?)),
            returned: Condvar::new(),
        });
        places.insert(number, Arc::clone(&place));
        Ok(place)
    }
}

impl<T> Place<T> {
    /// Waits for who has it: they do what would have to be done here.
    fn take(&self, cancel: &Cancel) -> Result<T> {
        let mut place = lock(&self.index);
        loop {
            if let Some(index) = place.take() {
                return Ok(index);
            }
            cancel.check()?;
            let waited = self.returned.wait_timeout(place, ASK);
            place = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl<T> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        if let Some(index) = self.index.take() {
            *lock(&self.place.index) = Some(index);
            self.place.returned.notify_one();
        }
    }
}
