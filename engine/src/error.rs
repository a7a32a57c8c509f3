//! The one error type: a kind to act on, a sentence to read, and the source beneath.
//!
//! Every fallible operation of Amphora returns this [`Error`]. It is made where something goes
//! wrong and is only added to on its way up ([`Error::context`]). It never holds a user's
//! payload or vector, so that it may be logged.

use std::{error, fmt, io, sync::Arc};

/// The result of every fallible operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller can act on. The kinds are few; the message of the [`Error`] has the details.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request itself is wrong, and was refused before anything was written.
    InvalidInput,
    /// The named collection, file or directory does not exist.
    NotFound,
    /// The name is taken.
    AlreadyExists,
    /// The deadline passed first; the [`Outcome`] says whether a write may still take effect.
    Timeout(Outcome),
    /// The operation was cancelled. A read had no effect, nor had a write, but an edit by a filter, of which some steps
    /// may have been made; a closure that was running may run to its end.
    Cancelled,
    /// The queue is full, and the operation was told not to wait for a place.
    Overloaded,
    /// The database or the pool was closed.
    Closed,
    /// A sync failed earlier, so writes are refused until the database is opened again.
    Poisoned,
    /// Another handle, in this process or another, has the database open.
    Locked,
    /// A file does not hold what was written to it; see [`Error::location`].
    Corrupted,
    /// The operating system reported an error; see [`std::error::Error::source`].
    Io,
    /// The disk is full; writes go on when there is space again.
    StorageFull,
    /// This build cannot do what was asked, or cannot read a directory of a newer format.
    Unsupported,
    /// A job panicked. The pool and the database go on.
    Panicked,
    /// A function that the caller gave failed; see [`Error::other`].
    Other,
}

/// Whether a write, or a closure of the user's, that ran out of time may have taken effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It had no effect, and will have none.
    NotApplied,
    /// It had begun: a write may take effect whole, or not at all, an edit by a filter in part; a closure may run to its
    /// end.
    Unknown,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidInput => "invalid input",
            Self::NotFound => "not found",
            Self::AlreadyExists => "already exists",
            Self::Timeout(Outcome::NotApplied) => "timed out, not applied",
            Self::Timeout(Outcome::Unknown) => "timed out, outcome unknown",
            Self::Cancelled => "cancelled",
            Self::Overloaded => "overloaded",
            Self::Closed => "closed",
            Self::Poisoned => "poisoned",
            Self::Locked => "locked",
            Self::Corrupted => "corrupted",
            Self::Io => "input or output failed",
            Self::StorageFull => "storage full",
            Self::Unsupported => "unsupported",
            Self::Panicked => "panicked",
            Self::Other => "other",
        })
    }
}

/// An error with its [kind](Error::kind), a message that says what was wrong and what was
/// expected, and its [source](std::error::Error::source).
///
/// ```
/// use amphora::{Metric, Schema, Vector};
///
/// let error = Schema::new().vector("", Vector::new(3, Metric::Dot)).check().unwrap_err();
/// assert_eq!(error.kind(), amphora::ErrorKind::InvalidInput);
/// assert_eq!(error.to_string(), "invalid input: the name of a vector is empty");
/// ```
#[derive(Clone)]
pub struct Error(Box<Details>);

#[derive(Clone, Debug, thiserror::Error)]
#[error("{kind}: {message}")]
struct Details {
    kind: ErrorKind,
    message: String,
    location: Option<(String, u64)>,
    cause: Option<Arc<dyn error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind`, with a message that names what was wrong.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Details {
            kind,
            message: message.into(),
            location: None,
            cause: None,
        }))
    }

    /// An error of the caller's own, to come back from a function that was given to an operation. It
    /// keeps it as its [source](std::error::Error::source).
    ///
    /// ```
    /// use std::error::Error as _;
    ///
    /// let error = amphora::Error::other(std::fmt::Error);
    /// assert_eq!(error.kind(), amphora::ErrorKind::Other);
    /// assert!(error.source().is_some_and(|source| source.is::<std::fmt::Error>()));
    /// ```
    pub fn other(source: impl Into<Box<dyn error::Error + Send + Sync>>) -> Self {
        let source: Arc<dyn error::Error + Send + Sync> = Arc::from(source.into());
        let mut error = Self::new(ErrorKind::Other, source.to_string());
        error.0.cause = Some(source);
        error
    }

    /// The request is wrong in the way that `message` says.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    /// `file` does not hold at byte `offset` what `message` expected.
    pub(crate) fn corrupted(file: &str, offset: u64, message: impl fmt::Display) -> Self {
        let mut error = Self::new(
            ErrorKind::Corrupted,
            format!("{file} at byte {offset}: {message}"),
        );
        error.0.location = Some((file.to_owned(), offset));
        error
    }

    /// `source` came from the operating system while doing what `doing` says.
    pub(crate) fn io(doing: impl fmt::Display, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => ErrorKind::StorageFull,
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Io,
        };
        let mut error = Self::new(kind, format!("{doing}: {source}"));
        error.0.cause = Some(Arc::new(source));
        error
    }

    /// What a caller can act on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The damaged file and the offset in it, when the kind is [`ErrorKind::Corrupted`].
    #[must_use]
    pub fn location(&self) -> Option<(&str, u64)> {
        self.0.location.as_ref().map(|(file, at)| (&**file, *at))
    }

    /// The same error, with `context` said before its message.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.0.message = format!("{context}: {}", self.0.message);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Its source is what was given, so that it can be downcast; a derived one would be the `Arc` around it.
impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        let cause = self.0.cause.as_deref();
        cause.map(|cause| cause as &(dyn error::Error + 'static))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("source", &self.0.cause)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn an_io_error_keeps_its_source_and_says_what_was_done() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let error = Error::io("appending to wal-1.log", full).context("upsert into docs");
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        assert!(error.source().unwrap().is::<io::Error>());
        assert!(
            error
                .to_string()
                .starts_with("storage full: upsert into docs: appending"),
            "{error}"
        );
    }

    #[test]
    fn corruption_names_the_place() {
        let error = Error::corrupted("wal-1.log", 64, "a checksum differs");
        assert_eq!(error.location(), Some(("wal-1.log", 64)));
    }
}
