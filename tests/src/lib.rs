//! What the tests and benches of Amphora share: real data, runtimes, counters, figures.

pub mod data;
pub mod report;
