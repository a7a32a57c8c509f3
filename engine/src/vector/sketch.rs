//! Rows that have no index yet, at a glance: by the bits of each most are seen to be too far from a
//! query to be compared with it.
//!
//! The sketches of a vector share a [`Center`], so that a query is turned once for all of them. What
//! is not seen to be too far is compared by its vector, and decides what is too far from then on.

use super::{
    Values, VectorSource,
    bits::{self, BitProbe, Bits, Glanced},
    codes::{Encoder, Probe},
};
use crate::{
    cancel::Cancel,
    error::Result,
    kernel,
    schema::{Metric, Vector},
};
use std::{fmt, ops::Range, sync::Arc};

/// A row is too far away if it is by so many times of what is usual for a glance to be off: of the
/// nearest one in a thousand seems to be.
const DEVIATIONS: f32 = 3.0;
/// What rounding may add to a sum of products, in their size.
const ROUNDING: f32 = 1e-5;

/// What sketches are relative to: about the middle of the rows.
#[derive(Clone, Debug)]
pub(crate) struct Center(Arc<Encoder>);

/// The bits of consecutive rows.
pub(crate) struct Sketch {
    center: Center,
    /// A cell for each row, open where nothing is known of one.
    cells: Box<[u64]>,
}

/// Makes a sketch.
pub(crate) struct Sketcher {
    center: Center,
    cells: Vec<u64>,
    rest: Vec<f32>,
    room: Vec<f32>,
}

/// A query as sketches are compared with it.
#[derive(Debug, Default)]
pub(crate) struct Glancer {
    center: Option<Center>,
    probe: Probe,
    bit_probe: BitProbe,
    rest: Vec<f32>,
    room: Vec<f32>,
    places: Vec<u32>,
    sums: Vec<i32>,
}

/// What a glance at a row tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) row: u32,
    /// About its score.
    pub(crate) score: f32,
    /// Hardly any score is more.
    pub(crate) most: f32,
}

/// Shorter vectors are compared as quickly as their bits, of which few would say little.
const LEAST_DIMENSIONS: u32 = 32;

/// How many bytes the sketch of a row takes; 0 if such vectors are not sketched.
pub(crate) fn sketch_bytes(vector: &Vector) -> usize {
    let Vector {
        dimensions,
        metric,
        multi,
        ..
    } = *vector;
    let can = !multi && dimensions >= LEAST_DIMENSIONS && bits::serve(metric);
    usize::from(can) * bits::words(dimensions as usize) * size_of::<u64>()
}

impl Center {
    /// Of some of the rows.
    pub(crate) fn of(
        rows: &dyn VectorSource,
        dimensions: usize,
        metric: Metric,
        cancel: &Cancel,
    ) -> Result<Self> {
        let encoder = Encoder::train(rows, dimensions, metric, cancel)?;
        Ok(Self(Arc::new(encoder)))
    }

