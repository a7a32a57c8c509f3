//! What is wrong with a query or a filter as people type it, and where.

use crate::error::Error;
use std::{error, fmt};

/// Why what was typed cannot be read, and where.
///
/// ```
/// use amphora::TextQuery;
///
/// let error = TextQuery::parse("heat (transfer").unwrap_err();
/// assert_eq!((error.byte, error.character), (5, 5));
/// assert_eq!(
///     error.to_string(),
///     "this parenthesis is not closed, at character 5\nheat (transfer\n     ^"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// What is wrong.
    pub message: String,
    /// How many bytes stand before it.
    pub byte: usize,
    /// How many characters stand before it.
    pub character: usize,
    /// What was typed around it, without control characters.
    pub(super) excerpt: String,
    /// How many characters of the excerpt stand before it.
    pub(super) caret: usize,
}

impl ParseError {
    /// How many characters are shown on each side.
    const SHOWN: usize = 40;

    pub(super) fn new(text: &str, byte: usize, message: impl Into<String>) -> Self {
        let (before, after) = text.split_at(byte);
        let mut shown: Vec<char> = before.chars().rev().take(Self::SHOWN).collect();
        shown.reverse();
        let caret = shown.len();
        shown.extend(after.chars().take(Self::SHOWN));
        let visible = |c: char| if c.is_control() { ' ' } else { c };
        Self {
            message: message.into(),
            byte,
            character: before.chars().count(),
            excerpt: shown.into_iter().map(visible).collect(),
            caret,
        }
    }
}

/// The message, and below it what was typed with a caret under the character.
impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            message,
            character,
            excerpt,
            caret,
            ..
        } = self;
        write!(
            f,
            "{message}, at character {character}\n{excerpt}\n{:caret$}^",
            ""
        )
    }
}

impl error::Error for ParseError {}

impl From<ParseError> for Error {
    fn from(error: ParseError) -> Self {
        Self::invalid(format!("what was typed cannot be read: {error}"))
    }
}
