//! Expired points in segments: their rows are ended, so that merges drop them like deleted ones.
//!
//! No read depends on it: until then each looks at the time itself. Nothing is logged, since a
//! row that expired has ended whatever is noted of it.

use super::tables::{Expired, Tables};
use crate::{
    cancel::Cancel,
    error::{ErrorKind, Result},
    expiry::Expiry,
    id::CollectionId,
    op::{Inline, Op},
    pool::Entrance,
    view::OpenSegment,
};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

/// How long at least between two sweeps.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Sweep {
    lane: Entrance,
    job: Option<Op<Vec<Expired>>>,
    not_before: Instant,
}

impl Sweep {
    pub(super) fn new(lane: Entrance) -> Self {
        Self {
            lane,
            job: None,
            not_before: Instant::now(),
        }
    }

    /// Goes on, and gives what was found to have expired.
    pub(super) fn advance(
        &mut self,
        tables: &Tables,
        now: impl Fn() -> Expiry,
        context: &mut Context<'_>,
    ) -> Vec<Expired> {
        if self.job.is_none() {
            self.begin(tables, now);
        }
        let Some(job) = &mut self.job else {
            return Vec::new();
        };
        match Pin::new(job).poll(context) {
            Poll::Pending => Vec::new(),
            Poll::Ready(found) => {
                self.job = None;
                found.unwrap_or_else(|error| {
                    tracing::warn!(%error, "expired points were not looked for");
                    Vec::new()
                })
            }
        }
    }

    /// When to go on if nothing else happens before.
    pub(super) fn due(&self, tables: &Tables, now: impl Fn() -> Expiry) -> Option<Instant> {
        let next = tables.next_expiry();
        if next == Expiry::NEVER || self.job.is_some() {
            return None;
        }
        let wait = Duration::from_millis(next.0.saturating_sub(now().0));
        Some(Instant::now().checked_add(wait)?.max(self.not_before))
    }

    fn begin(&mut self, tables: &Tables, now: impl Fn() -> Expiry) {
        let next = tables.next_expiry();
        if next == Expiry::NEVER || Instant::now() < self.not_before {
            return;
        }
        let now = now();
        if !next.has_come(now) {
            return;
        }
        self.not_before = Instant::now() + PAUSE;
        let due = tables.expiring(now);
        self.job = Some(Op::job(self.lane.clone(), Inline::Never, move |cancel| {
            due.iter()
                .map(|(collection, segment)| look(*collection, segment, now, cancel))
                .collect()
        }));
    }
}

fn look(
    collection: CollectionId,
    segment: &Arc<OpenSegment>,
    now: Expiry,
    cancel: &Cancel,
) -> Result<Expired> {
    let mut found = Expired {
        collection,
        file: segment.file,
        rows: Vec::new(),
        next: Expiry::NEVER,
    };
    let looked = look_at_rows(segment, now, &mut found, cancel);
    match looked {
        // Reads say so too; there is nothing to be swept in it.
        Err(error) if error.kind() == ErrorKind::Corrupted => {
            tracing::error!(%error, "what has expired in a segment cannot be told");
            Ok(found)
        }
        looked => looked.map(|()| found),
    }
}

fn look_at_rows(
    segment: &OpenSegment,
    now: Expiry,
    found: &mut Expired,
    cancel: &Cancel,
) -> Result<()> {
    for row in 0..segment.segment.rows() {
        cancel.check_at(row)?;
        if segment.deletes.ended(row).is_some() {
            continue;
        }
        let expiry = segment.segment.expiry(row)?;
        if expiry.has_come(now) {
            found.rows.push(row);
        } else {
            found.next = found.next.min(expiry);
        }
    }
    Ok(())
}
