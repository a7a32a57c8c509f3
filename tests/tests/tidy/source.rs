//! One file, read as far as the rules need it: without comments and texts, without tests, and as
//! the paths that it names.

/// A source file or a manifest.
pub(crate) struct Source {
    /// From the root of the workspace, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text with comments and literals blanked out; lines stay where they are.
    pub(crate) code: String,
    /// The code with everything blanked out that is compiled for tests alone.
    pub(crate) shipped: String,
    /// The code that is compiled for tests alone.
    pub(crate) tests: String,
}

impl Source {
    pub(crate) fn new(path: String, text: String) -> Self {
        let code = without_literals(&text);
        let (shipped, tests) = if path.ends_with("/tests.rs") {
            (blank(&code), code.clone())
        } else {
            split_tests(&code)
        };
        Self {
            path,
            text,
            code,
            shipped,
            tests,
        }
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The path below the engine's source, for its files.
    pub(crate) fn in_engine(&self) -> Option<&str> {
        self.path.strip_prefix("engine/src/")
    }
}

/// Blanks comments, strings and characters out.
fn without_literals(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_end(&chars, at).unwrap_or(at);
        for c in &chars[at..end] {
            out.push(if *c == '\n' { '\n' } else { ' ' });
        }
        if end == at {
            out.push(chars[at]);
            at += 1;
        }
        at = at.max(end);
    }
    out
}

/// Where the comment or literal ends that starts here, if one does.
fn literal_end(chars: &[char], at: usize) -> Option<usize> {
    let from = |at: usize| chars.get(at..).unwrap_or_default();
    let before = at.checked_sub(1).map(|before| chars[before]);
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    match from(at) {
        ['/', '/', ..] => Some(find(chars, at, |rest| rest[0] == '\n')),
        ['/', '*', ..] => {
            let mut depth = 0;
            let mut end = at;
            while end < chars.len() {
                match from(end) {
                    ['/', '*', ..] => depth += 1,
                    ['*', '/', ..] => depth -= 1,
                    _ => {
                        end += 1;
                        continue;
                    }
                }
                end += 2;
                if depth == 0 {
                    break;
                }
            }
            Some(end)
        }
        ['"', ..] => Some(quoted_end(chars, at + 1, '"')),
        ['r', rest @ ..] if !in_word || before == Some('b') => {
            let hashes = rest.iter().take_while(|c| **c == '#').count();
            if rest.get(hashes) != Some(&'"') {
                return None;
            }
            let start = at + hashes + 2;
            let closes = |rest: &[char]| {
                let closing = rest.iter().skip(1).take(hashes);
                rest[0] == '"' && closing.filter(|c| **c == '#').count() == hashes
            };
            Some((find(chars, start, closes) + hashes + 1).min(chars.len()))
        }
        // A character, not a lifetime.
        ['\'', '\\', ..] => Some(quoted_end(chars, at + 1, '\'')),
        ['\'', _, '\'', ..] => Some(at + 3),
        _ => None,
    }
}

fn quoted_end(chars: &[char], start: usize, quote: char) -> usize {
    let mut at = start;
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

fn find(chars: &[char], start: usize, wanted: impl Fn(&[char]) -> bool) -> usize {
    (start..chars.len())
        .find(|at| wanted(&chars[*at..]))
        .unwrap_or(chars.len())
}

/// The code without what is for tests alone, and that by itself.
fn split_tests(code: &str) -> (String, String) {
    let mut shipped = code.to_owned();
    let mut tests = blank(code);
    let starts = ["#[cfg(test)]", "#[cfg(all(test,"];
    let mut from = 0;
    while let Some(start) = starts.iter().filter_map(|s| code[from..].find(s)).min() {
        let start = from + start;
        let end = item_end(code, start);
        shipped.replace_range(start..end, &blank(&code[start..end]));
        tests.replace_range(start..end, &code[start..end]);
        from = end;
    }
    (shipped, tests)
}

/// As many bytes, and the same lines.
fn blank(code: &str) -> String {
    let keep = |byte| if byte == b'\n' { '\n' } else { ' ' };
    code.bytes().map(keep).collect()
}

/// Where the item ends that starts here: at a `;`, or at the end of its block.
fn item_end(code: &str, start: usize) -> usize {
    let mut depth = 0;
    for (at, c) in code[start..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return start + at + 1;
                }
            }
            ';' if depth == 0 => return start + at + 1,
            _ => {}
        }
    }
    code.len()
}

