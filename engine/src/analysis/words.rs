//! Texts taken apart into words, each with the bytes where it stands.
//!
//! Linear in the text, and without any memory of its own.

use std::ops::Range;
use unicode_segmentation::UnicodeSegmentation;

/// The words of a text by Unicode Standard Annex 29, and pairs of characters where a script has no
/// spaces.
///
/// No word holds ASCII white space, so that a text falls apart there first. Most pieces are letters of
/// ASCII with some signs around, and the rules are asked of the others alone.
pub(super) fn words(text: &str, mut each: impl FnMut(&str, Range<usize>)) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let piece = at;
        let start = after(bytes, piece, is_sign);
        let end = after(bytes, start, u8::is_ascii_alphabetic);
        at = after(bytes, end, is_sign);
        if bytes.get(at).is_none_or(u8::is_ascii_whitespace) {
            if start < end {
                each(&text[start..end], start..end);
            }
        } else {
            at = after(bytes, at, |b| !b.is_ascii_whitespace());
            by_rules(&text[piece..at], piece, &mut each);
        }
        at += 1;
    }
}

/// Where the run of such bytes ends that begins here.
fn after(bytes: &[u8], at: usize, is: impl Fn(&u8) -> bool) -> usize {
    let run = bytes[at..].iter().position(|b| !is(b));
    run.map_or(bytes.len(), |run| at + run)
}

/// Whether it belongs to no word that it stands at the end of.
fn is_sign(b: &u8) -> bool {
    b.is_ascii_punctuation() && *b != b'_'
}

fn by_rules(piece: &str, offset: usize, each: &mut impl FnMut(&str, Range<usize>)) {
    // The last character of a run without spaces, and whether it is part of a pair already.
    let mut last: Option<(Range<usize>, bool)> = None;
    let mut emit =
        |span: Range<usize>| each(&piece[span.clone()], offset + span.start..offset + span.end);
    for (at, word) in piece.unicode_word_indices() {
        if !word.starts_with(has_no_spaces) {
            if let Some((span, false)) = last.take() {
                emit(span);
            }
            emit(at..at + word.len());
            continue;
        }
        for character in characters(word) {
            let span = at + character.start..at + character.end;
            last = match last {
                Some((before, _)) if before.end == span.start => {
                    emit(before.start..span.end);
                    Some((span, true))
                }
                Some((before, false)) => {
                    emit(before);
                    Some((span, false))
                }
                _ => Some((span, false)),
            };
        }
    }
    if let Some((span, false)) = last {
        emit(span);
    }
}

/// The characters of a word, each with the marks that follow it.
fn characters(word: &str) -> impl Iterator<Item = Range<usize>> {
    let mut rest = word.char_indices().peekable();
    std::iter::from_fn(move || {
        let (start, _) = rest.next()?;
        while rest.next_if(|(_, c)| !c.is_alphanumeric()).is_some() {}
        Some(start..rest.peek().map_or(word.len(), |(end, _)| *end))
    })
}

/// Whether a script is written without spaces between words: Thai, Lao, Burmese, Khmer, kana, Han.
pub(super) fn has_no_spaces(c: char) -> bool {
    matches!(c,
        '\u{0E00}'..='\u{0EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}'
        | '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{30FF}' | '\u{31F0}'..='\u{31FF}'
        | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}'
        | '\u{FF66}'..='\u{FF9F}' | '\u{20000}'..='\u{3FFFF}')
}

/// What stands between white space.
pub(super) fn pieces(text: &str, mut each: impl FnMut(&str, Range<usize>)) {
    let mut start = 0;
    for piece in text.split_inclusive(char::is_whitespace) {
        let word = piece.trim_end();
        if !word.is_empty() {
            each(word, start..start + word.len());
        }
        start += piece.len();
    }
}

