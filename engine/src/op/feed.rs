//! A sequence of results, fetched page by page while it is read.
//!
//! Each page is an [`Op`] of its own, so that a feed holds neither a thread nor a place in a queue
//! between pages, and its memory is one page.

use super::Op;
use crate::{cancel::CancelToken, error::Result};
use futures_core::Stream;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
    vec,
};

/// Many results, one after another: a [`Stream`] to await, and an [`IntoIterator`] to wait for.
///
/// It is no `Iterator` itself: `next` and `map` would then be ambiguous for everyone who imports
/// the methods of a stream. After an error there are no more items.
///
/// # Cancel safety
/// Dropping a feed cancels the page that is under way; what was yielded before stays true.
///
/// ```
/// use amphora::{Database, Point, Schema, vfs::MemoryVfs};
///
/// let db = Database::builder_on(MemoryVfs::new()).open().wait()?;
/// let docs = db.create_collection("docs", Schema::new()).wait()?;
/// docs.upsert([Point::new(1), Point::new(2)]).wait()?;
///
/// let ids: Vec<_> = docs.scroll().into_iter().map(|point| Ok(point?.id)).collect::<Result<_, amphora::Error>>()?;
/// assert_eq!(ids, [1.into(), 2.into()]);
/// # Ok::<_, amphora::Error>(())
/// ```
#[must_use = "a feed does nothing until it is read"]
pub struct Feed<T> {
    /// Makes the operation that fetches the page at a cursor.
    fetch: Box<dyn FnMut(u64) -> Op<Page<T>> + Send>,
    /// Where the next page starts; `None` after the last.
    cursor: Option<u64>,
    fetching: Option<Op<Page<T>>>,
    page: vec::IntoIter<T>,
    timeout: Option<Duration>,
    token: Option<CancelToken>,
}

/// Some results, and where the next are; `None` after the last.
pub(crate) type Page<T> = (Vec<T>, Option<u64>);

impl<T: Send + 'static> Feed<T> {
    pub(crate) fn new(fetch: impl FnMut(u64) -> Op<Page<T>> + Send + 'static) -> Self {
        Self {
            fetch: Box::new(fetch),
            cursor: Some(0),
            fetching: None,
            page: Vec::new().into_iter(),
            timeout: None,
            token: None,
        }
    }

    /// The deadline of each page.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Ends the feed with `Cancelled` when `token` is cancelled.
    pub fn cancel_on(mut self, token: &CancelToken) -> Self {
        self.token = Some(token.clone());
        self
    }

    /// The operation for the next page; `None` after the last.
    fn start(&mut self) -> Option<Op<Page<T>>> {
        let mut op = (self.fetch)(self.cursor.take()?);
        if let Some(timeout) = self.timeout {
            op = op.timeout(timeout);
        }
        if let Some(token) = &self.token {
            op = op.cancel_on(token);
        }
        Some(op)
    }

    fn turn(&mut self, (items, next): Page<T>) {
        self.page = items.into_iter();
        self.cursor = next;
    }
}

impl<T: Send + Unpin + 'static> Stream for Feed<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        loop {
            if let Some(item) = self.page.next() {
                return Poll::Ready(Some(Ok(item)));
            }
            if self.fetching.is_none() {
                self.fetching = self.start();
            }
            let Some(op) = &mut self.fetching else {
                return Poll::Ready(None);
            };
            let fetched = ready!(Pin::new(op).poll(context));
            self.fetching = None;
            match fetched {
                Ok(page) => self.turn(page),
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }
}

impl<T: Send + 'static> IntoIterator for Feed<T> {
    type Item = Result<T>;
    type IntoIter = IntoIter<T>;

    /// Reads it on this thread, each page as by [`Op::wait`].
    fn into_iter(self) -> IntoIter<T> {
        IntoIter(self)
    }
}

/// Reads a [`Feed`] on the calling thread.
#[derive(Debug)]
pub struct IntoIter<T>(Feed<T>);

impl<T: Send + 'static> Iterator for IntoIter<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        let feed = &mut self.0;
        loop {
            if let Some(item) = feed.page.next() {
                return Some(Ok(item));
            }
            let op = feed.fetching.take().or_else(|| feed.start())?;
            match op.wait() {
                Ok(page) => feed.turn(page),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl<T> fmt::Debug for Feed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed")
            .field("cursor", &self.cursor)
            .field("ready", &self.page.len())
            .finish()
    }
}
