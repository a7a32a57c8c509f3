//! Vectors of which a point has several, one for each of its tokens or patches, say.
//!
//! They lie one after the other, and are compared by late interaction: Khattab and Zaharia,
//! `ColBERT`, 2020.

use super::{Values, accept_vector, check_vector, scale, score_of, wrong};
use crate::{
    cancel::Cancel,
    error::{Error, Result},
    kernel,
    schema::{Metric, Vector},
};

/// Makes of the vectors of a point what is stored under `name`, if they can be.
pub(crate) fn accept_multi(
    name: &str,
    vector: &Vector,
    vectors: Vec<Vec<f32>>,
) -> Result<Vec<f32>> {
    check_is_multi(name, vector, true)?;
    check_count(name, vectors.len())?;
    let mut joined = Vec::with_capacity(vectors.iter().map(Vec::len).sum());
    for (number, mut values) in vectors.into_iter().enumerate() {
        accept_vector(name, vector, &mut values).map_err(|error| of(number, error))?;
        joined.append(&mut values);
    }
    Ok(joined)
}

/// Makes of the vectors of a query what is compared, if they can be.
pub(crate) fn check_multi(name: &str, vector: &Vector, vectors: &[Vec<f32>]) -> Result<Vec<f32>> {
    check_is_multi(name, vector, true)?;
    check_count(name, vectors.len())?;
    for (number, values) in vectors.iter().enumerate() {
        check_vector(name, vector, values).map_err(|error| of(number, error))?;
    }
    Ok(vectors.concat())
}

/// Refuses one vector where there are several, and the other way round.
pub(crate) fn check_is_multi(name: &str, vector: &Vector, multi: bool) -> Result<()> {
    match (vector.multi, multi) {
        (true, false) => Err(wrong(
            name,
            format_args!("found one vector; expected a list of them"),
        )),
        (false, true) => Err(wrong(
            name,
            format_args!("found a list of vectors; expected one"),
        )),
        _ => Ok(()),
    }
}

/// How many vectors so many numbers are, if a point can have as many.
pub(crate) fn count_in(len: usize, dimensions: u32, multi: bool) -> Option<usize> {
    let width = dimensions as usize;
    let count = len.checked_div(width)?;
    (count * width == len && (1..=most_of(multi)).contains(&count)).then_some(count)
}

/// The most vectors that a point has under one name.
pub(crate) fn most_of(multi: bool) -> usize {
    if multi { Vector::MAX_MULTI } else { 1 }
}

fn check_count(name: &str, count: usize) -> Result<()> {
    if (1..=Vector::MAX_MULTI).contains(&count) {
        return Ok(());
    }
    let most = Vector::MAX_MULTI;
    let what = format_args!("found {count} vectors; expected 1 to {most}");
    Err(wrong(name, what))
}

fn of(number: usize, error: Error) -> Error {
    error.context(format_args!("number {number} of a list"))
}

/// The vectors of a query, and what they are compared in.
pub(crate) struct MaxSim<'a> {
    metric: Metric,
    dimensions: usize,
    query: &'a [f32],
    scales: Vec<f32>,
    /// For each of them the best score so far.
    best: Vec<f32>,
    /// For each of them what it is to the vector that is looked at.
    compared: Vec<f32>,
    /// Where vectors are widened.
    room: Vec<f32>,
}

impl<'a> MaxSim<'a> {
    /// Of vectors that lie one after the other, at least one.
    pub(crate) fn new(metric: Metric, dimensions: usize, query: &'a [f32]) -> Self {
        let vectors = query.chunks_exact(dimensions);
        let scales: Vec<f32> = vectors.map(|values| scale(values, metric)).collect();
        Self {
            metric,
            dimensions,
            query,
            best: vec![0.0; scales.len()],
            compared: vec![0.0; scales.len()],
            scales,
            room: Vec::new(),
        }
    }

    /// The sum over the query's vectors of the best score among those of a point.
    pub(crate) fn score(&mut self, values: Values<'_>, cancel: &Cancel) -> Result<f32> {
        let compare = match self.metric {
            Metric::Cosine | Metric::Dot => kernel::dots,
            Metric::Euclidean => kernel::squared_l2s,
            Metric::Manhattan => kernel::l1s,
        };
        self.best.fill(f32::NEG_INFINITY);
        // So many vectors at once that cancelling is asked for as often as elsewhere.
        let step = (Cancel::STRIDE as usize / self.scales.len()).max(1) * self.dimensions;
        for some in values.widened(&mut self.room).chunks(step) {
            cancel.check()?;
            for row in some.chunks_exact(self.dimensions) {
                compare(row, self.query, &mut self.compared);
                let row_scale = scale(row, self.metric);
                let query = self.compared.iter().zip(&self.scales);
                for (best, (compared, own_scale)) in self.best.iter_mut().zip(query) {
                    *best = best.max(score_of(self.metric, *compared, *own_scale, row_scale));
                }
            }
        }
        let sum: f64 = self.best.iter().map(|best| f64::from(*best)).sum();
        // Each is finite, and so is what is said of them all.
        Ok(sum.clamp(f32::MIN.into(), f32::MAX.into()) as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::fixture::METRICS;

    #[test]
    fn each_vector_of_a_query_meets_the_nearest_of_a_point() {
        let query = [1.0, 0.0, 0.0, 2.0];
        let point = [2.0, 0.0, 3.0, 4.0, 0.0, 1.0];
        for (metric, expected) in METRICS.into_iter().zip([2.0, 11.0, -2.0, -2.0]) {
            let mut max_sim = MaxSim::new(metric, 2, &query);
            for _ in 0..2 {
                let score = max_sim.score((&point[..]).into(), &Cancel::default());
                assert_eq!(score.unwrap(), expected, "{metric:?}");
            }
        }
    }

    #[test]
    fn a_sum_of_the_largest_scores_is_finite() {
        const MOST: usize = Vector::MAX_DIMENSIONS as usize;
        let (query, point) = (vec![1e16; 64 * MOST], vec![-1e16; MOST]);
        let mut max_sim = MaxSim::new(Metric::Dot, MOST, &query);
        let score = max_sim.score((&point[..]).into(), &Cancel::default());
        assert_eq!(score.unwrap(), -f32::MAX);
    }

    #[test]
    fn what_is_no_list_of_vectors_is_refused() {
        let vector = Vector::new(2, Metric::Cosine).multi();
        let good = vec![1.0, 2.0];
        for (vectors, expected) in [
            (vec![good.clone(); 3], ""),
            (vec![], "found 0 vectors; expected 1 to 4096"),
            (vec![good.clone(); 4_097], "found 4097 vectors"),
            (vec![good.clone(), vec![1.0]], "number 1 of a list"),
            (vec![vec![0.0; 2], good], "number 0 of a list"),
        ] {
            let checked = check_multi("v", &vector, &vectors);
            let accepted = accept_multi("v", &vector, vectors);
            match (checked, accepted) {
                (Ok(a), Ok(b)) => assert!(expected.is_empty() && a == b),
                (Err(a), Err(b)) => {
                    assert_eq!(a.to_string(), b.to_string());
                    assert!(
                        !expected.is_empty() && a.to_string().contains(expected),
                        "{a}"
                    );
                }
                (a, b) => panic!("{a:?} is not {b:?}"),
            }
        }
        let single = Vector::new(2, Metric::Dot);
        assert!(check_is_multi("v", &single, true).is_err());
        assert!(check_is_multi("v", &vector, false).is_err());
    }
}
