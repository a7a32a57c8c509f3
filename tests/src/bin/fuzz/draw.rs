//! Inputs, each of which follows from the numbers that it is drawn by.

use super::Target;
use amphora_tests::random::Random;

/// Numbers at the ends of what their types hold, and beyond.
const NUMBERS: [&str; 16] = [
    "-1",
    "-0",
    "0.0",
    "1e400",
    "-1e400",
    "1e-400",
    "4294967296",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1e39",
    "7.038531e-26",
    "0.1e+1",
    "01",
    "1.",
    ".5",
];
/// Characters that are long, invisible, turned around, paired wrongly, or mean something to a parser.
const ODD: [&str; 16] = [
    "\0",
    "\u{7f}",
    "é",
    "e\u{301}",
    "\u{202e}",
    "\u{feff}",
    "\u{200d}",
    "ﷺ",
    "𝟙",
    "\u{10ffff}",
    "İ",
    "ß",
    "\\ud800",
    "\\u0000",
    "\u{a0}",
    "\r\n",
];
/// What nests in one of the grammars, as it opens and as it closes.
const NESTS: [(&str, &str); 12] = [
    ("(", ")"),
    ("NOT (", ")"),
    ("a ANY (", ")"),
    ("+(", ") a"),
    ("[", "]"),
    ("{\"a\":", "}"),
    ("{\"must\":[", "]}"),
    ("{\"nested\":{\"key\":\"a\",\"filter\":", "}}"),
    ("{\"sum\":[", "]}"),
    ("{\"neg\":", "}"),
    ("{\"bool\":{\"must\":[", "]}}"),
    ("{\"fuse\":\"rrf\",\"prefetches\":[", "]}"),
];
/// One in so many inputs is long: that what takes time in more than proportion shows.
const LONG: u64 = 500;
const LONG_BYTES: usize = 200_000;

pub(crate) fn pick<'a>(random: &mut Random, from: &[&'a str]) -> &'a str {
    from[random.below(from.len() as u64) as usize]
}

fn nest(random: &mut Random) -> (&'static str, &'static str) {
    NESTS[random.below(NESTS.len() as u64) as usize]
}

/// An input for a target.
pub(crate) fn input(target: &Target, random: &mut Random) -> String {
    let text = match random.below(16) {
        0 => bytes(random),
        1..4 => tokens(target, random),
        _ => {
            let mut text = pick(random, target.valid).to_owned();
            for _ in 0..random.below(4) {
                text = mutated(text, target, random);
            }
            text
        }
    };
    match random.below(LONG) {
        0 if !text.is_empty() => long(text, target, random),
        _ => text,
    }
}

fn bytes(random: &mut Random) -> String {
    let bytes: Vec<u8> = (0..random.below(64)).map(|_| random.draw() as u8).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn tokens(target: &Target, random: &mut Random) -> String {
    let mut text = String::new();
    for _ in 0..random.below(24) {
        text.push_str(match random.below(16) {
            0 => pick(random, &NUMBERS),
            1 => pick(random, &ODD),
            _ => pick(random, target.tokens),
        });
        if random.below(2) == 0 {
            text.push(' ');
        }
    }
    text
}

/// A place between two characters.
fn place(text: &str, random: &mut Random) -> usize {
    let mut place = random.below(text.len() as u64 + 1) as usize;
    while !text.is_char_boundary(place) {
        place -= 1;
    }
    place
}

/// Two places, the first one first. Mostly not far from each other.
fn part(text: &str, random: &mut Random) -> (usize, usize) {
    let first = place(text, random);
    let second = match random.below(4) {
        0 => place(text, random),
        _ => {
            let mut second = text.len().min(first + random.below(8) as usize);
            while !text.is_char_boundary(second) {
                second += 1;
            }
            second
        }
    };
    (first.min(second), first.max(second))
}

fn mutated(text: String, target: &Target, random: &mut Random) -> String {
    let (from, to) = part(&text, random);
    let (before, within, after) = (&text[..from], &text[from..to], &text[to..]);
    match random.below(9) {
        0 => [before, after].concat(),
        1 => [before, within, within, after].concat(),
        2 => {
            let (middle, end) = part(after, random);
            let (between, other) = (&after[..middle], &after[middle..end]);
            [before, other, between, within, &after[end..]].concat()
        }
        3 => before.to_owned(),
        4 => [before, pick(random, &NUMBERS), after].concat(),
        5 => [before, pick(random, &ODD), after].concat(),
        6 => [before, pick(random, target.tokens), after].concat(),
        7 => {
            let (opening, closing) = nest(random);
            let deep = random.below(150) as usize;
            let (opened, closed) = (opening.repeat(deep), closing.repeat(deep));
            match random.below(2) {
                0 => [&opened, &text[..], &closed].concat(),
                _ => [before, &opened, within, &closed, after].concat(),
            }
        }
        _ => {
            // A number for another, where there is one.
            let is_digit = |c: char| c.is_ascii_digit();
            let Some(at) = text.find(is_digit) else {
                return text;
            };
            let end = text[at..]
                .find(|c| !is_digit(c))
                .map_or(text.len(), |len| at + len);
            [&text[..at], pick(random, &NUMBERS), &text[end..]].concat()
        }
    }
}

/// Much of the same.
fn long(text: String, target: &Target, random: &mut Random) -> String {
    let (from, to) = part(&text, random);
    let repeated = match random.below(4) {
        0 => nest(random).0,
        1 => pick(random, target.tokens),
        2 => pick(random, &ODD),
        _ => &text[from..to],
    };
    let times = LONG_BYTES / repeated.len().max(1);
    let middle = repeated.repeat(times.min(LONG_BYTES));
    [&text[..from], &middle, &text[to..]].concat()
}
