//! A directory of the operating system, 0700, its files 0600, under an advisory lock.
//!
//! It opens what the engine names and nothing else, and follows no link in the directory, so that
//! what is written stays in it. It never truncates a file and never unlinks the lock file, so that
//! two processes cannot come to lock two files of one name.

use super::{Map, Vfs, VfsFile};
use crate::error::{Error, Result};
use std::{
    any::Any,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

const LOCK: &str = "LOCK";

/// A directory on disk.
#[derive(Debug)]
pub struct DiskVfs {
    path: PathBuf,
    /// Kept open for [`Vfs::sync_dir`]: the directory, and the one that holds its name, which
    /// whoever created it may not have synced.
    #[cfg(unix)]
    directories: Vec<File>,
}

impl DiskVfs {
    /// The directory at `path`; created with its parents if `create` says so.
    pub fn open(path: impl Into<PathBuf>, create: bool) -> io::Result<Self> {
        let path = path.into();
        match fs::metadata(&path) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(io::ErrorKind::NotADirectory.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound && create => {
                create_directory(&path)?;
            }
            Err(error) => return Err(error),
        }
        Ok(Self {
            #[cfg(unix)]
            directories: std::iter::once(File::open(&path)?)
                // One that may not be read cannot be synced either.
                .chain(File::open(parent(&path)))
                .collect(),
            path,
        })
    }

    fn at(&self, name: &str) -> PathBuf {
        debug_assert!(
            Path::new(name).file_name() == Some(name.as_ref()),
            "the engine's names are single path components"
        );
        self.path.join(name)
    }
}

impl Vfs for DiskVfs {
    fn create(&self, name: &str) -> io::Result<Arc<dyn VfsFile>> {
        let file = private(OpenOptions::new().read(true).write(true).create_new(true))
            .open(self.at(name))?;
        Ok(Arc::new(DiskFile { file }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn VfsFile>> {
        let file = open_here(OpenOptions::new().read(true).write(true), &self.at(name))?;
        Ok(Arc::new(DiskFile { file }))
    }

    fn open_read(&self, name: &str) -> io::Result<Arc<dyn VfsFile>> {
        let file = open_here(OpenOptions::new().read(true), &self.at(name))?;
        Ok(Arc::new(DiskFile { file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.at(from), self.at(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.at(name))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        fs::read_dir(&self.path)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    fn sync_dir(&self) -> io::Result<()> {
        #[cfg(unix)]
        self.directories.iter().try_for_each(File::sync_all)?;
        Ok(())
    }

    fn link_to(&self, name: &str, directory: &Path) -> io::Result<()> {
        fs::hard_link(self.at(name), directory.join(name))
    }

    fn lock(&self) -> io::Result<Box<dyn Any + Send>> {
        let path = self.at(LOCK);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = open_here(private(&mut options), &path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.take(20).read_to_string(&mut holder);
                return Err(io::Error::new(
                    io::ErrorKind::WouldBlock,
                    format!("process {}", holder.trim()),
                ));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        if !same_file(&file, &path)? {
            return Err(io::Error::new(
                io::ErrorKind::WouldBlock,
                "another process, which replaced the lock file",
            ));
        }
        // Told to whoever finds it locked; 20 columns hold any process id.
        file.write_all(format!("{:<20}", std::process::id()).as_bytes())?;
        Ok(Box::new(file))
    }
}

#[derive(Debug)]
struct DiskFile {
    file: File,
}

#[cfg(unix)]
impl VfsFile for DiskFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.file, bytes, offset)
    }

    fn map(&self) -> io::Result<Map> {
        Map::of(&self.file)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

#[cfg(windows)]
impl VfsFile for DiskFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_exact_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            match std::os::windows::fs::FileExt::seek_read(&self.file, buffer, offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    buffer = &mut buffer[read..];
                    offset += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn write_all_at(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match std::os::windows::fs::FileExt::seek_write(&self.file, bytes, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    bytes = &bytes[written..];
                    offset += written as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn map(&self) -> io::Result<Map> {
        Map::of(&self.file)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// The directory at `path`; created with its parents if `create` says so.
pub(crate) fn open_directory(path: &Path, create: bool) -> Result<DiskVfs> {
    DiskVfs::open(path, create).map_err(|error| match error.kind() {
        io::ErrorKind::NotADirectory => Error::invalid(format!(
            "{} is a file; expected a directory",
            path.display()
        )),
        _ => Error::io(format_args!("opening {}", path.display()), error),
    })
}

/// The directory that the file at `path` is in or shall be, which exists, and its name there.
pub(crate) fn directory_of(path: &Path) -> Result<(DiskVfs, String)> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| Error::invalid("the path does not end with a file's name"))?;
    Ok((open_directory(parent(path), false)?, name.to_owned()))
}

/// Opens a file of the user's for reading, wherever it is.
pub(crate) fn open_outside(path: &Path) -> io::Result<Arc<dyn VfsFile>> {
    let mut options = OpenOptions::new();
    // A pipe could keep us waiting.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        rustix::fs::OFlags::NONBLOCK.bits() as i32,
    );
    let file = regular(options.read(true).open(path)?)?;
    Ok(Arc::new(DiskFile { file }))
}

/// Creates `path` and its missing parents, and makes their names durable.
fn create_directory(path: &Path) -> io::Result<()> {
    let parent = parent(path);
    if !parent.exists() {
        create_directory(parent)?;
    }
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        // Someone else was first: the lock decides who has it.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    #[cfg(unix)]
    File::open(parent)?.sync_all()?;
    Ok(())
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Opens a file that lies in the directory itself: a link could lead out of it, and whatever else
/// is no file (a pipe, a device) could keep us waiting.
fn open_here(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        options,
        rustix::fs::OFlags::NOFOLLOW
            .union(rustix::fs::OFlags::NONBLOCK)
            .bits() as i32,
    );
    regular(options.open(path)?)
}

fn regular(file: File) -> io::Result<File> {
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    Ok(file)
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

#[cfg(unix)]
fn same_file(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (opened, named) = (file.metadata()?, fs::metadata(path)?);
    Ok((opened.dev(), opened.ino()) == (named.dev(), named.ino()))
}

#[cfg(not(unix))]
fn same_file(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}
