//! Which terms a prefix or a misspelling stands for.

use super::MAX_TERM;
use levenshtein_automata::{DFA, Distance, LevenshteinAutomatonBuilder, SINK_STATE};
use std::{fmt, sync::OnceLock};

/// The largest distance of a fuzzy pattern.
pub(crate) const MAX_DISTANCE: u8 = 2;

/// A set of terms.
pub(crate) enum Pattern {
    /// All that begin with these bytes; with none, all.
    Prefix(Vec<u8>),
    Fuzzy(Fuzzy),
}

/// All terms within some edits of a word: a character more, less, or another, or two neighbours
/// exchanged.
pub(crate) struct Fuzzy {
    /// What a term must begin with.
    prefix: Vec<u8>,
    /// Characters of the word.
    chars: usize,
    distance: u8,
    automaton: DFA,
}

/// A term that a pattern stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Matched {
    pub(crate) term: Vec<u8>,
    /// How many rows of the part have it.
    pub(crate) count: u32,
    /// How many edits away it is.
    pub(crate) distance: u8,
}

impl Pattern {
    pub(crate) fn prefix(prefix: &[u8]) -> Self {
        Self::Prefix(prefix.to_vec())
    }

    /// The terms within `distance` edits of `word`, at most 2, that share its first `exact`
    /// characters.
    pub(crate) fn fuzzy(word: &str, distance: u8, exact: usize) -> Self {
        static BUILDERS: [OnceLock<LevenshteinAutomatonBuilder>; 3] =
            [const { OnceLock::new() }; 3];
        let distance = distance.min(MAX_DISTANCE);
        let builder = BUILDERS[usize::from(distance)]
            .get_or_init(|| LevenshteinAutomatonBuilder::new(distance, true));
        let exact = word.chars().take(exact).map(char::len_utf8).sum();
        Self::Fuzzy(Fuzzy {
            prefix: word.as_bytes()[..exact].to_vec(),
            chars: word.chars().count(),
            distance,
            automaton: builder.build_dfa(word),
        })
    }

    /// How much a term counts beside the word itself, as in Lucene: less by the share of characters that
    /// were edited, of the shorter of the two.
    pub(in crate::text) fn similarity(&self, matched: &Matched) -> f32 {
        let Self::Fuzzy(fuzzy) = self else {
            return 1.0;
        };
        let chars = String::from_utf8_lossy(&matched.term).chars().count();
        let shorter = chars.min(fuzzy.chars).max(1);
        (1.0 - f32::from(matched.distance) / shorter as f32).max(0.0)
    }

    /// What all terms begin with.
    pub(super) fn start(&self) -> &[u8] {
        match self {
            Self::Prefix(prefix) => prefix,
            Self::Fuzzy(fuzzy) => &fuzzy.prefix,
        }
    }

    /// Whether a term begins as all do.
    pub(super) fn begins(&self, term: &[u8]) -> bool {
        // Comparing no bytes at the address of an empty vector costs 100 ns where `memcmp` loads by
        // masks, since nothing is mapped there.
        self.start().is_empty() || term.starts_with(self.start())
    }

    /// How many edits away a term is, if it is one of these.
    pub(super) fn distance(&self, term: &[u8]) -> Option<u8> {
        if !self.begins(term) {
            return None;
        }
        let Self::Fuzzy(fuzzy) = self else {
            return Some(0);
        };
        // Most terms are too short or too long, which costs less to tell.
        let chars = term.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
        if chars.abs_diff(fuzzy.chars) > usize::from(fuzzy.distance) {
            return None;
        }
        let mut state = fuzzy.automaton.initial_state();
        for byte in term {
            state = fuzzy.automaton.transition(state, *byte);
            if state == SINK_STATE {
                return None;
            }
        }
        fuzzy.edits(state)
    }
}

impl Fuzzy {
    fn edits(&self, state: u32) -> Option<u8> {
        match self.automaton.distance(state) {
            Distance::Exact(distance) => Some(distance),
            Distance::AtLeast(_) => None,
        }
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sort = match self {
            Self::Prefix(_) => "Prefix",
            Self::Fuzzy(_) => "Fuzzy",
        };
        let start = String::from_utf8_lossy(self.start());
        f.debug_tuple(sort).field(&start).finish()
    }
}

/// Compares terms in their order, each from where it differs from the one before.
pub(super) struct Walk<'a> {
    pattern: &'a Pattern,
    /// After each byte of the term before, as far as one may still match.
    states: Vec<u32>,
    /// How many bytes of it no term may begin with.
    dead: Option<usize>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(pattern: &'a Pattern) -> Self {
        let states = match pattern {
            Pattern::Prefix(_) => Vec::new(),
            Pattern::Fuzzy(fuzzy) => {
                let mut states = Vec::with_capacity(MAX_TERM + 1);
                states.push(fuzzy.automaton.initial_state());
                states
            }
        };
        Self {
            pattern,
            states,
            dead: None,
        }
    }

    /// How many edits away a term is that has its first `shared` bytes from the one before. It
    /// begins as all do.
    pub(super) fn go(&mut self, term: &[u8], shared: usize) -> Option<u8> {
        let Pattern::Fuzzy(fuzzy) = self.pattern else {
            return Some(0);
        };
        if self.dead.is_some_and(|dead| shared >= dead) {
            return None;
        }
        self.dead = None;
        self.states.truncate(shared + 1);
        // What the walk left out of terms before is made up for.
        let done = self.states.len() - 1;
        let mut state = self.states.last().copied().unwrap_or(SINK_STATE);
        for (at, byte) in term.iter().enumerate().skip(done) {
            state = fuzzy.automaton.transition(state, *byte);
            if state == SINK_STATE {
                self.dead = Some(at + 1);
                return None;
            }
            self.states.push(state);
        }
        fuzzy.edits(state)
    }

    /// How many bytes of the last term nothing that matches begins with.
    pub(super) fn dead(&self) -> Option<usize> {
        self.dead
    }
}
