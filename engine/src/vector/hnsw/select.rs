//! Which of the candidates become the neighbours of a node: near ones, in different directions.

use super::beam::Found;
use crate::vector::codes::{Codes, Probe, Scores, Table};

/// Kept neighbours that a candidate is compared with at once; each may show it to be of no use.
const STEP: usize = 4;

/// Room for one choice after another.
#[derive(Debug, Default)]
pub(super) struct Chooser {
    probe: Probe,
    kept: Vec<u32>,
    scores: Scores,
}

impl Chooser {
    /// Leaves of `candidates`, the best first, at most `most`: each nearer to the node than to any
    /// that was chosen before it, through which it can be reached.
    pub(super) fn choose(&mut self, codes: &Codes<'_>, candidates: &mut Vec<Found>, most: usize) {
        self.choose_beside(&[], codes, candidates, most);
    }

    /// As [`choose`](Self::choose), beside some that were chosen already and stay.
    pub(super) fn choose_beside(
        &mut self,
        chosen: &[u32],
        codes: &Codes<'_>,
        candidates: &mut Vec<Found>,
        most: usize,
    ) {
        self.kept.clear();
        self.kept.extend(chosen);
        candidates.retain(|candidate| {
            let keep = self.kept.len() < most && self.leads_elsewhere(codes, *candidate);
            if keep {
                self.kept.push(candidate.node);
            }
            keep
        });
    }

    fn leads_elsewhere(&mut self, codes: &Codes<'_>, candidate: Found) -> bool {
        let Self {
            probe,
            kept,
            scores,
        } = self;
        if kept.is_empty() {
            return true;
        }
        codes.probe_row(candidate.node, probe);
        kept.chunks(STEP).all(|kept| {
            codes.scores(probe, kept, scores);
            scores.values.iter().all(|score| *score <= candidate.score)
        })
    }
}
