//! What to look for in texts: words, phrases, beginnings and misspellings of words, put together.
//!
//! A [`TextQuery`] is plain data that knows no schema. [`parse`] makes one of what a person typed,
//! [`lower`] brings its words to the terms of a schema's texts, and [`highlight`] finds these in a text.

mod highlight;
mod json;
mod lower;
mod parse;

pub use highlight::Snippet;
pub(super) use highlight::{Wanted, snippet};
pub(super) use json::typed;
pub(super) use lower::{Node, Searched, lower};

use crate::{
    error::{Error, Result},
    json::is_default,
    options::Limits,
    schema::check_name,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    mem,
    ops::{BitAnd, BitOr, Not},
};

/// What to look for in texts. Built by constructors and the operators `&`, `|` and `!`, or
/// [parsed](Self::parse) from what a person typed.
///
/// Words are analyzed as those of the texts are, so that `falling` finds `falls` where words are stemmed. What
/// comes to nothing, since it holds stop words alone, asks for nothing: a query of nothing else finds
/// nothing.
///
/// ```
/// use amphora::TextQuery;
///
/// let query = TextQuery::all("heat transfer")
///     & (TextQuery::phrase("boundary layer").slop(1) | TextQuery::prefix("therm").boost(2.0))
///     & !TextQuery::fuzzy("laminer").field("title");
/// assert!(matches!(&query, TextQuery::Bool { must, must_not, .. } if must.len() == 2 && must_not.len() == 1));
/// ```
///
/// As JSON an object with one key; for a query within it, and in a [`Query`](crate::Query), a string may stand, as it is
/// [typed](Self::parse):
///
/// ```
/// # use amphora::TextQuery;
/// let json = r#"{ "bool": {
///     "must": [
///         { "match": { "text": "heat transfer", "least": "all" } },
///         { "phrase": { "text": "boundary layer", "slop": 1 } },
///         { "boost": { "query": { "prefix": "therm" }, "times": 2 } }
///     ],
///     "should": [{ "in": { "fields": { "title": 3, "body": 1 }, "query": "flow -laminar" } }],
///     "must_not": [{ "fuzzy": { "text": "laminer", "distance": { "edits": 1 }, "exact_prefix": 3 } }],
///     "at_least": 0
/// } }"#;
/// let query: TextQuery = serde_json::from_str(json)?;
/// assert_eq!(serde_json::from_str::<TextQuery>(&serde_json::to_string(&query)?)?, query);
/// # Ok::<_, serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum TextQuery {
    /// So many of the different words of a text.
    Match {
        /// The words.
        text: String,
        /// How many of them.
        #[serde(default, skip_serializing_if = "is_default")]
        least: Least,
    },
    /// The words of a text in their order.
    Phrase {
        /// The words.
        text: String,
        /// How many places they may be moved by in all, so that words between them, or in another order,
        /// are found: 0 is as they stand, 2 lets two neighbours change places.
        #[serde(default, skip_serializing_if = "is_default")]
        slop: u32,
    },
    /// Words that begin like this one. Of several words all are looked for, and the last is the
    /// beginning.
    Prefix(String),
    /// Words that are spelled almost like this one. Of several words all are looked for.
    Fuzzy {
        /// The word.
        text: String,
        /// How far off.
        #[serde(default, skip_serializing_if = "is_default")]
        distance: Distance,
        /// How many characters at the beginning must be the same.
        #[serde(default, skip_serializing_if = "is_default")]
        exact_prefix: u32,
    },
    /// All of some, so many of others, none of a third kind. One that has only the third kind finds
    /// nothing to begin with, and is refused.
    Bool {
        /// Points match all of these.
        #[serde(
            default,
            skip_serializing_if = "Vec::is_empty",
            deserialize_with = "json::all"
        )]
        must: Vec<TextQuery>,
        /// Points score higher for each of these that they match.
        #[serde(
            default,
            skip_serializing_if = "Vec::is_empty",
            deserialize_with = "json::all"
        )]
        should: Vec<TextQuery>,
        /// Points match none of these.
        #[serde(
            default,
            skip_serializing_if = "Vec::is_empty",
            deserialize_with = "json::all"
        )]
        must_not: Vec<TextQuery>,
        /// How many of `should` points match at least; none unless set, but one if there is no `must`,
        /// whatever is set.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at_least: Option<u32>,
    },
    /// Scores so many times as high.
    Boost {
        /// What is looked for.
        #[serde(deserialize_with = "json::boxed")]
        query: Box<TextQuery>,
        /// How many times, 0 or more.
        times: f32,
    },
    /// Looks in these texts of the schema, if what is within does not say itself where to look.
    In {
        /// The texts, and how many times as much each counts.
        fields: BTreeMap<String, f32>,
        /// What is looked for. A word may be in any of the texts.
        #[serde(deserialize_with = "json::boxed")]
        query: Box<TextQuery>,
    },
}

