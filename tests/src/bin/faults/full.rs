//! Disks of every size in steps of 4 KiB, in memory and on a real one of this machine.

use super::{DEADLINE, Found, each};
use amphora::vfs::{DiskVfs, MemoryVfs, Vfs};
use amphora_tests::{
    failing::{Attempt, watched},
    faults::FaultyVfs,
    power_loss::{Failure, Wrong},
    quota::QuotaVfs,
    report::Figure,
    workload::{Step, script},
};
use std::{
    env, fs,
    path::Path,
    process::{self, Command, ExitCode, Stdio},
    thread,
    time::Duration,
};

const STEP: u64 = 4 << 10;
/// Enough for every script.
const ENOUGH: u64 = 1 << 30;

/// Runs a script on disks of 0, 4, 8 KiB and so on, up to one on which it is never refused.
pub(crate) fn at_every_size(steps: &[Step], seed: Option<u64>) -> bool {
    let found = Found::default();
    // What it takes to never be refused, with room for what is written when there is space.
    let need = needed(steps);
    each(|nth| {
        let quota = (nth as u64 - 1) * STEP;
        let steps = steps.to_vec();
        let run = move || {
            let memory = MemoryVfs::recording();
            let disk = QuotaVfs::new(memory.clone(), quota);
            let mut attempt = Attempt::on(FaultyVfs::new(disk.clone()), Some(memory))
                .until(move || disk.set_quota(ENOUGH));
            let result = attempt.run(&steps);
            result.map_err(|failure| failure.at(format_args!("a disk of {quota} bytes")))
        };
        found.note(watched(DEADLINE, run));
        quota > need
    });
    Figure::new("faults/full/largest_disk", need as f64 / 1024.0, "KiB", 1).print();
    found.report("faults/full", seed)
}

/// What the files of a script take at the most, where nothing is refused.
fn needed(steps: &[Step]) -> u64 {
    let disk = QuotaVfs::new(MemoryVfs::new(), ENOUGH);
    let result = Attempt::on(FaultyVfs::new(disk.clone()), None).run(steps);
    if let Err(failure) = result {
        eprintln!("on a disk that is large enough: {failure}");
    }
    disk.peak()
}

/// The same on a tmpfs of these sizes, where this machine lets us mount one.
pub(crate) fn real() -> bool {
    let Ok(program) = env::current_exe() else {
        return skipped("this program has no path");
    };
    let directory = env::temp_dir().join(format!("amphora-full-{}", process::id()));
    if let Err(error) = fs::create_dir(&directory) {
        return skipped(&error.to_string());
    }
    // A user and a mount namespace of our own: nothing is left when it ends.
    let run = |action: &str| {
        Command::new("unshare")
            .args(["-rm", "--"])
            .arg(&program)
            .args(["--on-tmpfs", action])
            .arg(&directory)
            .stdin(Stdio::null())
            .status()
    };
    let met = match run("try") {
        Ok(status) if status.success() => run("run").is_ok_and(|status| status.success()),
        Ok(_) => skipped("a tmpfs cannot be mounted here"),
        Err(error) => skipped(&format!("unshare: {error}")),
    };
    let _ = fs::remove_dir(&directory);
    met
}

fn skipped(why: &str) -> bool {
    eprintln!("no real disk was filled: {why}");
    Figure::new("faults/full_tmpfs/skipped", 1.0, "count", 0).print();
    true
}

/// In the namespace: tries to mount, or runs the script on each size.
pub(crate) fn on_tmpfs(arguments: &[String]) -> ExitCode {
    let [action, directory] = arguments else {
        return ExitCode::from(2);
    };
    let directory = Path::new(directory);
    if action == "try" {
        let mounted = mount(directory, "size=64k") && unmount(directory);
        return ExitCode::from(u8::from(!mounted));
    }
    let found = Found::default();
    let need = needed(&script());
    // tmpfs takes 0 for no limit.
    for size in (1..=need / STEP + 1).map(|pages| pages * STEP) {
        let at = directory.to_owned();
        let run = move || {
            let broken = |what: &str| Failure::new(Wrong::Refused, format_args!("{what} {size}"));
            if !mount(&at, &format!("size={size}")) {
                return Err(broken("mounting a tmpfs of"));
            }
            let result = fill(&at);
            if !unmount(&at) {
                return Err(broken("unmounting a tmpfs of"));
            }
            result.map_err(|failure| failure.at(format_args!("a tmpfs of {size} bytes")))
        };
        found.note(watched(DEADLINE, run));
    }
    ExitCode::from(u8::from(!found.report("faults/full_tmpfs", None)))
}

fn fill(directory: &Path) -> Result<(), Failure> {
    let disk = DiskVfs::open(directory, false);
    let disk = disk.map_err(|error| Failure::new(Wrong::NotOpened, error))?;
    let at = directory.to_owned();
    let space = move || {
        mount(&at, &format!("remount,size={ENOUGH}"));
    };
    let disk: FaultyVfs = FaultyVfs::new(disk);
    let result = Attempt::on(disk.clone(), None).until(space).run(&script());
    // Nothing may be open when it is unmounted.
    result.and_then(|()| match disk.lock() {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::new(Wrong::Refused, error).at("still locked")),
    })
}

fn mount(directory: &Path, options: &str) -> bool {
    let mut command = Command::new("mount");
    command.args(["-t", "tmpfs", "-o", options, "none"]);
    succeeds(command.arg(directory))
}

/// What was closed may still be mapped for a moment.
fn unmount(directory: &Path) -> bool {
    let unmounted = |_| {
        let unmounted = succeeds(Command::new("umount").arg(directory));
        if !unmounted {
            thread::sleep(Duration::from_millis(10));
        }
        unmounted
    };
    (0..300).any(unmounted)
}

fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}
