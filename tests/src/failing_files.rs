//! A directory in memory in which calls of one kind fail, of some of its files alone.

use crate::layer::{Kind, Layer, Layered, LayeredFile};
use amphora::vfs::{Map, MemoryVfs};
use std::{
    io,
    sync::{Mutex, PoisonError},
};

/// Which files are meant, and which of their calls fail with which error of the system.
#[derive(Debug)]
pub struct FailingFiles {
    prefix: &'static str,
    fault: Mutex<Option<(Kind, i32)>>,
}

impl FailingFiles {
    /// An empty directory; the files are those whose names begin so.
    #[must_use]
    pub fn of(prefix: &'static str, fault: Option<(Kind, i32)>) -> Layered<Self> {
        let fault = Mutex::new(fault);
        Layered::on(MemoryVfs::new(), Self { prefix, fault })
    }

    /// Has other calls fail from now on, or none.
    pub fn set(&self, fault: Option<(Kind, i32)>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    fn answer(&self, kind: Kind, file: &LayeredFile<Self>) -> io::Result<()> {
        let fault = *self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        match fault {
            Some((failing, code)) if failing == kind && file.own => {
                Err(io::Error::from_raw_os_error(code))
            }
            _ => Ok(()),
        }
    }
}

impl Layer for FailingFiles {
    /// Whether it is one of the files that are meant.
    type File = bool;

    fn opened(&self, name: &str, _: bool) -> bool {
        name.starts_with(self.prefix)
    }

    fn map(&self, file: &LayeredFile<Self>) -> io::Result<Map> {
        self.answer(Kind::Map, file)?;
        file.below.map()
    }

    fn write(&self, file: &LayeredFile<Self>, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.answer(Kind::Write, file)?;
        file.below.write_all_at(bytes, offset)
    }

    fn sync(&self, file: &LayeredFile<Self>) -> io::Result<()> {
        self.answer(Kind::Sync, file)?;
        file.below.sync()
    }
}
