//! What makes words alike that a reader takes for the same: case, accents, forms of one character.

use unicode_normalization::UnicodeNormalization;

/// Replaces characters that only look different by the ones they stand for: the compatibility
/// composition of Unicode (NFKC), and one apostrophe in place of the curved ones.
pub(super) fn compose(word: &str, out: &mut String) {
    let plain = |c| match c {
        '\u{2018}' | '\u{2019}' | '\u{02BC}' => '\'',
        c => c,
    };
    out.clear();
    out.extend(word.nfkc().map(plain));
}

/// Lower-cases. The two Turkish letters i are kept apart if it is Turkish.
pub(super) fn lower_case(word: &mut String, turkish: bool) {
    if word.is_ascii() && !turkish {
        word.make_ascii_lowercase();
    } else if turkish {
        *word = word.replace('I', "ı").replace('İ', "i").to_lowercase();
    } else {
        *word = word.to_lowercase();
    }
}

/// Removes accents and other marks, and replaces letters that Unicode takes for letters of their own.
pub(super) fn fold(word: &str, out: &mut String) {
    out.clear();
    if word.is_ascii() {
        out.push_str(word);
        return;
    }
    let letters = word.nfkd().filter(|c| !is_accent(*c)).nfc();
    for c in letters {
        match c {
            'ß' => out.push_str("ss"),
            'æ' => out.push_str("ae"),
            'œ' => out.push_str("oe"),
            'þ' => out.push_str("th"),
            'ð' | 'đ' => out.push('d'),
            'ø' => out.push('o'),
            'ł' => out.push('l'),
            'ħ' => out.push('h'),
            'ı' => out.push('i'),
            'ς' => out.push('σ'),
            // What an accent of its own stands on.
            c if c.is_whitespace() && out.is_empty() => {}
            c => out.push(c),
        }
    }
    out.truncate(out.trim_end().len());
}

/// Whether a mark can be left out of a word without making it another one: the combining marks that are
/// of no one script, the points of Hebrew and Arabic, and what joins or shapes letters without being
/// seen. Vowel signs of Indic scripts and voicing marks of kana are none.
fn is_accent(c: char) -> bool {
    matches!(c,
        '\u{0300}'..='\u{036F}' | '\u{0483}'..='\u{0487}' | '\u{0591}'..='\u{05BD}' | '\u{05BF}'
        | '\u{05C1}'..='\u{05C2}' | '\u{05C4}'..='\u{05C5}' | '\u{05C7}'
        | '\u{0610}'..='\u{061A}' | '\u{0640}' | '\u{064B}'..='\u{065F}' | '\u{0670}'
        | '\u{06D6}'..='\u{06DC}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}'
        | '\u{20D0}'..='\u{20FF}' | '\u{FE20}'..='\u{FE2F}'
        | '\u{00AD}' | '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn folded(word: &str) -> String {
        let mut out = String::new();
        fold(word, &mut out);
        out
    }

    #[test]
    fn words_by_table() {
        for (word, expected) in [
            ("résumé", "resume"),
            ("re\u{301}sume\u{301}", "resume"),
            ("straße", "strasse"),
            ("łódź", "lodz"),
            ("ﬁn", "fin"),
            ("й", "и"),
            ("λόγος", "λογοσ"),
            ("が", "が"),
            ("हिन्दी", "हिन्दी"),
            ("한국", "한국"),
            ("שָׁלוֹם", "שלום"),
            ("مُحَمَّد", "محمد"),
            ("co\u{ad}op", "coop"),
            ("\u{301}", ""),
            ("\u{FE72}", ""),
        ] {
            assert_eq!(folded(word), expected, "{word}");
        }
    }

    #[test]
    fn case_by_table() {
        for (word, turkish, expected) in [
            ("HELLO", false, "hello"),
            ("ÉTÉ", false, "été"),
            ("ΟΔΟΣ", false, "οδος"),
            ("ISPARTA", true, "ısparta"),
            ("İZMİR", true, "izmir"),
        ] {
            let mut word = word.to_owned();
            lower_case(&mut word, turkish);
            assert_eq!(word, expected);
        }
        let mut composed = String::new();
        compose("ＡＢ’ﬁe\u{301}", &mut composed);
        assert_eq!(composed, "AB'fié");
    }

    proptest! {
        #[test]
        fn what_was_folded_stays(word in any::<String>()) {
            let once = folded(&word.to_lowercase());
            prop_assert_eq!(folded(&once), once);
        }
    }
}
