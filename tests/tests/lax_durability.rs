//! Writes that are answered before they are on the disk: a power loss may take the newest of them,
//! never one before them, and nothing that was flushed.

use amphora::{
    Batch, Collection, Durability, Edit, PointId, Result,
    vfs::{Call, CrashModel, Loss, MemoryVfs},
};
use amphora_tests::{
    random::Random,
    workload::{Change, Model, open, point, start},
};
use futures::executor::block_on;
use std::time::Duration;

const WRITES: u64 = 160;

/// What was written, and the states before the first write and after each.
struct Recorded {
    calls: Vec<Call>,
    states: Vec<Model>,
}

fn write(docs: &Collection, model: &mut Model, version: u64, random: &mut Random) -> Result<()> {
    let id = PointId::from(random.below(12));
    let change = if random.below(4) == 0 {
        docs.delete([id.clone()]).wait()?;
        Change::Delete("docs", vec![id])
    } else {
        let point = point(id, version, random.below(300) as usize);
        docs.upsert([point.clone()]).wait()?;
        Change::Upsert("docs", vec![point])
    };
    model.apply(&change);
    Ok(())
}

fn recorded(durability: Durability) -> Result<Recorded> {
    let vfs = MemoryVfs::recording();
    let db = open(vfs.clone())?;
    let create = Change::Create("docs");
    block_on(start(&db, &create))?;
    vfs.acknowledged(0);
    let docs = db.collection("docs").wait()?.with_durability(durability);
    let mut model = Model::default();
    model.apply(&create);
    let mut states = vec![model.clone()];
    let mut random = Random(7);
    for version in 1..=WRITES {
        write(&docs, &mut model, version, &mut random)?;
        states.push(model.clone());
        if version % 40 == 0 {
            db.flush().wait()?;
            vfs.acknowledged(version);
        }
    }
    db.optimize().wait()?;
    db.close().wait()?;
    vfs.acknowledged(WRITES);
    Ok(Recorded {
        calls: vfs.record(),
        states,
    })
}

fn check(recorded: &Recorded) {
    let Recorded { calls, states } = recorded;
    let (mut images, mut lost) = (0, 0);
    let mut least = None;
    let mut model = CrashModel::default();
    for (prefix, call) in (1..).zip(calls) {
        if let Call::Acknowledged(version) = call {
            least = Some(*version as usize);
        }
        model.apply(call);
        let Some(least) = least else {
            continue;
        };
        for loss in [Loss::All, Loss::Random(prefix)] {
            let db = open(model.image(loss))
                .unwrap_or_else(|error| panic!("{prefix}, {loss:?}: {error}"));
            let found = Model::read(&db).unwrap();
            let state = states[least..].iter().position(|state| *state == found);
            let state =
                state.unwrap_or_else(|| panic!("{prefix}, {loss:?}: no state from {least}"));
            lost += usize::from(least + state < states.len() - 1);
            images += 1;
        }
    }
    println!("{images} images, {lost} of them without the newest writes");
    assert!(images > 1_000 && lost > 100);
}

#[test]
fn a_power_loss_takes_the_newest_writes_alone() {
    check(&recorded(Durability::Os).unwrap());
}

#[test]
fn an_interval_that_has_not_passed_promises_no_more() {
    check(&recorded(Durability::Interval(Duration::from_secs(600))).unwrap());
}

#[test]
fn a_batch_is_synced_if_one_of_its_handles_would_be() {
    let vfs = MemoryVfs::recording();
    let db = open(vfs.clone()).unwrap();
    block_on(start(&db, &Change::Create("docs"))).unwrap();
    let docs = db.collection("docs").wait().unwrap();
    let hasty = docs.with_durability(Durability::Os);
    let syncs_for = |handles: [&Collection; 2]| {
        let edit =
            |batch: Batch, handle: &Collection| batch.edit(handle, Edit::upsert([point(1, 1, 0)]));
        let before = vfs.record().len();
        let batch = handles.into_iter().fold(Batch::new(), edit);
        db.write(batch).wait().unwrap();
        let calls = &vfs.record()[before..];
        calls.iter().any(|call| matches!(call, Call::Sync(_)))
    };
    assert!(!syncs_for([&hasty, &hasty]));
    assert!(syncs_for([&hasty, &docs]));
    assert!(syncs_for([&docs, &hasty]));
}

#[test]
fn an_interval_that_has_passed_keeps_what_was_answered() {
    let vfs = MemoryVfs::recording();
    let db = open(vfs.clone()).unwrap();
    block_on(start(&db, &Change::Create("docs"))).unwrap();
    let docs = db.collection("docs").wait().unwrap();
    let interval = Duration::from_millis(5);
    let docs = docs.with_durability(Durability::Interval(interval));
    docs.upsert([point(1, 1, 0)]).wait().unwrap();
    // Nothing else happens; the sync comes by itself.
    let is_synced = |calls: &[Call]| {
        let image = open(MemoryVfs::after_power_loss(calls, Loss::All)).unwrap();
        Model::read(&image).unwrap().0["docs"].len() == 1
    };
    let mut calls = vfs.record();
    for _ in 0..1_000 {
        if is_synced(&calls) {
            return;
        }
        std::thread::sleep(interval);
        calls = vfs.record();
    }
    panic!("it was never synced");
}
