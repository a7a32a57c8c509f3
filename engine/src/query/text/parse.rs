//! Text queries as people type them.
//!
//! The grammar is one loop over clauses, with groups in parentheses; what cannot be read is an error that
//! points at the character. Linear in what was typed, and nested as deep as a query may be.

use super::TextQuery;
use crate::query::ParseError;
use std::str::FromStr;

impl FromStr for TextQuery {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text)
    }
}

impl TextQuery {
    /// Reads a query as people type it:
    ///
    /// | typed | what it looks for |
    /// |---|---|
    /// | `heat transfer` | any of these words; the more, the better |
    /// | `+heat transfer` | `heat`, and better with `transfer` |
    /// | `heat -transfer` | `heat` without `transfer` |
    /// | `"heat transfer"` | the phrase |
    /// | `"heat transfer"~2` | the phrase, its words moved by up to two places |
    /// | `therm*` | words that begin so |
    /// | `laminer~`, `laminer~1` | words spelled almost so, up to so many edits away |
    /// | `title:heat`, `title:"heat transfer"`, `title:(heat -transfer)` | the same in one text of the schema |
    /// | `heat^2.5` | as above, counted so many times as much |
    /// | `(heat transfer) +flow` | what is in parentheses, as one |
    /// | `\+ \- \" \( \) \: \* \~ \^ \\` | the characters themselves |
    ///
    /// A sign belongs to what follows it at once, and stands for itself within a word: `wi-fi`. Other words,
    /// `and` or `OR`, mean nothing special. What is empty finds nothing.
    /// Parentheses are nested 16 deep at most.
    ///
    /// # Errors
    /// Where in the text something cannot be read.
    ///
    /// ```
    /// use amphora::TextQuery;
    ///
    /// let query = TextQuery::parse(r#"heat transfer +"boundary layer"~1 -title:laminar^2"#)?;
    /// let phrase = TextQuery::phrase("boundary layer").slop(1);
    /// let excluded = TextQuery::all("laminar").field("title").boost(2.0);
    /// assert_eq!(query, TextQuery::Bool {
    ///     must: vec![phrase],
    ///     should: vec![TextQuery::any("heat transfer")],
    ///     must_not: vec![excluded],
    ///     at_least: None,
    /// });
    /// # Ok::<_, amphora::ParseError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut parser = Parser { text, at: 0 };
        if text.len() > Self::MAX_BYTES {
            let most = Self::MAX_BYTES;
            return Err(parser.wrong(0, format!("this has more than {most} bytes")));
        }
        let query = parser.clauses(1)?;
        match parser.peek() {
            None => Ok(query),
            Some(_) => Err(parser.wrong(parser.at, "this parenthesis was not opened")),
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    /// The byte that is read next.
    at: usize,
}

/// How deep parentheses may be nested: each may take three levels of a query.
const MAX_GROUPS: usize = 16;

/// What a word is followed by.
const ENDS_WORD: [char; 7] = ['(', ')', '"', ':', '^', '~', '*'];

impl Parser<'_> {
    /// The clauses up to the end or a closing parenthesis.
    fn clauses(&mut self, depth: usize) -> Result<TextQuery, ParseError> {
        let start = self.at;
        let (mut must, mut should, mut must_not) = (Vec::new(), Vec::new(), Vec::new());
        // Words that stand beside each other and are followed by nothing.
        let mut words = String::new();
        loop {
            self.skip_spaces();
            let sign = self.sign();
            match self.peek() {
                None | Some(')') => break,
                Some(_) => {}
            }
            let (query, bare) = self.clause(depth)?;
            match (sign, bare) {
                (None, Some(word)) => {
                    if !words.is_empty() {
                        words.push(' ');
                    }
                    words.push_str(&word);
                    continue;
                }
                (Some('+'), _) => must.push(query),
                (Some(_), _) => must_not.push(query),
                (None, None) => {
                    flush(&mut words, &mut should);
                    should.push(query);
                }
            }
        }
        flush(&mut words, &mut should);
        let all = must.len() + should.len() + must_not.len();
        if must.is_empty() && should.is_empty() && !must_not.is_empty() {
            let what = "this says what is not looked for alone; expected something to find";
            return Err(self.wrong(start, what));
        }
        if all == 0 {
            return Ok(TextQuery::any(""));
        }
        if let (1, Some(only)) = (all, should.pop_if(|_| all == 1)) {
            return Ok(only);
        }
        Ok(TextQuery::Bool {
            must,
            should,
            must_not,
            at_least: None,
        })
    }

    /// A sign that belongs to what follows.
    fn sign(&mut self) -> Option<char> {
        let mut rest = self.text[self.at..].chars();
        let sign = rest.next().filter(|c| ['+', '-'].contains(c))?;
        rest.next().filter(|c| !c.is_whitespace() && *c != ')')?;
        self.at += 1;
        Some(sign)
    }

    /// One clause without its sign; its word, if it is nothing but one.
    fn clause(&mut self, depth: usize) -> Result<(TextQuery, Option<String>), ParseError> {
        let opens = |c| matches!(c, Some('(' | '"'));
        if opens(self.peek()) {
            let query = self.group_or_phrase(depth)?;
            return Ok((self.boosted(query)?, None));
        }
        let word = self.word()?;
        let (query, bare) = if self.take(':') {
            if self.peek().is_none_or(|c| c.is_whitespace() || c == ')') {
                return Err(self.wrong(
                    self.at,
                    "expected what to look for, directly after the colon",
                ));
            }
            let query = if opens(self.peek()) {
                self.group_or_phrase(depth)?
            } else {
                let word = self.word()?;
                self.ended(word)?.0
            };
            (query.field(word), None)
        } else {
            self.ended(word)?
        };
        let end = self.at;
        let query = self.boosted(query)?;
        Ok((query, bare.filter(|_| self.at == end)))
    }

