//! Which `ef` to measure so that recalls are reached, and what a query costs at exactly a recall.

/// The rungs, from cheap to thorough.
pub(crate) const LADDER: [usize; 18] = [
    10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 192, 256, 384, 512, 768, 1024,
];

/// The recalls at which costs are given.
pub(crate) const RECALLS: [f64; 3] = [0.90, 0.95, 0.99];

/// A rung with what was seen there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rung {
    pub(crate) ef: usize,
    pub(crate) recall: f64,
}

/// The rungs on both sides of each recall, from all below and the first that reaches the highest.
pub(crate) fn around(rungs: &[Rung]) -> Vec<Rung> {
    let mut kept: Vec<usize> = Vec::new();
    for recall in RECALLS {
        if let Some(above) = first_at(rungs, recall) {
            kept.extend([above.saturating_sub(1), above]);
        }
    }
    kept.sort_unstable();
    kept.dedup();
    kept.into_iter().map(|place| rungs[place]).collect()
}

/// The cost at this recall, between the neighbouring rungs: its logarithm goes with the recall. Where
/// the lowest rung reaches the recall, its cost; `None` where none does.
pub(crate) fn cost_at(recall: f64, rungs: &[Rung], costs: &[f64]) -> Option<f64> {
    let above = first_at(rungs, recall)?;
    let Some(below) = above.checked_sub(1) else {
        return Some(costs[above]);
    };
    let (low, high) = (rungs[below].recall, rungs[above].recall);
    let share = (recall - low) / (high - low);
    let (from, to) = (costs[below].ln(), costs[above].ln());
    Some((from + share * (to - from)).exp())
}

fn first_at(rungs: &[Rung], recall: f64) -> Option<usize> {
    rungs.iter().position(|rung| rung.recall >= recall)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rungs(recalls: &[f64]) -> Vec<Rung> {
        let rung = |(ef, recall): (usize, &f64)| Rung {
            ef,
            recall: *recall,
        };
        recalls.iter().enumerate().map(rung).collect()
    }

    fn kept(recalls: &[f64]) -> Vec<usize> {
        around(&rungs(recalls)).iter().map(|rung| rung.ef).collect()
    }

    #[test]
    fn the_neighbours_of_each_recall_are_kept() {
        assert_eq!(
            kept(&[0.5, 0.85, 0.91, 0.94, 0.96, 0.98, 0.995]),
            [1, 2, 3, 4, 5, 6]
        );
        assert_eq!(kept(&[0.2, 0.3, 0.8, 0.97, 0.99]), [2, 3, 4]);
        assert_eq!(kept(&[1.0]), [0]);
        assert_eq!(kept(&[0.5, 0.92]), [0, 1]);
        assert!(kept(&[0.5]).is_empty());
    }

    #[test]
    fn costs_lie_between_those_of_the_neighbours() {
        let rungs = rungs(&[0.90, 0.94, 0.96]);
        let costs = [10.0, 20.0, 80.0];
        let cost = |recall| cost_at(recall, &rungs, &costs);
        assert_eq!(cost(0.90), Some(10.0));
        assert!(cost(0.95).is_some_and(|cost| (cost - 40.0).abs() < 1e-9));
        assert_eq!(cost(0.5), Some(10.0));
        assert_eq!(cost(0.99), None);
    }
}
