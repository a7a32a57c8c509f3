//! Names that have led other programs out of their directory, or into trouble.

use std::{collections::BTreeSet, path::Path};

/// At least 500 names, all different. `outside` is a directory that nothing may be written to.
pub(crate) fn all(outside: &Path) -> Vec<String> {
    let mut names = BTreeSet::new();
    let mut add = |name: String| {
        names.insert(name);
    };
    let targets = [
        "etc/passwd",
        "escape",
        "outside/secret.txt",
        "LOCK",
        "wal-0000000001.log",
    ];
    for separator in ["/", "\\", "//", "%2f", "\u{2215}", "\u{ff0f}"] {
        for depth in 1..=8 {
            for target in targets {
                let up = format!("..{separator}").repeat(depth);
                add(format!("{up}{target}"));
            }
        }
    }
    for device in ["CON", "PRN", "AUX", "NUL", "CLOCK$", "CONIN$"]
        .map(str::to_owned)
        .into_iter()
        .chain((0..10).flat_map(|n| [format!("COM{n}"), format!("LPT{n}")]))
    {
        for end in ["", ".txt", ":", ".", " ", "/x"] {
            add(format!("{device}{end}"));
            add(format!("{}{end}", device.to_lowercase()));
        }
    }
    for control in (0..0x20).chain(0x7F..0xA0).filter_map(char::from_u32) {
        add(format!("a{control}b"));
        add(control.to_string());
    }
    for length in [64, 254, 255, 256, 257, 4_095, 4_096, 65_536] {
        for letter in ["n", "é", "日", "🏺", "../", " ", "."] {
            let count = length / letter.len();
            add(letter.repeat(count));
            add(format!(
                "{}{}",
                letter.repeat(count),
                "x".repeat(length % letter.len())
            ));
        }
    }
    add("n".repeat(1 << 20));
    for invisible in [
        "\u{202e}",
        "\u{202d}",
        "\u{2066}",
        "\u{2069}",
        "\u{200b}",
        "\u{200d}",
        "\u{feff}",
        "\u{2028}",
        "\u{2029}",
        "\u{ad}",
        "\u{fffe}",
        "\u{ffff}",
        "\u{fffd}",
        "\u{e000}",
        "\u{10ffff}",
        "\u{180e}",
        "\u{3164}",
        "\u{115f}",
    ] {
        add(invisible.to_owned());
        add(format!("{invisible}gpj.exe"));
        add(format!("docs{invisible}"));
        add(format!("..{invisible}/x"));
    }
    let outside = outside.display();
    add(format!("{outside}/escape"));
    add(format!("{outside}"));
    add(format!("{outside}/secret.txt"));
    add(format!("file://{outside}/escape"));
    for name in [
        "",
        " ",
        "  ",
        "\t",
        ".",
        "..",
        "...",
        "....",
        ". ",
        " .",
        ".. ",
        " ..",
        "a.",
        "a ",
        "a..",
        "a/..",
        "a/.",
        "./a",
        "..a",
        "a/../..",
        "a/b",
        "/",
        "//",
        "///",
        "\\",
        "/.",
        "/..",
        "/etc/passwd",
        "/etc/passwd\0.txt",
        "/dev/null",
        "/dev/zero",
        "/proc/self/mem",
        "/proc/self/fd/1",
        "~",
        "~/.ssh/authorized_keys",
        "~root",
        "$HOME",
        "${HOME}",
        "%HOME%",
        "`id`",
        "$(touch escape)",
        ";rm -rf .",
        "| cat",
        "&& ls",
        "> escape",
        "-rf",
        "--",
        "-",
        "*",
        "?",
        "[a-z]",
        "{a,b}",
        "a\nb",
        "a\r\nb",
        "\"",
        "'",
        "\"}",
        "null",
        "true",
        "false",
        "0",
        "-1",
        "NaN",
        "1e999",
        "undefined",
        "__proto__",
        "constructor",
        "%s%s%n",
        "{}",
        "{0}",
        "%00",
        "%2e%2e%2f",
        "%252e",
        "..%c0%af",
        "..;/",
        "C:",
        "C:\\",
        "C:\\Windows\\win.ini",
        "c:escape",
        "\\\\?\\C:\\",
        "\\\\.\\COM1",
        "\\\\server\\share",
        "a:b",
        "a::$DATA",
        "file:///etc/passwd",
        "http://localhost/",
        "LOCK",
        "lock",
        "LOCK.tmp",
        "MANIFEST",
        "CURRENT",
        "wal-0000000001.log",
        "wal-0000000002.log",
        "wal-0000000002.log.tmp",
        "segment",
        "seg-0000000001.seg",
        "tmp",
        ".tmp",
        ".git",
        ".amphora",
        "lost+found",
        "docs",
        "Docs",
        "DOCS",
        "dOcS",
        "doCS",
        "\u{e9}",
        "e\u{301}",
        "\u{130}",
        "i\u{307}",
        "ı",
        "ß",
        "ẞ",
        "SS",
        "ſ",
        "\u{212a}",
        "K",
        "ﬁ",
        "fi",
        "．．／",
        "‥",
        "…",
        "Å",
        "A\u{30a}",
        "\u{212b}",
        "日本語",
        "🏺",
        "👨\u{200d}👩\u{200d}👧",
        "Ω",
        "\u{2126}",
        "a.b",
        "a..b",
        ".a",
        "a[0]",
        "$",
        "$.a",
        "@",
        "#",
        "'; DROP TABLE docs; --",
        "<script>",
        "\u{1F}",
        "a\u{0}",
    ] {
        add(name.to_owned());
    }
    // Letters that only their marks tell apart: their number is what matters.
    add(format!("Z{}", "\u{301}".repeat(100)));
    names.into_iter().collect()
}
