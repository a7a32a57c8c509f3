//! Tokenizers that the user brings, by name.

use std::{collections::BTreeMap, fmt, ops::Range, sync::Arc};

/// Takes texts apart into words, where none of the tokenizers of [`Tokenization`](crate::Tokenization)
/// does: by a dictionary of Japanese, say, or with words brought back to the form that a dictionary has
/// them in.
///
/// It must always give the same words for the same text, on every machine that opens the database: what
/// was indexed under other words is not found. One that panics over the text of a point fails the searches
/// in that text, as [`Panicked`](crate::ErrorKind::Panicked), until the database is opened with one that
/// does not; the point itself is kept.
///
/// ```
/// use amphora::Tokenizer;
/// use std::ops::Range;
///
/// /// What stands between slashes.
/// struct Segments;
///
/// impl Tokenizer for Segments {
///     fn tokenize(&self, text: &str, each: &mut dyn FnMut(&str, Range<usize>)) {
///         let mut start = 0;
///         for segment in text.split('/') {
///             let end = start + segment.len();
///             each(segment, start..end);
///             start = end + 1;
///         }
///     }
/// }
///
/// let mut found = Vec::new();
/// Segments.tokenize("a/bc", &mut |word, span| found.push((word.to_owned(), span)));
/// assert_eq!(found, [("a".to_owned(), 0..1), ("bc".to_owned(), 2..4)]);
/// ```
pub trait Tokenizer: Send + Sync {
    /// Calls `each` for each word of the text, in their order, with the bytes of the text where it stands;
    /// what is no part of the text is left out. Words are lower-cased, stemmed and so on afterwards, as the
    /// [`Text`](crate::Text) says. An empty one is left out.
    fn tokenize(&self, text: &str, each: &mut dyn FnMut(&str, Range<usize>));
}

/// Tokenizers by the names that schemas know them by, in
/// [`Tokenization::Custom`](crate::Tokenization::Custom).
///
/// ```
/// use amphora::{Tokenizer, Tokenizers};
/// use std::ops::Range;
///
/// struct Whole;
///
/// impl Tokenizer for Whole {
///     fn tokenize(&self, text: &str, each: &mut dyn FnMut(&str, Range<usize>)) {
///         each(text, 0..text.len());
///     }
/// }
///
/// let tokenizers = Tokenizers::new().with("whole", Whole);
/// assert_eq!(format!("{tokenizers:?}"), r#"{"whole"}"#);
/// ```
#[derive(Clone, Default)]
pub struct Tokenizers(BTreeMap<String, Arc<dyn Tokenizer>>);

impl Tokenizers {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tokenizer, or replaces the one of this name.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, tokenizer: impl Tokenizer + 'static) -> Self {
        self.0.insert(name.into(), Arc::new(tokenizer));
        self
    }

    pub(crate) fn named(&self, name: &str) -> Option<&Arc<dyn Tokenizer>> {
        self.0.get(name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl fmt::Debug for Tokenizers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The same tokenizers under the same names.
impl PartialEq for Tokenizers {
    fn eq(&self, other: &Self) -> bool {
        let same = |((a, x), (b, y)): ((&String, &Arc<_>), (&String, &Arc<_>))| {
            a == b && Arc::ptr_eq(x, y)
        };
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(same)
    }
}

impl Eq for Tokenizers {}