/// How many of the words of a text must be there. As JSON `"any"`, `"all"` or `{ "of": 2 }`.
///
/// ```
/// use amphora::{Least, TextQuery};
///
/// let query = TextQuery::at_least(2, "heat transfer flow");
/// assert!(matches!(&query, TextQuery::Match { least: Least::Of(2), .. }));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Least {
    /// One of them.
    #[default]
    Any,
    /// All of them.
    All,
    /// So many, or all if there are fewer.
    Of(u32),
}

/// How many characters of a word may be other ones, missing, too many, or two neighbours in each other's
/// place (optimal string alignment, after Damerau, 1964). As JSON `"auto"` or `{ "edits": 1 }`.
///
/// ```
/// use amphora::{Distance, TextQuery};
///
/// let query = TextQuery::fuzzy("laminer").distance(1).exact_prefix(3);
/// assert!(matches!(&query, TextQuery::Fuzzy { distance: Distance::Edits(1), .. }));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Distance {
    /// None in words of up to 2 characters, one in words of up to 5, and two in longer ones.
    #[default]
    Auto,
    /// So many: 0 to 2.
    Edits(u32),
}

/// Any of the words of a text.
impl From<&str> for TextQuery {
    fn from(text: &str) -> Self {
        Self::any(text)
    }
}

/// Any of the words of a text.
impl From<String> for TextQuery {
    fn from(text: String) -> Self {
        Self::any(text)
    }
}

impl TextQuery {
    /// How deep a query may be nested.
    pub const MAX_DEPTH: usize = 64;
    /// The most bytes of all texts in a query, and of one that is parsed.
    pub const MAX_BYTES: usize = 64 << 10;
    /// The largest distance of a fuzzy query.
    pub const MAX_DISTANCE: u32 = 2;
    /// The largest slop of a phrase.
    pub const MAX_SLOP: u32 = 1_000;

    /// Any of the words of a text; the more, the better.
    pub fn any(text: impl Into<String>) -> Self {
        Self::matching(text, Least::Any)
    }

    /// All of the words of a text.
    pub fn all(text: impl Into<String>) -> Self {
        Self::matching(text, Least::All)
    }

    /// At least so many of the different words of a text, or all if there are fewer.
    pub fn at_least(words: u32, text: impl Into<String>) -> Self {
        Self::matching(text, Least::Of(words))
    }

    fn matching(text: impl Into<String>, least: Least) -> Self {
        Self::Match {
            text: text.into(),
            least,
        }
    }

    /// The words of a text in their order, each beside the one before. Needs positions: see
    /// [`Text::positions`](crate::Text::positions).
    pub fn phrase(text: impl Into<String>) -> Self {
        Self::Phrase {
            text: text.into(),
            slop: 0,
        }
    }

    /// Words that begin like this one. It is compared with terms, stems where words are stemmed, and is
    /// not stemmed itself.
    pub fn prefix(text: impl Into<String>) -> Self {
        Self::Prefix(text.into())
    }

    /// Words that are spelled almost like this one, as far off as [`Distance::Auto`] says.
    pub fn fuzzy(text: impl Into<String>) -> Self {
        Self::Fuzzy {
            text: text.into(),
            distance: Distance::Auto,
            exact_prefix: 0,
        }
    }

    /// At least so many of some queries.
    pub fn at_least_of(least: u32, queries: impl IntoIterator<Item = Self>) -> Self {
        Self::Bool {
            must: Vec::new(),
            should: queries.into_iter().collect(),
            must_not: Vec::new(),
            at_least: Some(least),
        }
    }