/// Every path of at least two parts that the code names, with its line; a `use` of several names
/// is several paths.
pub(crate) fn paths(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let words = words(code);
    let mut next = 0;
    while let Some((at, word)) = words.get(next).copied() {
        let line = 1 + code[..at].matches('\n').count();
        let mut end = at + word.len();
        let names_imports = word == "use" && code[end..].starts_with(char::is_whitespace);
        if names_imports {
            let tree = code[end..].split(';').next().unwrap_or_default();
            expand("", tree, &mut |path| found.push((line, path)));
            end += tree.len();
        } else {
            while let Some(part) = code[end..].strip_prefix("::").map(first_word)
                && !part.is_empty()
            {
                end += 2 + part.len();
            }
            if end > at + word.len() {
                found.push((line, code[at..end].to_owned()));
            }
        }
        next += words[next..]
            .partition_point(|(start, _)| *start < end)
            .max(1);
    }
    found
}

/// All words of the code, with where they start.
pub(crate) fn words(code: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = code[at..].find(is_word) {
        let word = first_word(&code[at + start..]);
        found.push((at + start, word));
        at += start + word.len();
    }
    found
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn first_word(text: &str) -> &str {
    let end = text.find(|c| !is_word(c)).unwrap_or(text.len());
    &text[..end]
}

/// The paths of a tree of imports.
fn expand(prefix: &str, tree: &str, found: &mut impl FnMut(String)) {
    let tree = tree.trim();
    let Some((head, rest)) = tree.split_once('{') else {
        let name = tree.split_whitespace().next().unwrap_or_default();
        let path = format!("{prefix}{name}");
        return found(path.trim_end_matches("::self").to_owned());
    };
    let prefix = format!("{prefix}{}", head.trim());
    let mut depth = 0;
    let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
    let items = inner.split(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    for item in items.filter(|item| !item.trim().is_empty()) {
        expand(&prefix, item, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blank() {
        for (text, expected) in [
            ("a // unsafe\nb", "a          \nb"),
            ("a /* /* */ */ b", "a             b"),
            (r#"f("a \" b", c)"#, "f(        , c)"),
            (r###"f(r#"a " b"#, br"c")"###, "f(          , b    )"),
            ("'a' '\\'' 'x: &'a str", "         'x: &'a str"),
            ("b'x' for", "b    for"),
        ] {
            assert_eq!(without_literals(text), expected, "{text}");
        }
    }

    #[test]
    fn tests_are_told_apart() {
        let code = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { {} } }\nfn c() {}\n#[cfg(test)] use d;\nfn e() {}";
        let (shipped, tests) = split_tests(code);
        assert!(
            ["a", "c", "e"]
                .iter()
                .all(|f| shipped.contains(&format!("fn {f}")))
        );
        assert!(!shipped.contains("fn b") && !shipped.contains("use d"));
        assert!(tests.contains("fn b") && tests.contains("use d") && !tests.contains("fn c"));
        assert_eq!(shipped.lines().count(), code.lines().count());
    }

    #[test]
    fn paths_are_found_wherever_they_are_named() {
        let code = "use crate::{a::{B, c::D as E}, f};\npub use std::fs::{self, File};\n\
                    fn g(h: crate::i::J<super::K>) -> impl Sized + use<> { thread::spawn(l); m }";
        let expected = [
            (1, "crate::a::B"),
            (1, "crate::a::c::D"),
            (1, "crate::f"),
            (2, "std::fs"),
            (2, "std::fs::File"),
            (3, "crate::i::J"),
            (3, "super::K"),
            (3, "thread::spawn"),
        ];
        let expected = expected.map(|(line, path)| (line, path.to_owned()));
        assert_eq!(paths(code), expected);
    }
}
