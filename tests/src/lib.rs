//! What the tests and benches of Amphora share: real data, runtimes, counters, figures.

pub mod child;
pub mod clustered;
pub mod count;
pub mod data;
pub mod failing;
pub mod faults;
pub mod gate;
pub mod indexes;
pub mod layer;
pub mod nearest;
pub mod opening;
pub mod passages;
pub mod power_loss;
pub mod process;
pub mod quota;
pub mod random;
pub mod report;
pub mod runtimes;
pub mod sample;
pub mod selective;
pub mod settings;
pub mod stored;
pub mod truth;
pub mod weights;
pub mod words;
pub mod workload;
