//! Filters as people type them, in the manner of a WHERE clause.
//!
//! What is typed is read word by word, in one pass; what cannot be read is an error that points at the
//! character. No deeper than a filter may be.

use super::{Condition, Filter, Wording, field};
use crate::{
    geo::{GeoArea, GeoPoint},
    id::PointId,
    query::ParseError,
};
use serde_json::{Number, Value};
use std::{ops::Bound, str::FromStr};
use uuid::Uuid;

impl FromStr for Filter {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

impl Filter {
    /// The most bytes of a filter that is typed.
    pub const MAX_TYPED_BYTES: usize = 1 << 20;

    /// Reads a filter as people type it:
    ///
    /// | typed | what it asks |
    /// |---|---|
    /// | `year = 1854`, `draft != true` | a string, number or boolean; `!=` is the same as `NOT .. =` |
    /// | `year >= 1850 AND year < 1900` | a range of numbers, also `year BETWEEN 1850 AND 1899`, `BETWEEN 1850 AND BELOW 1900`, `BETWEEN ABOVE 1849 AND 1899`, which one value has to be in |
    /// | `written >= '2024-05-01T12:30:00Z'` | the same of date-times |
    /// | `tags IN ('a', 'b')`, `tags NOT IN ('a')` | some value, no value is one of these |
    /// | `tags EXCEPT ('a', 'b')` | some value is none of these |
    /// | `title STARTS WITH 'Wal'`, `title CONTAINS 'den'` | strings to the letter |
    /// | `body MATCHES 'heat transfer'`, `MATCHES ANY '..'`, `MATCHES PHRASE '..'` | words |
    /// | `note IS NULL`, `note IS NOT EMPTY` | see [`is_null`](super::FieldPath::is_null), [`is_empty`](super::FieldPath::is_empty) |
    /// | `COUNT(tags) >= 2` | the number of values |
    /// | `reviews ANY (by = 'ann' AND stars >= 4)` | an object for whose fields this holds |
    /// | `place NEAR (13.4 52.5, 5000)` | longitude and latitude, and a distance in meters |
    /// | `place IN BOX (13 53, 14 52)` | the corners in the north-west and in the south-east |
    /// | `place IN POLYGON ((0 0, 4 0, 4 4), (1 1, 2 1, 2 2))` | a ring of corners, and its holes |
    /// | `ID IN (7, 'doc-1', UUID '67e5..')`, `HAS VECTOR title` | points with these ids, with this vector |
    /// | `a = 1 OR b = 2 AND NOT (c = 3)` | `AND` binds closer than `OR` |
    /// | `AT LEAST 2 OF (a = 1, b = 2, c = 3)` | so many of these |
    ///
    /// Strings stand in single quotes, a quote within one twice. A field that is no word of letters, digits,
    /// `_`, `-`, `.`, `[]`, or that is called as something in this table, stands in double quotes. Capitals in keywords do not matter.
    ///
    /// # Errors
    /// Where in the text something cannot be read.
    ///
    /// ```
    /// use amphora::{Filter, field};
    ///
    /// let filter = Filter::parse("year >= 2020 AND tags IN ('a', 'b') AND NOT author.name = 'x'")?;
    /// assert_eq!(filter, field("year").at_least(2020)
    ///     & field("tags").any_of(["a", "b"])
    ///     & !field("author.name").eq("x"));
    ///
    /// let error = Filter::parse("year >= ").unwrap_err();
    /// assert_eq!(error.message, "expected a number, a string, true or false");
    /// assert_eq!(error.character, 8);
    /// # Ok::<_, amphora::ParseError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        if text.len() > Self::MAX_TYPED_BYTES {
            let what = format!("this has more than {} bytes", Self::MAX_TYPED_BYTES);
            return Err(ParseError::new(text, 0, what));
        }
        let mut parser = Parser { text, at: 0 };
        let filter = parser.any(1)?;
        match parser.peek()? {
            (_, Token::End) => Ok(filter),
            (at, _) => Err(parser.wrong(at, "expected AND, OR or the end")),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    /// A keyword or a field.
    Word(String),
    /// A field in double quotes.
    Quoted(String),
    Text(String),
    Number(Number),
    /// `(`, `)`, `,`, `=`, `!=`, `<`, `<=`, `>`, `>=`.
    Sign(&'static str),
    End,
}

struct Parser<'a> {
    text: &'a str,
    /// The byte that is read next.
    at: usize,
}

/// The longest first.
const SIGNS: [&str; 10] = ["!=", "<>", "<=", ">=", "(", ")", ",", "=", "<", ">"];

/// What no field is called unless it is quoted.
const KEYWORDS: [&str; 12] = [
    "and", "or", "not", "in", "is", "between", "except", "starts", "contains", "matches", "near",
    "any",
];

impl Parser<'_> {
    /// Filters joined by OR.
    fn any(&mut self, depth: usize) -> Result<Filter, ParseError> {
        self.joined("or", Filter::Any, |parser| parser.all(depth))
    }

