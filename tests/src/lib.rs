//! What the tests and benches of Amphora share: real data, runtimes, counters, figures.

pub mod count;
pub mod data;
pub mod faults;
pub mod gate;
pub mod random;
pub mod report;
pub mod runtimes;
pub mod workload;