    /// How many places the words of a phrase may be moved by in all. Other queries stay as they are.
    #[must_use]
    pub fn slop(mut self, places: u32) -> Self {
        if let Self::Phrase { slop, .. } = &mut self {
            *slop = places;
        }
        self
    }

    /// How many characters of a fuzzy word may be wrong, 0 to 2. Other queries stay as they are.
    #[must_use]
    pub fn distance(mut self, edits: u32) -> Self {
        if let Self::Fuzzy { distance, .. } = &mut self {
            *distance = Distance::Edits(edits);
        }
        self
    }

    /// How many characters at the beginning of a fuzzy word must be right. Other queries stay as they are.
    #[must_use]
    pub fn exact_prefix(mut self, characters: u32) -> Self {
        if let Self::Fuzzy { exact_prefix, .. } = &mut self {
            *exact_prefix = characters;
        }
        self
    }

    /// Scores so many times as high.
    #[must_use]
    pub fn boost(self, times: f32) -> Self {
        Self::Boost {
            query: Box::new(self),
            times,
        }
    }

    /// Looks in this text of the schema, where nothing within says otherwise.
    #[must_use]
    pub fn field(self, name: impl Into<String>) -> Self {
        self.fields([(name, 1.0)])
    }

    /// Looks in these texts of the schema, where nothing within says otherwise; each counts so many times
    /// as much. A word may be in any of them: all of `heat transfer` are there if one text has the one and
    /// another the other.
    ///
    /// ```
    /// use amphora::TextQuery;
    ///
    /// let query = TextQuery::all("heat transfer").fields([("title", 3.0), ("body", 1.0)]);
    /// # assert!(matches!(&query, TextQuery::In { fields, .. } if fields["title"] == 3.0));
    /// ```
    #[must_use]
    pub fn fields<N: Into<String>>(self, fields: impl IntoIterator<Item = (N, f32)>) -> Self {
        let fields = fields.into_iter();
        Self::In {
            fields: fields.map(|(name, boost)| (name.into(), boost)).collect(),
            query: Box::new(self),
        }
    }

    /// Whether it says nothing but what is not looked for.
    fn only_excludes(&self) -> bool {
        matches!(self, Self::Bool { must, should, .. } if must.is_empty() && should.is_empty())
    }

    /// Moves out what nests.
    fn take_apart(&mut self, open: &mut Vec<Self>) {
        match self {
            Self::Match { .. } | Self::Phrase { .. } | Self::Prefix(_) | Self::Fuzzy { .. } => {}
            Self::Bool {
                must,
                should,
                must_not,
                ..
            } => {
                open.append(must);
                open.append(should);
                open.append(must_not);
            }
            Self::Boost { query, .. } | Self::In { query, .. } => {
                open.push(mem::replace(query, Self::Prefix(String::new())));
            }
        }
    }

    /// Whether it may run, whatever the schema.
    pub(crate) fn check(&self, limits: &Limits) -> Result<()> {
        let mut open = vec![(self, 1)];
        let (mut seen, mut bytes) = (0, 0);
        while let Some((query, depth)) = open.pop() {
            seen += 1;
            if seen + open.len() > limits.text_clauses {
                return Err(too_many(limits));
            }
            if depth > Self::MAX_DEPTH {
                return Err(Error::invalid(format!(
                    "a text query is nested more than {} deep",
                    Self::MAX_DEPTH
                )));
            }
            let mut nested = |query| open.push((query, depth + 1));
            match query {
                Self::Bool {
                    must,
                    should,
                    must_not,
                    at_least,
                } => {
                    must.iter().chain(should).chain(must_not).for_each(nested);
                    if query.only_excludes() {
                        let what = "a text query says what is not looked for alone; expected something to find";
                        return Err(Error::invalid(what));
                    }
                    check_bool(should.len(), *at_least)?;
                }
                Self::Boost { query, times } => {
                    nested(query);
                    check_boost(*times)?;
                }
                Self::In { fields, query } => {
                    nested(query);
                    seen += fields.len();
                    for (name, boost) in fields {
                        check_name("text", name)?;
                        check_boost(*boost)?;
                    }
                }
                leaf => bytes += leaf.check_leaf()?,
            }
        }
        if bytes > Self::MAX_BYTES {
            return Err(Error::invalid(format!(
                "the texts of a text query have {bytes} bytes; expected at most {}",
                Self::MAX_BYTES
            )));
        }
        Ok(())
    }

