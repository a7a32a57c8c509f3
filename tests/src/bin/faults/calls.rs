//! Each storage call of a script fails, once or from then on; each sync fails and power is lost.

use super::{DEADLINE, Found, each};
use amphora::vfs::MemoryVfs;
use amphora_tests::{
    failing::{Attempt, run_with, watched},
    faults::{EINTR, EIO, ENOSPC, Fault, FaultyVfs, How},
    layer::Kind,
    power_loss::{Failure, Wrong},
    report::Figure,
    workload::Step,
};
use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// More calls than any script makes.
const MOST: usize = 20_000;

/// The ways in which calls fail, and which calls: of those that are no writes, a short one fails
/// like any other.
const WAYS: [(&str, Option<Kind>, How); 5] = [
    ("eio", None, How::Error(EIO)),
    ("enospc", None, How::Error(ENOSPC)),
    ("eintr", None, How::Error(EINTR)),
    ("short", Some(Kind::Write), How::Short(ENOSPC)),
    ("short_eio", Some(Kind::Write), How::Short(EIO)),
];

/// Fails each call in turn, in every way, until a run ends before the call that would fail.
pub(crate) fn each_fails(steps: &[Step], seed: Option<u64>) -> bool {
    let found = Found::default();
    let mut covered = BTreeMap::new();
    for (name, kind, how) in WAYS {
        for lasting in [false, true] {
            let reached = AtomicU64::new(0);
            let kinds = Mutex::new(&mut covered);
            each(|nth| {
                let fault = Fault {
                    kind,
                    nth,
                    lasting,
                    how,
                };
                let steps = steps.to_vec();
                let result = watched(DEADLINE, move || run_with(fault, &steps));
                let failed = found.note(result);
                if let Some(Some(kind)) = failed {
                    let mut kinds = kinds.lock().unwrap_or_else(PoisonError::into_inner);
                    *kinds.entry(kind).or_default() += 1;
                }
                let was_reached = failed != Some(None);
                reached.fetch_add(u64::from(was_reached), Ordering::Relaxed);
                !was_reached || nth > MOST
            });
            let reached = reached.into_inner();
            let when = if lasting { "from_then_on" } else { "once" };
            let name = format!("faults/calls/{name}/{when}");
            let mut figure = Figure::new(name, reached as f64, "count", reached);
            figure.seed = seed;
            figure.at_least(1.0).print();
        }
    }
    let all_kinds = report_kinds(&covered, seed);
    found.report("faults/calls", seed) && all_kinds
}

/// Prints how many calls of each kind were failed, in all ways together.
fn report_kinds(covered: &BTreeMap<Kind, u64>, seed: Option<u64>) -> bool {
    let runs = covered.values().sum();
    let mut met = true;
    for kind in Kind::ALL {
        let count = covered.get(&kind).copied().unwrap_or_default();
        let name = format!("faults/calls/of_kind/{kind:?}");
        let mut figure = Figure::new(name, count as f64, "count", runs);
        figure.seed = seed;
        // Only the fixed script makes all of them, but for links, which need a real directory.
        if seed.is_none() && kind != Kind::Link {
            figure = figure.at_least(1.0);
        }
        met &= figure.print().met != Some(false);
    }
    met
}

/// Fails each sync once, as disks do: what it should have written is never written. Power is lost
/// right after it, and at the end.
pub(crate) fn each_sync_fails_before_power_is_lost(steps: &[Step], seed: Option<u64>) -> bool {
    let found = Found::default();
    let (refused, images) = (AtomicU64::new(0), AtomicU64::new(0));
    each(|nth| {
        let steps = steps.to_vec();
        let run = move || {
            let memory = MemoryVfs::recording();
            memory.fail_sync(nth as u64);
            let disk = FaultyVfs::new(memory.clone());
            let mut attempt = Attempt::on(disk, Some(memory.clone()));
            let result = attempt.run(&steps);
            result.map_err(|failure: Failure| failure.at(format_args!("sync {nth} failed")))?;
            let counts = (attempt.refused_as_poisoned, attempt.images);
            Ok((memory.has_failed_sync(), counts))
        };
        let result = found.note(watched(DEADLINE, run));
        let (was_reached, counts) = result.unwrap_or((true, (0, 0)));
        refused.fetch_add(counts.0, Ordering::Relaxed);
        images.fetch_add(counts.1, Ordering::Relaxed);
        !was_reached || nth > MOST
    });
    let (refused, images) = (refused.into_inner(), images.into_inner());
    for (name, value) in [("refused_as_poisoned", refused), ("images", images)] {
        let name = format!("faults/failed_sync/{name}");
        let mut figure = Figure::new(name, value as f64, "count", value);
        figure.seed = seed;
        if figure.at_least(1.0).print().met != Some(true) {
            let nothing = Failure::new(Wrong::NotPoisoned, "nothing was refused or lost");
            let _: Option<()> = found.note(Err(nothing));
        }
    }
    found.report("faults/failed_sync", seed)
}
