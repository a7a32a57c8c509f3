//! Fewer steps that still show the difference.
//!
//! Ever smaller runs of steps are left out for as long as an answer is still wrong. Steps make
//! sense without those before them: the model then expects a refusal.

use crate::{difference, model::Model, step::Step, world::World};
use amphora_tests::opening::Memory;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

/// The steps that matter, and what is wrong with the last of them.
pub(crate) fn shrink(mut steps: Vec<Step>, memory: Memory) -> (Vec<Step>, String) {
    let started = Instant::now();
    let mut problem = match run(&steps, memory) {
        Some((at, problem)) => {
            steps.truncate(at + 1);
            problem
        }
        None => return (steps, "nothing: it does not happen every time".to_owned()),
    };
    let mut run_length = steps.len() / 2;
    while run_length > 0 {
        let mut start = 0;
        while start < steps.len() {
            if started.elapsed() > PATIENCE {
                return (steps, problem);
            }
            let end = (start + run_length).min(steps.len());
            let fewer = [&steps[..start], &steps[end..]].concat();
            match run(&fewer, memory) {
                Some((at, found)) => {
                    steps = fewer;
                    steps.truncate(at + 1);
                    problem = found;
                }
                None => start = end,
            }
        }
        run_length /= 2;
    }
    (steps, problem)
}

/// The first step with a wrong answer.
fn run(steps: &[Step], memory: Memory) -> Option<(usize, String)> {
    let mut model = Model::default();
    let mut world = World::new(memory);
    let mut numbered = steps.iter().enumerate();
    numbered.find_map(|(at, step)| Some((at, difference(&mut model, &mut world, step)?)))
}
