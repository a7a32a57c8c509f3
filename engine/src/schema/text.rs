//! How the texts of a payload field become the terms that searches look up.
//!
//! Plain data, stored with the schema; `analysis` acts on it. A query's words take the same way as those
//! of the points, so that both come to the same terms.

use super::{Language, check_name, quoted};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How a payload field is searched as text: how its strings become terms. Start from
/// [`english`](Self::english), [`language`](Self::language), [`plain`](Self::plain) or
/// [`whitespace`](Self::whitespace), and change what differs.
///
/// A text is taken apart into words, and each word goes this way: characters of the same meaning become
/// the same (as part of folding), it is lower-cased, left out if it is a stop word, brought to its stem,
/// and freed of its accents (of English before it is stemmed, since only there do they not matter to
/// that). What is left out still counts as a place in the text, so that a phrase with
/// a stop word in it is found where some word stands there.
///
/// ```
/// use amphora::{Language, Schema, StopWords, Text, Tokenization};
///
/// let schema = Schema::new()
///     .text("body", Text::english())
///     .text("author.name", Text::plain().positions(false))
///     .text("part_number", Text::plain().tokenizer(Tokenization::Ngrams { least: 3, most: 3 }))
///     .text("résumé", Text::language(Language::French).stop_words(StopWords::None));
/// assert!(schema.check().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Text {
    /// How a text is taken apart.
    pub tokenizer: Tokenization,
    /// Whether words are lower-cased.
    pub lower_case: bool,
    /// Whether accents and the like are removed, and characters that look different but mean the same
    /// become the same.
    pub fold: bool,
    /// Which words are left out.
    pub stop_words: StopWords,
    /// By the rules of which language words are brought to their stems, if of any.
    pub stemmer: Option<Language>,
    /// Whether it is noted where in the text each word stands; phrases need that.
    pub positions: bool,
    /// The fewest characters of a word; shorter ones are left out.
    pub min_length: u32,
    /// The most characters of a word; longer ones are left out.
    pub max_length: u32,
}

/// How a text is taken apart.
///
/// ```
/// use amphora::{Text, Tokenization};
///
/// let text = Text::plain().tokenizer(Tokenization::Ngrams { least: 2, most: 3 });
/// let json = serde_json::to_value(&text.tokenizer).unwrap();
/// assert_eq!(json, serde_json::json!({ "ngrams": { "least": 2, "most": 3 } }));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Tokenization {
    /// Into words, by the rules of Unicode (Standard Annex 29): `don't` and `3.14` are one, `wi-fi` is
    /// two. Signs and emoji are none. Han, kana, Thai, Lao, Khmer and Burmese, which are written without
    /// spaces, become pairs of characters that overlap, so that `東京都` is `東京` and `京都`; a character
    /// that stands alone is a word.
    #[default]
    Words,
    /// At white space: `"Hi,` is one.
    Whitespace,
    /// Into all parts of its words that have `least` to `most` characters, so that parts of words are
    /// found; a word that is shorter is one whole. Of a query's words the longest such parts are
    /// looked up.
    Ngrams {
        /// The fewest characters, at least 1.
        least: u32,
        /// The most characters, at most [`Text::MAX_NGRAM`].
        most: u32,
    },
    /// Into all beginnings of its words that have `least` to `most` characters; a word that is shorter is
    /// one whole. Of a query's words the longest beginning is looked up.
    EdgeNgrams {
        /// The fewest characters, at least 1.
        least: u32,
        /// The most characters, at most [`Text::MAX_NGRAM`].
        most: u32,
    },
    /// By the [`Tokenizer`](crate::Tokenizer) of this name, which every opening of the database must
    /// bring.
    Custom(String),
}

/// Which words are left out, since they are everywhere and say little. They are compared after
/// lower-casing.
///
/// ```
/// use amphora::{Language, StopWords, Text};
///
/// let text = Text::plain().stop_words(StopWords::Language(Language::English));
/// assert_eq!(text.stop_words, Text::english().stop_words);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StopWords {
    /// None.
    #[default]
    None,
    /// Those of a language: of English the 33 that Lucene leaves out, of others those of the Snowball
    /// project where it has them, and else those of `stopwords-iso`; of Serbian and Yiddish none.
    Language(Language),
    /// These.
    List(BTreeSet<String>),
}