    /// How many bytes its text has, if its numbers are within bounds.
    fn check_leaf(&self) -> Result<usize> {
        let wrong = |what: &str, found: u32, least: u32, most: u32| {
            Err(Error::invalid(format!(
                "{what} is {found}; expected {least} to {most}"
            )))
        };
        match self {
            Self::Match {
                least: Least::Of(0),
                ..
            } => wrong("how many words of a text must be there", 0, 1, u32::MAX),
            Self::Phrase { slop, .. } if *slop > Self::MAX_SLOP => {
                wrong("the slop of a phrase", *slop, 0, Self::MAX_SLOP)
            }
            Self::Fuzzy {
                distance: Distance::Edits(edits),
                ..
            } if *edits > Self::MAX_DISTANCE => wrong(
                "the distance of a fuzzy query",
                *edits,
                0,
                Self::MAX_DISTANCE,
            ),
            Self::Match { text, .. }
            | Self::Phrase { text, .. }
            | Self::Prefix(text)
            | Self::Fuzzy { text, .. } => Ok(text.len()),
            Self::Bool { .. } | Self::Boost { .. } | Self::In { .. } => Ok(0),
        }
    }
}

fn check_bool(should: usize, at_least: Option<u32>) -> Result<()> {
    match at_least {
        Some(least) if least as usize > should => Err(Error::invalid(format!(
            "a text query asks for {least} of {should} queries; expected at most as many as there are"
        ))),
        _ => Ok(()),
    }
}

fn check_boost(boost: f32) -> Result<()> {
    if boost.is_finite() && boost >= 0.0 {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "a boost is {boost}; expected a finite number, 0 or more"
    )))
}

fn too_many(limits: &Limits) -> Error {
    Error::invalid(format!(
        "a text query has more than {} clauses and terms",
        limits.text_clauses
    ))
}

impl BitAnd for TextQuery {
    type Output = Self;

    fn bitand(self, mut other: Self) -> Self {
        let mut both = match self {
            Self::Bool {
                ref should,
                at_least: None,
                ..
            } if should.is_empty() => self,
            query => Self::Bool {
                must: vec![query],
                should: Vec::new(),
                must_not: Vec::new(),
                at_least: None,
            },
        };
        if let Self::Bool { must, must_not, .. } = &mut both {
            let excludes = other.only_excludes();
            match &mut other {
                Self::Bool { must_not: none, .. } if excludes => must_not.append(none),
                _ => must.push(other),
            }
        }
        both
    }
}

impl BitOr for TextQuery {
    type Output = Self;

    fn bitor(mut self, other: Self) -> Self {
        if let Self::Bool {
            must,
            should,
            must_not,
            at_least: None,
        } = &mut self
            && must.is_empty()
            && must_not.is_empty()
        {
            should.push(other);
            return self;
        }
        Self::Bool {
            must: Vec::new(),
            should: vec![self, other],
            must_not: Vec::new(),
            at_least: None,
        }
    }
}

impl Not for TextQuery {
    type Output = Self;

    fn not(mut self) -> Self {
        let excludes = self.only_excludes();
        match &mut self {
            Self::Bool { must_not, .. } if excludes && must_not.len() == 1 => must_not.remove(0),
            _ => Self::Bool {
                must: Vec::new(),
                should: Vec::new(),
                must_not: vec![self],
                at_least: None,
            },
        }
    }
}

/// Level by level, since a query may be nested deeper than a stack allows, long before anything has
/// checked it.
impl Drop for TextQuery {
    fn drop(&mut self) {
        let mut open = Vec::new();
        self.take_apart(&mut open);
        while let Some(mut query) = open.pop() {
            query.take_apart(&mut open);
        }
    }
}

#[cfg(test)]
mod tests;
