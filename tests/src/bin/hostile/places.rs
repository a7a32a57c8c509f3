//! Places that are not what a database expects: links, pipes, directories in place of files, and
//! directories that may not be read or written.

use super::{
    surroundings::{around, differences},
    used::place,
};
use amphora::{Database, ErrorKind, Outcome, Point, Result, Schema};
use amphora_tests::{
    opening::{self, Memory},
    report::Figure,
};
use std::{
    env,
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, chown, lchown, symlink},
        net::UnixListener,
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(20);
/// Whoever runs the child of a case about permissions, if this program may become someone else.
const NOBODY: u32 = 65_534;

/// A place that is made, opened and compared.
struct Case {
    name: String,
    /// Makes the place, and says what to open.
    make: Box<dyn Fn(&Path) -> PathBuf>,
    /// A directory besides `data` that the database may write to.
    also: Option<&'static str>,
    /// Whether the child must not be root, whom no permission stops.
    unprivileged: bool,
    umask: &'static str,
}

pub(crate) fn run() -> bool {
    let (mut escapes, mut hangs, mut deaths, mut opened, mut refused) = (0, 0, 0, 0, 0);
    let (cases, mut skipped) = (cases(), 0);
    for case in &cases {
        match attempt(case) {
            Ended::Said { opens, escaped } => {
                *(if opens { &mut opened } else { &mut refused }) += 1;
                escapes += u64::from(!escaped.is_empty());
                for problem in escaped {
                    eprintln!("{}: {problem}", case.name);
                }
            }
            Ended::Badly => {
                deaths += 1;
                eprintln!("{}: it ended badly", case.name);
            }
            Ended::Never => {
                hangs += 1;
                eprintln!("{}: it hangs", case.name);
            }
            Ended::Skipped => skipped += 1,
        }
    }
    let n = cases.len() as u64;
    let figure = |what: &str, value: u64| {
        Figure::new(format!("hostile/places/{what}"), value as f64, "count", n)
    };
    let figures = [
        figure("opened", opened).at_least(1.0),
        figure("refused", refused).at_least(1.0),
        figure("skipped", skipped),
        figure("changes_outside", escapes).at_most(0.0),
        figure("hangs", hangs).at_most(0.0),
        figure("deaths_and_untyped_errors", deaths).at_most(0.0),
    ];
    !figures
        .map(Figure::print)
        .iter()
        .any(|f| f.met == Some(false))
}

enum Ended {
    Said { opens: bool, escaped: Vec<String> },
    Badly,
    Never,
    Skipped,
}

fn attempt(case: &Case) -> Ended {
    let place = place();
    let root = place.path();
    let path = (case.make)(root);
    let program = env::current_exe().expect("the path of this program");
    let mut command = Command::new("sh");
    command
        .args(["-c", "umask \"$0\"; exec \"$@\"", case.umask])
        .arg(program)
        .arg("--place")
        .arg(hex(&path))
        .current_dir(root.join("cwd"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    // Only root may give files away, and needs to.
    if case.unprivileged && chown(root, Some(NOBODY), Some(NOBODY)).is_ok() {
        for path in around(root, &[]).into_keys() {
            let given = lchown(&path, Some(NOBODY), Some(NOBODY));
            given.expect("root may give it away");
        }
        command.uid(NOBODY).gid(NOBODY);
    }
    let data = root.join("data");
    let also = case.also.map(|name| root.join(name));
    let without: Vec<&Path> = [Some(&data), also.as_ref()]
        .into_iter()
        .flatten()
        .map(PathBuf::as_path)
        .collect();
    let before = around(root, &without);
    let started = Instant::now();
    let mut child = command.spawn().expect("a shell");
    let mut ended = None;
    while ended.is_none() && started.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(2));
        ended = child.try_wait().expect("it is our child");
    }
    let escaped = differences(&before, &around(root, &without));
    // What may not be entered may not be removed either.
    for path in [&data, &root.join("shut")] {
        let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o700));
    }
    let Some(status) = ended else {
        let _ = child.kill();
        let _ = child.wait();
        return Ended::Never;
    };
    match status.code() {
        Some(0) => Ended::Said {
            opens: true,
            escaped,
        },
        Some(3) => Ended::Said {
            opens: false,
            escaped,
        },
        // Its shell may not run this program as somebody else.
        Some(126 | 127) => Ended::Skipped,
        _ => Ended::Badly,
    }
}

/// The child: 0 when it could write and close, 3 when it was refused with a typed error.
/// Its argument is the path, in a form that may hold anything.
pub(crate) fn child(path: &str) -> ExitCode {
    let digits = path.as_bytes().chunks(2);
    let bytes = digits.filter_map(|two| u8::from_str_radix(str::from_utf8(two).ok()?, 16).ok());
    let path: Vec<u8> = bytes.collect();
    match write(Path::new(OsStr::from_bytes(&path))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => match error.kind() {
            ErrorKind::Panicked
            | ErrorKind::Timeout(Outcome::Unknown | Outcome::NotApplied)
            | ErrorKind::Cancelled => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
            _ => ExitCode::from(3),
        },
    }
}

