//! The storage against the strict crash model: power is lost after every call, in many ways.
//!
//! A scripted run is recorded. For each prefix of the record the images that a power loss may
//! leave are opened, and hold what the model says: all that was acknowledged, nothing that was not
//! asked for, batches whole. Each opened image is written to and loses power in its turn, also
//! while it is being opened. Controls skip syncs, and must be found out.

use amphora::{
    Database, Durability, Point, PointId, Schema,
    vfs::{Call, Loss, MemoryVfs},
};
use amphora_tests::{
    power_loss::{Failure, Judged, Run, upserts},
    random::Random,
    workload::{Change, Step, coda, script},
};
use std::{collections::BTreeMap, ops::Range};

fn one_of(seed: &mut Random, range: Range<usize>) -> usize {
    range.start + seed.below(range.len() as u64) as usize
}

fn any_loss(seed: &mut Random) -> Loss {
    match seed.below(4) {
        0 => Loss::All,
        _ => Loss::Random(seed.draw()),
    }
}

#[test]
fn power_loss_after_every_call_keeps_what_was_acknowledged() {
    let run = Run::recorded(&script()).unwrap();
    let mut seed = Random(1);
    let (mut images, mut second, mut in_recovery) = (0, 0, 0);
    let mut judged = Judged::default();
    let all = run.each_prefix(run.prefixes(), |prefix, model| {
        let random = (0..2).map(|n| Loss::Random(prefix as u64 * 1_000 + n));
        let losses = [Loss::All, Loss::Nothing].into_iter().chain(random);
        for image in judged.others(&run, prefix, model, losses) {
            let again = run.lost_power(prefix, image, &coda())?;
            images += 1;
            let later = one_of(&mut seed, again.shown..again.calls.len() + 1);
            let lost = any_loss(&mut seed);
            again.lose_power(later, &again.model_at(later), lost, &[])?;
            second += 1;
            let opening = one_of(&mut seed, again.opening());
            let lost = any_loss(&mut seed);
            again.lose_power(opening, &again.model_at(opening), lost, &[])?;
            in_recovery += 1;
        }
        Ok(())
    });
    all.unwrap_or_else(|failure: Failure| panic!("{failure}"));
    println!(
        "{} calls: {images} images, {second} after a second loss, {in_recovery} inside recovery",
        run.calls.len()
    );
}

/// A killed process leaves all that it wrote, but not durable. What the next one shows and
/// acknowledges on top of that must survive a power loss as well.
#[test]
fn power_loss_after_a_kill_keeps_what_was_acknowledged() {
    let run = Run::recorded(&script()).unwrap();
    let mut seed = Random(2);
    let mut images = 0;
    let all = run.each_prefix(run.prefixes(), |prefix, model| {
        // Every third call; the program `powerloss` takes them all.
        if prefix % 3 != 0 || run.is_as_before(prefix) {
            return Ok(());
        }
        let again = run.kill(prefix, model, &coda())?;
        // Some of them while it is being opened.
        let mut some = |count, range: Range<usize>| -> Vec<usize> {
            (0..count)
                .map(|_| one_of(&mut seed, range.clone()))
                .collect()
        };
        let mut prefixes = some(4, again.opening());
        prefixes.extend(some(4, again.shown..again.calls.len() + 1));
        let mut judged = Judged::default();
        for prefix in prefixes {
            let model = again.model_at(prefix);
            let losses = [Loss::All, Loss::Random(seed.draw())];
            for image in judged.others(&again, prefix, &model, losses) {
                again.lost_power(prefix, image, &[])?;
                images += 1;
            }
        }
        Ok(())
    });
    all.unwrap_or_else(|failure: Failure| panic!("{failure}"));
    println!("{images} images after a kill");
}

/// Writes that are longer than what the log prepares for, and so many that it prepares again.
#[test]
fn power_loss_at_the_end_of_the_prepared_space_keeps_what_was_acknowledged() {
    let sizes = (0..24).map(|n| if n % 6 == 5 { 150_000 } else { 60_000 });
    let run = Run::recorded(&upserts(sizes)).unwrap();
    let (mut images, mut judged) = (0, Judged::default());
    let all = run.each_prefix(run.prefixes(), |prefix, model| {
        let losses = [Loss::All, Loss::Nothing, Loss::Random(prefix as u64)];
        for image in judged.others(&run, prefix, model, losses) {
            run.lost_power(prefix, image, &[])?;
            images += 1;
        }
        Ok(())
    });
    all.unwrap_or_else(|failure: Failure| panic!("{failure}"));
    println!("{} calls: {images} images", run.calls.len());
}

/// What a clean end made durable is read, and not written once more.
#[test]
fn opening_after_a_clean_end_writes_nothing() {
    let vfs = MemoryVfs::recording();
    let open = || Database::builder_on(vfs.clone()).open().wait().unwrap();
    let db = open();
    let docs = db.create_collection("docs", Schema::new()).wait().unwrap();
    // Records that say of nothing before them that it was durable.
    let hasty = docs.with_durability(Durability::Os);
    for id in 0..10 {
        hasty.upsert([Point::new(id)]).wait().unwrap();
    }
    db.close().wait().unwrap();
    let closed = vfs.recorded();
    let db = open();
    let calls = &vfs.record()[closed..];
    let writes = |call: &Call| matches!(call, Call::Create(..) | Call::Write(..));
    assert!(!calls.iter().any(writes), "{calls:?}");
    db.close().wait().unwrap();
}

