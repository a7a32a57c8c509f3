//! The stress programs of this package, each run for a few seconds.
//!
//! What must be exact is exact here too. What is measured in time has bounds that a busy machine
//! and an unoptimised build keep; the programs' own are for a release build.

use serde_json::Value;
use std::{collections::BTreeMap, process::Command};

/// Runs a program. Its figures by name, and whether it was content with them.
fn run(program: &str, arguments: &[&str]) -> (BTreeMap<String, f64>, bool) {
    let output = Command::new(program).args(arguments).output().unwrap();
    print!("{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let figures = lines.lines().map(|line| {
        let figure: Value = serde_json::from_str(line).unwrap();
        let name = figure["name"].as_str().unwrap().to_owned();
        (name, figure["value"].as_f64().unwrap())
    });
    let figures: BTreeMap<_, _> = figures.collect();
    assert!(!figures.is_empty(), "{program} printed nothing");
    println!("{figures:#?}");
    (figures, output.status.success())
}

/// All figures whose name ends so are at most this.
fn at_most(figures: &BTreeMap<String, f64>, end: &str, most: f64) {
    let mut named = figures
        .iter()
        .filter(|(name, _)| name.ends_with(end))
        .peekable();
    assert!(named.peek().is_some(), "no figure is a {end}");
    for (name, value) in named {
        assert!(*value <= most, "{name} is {value}, more than {most}");
    }
}

const KILL9: &str = env!("CARGO_BIN_EXE_kill9");

#[test]
fn kill_9_loses_nothing_that_was_acknowledged() {
    let (figures, content) = run(KILL9, &["--cycles", "10"]);
    assert_eq!(figures["kill9/lost_writes"], 0.0);
    assert_eq!(figures["kill9/not_opened"], 0.0);
    assert!(figures["kill9/acknowledged_writes"] > 0.0);
    assert!(content);
}

/// The control: writes that were never made must count as lost.
#[test]
fn kill_9_would_see_a_loss() {
    let (figures, content) = run(KILL9, &["--cycles", "3", "--plant", "lose-acks"]);
    assert!(figures["kill9/lost_writes"] >= 3.0);
    assert!(!content);
}

#[test]
fn overload_is_answered_in_time_in_little_memory() {
    let overload = env!("CARGO_BIN_EXE_overload");
    let (figures, _) = run(overload, &["--callers", "2000", "--longest", "300"]);
    for exact in ["unanswered", "miscounted", "other", "told_wrong"] {
        at_most(&figures, exact, 0.0);
    }
    at_most(&figures, "growth", 64.0);
    at_most(&figures, "latest", 1_000.0);
}

#[test]
fn searches_that_are_given_up_free_the_machine() {
    let cancel = env!("CARGO_BIN_EXE_cancel");
    let (figures, _) = run(cancel, &["--searches", "200", "--rounds", "2"]);
    at_most(&figures, "idle_worst", 1_000.0);
    at_most(&figures, "answered_worst", 2_000.0);
    let dropped = figures["cancel/tokio_current_thread/dropped/given_up"];
    assert!(dropped > 200.0, "only {dropped} of 400 were given up");
}

#[test]
fn whatever_is_handed_over_is_read_right_or_refused() {
    let (figures, content) = run(env!("CARGO_BIN_EXE_fuzz"), &["--inputs", "30000"]);
    at_most(&figures, "/problems", 0.0);
    // The control: parsers with a fault each.
    assert_eq!(figures["fuzz/planted_found"], 4.0);
    assert!(content);
}