    /// Filters joined by AND.
    fn all(&mut self, depth: usize) -> Result<Filter, ParseError> {
        self.joined("and", Filter::All, |parser| parser.one(depth))
    }

    fn joined(
        &mut self,
        keyword: &str,
        join: impl FnOnce(Vec<Filter>) -> Filter,
        mut part: impl FnMut(&mut Self) -> Result<Filter, ParseError>,
    ) -> Result<Filter, ParseError> {
        let first = part(self)?;
        if !self.takes(keyword)? {
            return Ok(first);
        }
        let mut all = vec![first, part(self)?];
        while self.takes(keyword)? {
            all.push(part(self)?);
        }
        Ok(join(all))
    }

    fn one(&mut self, depth: usize) -> Result<Filter, ParseError> {
        let (at, token) = self.peek()?;
        if depth > Filter::MAX_DEPTH {
            let what = format!("this is nested deeper than {} levels", Filter::MAX_DEPTH);
            return Err(self.wrong(at, what));
        }
        match token {
            Token::Sign("(") => self.group(depth),
            Token::Word(word) => match &word.to_ascii_lowercase()[..] {
                "not" => {
                    self.next()?;
                    Ok(!self.one(depth + 1)?)
                }
                "at" if self.follows(&["at", "least"])? => self.at_least(depth),
                "has" if self.follows(&["has", "vector"])? => Ok(Filter::HasVector(self.name()?)),
                "id" if self.follows(&["id", "in"])? => Ok(Filter::Ids(self.list(Self::id)?)),
                "count" if self.starts("count", "(")? => self.count(),
                _ => self.field(depth),
            },
            Token::Quoted(_) => self.field(depth),
            _ => Err(self.wrong(at, "expected a field, NOT or a parenthesis")),
        }
    }

    /// A filter in parentheses.
    fn group(&mut self, depth: usize) -> Result<Filter, ParseError> {
        let at = self.peek()?.0;
        self.sign("(")?;
        let filter = self.any(depth + 1)?;
        match self.next()? {
            (_, Token::Sign(")")) => Ok(filter),
            (_, Token::End) => Err(self.wrong(at, "this parenthesis is not closed")),
            (at, _) => Err(self.wrong(at, "expected AND, OR or a closing parenthesis")),
        }
    }

    fn at_least(&mut self, depth: usize) -> Result<Filter, ParseError> {
        let count = self.whole()?;
        self.word("of")?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        Ok(Filter::AtLeast(
            count,
            self.list(|parser| parser.any(depth + 1))?,
        ))
    }

    fn count(&mut self) -> Result<Filter, ParseError> {
        let path = self.name()?;
        self.sign(")")?;
        let (low, high) = if self.takes("between")? {
            self.between(Self::whole)?
        } else {
            let (at, sign) = self.next()?;
            match sign {
                Token::Sign(sign) => range(sign, self.whole()?),
                _ => None,
            }
            .ok_or_else(|| self.wrong(at, "expected =, <, <=, >, >= or BETWEEN"))?
        };
        Ok(field(path).is(Condition::Count(low, high)))
    }

    /// A condition on a field.
    fn field(&mut self, depth: usize) -> Result<Filter, ParseError> {
        let path = field(self.name()?);
        let (at, token) = self.next()?;
        let operator = match &token {
            Token::Word(word) => word.to_ascii_lowercase(),
            Token::Sign(sign) => (*sign).to_owned(),
            _ => String::new(),
        };
        Ok(match &operator[..] {
            "=" => path.eq(self.value()?),
            "!=" | "<>" => !path.eq(self.value()?),
            "<" | "<=" | ">" | ">=" => {
                let (low, high) =
                    range(&operator, self.value()?).unwrap_or((Bound::Unbounded, Bound::Unbounded));
                path.is(Condition::Within(low, high))
            }
            "between" => {
                let (low, high) = self.between(Self::value)?;
                path.is(Condition::Within(low, high))
            }
            "in" if self.takes("box")? => {
                let corners = self.list(Self::point)?;
                let [top_left, bottom_right] = corners[..] else {
                    return Err(self.wrong(at, "expected two corners, north-west and south-east"));
                };
                path.in_box(top_left, bottom_right)
            }
            "in" if self.takes("polygon")? => {
                let mut rings = self.list(|parser| parser.list(Self::point))?.into_iter();
                path.in_area(GeoArea::Polygon {
                    exterior: rings.next().unwrap_or_default(),
                    interiors: rings.collect(),
                })
            }
            "in" => path.is(Condition::AnyOf(self.list(Self::value)?)),
            "not" => {
                self.word("in")?;
                !path.is(Condition::AnyOf(self.list(Self::value)?))
            }
            "except" => path.is(Condition::Except(self.list(Self::value)?)),
            "starts" => {
                self.word("with")?;
                path.starts_with(self.string()?)
            }
            "contains" => path.contains(self.string()?),
            "matches" => {
                let wording = if self.takes("any")? {
                    Wording::Any
                } else if self.takes("phrase")? {
                    Wording::Phrase
                } else {
                    Wording::All
                };
                path.is(Condition::Words(wording, self.string()?))
            }
            "is" => {
                let not = self.takes("not")?;
                let filter = if self.takes("null")? {
                    path.is_null()
                } else {
                    self.word("empty")?;
                    path.is_empty()
                };
                if not { !filter } else { filter }
            }
            "any" => path.any(self.group(depth)?),
            "near" => {
                self.sign("(")?;
                let center = self.point()?;
                self.sign(",")?;
                let radius = self.float()?;
                self.sign(")")?;
                path.near(center, radius)
            }
            _ => {
                return Err(self.wrong(
                    at,
                    "expected =, !=, <, <=, >, >=, BETWEEN, IN, NOT IN, EXCEPT, STARTS WITH, CONTAINS, MATCHES, \
                     IS, ANY or NEAR",
                ));
            }
        })
    }