/// The parts of a word that have `least` to `most` characters, the shorter of each beginning first, as
/// bytes of the word; the word itself if it is shorter. Calls `each` with how many characters stand
/// before the part.
pub(super) fn grams(word: &str, least: u32, most: u32, mut each: impl FnMut(u32, Range<usize>)) {
    let mut parts = 0;
    let starts = word.char_indices().map(|(start, _)| start);
    for (place, start) in (0..).zip(starts) {
        let rest = &word[start..];
        let mut ends = rest
            .char_indices()
            .map(|(end, _)| start + end)
            .skip(1)
            .chain([word.len()])
            .zip(1..=most)
            .skip(least as usize - 1)
            .peekable();
        if ends.peek().is_none() {
            break;
        }
        for (end, _) in ends {
            parts += 1;
            each(place, start..end);
        }
    }
    if parts == 0 && !word.is_empty() {
        each(0, 0..word.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(text: &str) -> Vec<&str> {
        let mut found = Vec::new();
        words(text, |word, span| {
            assert_eq!(&text[span.clone()], word);
            found.push(&text[span]);
        });
        found
    }

    #[test]
    fn words_by_table() {
        for (text, expected) in [
            ("", &[][..]),
            (" \t\n", &[]),
            ("The quick, (brown) fox!", &["The", "quick", "brown", "fox"]),
            (
                "wi-fi don't 3.14 a_b",
                &["wi", "fi", "don't", "3.14", "a_b"],
            ),
            ("“Ah—no” l’été", &["Ah", "no", "l’été"]),
            ("東京都", &["東京", "京都"]),
            ("東", &["東"]),
            ("東 京", &["東", "京"]),
            ("東,京都x", &["東", "京都", "x"]),
            ("今日はテスト", &["今日", "日は", "はテ", "テス", "スト"]),
            ("カ\u{3099}キ", &["カ\u{3099}キ"]),
            ("서울은 크다", &["서울은", "크다"]),
            ("ภาษา", &["ภา", "าษ", "ษา"]),
            ("😀 👩‍👩‍👧 🇩🇪", &[]),
            ("שלום עולם", &["שלום", "עולם"]),
            ("a\u{0}b\u{7f}c", &["a", "b", "c"]),
            ("\u{301} e\u{301}", &["e\u{301}"]),
        ] {
            assert_eq!(found(text), expected, "{text:?}");
        }
    }

    #[test]
    fn grams_by_table() {
        let parts = |word: &str, least, most| {
            let mut parts = Vec::new();
            grams(word, least, most, |place, span| {
                parts.push((place, word[span].to_owned()));
            });
            parts
        };
        let expect = |expected: &[(u32, &str)]| -> Vec<_> {
            let owned = expected
                .iter()
                .map(|(place, part)| (*place, (*part).to_owned()));
            owned.collect()
        };
        let all = [(0, "é"), (0, "éa"), (1, "a"), (1, "ab"), (2, "b")];
        assert_eq!(parts("éab", 1, 2), expect(&all));
        assert_eq!(parts("éab", 3, 3), expect(&[(0, "éab")]));
        assert_eq!(parts("éab", 4, 9), expect(&[(0, "éab")]));
        assert_eq!(parts("", 1, 2), expect(&[]));
    }

    proptest! {
        /// Falling apart at white space first changes nothing.
        #[test]
        fn as_the_rules_say(text in "[a-zA-Z0-9 .,:;'’_\\-\"\t\n\r\u{85}\u{a0}\u{200d}\u{301}éßжש한👍🇩]{0,24}") {
            let expected: Vec<_> = text.unicode_words().collect();
            prop_assert_eq!(found(&text), expected);
        }

        #[test]
        fn any_text_falls_apart(text in any::<String>()) {
            let mut end = 0;
            words(&text, |word, span| {
                assert_eq!(&text[span.clone()], word);
                assert!(span.start < span.end && span.end > end);
                end = span.end;
            });
            pieces(&text, |word, span| assert_eq!(&text[span], word));
        }
    }
}