fn hex(path: &Path) -> String {
    let bytes = path.as_os_str().as_bytes().iter();
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

fn write(path: &Path) -> Result<()> {
    let mut options = opening::options(Memory::Tiny);
    options.lock_timeout = Duration::from_millis(100);
    let db = Database::builder(path).options(options).open().wait()?;
    let docs = match db.collection("docs").wait() {
        Ok(docs) => docs,
        Err(_) => db.create_collection("docs", Schema::new()).wait()?,
    };
    docs.upsert((0..300u64).map(Point::new)).wait()?;
    docs.delete(0..10u64).wait()?;
    opening::optimize(&db)?;
    docs.upsert([Point::new("last")]).wait()?;
    db.close().wait()
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    paths(&mut cases);
    directories(&mut cases);
    permissions(&mut cases);
    inside(&mut cases);
    cases
}

fn add(
    cases: &mut Vec<Case>,
    name: impl Into<String>,
    make: impl Fn(&Path) -> PathBuf + 'static,
) -> &mut Case {
    cases.push(Case {
        name: name.into(),
        make: Box::new(make),
        also: None,
        unprivileged: false,
        umask: "022",
    });
    cases.last_mut().expect("it was just added")
}

fn link(to: impl AsRef<Path>, at: &Path) {
    symlink(to, at).expect("room for a link");
}

/// A database that was written and closed, in `data`.
fn database(root: &Path) -> PathBuf {
    let data = root.join("data");
    write(&data).expect("a new database");
    data
}

/// The files of a database, whatever they are called.
fn files(data: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(data).expect("the directory is there");
    let mut files: Vec<_> = entries.map(|e| e.expect("an entry").path()).collect();
    files.sort();
    files
}

/// Paths that lead nowhere, or elsewhere.
fn paths(cases: &mut Vec<Case>) {
    add(cases, "a new directory", |root| root.join("data"));
    add(cases, "a link to an empty directory", |root| {
        fs::create_dir(root.join("target")).expect("room for a directory");
        link(root.join("target"), &root.join("link"));
        root.join("link")
    })
    .also = Some("target");
    add(cases, "a dangling link", |root| {
        link(root.join("outside/none"), &root.join("link"));
        root.join("link")
    });
    add(cases, "a link below a dangling link", |root| {
        link(root.join("outside/none"), &root.join("link"));
        root.join("link/data")
    });
    add(cases, "a link to itself", |root| {
        link("link", &root.join("link"));
        root.join("link")
    });
    add(cases, "a link to a file", |root| {
        link(root.join("neighbour"), &root.join("link"));
        root.join("link")
    });
    add(cases, "a directory of others", |root| root.join("outside"));
    add(cases, "below a file", |root| root.join("neighbour/data"));
    for (name, path) in [
        ("an empty path", &b""[..]),
        ("NUL", b"da\0ta"),
        ("a device", b"/dev/null"),
        ("a process", b"/proc/self"),
        ("a process's directory", b"/proc/self/data"),
        ("a path of 5,000 bytes", &[b'n'; 5_000]),
        ("a name of 300 bytes", &[b'n'; 300]),
        ("the root", b"/"),
        ("itself", b"."),
        ("its parent", b".."),
    ] {
        add(cases, name, move |_| PathBuf::from(OsStr::from_bytes(path)));
    }
    // All of these are one directory.
    for (name, end) in [
        ("a slash at the end", &b"data/"[..]),
        ("slashes", b"data///"),
        ("a dot at the end", b"data/."),
        ("up and down", b"outside/../data"),
    ] {
        add(cases, name, move |root| root.join(OsStr::from_bytes(end)));
    }
    for (name, inside) in [
        ("no UTF-8", &b"data/\xFF\xFE"[..]),
        ("a line break", b"data/a\nb"),
        ("turned round", "data/\u{202e}gpj".as_bytes()),
        ("a space at the end", b"data/a "),
        ("a dot after a name", b"data/a."),
        ("an option", b"data/-rf"),
        ("dots", b"data/..."),
        ("a device of another system", b"data/NUL"),
    ] {
        add(cases, name, move |root| {
            fs::create_dir(root.join("data")).expect("room for a directory");
            root.join(OsStr::from_bytes(inside))
        });
    }
}

/// What may lie in a directory already.
fn directories(cases: &mut Vec<Case>) {
    type Make = fn(&Path);
    let strangers: [(&str, Make); 6] = [
        ("a file", |data| {
            fs::write(data.join("photo.jpg"), "keep").expect("room for a file");
        }),
        ("a directory", |data| {
            fs::create_dir(data.join("photos")).expect("room for a directory");
        }),
        ("a link to outside", |data| {
            link("../outside/secret.txt", &data.join("photo.jpg"));
        }),
        ("a link to the outside directory", |data| {
            link("../outside", &data.join("photos"));
        }),
        ("no UTF-8", |data| {
            let name = OsStr::from_bytes(b"wal-\xFF.log");
            fs::write(data.join(name), "keep").expect("room for a file");
        }),
        ("a pipe", |data| pipe(&data.join("pipe"))),
    ];
    for (name, make) in strangers {
        add(
            cases,
            format!("others without a database: {name}"),
            move |root| {
                let data = root.join("data");
                fs::create_dir(&data).expect("room for a directory");
                make(&data);
                data
            },
        );
        add(
            cases,
            format!("others beside a database: {name}"),
            move |root| {
                let data = database(root);
                make(&data);
                data
            },
        );
    }
}

fn permissions(cases: &mut Vec<Case>) {
    for mode in [0o000, 0o100, 0o300, 0o400, 0o500, 0o777] {
        let name = format!("mode {mode:03o}");
        add(cases, format!("a database of {name}"), move |root| {
            let data = database(root);
            set_mode(&data, mode);
            data
        })
        .unprivileged = true;
        add(cases, format!("below a directory of {name}"), move |root| {
            let shut = root.join("shut");
            fs::create_dir(&shut).expect("room for a directory");
            set_mode(&shut, mode);
            shut.join("data")
        })
        .unprivileged = true;
        if [0o300, 0o777].contains(&mode) {
            cases.last_mut().expect("it was just added").also = Some("shut");
        }
        for number in 0..example().len() {
            let name = format!("file {number} of {name}");
            add(cases, name, move |root| {
                let data = database(root);
                if let Some(file) = files(&data).get(number) {
                    set_mode(file, mode);
                }
                data
            })
            .unprivileged = true;
        }
    }
    for umask in ["000", "077", "277", "777"] {
        let case = add(cases, format!("umask {umask}"), |root| root.join("data"));
        case.unprivileged = true;
        case.umask = umask;
    }
}

fn set_mode(path: &Path, mode: u32) {
    let set = fs::set_permissions(path, fs::Permissions::from_mode(mode));
    set.expect("it is ours");
}

/// The names of the files of a database.
fn example() -> Vec<String> {
    let place = place();
    let names = files(&database(place.path()));
    let names = names.iter().filter_map(|path| path.file_name());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

/// A file of a database, replaced by something else.
fn inside(cases: &mut Vec<Case>) {
    type Replace = fn(&Path, &Path);
    let replaced: [(&str, Replace); 12] = [
        ("a link to where it was moved", |file, root| {
            let moved = root.join("outside/moved");
            fs::rename(file, &moved).expect("it is ours");
            link(moved, file);
        }),
        ("a relative link to where it was moved", |file, root| {
            fs::rename(file, root.join("outside/moved")).expect("it is ours");
            link("../outside/moved", file);
        }),
        ("a link to a file of others", |file, _| {
            fs::remove_file(file).expect("it is ours");
            link("../outside/secret.txt", file);
        }),
        ("a link to an empty file of others", |file, root| {
            fs::remove_file(file).expect("it is ours");
            fs::write(root.join("outside/empty"), "").expect("room for a file");
            link("../outside/empty", file);
        }),
        ("a dangling link", |file, _| {
            fs::remove_file(file).expect("it is ours");
            link("../outside/none", file);
        }),
        ("a link to itself", |file, _| {
            fs::remove_file(file).expect("it is ours");
            link(file.file_name().expect("a name"), file);
        }),
        ("a link to a directory", |file, _| {
            fs::remove_file(file).expect("it is ours");
            link("../outside", file);
        }),
        ("a link to a device", |file, _| {
            fs::remove_file(file).expect("it is ours");
            link("/dev/zero", file);
        }),
        ("a directory", |file, _| {
            fs::remove_file(file).expect("it is ours");
            fs::create_dir(file).expect("room for a directory");
        }),
        ("a pipe", |file, _| {
            fs::remove_file(file).expect("it is ours");
            pipe(file);
        }),
        ("a socket", |file, _| {
            fs::remove_file(file).expect("it is ours");
            drop(UnixListener::bind(file).expect("room for a socket"));
        }),
        ("an empty file", |file, _| {
            fs::write(file, "").expect("room for a file");
        }),
    ];
    for name in example() {
        for (what, replace) in replaced {
            let (file, title) = (name.clone(), format!("{name} is {what}"));
            add(cases, title, move |root| {
                let data = database(root);
                replace(&data.join(&file), root);
                data
            });
            // The same where a database is about to be created.
            let (file, title) = (
                name.clone(),
                format!("{name} is {what}, and nothing else is there"),
            );
            add(cases, title, move |root| {
                let data = root.join("data");
                fs::create_dir(&data).expect("room for a directory");
                fs::write(data.join(&file), "").expect("room for a file");
                replace(&data.join(&file), root);
                data
            });
            let (file, title) = (name.clone(), format!("{name}.tmp is {what}"));
            add(cases, title, move |root| {
                let data = root.join("data");
                fs::create_dir(&data).expect("room for a directory");
                let temporary = data.join(format!("{file}.tmp"));
                fs::write(&temporary, "").expect("room for a file");
                replace(&temporary, root);
                data
            });
        }
    }
}

fn pipe(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status();
    assert!(made.is_ok_and(|status| status.success()), "a pipe");
}