impl Default for Text {
    fn default() -> Self {
        Self::plain()
    }
}

impl Text {
    /// The longest term, in bytes. A word whose term would be longer is left out.
    pub const MAX_TERM_BYTES: usize = 255;
    /// The most characters of an n-gram.
    pub const MAX_NGRAM: u32 = 16;
    /// The most stop words in a list.
    pub const MAX_STOP_WORDS: usize = 10_000;

    /// Words of English: lower-cased, without stop words, stemmed, folded.
    #[must_use]
    pub fn english() -> Self {
        Self::language(Language::English)
    }

    /// Words of a language: lower-cased, without its stop words, stemmed, folded.
    #[must_use]
    pub fn language(language: Language) -> Self {
        Self::plain()
            .stop_words(StopWords::Language(language))
            .stemmer(language)
    }

    /// Words of any language: lower-cased and folded; no stop words, no stemming.
    #[must_use]
    pub const fn plain() -> Self {
        Self {
            tokenizer: Tokenization::Words,
            lower_case: true,
            fold: true,
            stop_words: StopWords::None,
            stemmer: None,
            positions: true,
            min_length: 1,
            max_length: Self::MAX_TERM_BYTES as u32,
        }
    }

    /// What stands between white space, as it is: for tags, codes, and texts that were prepared
    /// elsewhere.
    #[must_use]
    pub fn whitespace() -> Self {
        Self {
            tokenizer: Tokenization::Whitespace,
            lower_case: false,
            fold: false,
            ..Self::plain()
        }
    }

    /// How a text is taken apart.
    #[must_use]
    pub fn tokenizer(mut self, tokenizer: Tokenization) -> Self {
        self.tokenizer = tokenizer;
        self
    }

    /// Whether words are lower-cased.
    #[must_use]
    pub fn lower_case(mut self, lower_case: bool) -> Self {
        self.lower_case = lower_case;
        self
    }

    /// Whether accents are removed, `é` to `e`, and with them what else sets apart characters of one
    /// meaning: the full-width `Ａ`, the ligature `ﬁ`, the curved apostrophe (NFKC and NFKD of Unicode
    /// Standard Annex 15). Vowel signs of Indic scripts and voicing marks of kana stay, without which a word
    /// would be another.
    #[must_use]
    pub fn fold(mut self, fold: bool) -> Self {
        self.fold = fold;
        self
    }

    /// Which words are left out.
    #[must_use]
    pub fn stop_words(mut self, stop_words: StopWords) -> Self {
        self.stop_words = stop_words;
        self
    }

    /// Brings words to their stems by the rules of this language; `None` leaves them as they are.
    #[must_use]
    pub fn stemmer(mut self, language: impl Into<Option<Language>>) -> Self {
        self.stemmer = language.into();
        self
    }

    /// Whether it is noted where in the text each word stands: yes unless changed. Without, the index is
    /// smaller, and there are no phrases.
    #[must_use]
    pub fn positions(mut self, positions: bool) -> Self {
        self.positions = positions;
        self
    }

    /// Leaves words out that have fewer characters.
    #[must_use]
    pub fn min_length(mut self, characters: u32) -> Self {
        self.min_length = characters;
        self
    }

    /// Leaves words out that have more characters, 255 unless changed.
    #[must_use]
    pub fn max_length(mut self, characters: u32) -> Self {
        self.max_length = characters;
        self
    }

