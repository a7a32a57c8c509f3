//! Parsers with a fault each, which the checks must find: the control.

use super::{
    BATCH, Check, Subject, TARGETS, draw, examine,
    targets::{points_within, same},
    thread_time,
};
use amphora::Filter;
use amphora_tests::random::Random;
use std::{hint, time::Duration};

const PLANTED: [(&str, Check); 4] = [
    ("panics", panics),
    ("takes longer and longer", slow),
    ("forgets", forgets),
    ("points astray", astray),
];

/// How many of the faults are found, and how many there are.
pub(crate) fn found(subject: &Subject, seed: u64) -> (u64, u64) {
    let is_found = |(name, check): &&(&str, Check)| {
        let random = &mut Random(seed);
        // Typed filters.
        let mut inputs = (0..20 * BATCH).map(|_| draw::input(&TARGETS[0], random));
        let is_found = inputs.any(|input| examine(subject, *check, &input).0.is_err());
        if !is_found {
            eprintln!("a planted parser that {name} was not found");
        }
        is_found
    };
    (
        PLANTED.iter().filter(is_found).count() as u64,
        PLANTED.len() as u64,
    )
}

fn panics(_: &Subject, text: &str) -> Result<bool, String> {
    let opens = text.matches('(').count();
    assert!(opens < 50, "so many parentheses");
    Ok(true)
}

/// In the square of the length, 10 kB for as long as a second; up to more than any input may take.
fn slow(_: &Subject, text: &str) -> Result<bool, String> {
    let begun = thread_time();
    let nanos = (text.len() as u64).pow(2) * 10;
    let most = Duration::from_nanos(nanos).min(Duration::from_secs(4));
    while thread_time() - begun < most {
        hint::spin_loop();
    }
    Ok(true)
}

fn forgets(_: &Subject, text: &str) -> Result<bool, String> {
    let Ok(filter) = Filter::parse(text) else {
        return Ok(false);
    };
    let printed = filter.to_string().replacen("NOT ", "", 1);
    let again = Filter::parse(&printed).map_err(|error| error.to_string())?;
    same(&filter, &again)?;
    Ok(true)
}

fn astray(_: &Subject, text: &str) -> Result<bool, String> {
    let Err(mut error) = Filter::parse(text) else {
        return Ok(true);
    };
    error.byte += 1;
    points_within(text, &error)
}
