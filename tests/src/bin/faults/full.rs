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
    each(|pages| {
        let size = pages as u64 * STEP;
        let at = directory.join(size.to_string());
        found.note(watched(DEADLINE, move || mount_and_fill(&at, size)));
        size > need
    });
    ExitCode::from(u8::from(!found.report("faults/full_tmpfs", None)))
}

/// Runs the script on a tmpfs of this size, in a new directory.
fn mount_and_fill(directory: &Path, size: u64) -> Result<(), Failure> {
    let place = format!("a tmpfs of {size} bytes");
    let broken = |what: &str| Failure::new(Wrong::Refused, what).at(&place);
    fs::create_dir(directory).map_err(|error| broken(&error.to_string()))?;
    if !mount(directory, &format!("size={size}")) {
        return Err(broken("it cannot be mounted"));
    }
    let result = fill(directory);
    if !unmount(directory) {
        return Err(broken("it cannot be unmounted"));
    }
    fs::remove_dir(directory).map_err(|error| broken(&error.to_string()))?;
    result.map_err(|failure| failure.at(&place))
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
    // Nothing may be open when it is unmounted. Processes that are being started beside it have
    // our files too, until they run their programs.
    result.and_then(|()| match patiently(|| disk.lock().is_ok()) {
        true => Ok(()),
        false => Err(Failure::new(Wrong::Refused, "still locked")),
    })
}

fn mount(directory: &Path, options: &str) -> bool {
    let mut command = Command::new("mount");
    command.args(["-t", "tmpfs", "-o", options, "none"]);
    succeeds(command.arg(directory))
}

/// What was closed may still be mapped for a moment.
fn unmount(directory: &Path) -> bool {
    patiently(|| succeeds(Command::new("umount").arg(directory)))
}

/// Whether it succeeds within some seconds.
fn patiently(attempt: impl Fn() -> bool) -> bool {
    let attempt = |_| {
        let succeeded = attempt();
        if !succeeded {
            thread::sleep(Duration::from_millis(10));
        }
        succeeded
    };
    (0..300).any(attempt)
}

fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}