    pub(super) fn check(&self, name: &str) -> Result<()> {
        let wrong = |what: String| {
            let name = quoted(name);
            Err(Error::invalid(format!("text {name}: {what}")))
        };
        match &self.tokenizer {
            Tokenization::Words | Tokenization::Whitespace => {}
            Tokenization::Ngrams { least, most } | Tokenization::EdgeNgrams { least, most } => {
                if !(1..=*most).contains(least) || *most > Self::MAX_NGRAM {
                    return wrong(format!(
                        "n-grams have {least} to {most} characters; expected 1 to {}",
                        Self::MAX_NGRAM
                    ));
                }
                if self.stemmer.is_some() || self.stop_words != StopWords::None {
                    return wrong(
                        "n-grams are stemmed or compared with stop words; expected neither".into(),
                    );
                }
            }
            Tokenization::Custom(tokenizer) => check_name("tokenizer", tokenizer)?,
        }
        if !(1..=self.max_length).contains(&self.min_length)
            || self.max_length as usize > Self::MAX_TERM_BYTES
        {
            return wrong(format!(
                "words have {} to {} characters; expected 1 to {}",
                self.min_length,
                self.max_length,
                Self::MAX_TERM_BYTES
            ));
        }
        if let StopWords::List(words) = &self.stop_words {
            if words.len() > Self::MAX_STOP_WORDS {
                return wrong(format!(
                    "there are {} stop words; expected at most {}",
                    words.len(),
                    Self::MAX_STOP_WORDS
                ));
            }
            let fits = |word: &&String| (1..=Self::MAX_TERM_BYTES).contains(&word.len());
            if let Some(word) = words.iter().find(|word| !fits(word)) {
                return wrong(format!(
                    "the stop word {} has {} bytes; expected 1 to {}",
                    quoted(word),
                    word.len(),
                    Self::MAX_TERM_BYTES
                ));
            }
        }
        Ok(())
    }
}

impl StopWords {
    /// A list of words.
    ///
    /// ```
    /// use amphora::{StopWords, Text};
    ///
    /// let text = Text::english().stop_words(StopWords::list(["fig", "table"]));
    /// # assert!(matches!(text.stop_words, StopWords::List(words) if words.len() == 2));
    /// ```
    pub fn list(words: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::List(words.into_iter().map(Into::into).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Schema;

    #[test]
    fn what_cannot_be_analyzed_is_refused() {
        let grams = |least, most| Tokenization::Ngrams { least, most };
        let edges = Tokenization::EdgeNgrams { least: 0, most: 2 };
        for (text, part) in [
            (Text::plain().tokenizer(grams(3, 2)), "3 to 2"),
            (Text::plain().tokenizer(grams(0, 2)), "0 to 2"),
            (Text::plain().tokenizer(grams(3, 17)), "1 to 16"),
            (Text::plain().tokenizer(edges), "0 to 2"),
            (Text::english().tokenizer(grams(3, 3)), "stemmed"),
            (
                Text::plain().tokenizer(Tokenization::Custom(String::new())),
                "empty",
            ),
            (Text::plain().min_length(0), "0 to 255"),
            (Text::plain().min_length(4).max_length(3), "4 to 3"),
            (Text::plain().max_length(256), "1 to 256"),
            (
                Text::plain().stop_words(StopWords::list(["a", ""])),
                "0 bytes",
            ),
            (
                Text::plain().stop_words(StopWords::list((0..10_001).map(|n| n.to_string()))),
                "10001",
            ),
        ] {
            let error = Schema::new().text("body", text).check().unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        }
        let most = Text::plain().tokenizer(grams(1, 16)).max_length(1);
        assert!(Schema::new().text("body", most).check().is_ok());
        assert!(Schema::new().text("", Text::plain()).check().is_err());
    }

    #[test]
    fn json_says_all_of_it_and_may_leave_out_what_is_plain() {
        let text = Text::english().positions(false);
        let json = serde_json::to_string(&text).unwrap();
        assert_eq!(
            json,
            r#"{"tokenizer":"words","lower_case":true,"fold":true,"stop_words":{"language":"english"},"stemmer":"english","positions":false,"min_length":1,"max_length":255}"#
        );
        assert_eq!(serde_json::from_str::<Text>(&json).unwrap(), text);
        let json = r#"{"tokenizer":{"ngrams":{"least":2,"most":3}},"stop_words":{"list":["a"]}}"#;
        let text: Text = serde_json::from_str(json).unwrap();
        assert_eq!(text.tokenizer, Tokenization::Ngrams { least: 2, most: 3 });
        assert_eq!(text.stop_words, StopWords::list(["a"]));
        assert_eq!(serde_json::from_str::<Text>("{}").unwrap(), Text::plain());
        assert!(serde_json::from_str::<Text>(r#"{"stem":"english"}"#).is_err());
        for language in Language::ALL {
            let json = serde_json::to_string(language).unwrap();
            assert_eq!(&serde_json::from_str::<Language>(&json).unwrap(), language);
        }
    }
}
