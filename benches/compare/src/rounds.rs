//! Measuring in rounds, so that what changes on the machine meanwhile hits all alike.

use amphora_tests::{random::Random, sample::shuffled};

/// Measures every entry once in each round, in a new order each. What fails is left out from then
/// on, which a line on standard error explains; gives back how many did.
pub(crate) fn in_rounds<E>(
    entries: &mut Vec<E>,
    rounds: usize,
    mut measure: impl FnMut(&mut E, &mut Random) -> Result<(), String>,
) -> usize {
    let mut random = Random(7);
    let mut places: Vec<Option<E>> = entries.drain(..).map(Some).collect();
    for _ in 0..rounds {
        for place in shuffled(places.len(), &mut random) {
            if let Some(entry) = &mut places[place]
                && let Err(error) = measure(entry, &mut random)
            {
                eprintln!("{error}");
                places[place] = None;
            }
        }
    }
    let all = places.len();
    entries.extend(places.into_iter().flatten());
    all - entries.len()
}