    /// A word with the sign at its end, if there is one.
    fn ended(&mut self, word: String) -> Result<(TextQuery, Option<String>), ParseError> {
        if self.take('*') {
            self.followed_by_end("*")?;
            return Ok((TextQuery::prefix(word), None));
        }
        if !self.take('~') {
            if let Some(c @ ('(' | '"' | ':')) = self.peek() {
                let what = format!("expected a space before this, or a backslash if {c} is meant");
                return Err(self.wrong(self.at, what));
            }
            return Ok((TextQuery::all(word.as_str()), Some(word)));
        }
        let at = self.at;
        let query = TextQuery::fuzzy(word);
        let query = match self.number()? {
            None => query,
            Some(edits) if edits <= TextQuery::MAX_DISTANCE => query.distance(edits),
            Some(_) => return Err(self.wrong(at, "expected a distance of 0, 1 or 2")),
        };
        self.followed_by_end("~")?;
        Ok((query, None))
    }

    fn group_or_phrase(&mut self, depth: usize) -> Result<TextQuery, ParseError> {
        let start = self.at;
        if self.take('(') {
            if depth > MAX_GROUPS {
                return Err(self.wrong(start, "this is nested too deep"));
            }
            let query = self.clauses(depth + 1)?;
            if !self.take(')') {
                return Err(self.wrong(start, "this parenthesis is not closed"));
            }
            return Ok(query);
        }
        self.at += 1;
        let mut phrase = String::new();
        loop {
            match self.next() {
                None => return Err(self.wrong(start, "this quotation is not closed")),
                Some('"') => break,
                Some('\\') => phrase.extend(self.next()),
                Some(c) => phrase.push(c),
            }
        }
        let query = TextQuery::phrase(phrase);
        if !self.take('~') {
            return Ok(query);
        }
        let at = self.at;
        match self.number()? {
            Some(places) if places <= TextQuery::MAX_SLOP => Ok(query.slop(places)),
            _ => {
                let most = TextQuery::MAX_SLOP;
                Err(self.wrong(at, format!("expected a number of places, 0 to {most}")))
            }
        }
    }

    fn boosted(&mut self, query: TextQuery) -> Result<TextQuery, ParseError> {
        if !self.take('^') {
            return Ok(query);
        }
        let at = self.at;
        let times = self.while_in(|c| c.is_ascii_digit() || c == '.');
        match times.parse::<f32>() {
            Ok(times) if times.is_finite() => {
                self.followed_by_end("^")?;
                Ok(query.boost(times))
            }
            _ => Err(self.wrong(at, "expected how many times it counts, as 2 or 0.5")),
        }
    }

    /// A word, at least one character long.
    fn word(&mut self) -> Result<String, ParseError> {
        let start = self.at;
        let mut word = String::new();
        while let Some(c) = self.peek() {
            if c.is_whitespace() || ENDS_WORD.contains(&c) {
                break;
            }
            self.next();
            match c {
                '\\' => match self.next() {
                    Some(c) => word.push(c),
                    None => {
                        let what = "expected a character after the backslash";
                        return Err(self.wrong(self.at, what));
                    }
                },
                c => word.push(c),
            }
        }
        if word.is_empty() {
            let what = "expected a word before this, or a backslash if the character is meant";
            return Err(self.wrong(start, what));
        }
        Ok(word)
    }

    /// A whole number, if digits follow.
    fn number(&mut self) -> Result<Option<u32>, ParseError> {
        let at = self.at;
        let digits = self.while_in(|c| c.is_ascii_digit());
        if digits.is_empty() {
            return Ok(None);
        }
        let number = digits.parse().map(Some);
        number.map_err(|_| self.wrong(at, "this number is too large"))
    }

    fn while_in(&mut self, is: impl Fn(char) -> bool) -> String {
        let rest = &self.text[self.at..];
        let end = rest.find(|c| !is(c)).unwrap_or(rest.len());
        self.at += end;
        rest[..end].to_owned()
    }

    /// Only a boost, a space or a parenthesis follows what ends a word.
    fn followed_by_end(&self, sign: &str) -> Result<(), ParseError> {
        match self.peek() {
            Some(c) if !c.is_whitespace() && c != ')' && (c != '^' || sign == "^") => {
                let what = format!("expected a space after the {sign} before it");
                Err(self.wrong(self.at, what))
            }
            _ => Ok(()),
        }
    }

    fn skip_spaces(&mut self) {
        self.while_in(char::is_whitespace);
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn take(&mut self, expected: char) -> bool {
        let found = self.peek() == Some(expected);
        if found {
            self.at += expected.len_utf8();
        }
        found
    }

    fn wrong(&self, byte: usize, message: impl Into<String>) -> ParseError {
        ParseError::new(self.text, byte, message)
    }
}

fn flush(words: &mut String, should: &mut Vec<TextQuery>) {
    if !words.is_empty() {
        should.push(TextQuery::any(std::mem::take(words)));
    }
}

#[cfg(test)]
mod tests;
