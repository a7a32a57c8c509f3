//! Those who wait for everything to be merged: what they are told meanwhile, and at the end.

use super::{
    committer::Committer,
    write::{Applied, OptimizeProgress, Request, Write},
};
use std::time::{Duration, Instant};

/// How often is looked how far an index is that is being built.
const REPORT: Duration = Duration::from_millis(100);

impl Committer {
    /// Tells those who wait for everything to be merged how far it is, when that has changed.
    pub(super) fn report_progress(&mut self) {
        if self.optimizing.is_empty() {
            return;
        }
        let (linked_vectors, vectors_to_link) = self.upkeep.linked();
        let progress = OptimizeProgress {
            memory_bytes: self.tables.memory_bytes() as u64,
            segments: self.tables.all().map(|table| table.segments.len()).sum(),
            collections: self.tables.all().count(),
            wanting_indexes: self.upkeep.wanting_indexes(&self.tables),
            wanting_columns: self.upkeep.wanting_columns(&self.tables),
            linked_vectors,
            vectors_to_link,
        };
        if self.progress.replace(progress) == Some(progress) {
            return;
        }
        for write in &self.optimizing {
            if let Request::Optimize(Some(listener)) = &write.request {
                // The newest replaces what was not looked at yet.
                let _ = listener.force_send(progress);
            }
        }
    }

    /// When to look how far the indexes are, if someone waits to be told.
    pub(super) fn report_at(&self) -> Option<Instant> {
        let listens = |write: &Write| matches!(write.request, Request::Optimize(Some(_)));
        let is_told = self.optimizing.iter().any(listens);
        is_told.then(|| Instant::now() + REPORT)
    }

    /// Answers those who wait for everything to be merged, when it is or cannot be.
    pub(super) fn answer_optimized(&mut self) {
        if self.optimizing.is_empty() {
            return;
        }
        self.optimizing.retain(|write| write.cancel.check().is_ok());
        let answer = match (self.state.check_writable(), self.upkeep.failure()) {
            (Err(error), _) => Err(error),
            (Ok(()), Some(error)) => Err(error.clone()),
            (Ok(()), None) => {
                if !self.upkeep.is_idle() || self.tables.active_bytes() > 0 {
                    return;
                }
                match self.upkeep.index_failure() {
                    Some(error) => Err(error.clone()),
                    None if !self.upkeep.is_indexed(&self.tables) => return,
                    None => {
                        let readable = self.upkeep.check_readable();
                        readable.and_then(|()| self.tables.check_whole())
                    }
                }
            }
        };
        for write in self.optimizing.drain(..) {
            write.answer(answer.clone().map(|()| Applied::Done));
        }
    }
}