/// The control: each sync of a run is skipped in turn, and that must be seen, but for those of
/// names that the next one covers before anything is built on them.
#[test]
fn a_sync_that_is_skipped_is_found_out() {
    // Whether rows are noted as ended before they are merged away depends on when merges begin.
    let has_all = |run: &Run| {
        let notes =
            |call: &Call| matches!(call, Call::Create(name, _) if name.starts_with("deletes-"));
        run.calls.iter().any(notes)
    };
    let mut runs = (0..50).map(|_| Run::recorded(&overwrites()).unwrap());
    let run = runs.find(has_all).expect("a run that notes what ended");
    assert!(finds_no_loss(&run, 0), "nothing is lost as it is");
    let (mut needed, mut covered) = (BTreeMap::new(), 0);
    for (at, call) in run.calls.iter().enumerate() {
        if !matches!(call, Call::Sync(_) | Call::SyncDir) {
            continue;
        }
        // An index that is not whole is built anew: nothing hangs on it.
        let why = need(&run.calls, at).filter(|why| why != "index- content");
        let Some(why) = why else {
            covered += 1;
            continue;
        };
        assert!(
            !finds_no_loss(&run.without(at), at),
            "call {at} was skipped: {why}"
        );
        *needed.entry(why).or_insert(0) += 1;
    }
    println!("skipped syncs that were noticed: {needed:?}; {covered} others");
    let kinds: Vec<String> = needed.into_keys().collect();
    let all = [
        "a manifest named new files",
        "a manifest took the place of another",
        "deletes- content",
        "manifest- content",
        "segment- content",
        "wal- content",
    ];
    assert_eq!(kinds, all);
}

/// Points of one collection that are written over, deleted and merged.
fn overwrites() -> Vec<Step> {
    let upserts = upserts([10, 600, 30, 700, 20]);
    let ids = [0, 2].map(PointId::from).to_vec();
    let delete = Step::Write(Change::Delete("docs", ids));
    let steps = upserts.into_iter().chain([delete]);
    steps.flat_map(|step| [step, Step::Optimize]).collect()
}

/// Why the sync at this place is needed. One of names is not when nothing hangs on them before the
/// next one.
fn need(calls: &[Call], at: usize) -> Option<String> {
    if let Call::Sync(file) = calls[at] {
        let name = kind_of(calls, file);
        return Some(format!("{name} content"));
    }
    let is_sync = |call: &Call| *call == Call::SyncDir;
    let before = calls[..at].iter().rposition(is_sync).map_or(0, |n| n + 1);
    let after = calls[at + 1..].iter().position(is_sync);
    let since = &calls[before..at];
    let until = &calls[at + 1..after.map_or(calls.len(), |n| at + 1 + n)];
    if since.iter().any(|call| new_manifest(call).is_some()) {
        return Some("a manifest took the place of another".to_owned());
    }
    let manifest = content(calls, until.iter().find_map(new_manifest)?);
    // An index that is missing is built anew.
    let names = |call: &Call| matches!(call, Call::Create(name, _) if !name.starts_with("index-") && is_named(name, &manifest));
    let new = since.iter().any(names);
    new.then(|| "a manifest named new files".to_owned())
}

/// The name that a manifest had until now, if the call gives it its own.
fn new_manifest(call: &Call) -> Option<&str> {
    match call {
        Call::Rename(from, to) if to.starts_with("manifest-") => Some(from),
        _ => None,
    }
}

/// What was written to the file that was created under this name.
fn content(calls: &[Call], name: &str) -> String {
    let created = |call: &Call| match call {
        Call::Create(other, file) if other == name => Some(*file),
        _ => None,
    };
    let file = calls.iter().find_map(created);
    let writes = calls.iter().filter_map(|call| match call {
        Call::Write(other, _, bytes) if Some(*other) == file => {
            Some(String::from_utf8_lossy(bytes))
        }
        _ => None,
    });
    writes.collect()
}

/// Whether a manifest names this segment, or file of ended rows, by its number.
fn is_named(name: &str, manifest: &str) -> bool {
    let kind = name.starts_with("segment-") || name.starts_with("deletes-");
    let digits: String = name.chars().filter(char::is_ascii_digit).collect();
    let number = digits.trim_start_matches('0');
    kind && manifest.contains(&format!("\"file\":{number},"))
}

/// The beginning of the name under which a file was created.
fn kind_of(calls: &[Call], file: u64) -> &str {
    let name = calls.iter().find_map(|call| match call {
        Call::Create(name, number) if *number == file => Some(name),
        _ => None,
    });
    let name = name.map_or("", |name| name);
    name.split_inclusive('-').next().unwrap_or(name)
}

/// Loses power after every call from this one on, and says whether all that was acknowledged is
/// found.
fn finds_no_loss(run: &Run, from: usize) -> bool {
    let all = run.each_prefix(from..run.calls.len() + 1, |prefix, model| {
        let one = (0..model.unsynced()).map(Loss::OnlyOne);
        for loss in [Loss::All].into_iter().chain(one) {
            run.lose_power(prefix, model, loss, &[])?;
        }
        Ok::<_, Failure>(())
    });
    all.is_ok()
}
