//! The 109,464 passages of `books_text` as words, and queries of two to five of them.

use crate::{data, random::Random};
use std::collections::HashMap;

/// What queries are drawn from.
pub const SEED: u64 = 1_854;
/// How many queries there are of a kind.
pub const QUERIES: usize = 500;
/// Words that are rarer than in one of so many passages.
pub const RARER: usize = 20;

/// Passages without anything but words, which are lower-cased and have a space between two.
#[derive(Debug)]
pub struct Passages {
    /// In the order of the file.
    pub texts: Vec<String>,
    /// How many passages have each word.
    counts: HashMap<String, usize>,
}

impl Passages {
    /// All of them; `None`, with a line on standard error, when the data is not there.
    ///
    /// # Panics
    /// When the file is there and is not what it should be.
    #[must_use]
    pub fn load() -> Option<Self> {
        let passages = data::objects("books_text/passages.jsonl.zst")?;
        let texts = passages
            .iter()
            .map(|passage| words(passage["text"].as_str().expect("a text")));
        Some(Self::new(texts.collect()))
    }

    fn new(texts: Vec<String>) -> Self {
        let mut counts: HashMap<String, (usize, usize)> = HashMap::new();
        for (number, text) in (1..).zip(&texts) {
            for word in text.split(' ').filter(|word| !word.is_empty()) {
                match counts.get_mut(word) {
                    Some((_, last)) if *last == number => {}
                    Some(known) => *known = (known.0 + 1, number),
                    None => {
                        counts.insert(word.to_owned(), (1, number));
                    }
                }
            }
        }
        let counts = counts.into_iter().map(|(word, (count, _))| (word, count));
        Self {
            counts: counts.collect(),
            texts,
        }
    }

    /// Two kinds of queries by their names: of any words, and of rarer ones.
    #[must_use]
    pub fn queries(&self) -> [(&'static str, Vec<Vec<&str>>); 2] {
        let all = self.texts.len();
        [("all", all), ("rarer", all / RARER)].map(|(name, most)| (name, self.of_words(most)))
    }

    /// Two to five different words of a passage that at most so many passages have.
    fn of_words(&self, most: usize) -> Vec<Vec<&str>> {
        let mut random = Random(SEED);
        let mut queries = Vec::new();
        while queries.len() < QUERIES {
            let text = &self.texts[random.below(self.texts.len() as u64) as usize];
            let mut words: Vec<&str> = text.split(' ').collect();
            words.retain(|word| self.counts.get(*word).is_some_and(|count| *count <= most));
            let wanted = 2 + random.below(4) as usize;
            let mut query: Vec<&str> = Vec::new();
            for _ in 0..wanted * 4 {
                let Some(word) = words.get(random.below(words.len() as u64) as usize) else {
                    break;
                };
                if query.len() < wanted && !query.contains(word) {
                    query.push(word);
                }
            }
            if query.len() == wanted {
                queries.push(query);
            }
        }
        queries
    }
}

/// The words of a text, lower-cased, with a space between two.
#[must_use]
pub fn words(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric());
    let words = words.filter(|word| !word.is_empty()).map(str::to_lowercase);
    words.collect::<Vec<_>>().join(" ")
}