    /// What stands behind BETWEEN.
    fn between<T>(
        &mut self,
        item: impl Fn(&mut Self) -> Result<T, ParseError>,
    ) -> Result<(Bound<T>, Bound<T>), ParseError> {
        let low = self.bound("above", &item)?;
        self.word("and")?;
        Ok((low, self.bound("below", &item)?))
    }

    fn bound<T>(
        &mut self,
        without: &str,
        item: impl Fn(&mut Self) -> Result<T, ParseError>,
    ) -> Result<Bound<T>, ParseError> {
        if self.takes("any")? {
            return Ok(Bound::Unbounded);
        }
        Ok(match self.takes(without)? {
            true => Bound::Excluded(item(self)?),
            false => Bound::Included(item(self)?),
        })
    }

    /// What is in parentheses, with commas between.
    fn list<T>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<T, ParseError>,
    ) -> Result<Vec<T>, ParseError> {
        self.sign("(")?;
        let mut items = Vec::new();
        if self.peek()?.1 == Token::Sign(")") {
            self.next()?;
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            match self.next()? {
                (_, Token::Sign(",")) => {}
                (_, Token::Sign(")")) => return Ok(items),
                (at, _) => return Err(self.wrong(at, "expected a comma or a closing parenthesis")),
            }
        }
    }

    fn value(&mut self) -> Result<Value, ParseError> {
        let (at, token) = self.next()?;
        let truth = match &token {
            Token::Word(word) if word.eq_ignore_ascii_case("true") => Some(true),
            Token::Word(word) if word.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        };
        match (token, truth) {
            (_, Some(truth)) => Ok(truth.into()),
            (Token::Text(text), _) => Ok(text.into()),
            (Token::Number(number), _) => Ok(number.into()),
            _ => Err(self.wrong(at, "expected a number, a string, true or false")),
        }
    }

    fn id(&mut self) -> Result<PointId, ParseError> {
        let is_uuid = self.takes("uuid")?;
        match self.next()? {
            (at, Token::Text(text)) if is_uuid => {
                let uuid = Uuid::try_parse(&text);
                let uuid = uuid.map_err(|error| self.wrong(at, error.to_string()))?;
                Ok(uuid.into())
            }
            (at, _) if is_uuid => Err(self.wrong(at, "expected a UUID in single quotes")),
            (_, Token::Text(text)) => Ok(text.into()),
            (_, Token::Number(number)) if number.is_u64() => {
                Ok(number.as_u64().unwrap_or_default().into())
            }
            (at, _) => Err(self.wrong(at, "expected an id: a whole number or a string")),
        }
    }

    fn whole(&mut self) -> Result<u64, ParseError> {
        let (at, token) = self.next()?;
        match token {
            Token::Number(number) => number.as_u64(),
            _ => None,
        }
        .ok_or_else(|| self.wrong(at, "expected a whole number"))
    }

    fn float(&mut self) -> Result<f64, ParseError> {
        let (at, token) = self.next()?;
        match token {
            Token::Number(number) => number.as_f64(),
            _ => None,
        }
        .ok_or_else(|| self.wrong(at, "expected a number"))
    }

    fn point(&mut self) -> Result<GeoPoint, ParseError> {
        Ok(GeoPoint::new(self.float()?, self.float()?))
    }

    fn string(&mut self) -> Result<String, ParseError> {
        match self.next()? {
            (_, Token::Text(text)) => Ok(text),
            (at, _) => Err(self.wrong(at, "expected a string in single quotes")),
        }
    }

    /// The name of a field or vector.
    fn name(&mut self) -> Result<String, ParseError> {
        match self.next()? {
            (_, Token::Quoted(name)) => Ok(name),
            (_, Token::Word(word)) if !is_keyword(&word) => Ok(word),
            (at, _) => Err(self.wrong(at, "expected a name, in double quotes if it is a keyword")),
        }
    }

    fn sign(&mut self, sign: &str) -> Result<(), ParseError> {
        match self.next()? {
            (_, Token::Sign(found)) if found == sign => Ok(()),
            (at, _) => Err(self.wrong(at, format!("expected {sign}"))),
        }
    }

    fn word(&mut self, word: &str) -> Result<(), ParseError> {
        let at = self.peek()?.0;
        if self.takes(word)? {
            return Ok(());
        }
        Err(self.wrong(at, format!("expected {}", word.to_ascii_uppercase())))
    }

    /// Whether this keyword comes next, which is taken then.
    fn takes(&mut self, keyword: &str) -> Result<bool, ParseError> {
        let is_it =
            matches!(self.peek()?.1, Token::Word(word) if word.eq_ignore_ascii_case(keyword));
        if is_it {
            self.next()?;
        }
        Ok(is_it)
    }

    /// Whether these keywords come next, which are taken then.
    fn follows(&mut self, keywords: &[&str]) -> Result<bool, ParseError> {
        let start = self.at;
        for keyword in keywords {
            if !self.takes(keyword)? {
                self.at = start;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a keyword and a sign come next, which are taken then.
    fn starts(&mut self, keyword: &str, sign: &str) -> Result<bool, ParseError> {
        let start = self.at;
        let is_it = self.takes(keyword)? && matches!(self.next()?.1, Token::Sign(it) if it == sign);
        if !is_it {
            self.at = start;
        }
        Ok(is_it)
    }

    fn peek(&mut self) -> Result<(usize, Token), ParseError> {
        let start = self.at;
        let token = self.next();
        self.at = start;
        token
    }

    /// The next token, and where it begins.
    fn next(&mut self) -> Result<(usize, Token), ParseError> {
        let rest = &self.text[self.at..];
        let rest = rest.trim_start();
        self.at = self.text.len() - rest.len();
        let at = self.at;
        let Some(first) = rest.chars().next() else {
            return Ok((at, Token::End));
        };
        if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            self.at += sign.len();
            return Ok((at, Token::Sign(sign)));
        }
        let token = match first {
            '\'' => Token::Text(self.quoted('\'')?),
            '"' => Token::Quoted(self.quoted('"')?),
            '-' | '+' | '0'..='9' => {
                let is_of = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+');
                let len = rest.find(|c| !is_of(c)).unwrap_or(rest.len());
                let number = rest[..len].strip_prefix('+').unwrap_or(&rest[..len]);
                let number = serde_json::from_str(number);
                let number = number.map_err(|_| self.wrong(at, "this is no number"))?;
                self.at += len;
                Token::Number(number)
            }
            _ => {
                let is_of =
                    |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '[' | ']');
                let len = rest.find(|c| !is_of(c)).unwrap_or(rest.len());
                if len == 0 {
                    return Err(self.wrong(at, "this stands for nothing here"));
                }
                self.at += len;
                Token::Word(rest[..len].to_owned())
            }
        };
        Ok((at, token))
    }

    /// What is between quotes, in which one stands twice for itself.
    fn quoted(&mut self, quote: char) -> Result<String, ParseError> {
        let start = self.at;
        let mut text = String::new();
        loop {
            let rest = &self.text[self.at + 1..];
            let Some(len) = rest.find(quote) else {
                return Err(self.wrong(start, "this quote is not closed"));
            };
            text.push_str(&rest[..len]);
            self.at += len + 2;
            if !self.text[self.at..].starts_with(quote) {
                return Ok(text);
            }
            text.push(quote);
        }
    }

    fn wrong(&self, byte: usize, message: impl Into<String>) -> ParseError {
        ParseError::new(self.text, byte, message)
    }
}

/// What a sign of comparison leaves on both sides of a value.
fn range<T: Clone>(sign: &str, value: T) -> Option<(Bound<T>, Bound<T>)> {
    Some(match sign {
        "=" => (Bound::Included(value.clone()), Bound::Included(value)),
        "<" => (Bound::Unbounded, Bound::Excluded(value)),
        "<=" => (Bound::Unbounded, Bound::Included(value)),
        ">" => (Bound::Excluded(value), Bound::Unbounded),
        ">=" => (Bound::Included(value), Bound::Unbounded),
        _ => return None,
    })
}

/// Whether a word stands for itself only in quotes.
pub(super) fn is_keyword(word: &str) -> bool {
    KEYWORDS
        .iter()
        .any(|keyword| keyword.eq_ignore_ascii_case(word))
}
