//! Points to be searched under filters: 100,000 clustered ones, and integers that say which half,
//! tenth, hundredth and thousandth of them a filter keeps.
//!
//! The integers are drawn at random, or they rank the points along one direction, so that what a
//! filter keeps lies together and mostly far from the query.

use crate::{
    clustered::{clustered, direction},
    data::Matrix,
    random::Random,
    sample::shuffled,
    truth::{self, dot},
};
use serde_json::{Value, json};

/// How many points there are.
pub const POINTS: usize = 100_000;
const DIMENSIONS: usize = 384;
/// What the integers are drawn from.
pub const SEED: u64 = 1_847;
/// One point in so many is kept.
const SELECTIVITIES: [(&str, usize); 4] = [("50%", 2), ("10%", 10), ("1%", 100), ("0.1%", 1_000)];
/// What the integers go by, and the fields that hold them.
const FIELDS: [(&str, &str); 2] = [("random", "n"), ("correlated", "c")];

/// The points, and what is asked of them.
#[derive(Clone, Debug)]
pub struct Selective {
    /// Their vectors.
    pub base: Matrix,
    /// What is searched for.
    pub queries: Matrix,
    /// For each of the fields the integers of the rows.
    numbers: [Vec<u64>; FIELDS.len()],
}

/// Keeps the points whose integer is below a bound.
#[derive(Clone, Debug)]
pub struct Kept {
    /// What the integers go by, and the share that is kept.
    pub name: String,
    /// Where the integer is.
    pub field: &'static str,
    /// The bound.
    pub below: u64,
    /// For each query the nearest rows that are kept, best first.
    pub truth: Vec<Vec<u32>>,
}

impl Selective {
    /// The points and so many queries, the same each time.
    #[must_use]
    pub fn new(queries: usize) -> Self {
        let [base, queries] = clustered(DIMENSIONS, [POINTS, queries]);
        let mut random = Random(SEED);
        let along = direction(DIMENSIONS, &mut random);
        let heights: Vec<f32> = base.rows().map(|row| dot(row, &along)).collect();
        let mut ranked: Vec<usize> = (0..POINTS).collect();
        ranked.sort_by(|a, b| heights[*a].total_cmp(&heights[*b]));
        let numbers = [shuffled(POINTS, &mut random), ranked].map(|order| {
            let mut numbers = vec![0; POINTS];
            for (number, row) in (0..).zip(order) {
                numbers[row] = number;
            }
            numbers
        });
        Self {
            base,
            queries,
            numbers,
        }
    }

    /// The fields of integers.
    pub fn fields() -> impl Iterator<Item = &'static str> {
        FIELDS.into_iter().map(|(_, field)| field)
    }

    /// What the payload of a row says.
    #[must_use]
    pub fn payload(&self, row: usize) -> Value {
        let fields = FIELDS.iter().zip(&self.numbers);
        let fields = fields.map(|((_, field), numbers)| ((*field).to_owned(), json!(numbers[row])));
        Value::Object(fields.collect())
    }

    /// All filters, each with the nearest `k` that it keeps.
    #[must_use]
    pub fn filters(&self, k: usize) -> Vec<Kept> {
        let mut filters = Vec::new();
        for ((how, field), numbers) in FIELDS.into_iter().zip(&self.numbers) {
            for (share, one_in) in SELECTIVITIES {
                let below = (POINTS / one_in) as u64;
                let keep = |row: usize| numbers[row] < below;
                filters.push(Kept {
                    name: format!("{how}/{share}"),
                    field,
                    below,
                    truth: truth::nearest(&self.base, &self.queries, k, keep),
                });
            }
        }
        filters
    }
}