    fn words(&self) -> usize {
        bits::words(self.0.center.len())
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Sketcher {
    /// Of so many rows, of which nothing is known yet.
    pub(crate) fn new(center: &Center, rows: usize) -> Self {
        let width = center.words();
        let mut cells = vec![0; rows * width];
        cells.chunks_exact_mut(width).for_each(bits::leave_open);
        Self {
            cells,
            center: center.clone(),
            rest: Vec::new(),
            room: Vec::new(),
        }
    }

    /// Takes the vector of a row in.
    pub(crate) fn put(&mut self, row: usize, values: Values<'_>, scale: f32) {
        let encoder = &self.center.0;
        let values = values.widened(&mut self.room);
        encoder.subtract(1.0, values, scale, &mut self.rest);
        let width = self.center.words();
        let cell = &mut self.cells[row * width..][..width];
        bits::encode(encoder.metric, &encoder.center, &mut self.rest, cell);
    }

    /// Takes over what another sketch has of a row. False if it is relative to something else.
    pub(crate) fn copy(&mut self, row: usize, from: &Sketch, place: usize) -> bool {
        let width = self.center.words();
        let of_same = from.center.is(&self.center);
        let cell = from.cells.get(place * width..(place + 1) * width);
        match cell.filter(|_| of_same) {
            Some(cell) => self.cells[row * width..][..width].copy_from_slice(cell),
            None => return false,
        }
        true
    }

    pub(crate) fn end(self) -> Sketch {
        Sketch {
            center: self.center,
            cells: self.cells.into(),
        }
    }
}

impl Sketch {
    pub(crate) fn center(&self) -> &Center {
        &self.center
    }
}

impl Glancer {
    /// Whether it was set for sketches like this one.
    pub(crate) fn knows(&self, sketch: &Sketch) -> bool {
        self.center
            .as_ref()
            .is_some_and(|center| center.is(&sketch.center))
    }

    /// Looks at sketches like this one from now on.
    pub(crate) fn set(&mut self, sketch: &Sketch, query: &[f32], scale: f32) {
        let center = &sketch.center;
        center.0.probe(query, scale, &mut self.probe);
        self.bit_probe.set(&self.probe);
        self.center = Some(center.clone());
    }

    /// How near a row seems to be at least that is as near as this vector.
    pub(crate) fn bar(&mut self, values: Values<'_>, scale: f32) -> f32 {
        let Some(Center(encoder)) = &self.center else {
            return f32::NEG_INFINITY;
        };
        let values = values.widened(&mut self.room);
        encoder.subtract(1.0, values, scale, &mut self.rest);
        let (query, weight) = self.probe.rest();
        let squares = kernel::dot(&self.rest, &self.rest);
        let (metric, center) = (encoder.metric, &encoder.center);
        let offset = bits::offset(metric, center, &self.rest, squares) * weight;
        let size = self.probe.length() * squares.sqrt() + offset.abs();
        kernel::dot(query, &self.rest) + offset - ROUNDING * size
    }

    /// Looks at some rows of a sketch, of which the first has the number `from`, and gives those that
    /// reach the bar.
    pub(crate) fn glance(
        &mut self,
        sketch: &Sketch,
        from: u32,
        rows: Range<u32>,
        bar: f32,
        seen: &mut Vec<Seen>,
    ) {
        self.places.clear();
        self.places.extend(rows.start - from..rows.end - from);
        let bits = Bits {
            dimensions: sketch.center.0.center.len(),
            cells: &sketch.cells,
        };
        let glanced = Glanced {
            bits,
            probe: &self.bit_probe,
        };
        let glances = glanced.glances(&self.places, &mut self.sums);
        let all = rows.zip(glances).map(|(row, glance)| Seen {
            row,
            score: glance.score,
            most: glance.score + DEVIATIONS * glance.deviation,
        });
        // Also false for what is not a number.
        let is_far = |found: &Seen| found.most < bar;
        seen.extend(all.filter(|found| !is_far(found)));
    }
}

impl fmt::Debug for Sketch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sketch({} words)", self.cells.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::{fixture::Rows, score};

    /// How many of the nearest are missed, and how many rows are compared for each query.
    fn missed(metric: Metric, dimensions: usize) -> (f64, f64) {
        const K: usize = 10;
        let rows = Rows::clusters(metric, 2_000, dimensions, 9);
        let center = Center::of(&rows, dimensions, metric, &Cancel::default()).unwrap();
        let mut sketcher = Sketcher::new(&center, rows.count());
        for row in 0..rows.count() {
            let (values, scale) = rows.scaled(row);
            sketcher.put(row, Values::Float32(values), scale);
        }
        let sketch = sketcher.end();
        let mut seen = Vec::new();
        let (mut missed, mut compared) = (0, 0);
        let queries: Vec<usize> = (0..rows.count()).step_by(61).collect();
        for query in &queries {
            let query = rows.scaled(*query);
            let score_of = |row: usize| {
                let (values, scale) = rows.scaled(row);
                score(metric, query, (Values::Float32(values), scale))
            };
            let mut best: Vec<(f32, usize)> =
                (0..rows.count()).map(|row| (score_of(row), row)).collect();
            best.sort_by(|a, b| b.0.total_cmp(&a.0));
            let best: Vec<usize> = best.into_iter().map(|(_, row)| row).collect();
            let mut glancer = Glancer::default();
            glancer.set(&sketch, query.0, query.1);
            let (values, scale) = rows.scaled(best[K - 1]);
            let bar = glancer.bar(Values::Float32(values), scale);
            seen.clear();
            glancer.glance(&sketch, 7, 7..7 + rows.count() as u32, bar, &mut seen);
            let is_seen = |row: &&usize| seen.iter().any(|seen| seen.row == **row as u32 + 7);
            missed += K - best[..K].iter().filter(is_seen).count();
            compared += seen.len();
        }
        let count = queries.len() as f64;
        (missed as f64 / K as f64 / count, compared as f64 / count)
    }

    #[test]
    fn hardly_any_of_the_nearest_are_too_far_at_a_glance() {
        for metric in [Metric::Cosine, Metric::Dot, Metric::Euclidean] {
            for dimensions in [32, 61, 128, 300] {
                let (missed, compared) = missed(metric, dimensions);
                let what = format!("{metric:?}, {dimensions}: {missed}, {compared} compared");
                println!("{what}");
                assert!(missed < 0.005, "{what}");
                assert!(compared < 600.0, "{what}");
            }
        }
    }
}
