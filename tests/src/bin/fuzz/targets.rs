//! Everything that reads texts, what it can read, and what must hold of what it reads.

use super::{
    Target,
    subject::{Subject, answered},
};
use amphora::{
    Cursor, Expr, Filter, ParseError, Payload, Point, Query, QueryKind, Scroll, TextQuery, field,
};
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;

const JSON: [&str; 18] = [
    "{", "}", "[", "]", ",", ":", "\"", "\"a\"", "1", "0.5", "null", "true", "\"id\":", "\"v\"",
    "\"year\"", "{}", "[]", "\\",
];

pub(crate) const TARGETS: [Target; 10] = [
    Target {
        name: "filter",
        valid: &[
            "year >= 1850 AND tags IN ('a', 3) AND NOT author.name = 'x'",
            "year BETWEEN ABOVE 1850 AND BELOW 1855 OR \"a b\" != 'it''s'",
            "t >= '2024-05-01T12:30:00Z' OR COUNT(tags) BETWEEN 1 AND 2",
            "AT LEAST 2 OF (year = 1, tags EXCEPT ('a'), title STARTS WITH 'H', body CONTAINS 'den')",
            "body MATCHES 'heat' OR body MATCHES ANY 'a b' AND body MATCHES PHRASE 'boundary layer'",
            "author ANY (name = 'ann' AND NOT (x IS NULL OR y IS NOT EMPTY))",
            "place NEAR (13.4 52.5, 5000) OR place IN BOX (13 53, 14 52)",
            "place IN POLYGON ((0 0, 4 0, 4 4), (1 1, 2 1, 2 2))",
            "ID IN (7, 'doc', UUID '67e55044-10b1-426f-9247-bb680e5fe0c8') OR HAS VECTOR v",
            "\"id\" IN ('a') AND \"count\" = 1 AND id = 1 AND \"at\" = 1 OR has = 2",
        ],
        tokens: &[
            "AND", "OR", "NOT", "IN", "IS", "NULL", "EMPTY", "BETWEEN", "ANY", "ABOVE", "BELOW",
            "AT", "LEAST", "OF", "ID", "UUID", "HAS", "VECTOR", "COUNT", "NEAR", "BOX", "POLYGON",
            "MATCHES", "STARTS", "WITH", "EXCEPT", "(", ")", ",", "=", "!=", "<", ">=", "'a'", "'",
            "\"", "\"id\"", "year", "tags", "1", "-2.5", "true",
        ],
        check: filter,
    },
    Target {
        name: "text",
        valid: &[
            r#"heat transfer +"boundary layer"~1 -title:laminar^2"#,
            r#"(heat +flow) title:(a "b c") ther* laminer~1 lamine~^.5"#,
            r#"\+a \-b wi-fi c++ body:"x \"y\"""#,
            "+(a b) -(c d) été 東京",
        ],
        tokens: &[
            "heat", "title:", "body:", "+", "-", "\"", "(", ")", "*", "~", "~1", "^", "^2.5", "\\",
            ":", "a", "1",
        ],
        check: text,
    },
    Target {
        name: "filter_json",
        valid: &[
            r#"{"must":[{"key":"year","range":{"gte":1850,"lt":1860.5}},{"must_not":[{"key":"tags","match":{"any":["a",3]}}]}]}"#,
            r#"{"should":{"key":"title","match":{"text":"heat"}},"min_should":{"conditions":[{"has_id":[1,"a"]}],"min_count":1}}"#,
            r#"{"nested":{"key":"author","filter":{"key":"name","match":{"value":"ann"}}}}"#,
            r#"{"key":"place","geo_radius":{"center":{"lon":13.4,"lat":52.5},"radius":5000}}"#,
            r#"{"key":"place","geo_polygon":{"exterior":{"points":[{"lon":0,"lat":0},{"lon":4,"lat":0},{"lon":4,"lat":4}]}}}"#,
            r#"{"must":[{"is_null":{"key":"a"}},{"is_empty":{"key":"b"}},{"has_vector":"v"},{"key":"tags","values_count":{"gt":1}}]}"#,
        ],
        tokens: &JSON,
        check: filter_json,
    },
    Target {
        name: "query_json",
        valid: &[
            r#"{"nearest":{"vector":"v","example":[0.1,7.038531e-26]},"limit":3,"filter":{"key":"year","range":{"gte":1850}}}"#,
            r#"{"nearest":{"vector":"v","example":7},"offset":1,"effort":{"recall":0.9},"oversampling":2,"mmr":{"lambda":0.5}}"#,
            r#"{"nearest_multi":{"vector":"w","values":[[0.5,1],[1,0.25]]},"with_payload":["year"],"with_vectors":true}"#,
            r#"{"text":{"texts":{"title":3,"body":1},"query":"heat -laminar"},"highlights":{"body":20},"bm25":{"k1":1.5}}"#,
            r#"{"sparse":{"vector":"s","example":{"indices":[7,12],"values":[0.5,1]}},"score_threshold":0.1}"#,
            r#"{"recommend":{"vector":"v","examples":{"strategy":"best_score","positive":[1,[0.5,1]],"negative":[{"id":2}]}}}"#,
            r#"{"discover":{"vector":"v","target":[1,0],"pairs":[{"positive":1,"negative":2}]}}"#,
            r#"{"context":{"vector":"v","pairs":[{"positive":[0.5,1],"negative":2}]}}"#,
            r#"{"fuse":{"method":"rrf","k":20,"weights":[2,1]},"prefetches":[{"random":{"seed":7},"limit":5},{"order_by":"year"}],"with_scores":true}"#,
            r#"{"order_by":{"field":"year","descending":true,"start_from":1855},"limit":2}"#,
            r#"{"formula":{"sum":["$score",{"mult":[0.5,{"field":"likes"}]}]},"prefetches":[{"nearest":{"vector":"v","example":[1,0]}}]}"#,
        ],
        tokens: &JSON,
        check: query_json,
    },
    Target {
        name: "formula_json",
        valid: &[
            r#"{"sum":["$score",{"mult":[0.5,{"or":[{"field":"likes"},1]}]},{"neg":{"abs":-1.5}}]}"#,
            r#"{"div":{"left":{"sqrt":4},"right":{"pow":{"base":2,"exponent":{"ln":{"exp":1}}}}}}"#,
            r#"{"gauss_decay":{"x":{"datetime_field":"t"},"target":{"datetime":"2024-05-01"},"scale":86400,"midpoint":0.5}}"#,
            r#"{"lin_decay":{"x":{"geo_distance":{"origin":{"lon":13.4,"lat":52.5},"to":"place"}},"scale":5000}}"#,
            r#"{"max":[{"min":["$score[0]",{"log10":10}]},{"condition":{"key":"year","match":{"value":1855}}}]}"#,
        ],
        tokens: &JSON,
        check: formula_json,
    },
    Target {
        name: "text_json",
        valid: &[
            r#"{"bool":{"must":["heat",{"match":{"text":"a b","least":"all"}}],"should":[{"prefix":"th"}],"must_not":[{"phrase":{"text":"c d","slop":1}}],"at_least":1}}"#,
            r#"{"boost":{"query":{"fuzzy":{"text":"laminer","distance":{"edits":1},"exact_prefix":2}},"times":2.5}}"#,
            r#"{"in":{"fields":{"title":3,"body":1},"query":{"match":{"text":"heat","least":{"of":1}}}}}"#,
        ],
        tokens: &JSON,
        check: text_json,
    },
    Target {
        name: "cursor",
        valid: &[
            r#"{"id":7}"#,
            r#"{"id":"walden-17"}"#,
            r#"{"id":{"uuid":"67e55044-10b1-426f-9247-bb680e5fe0c8"}}"#,
            r#"{"descending":true,"field":"year","id":7,"value":1854}"#,
            r#"{"descending":false,"field":"title","id":"a","value":"x \"y\""}"#,
        ],
        tokens: &JSON,
        check: cursor,
    },
    Target {
        name: "datetime",
        valid: &[
            "2024-05-01T12:30:00.123456789+02:00",
            "2024-05-01T12:30:00Z",
            "2024-05-01",
            "2024-05-01 12:30",
            "1969-12-31T23:59:59.9Z",
            "0000-01-01",
            "9999-12-31T23:59:59Z",
            "2016-12-31T23:59:60Z",
        ],
        tokens: &[
            "2024",
            "-",
            "05",
            "01",
            "T",
            "12",
            ":",
            "30",
            "Z",
            "+02:00",
            "-00:00",
            ".5",
            "[Europe/Berlin]",
            "W01",
            "+",
            "t",
            "z",
            "24",
        ],
        check: datetime,
    },
    Target {
        name: "payload_json",
        valid: &[
            r#"{"title":"Walden","year":1854,"parts":[1,{"a":null,"b":[true,1.5e-7]}],"é":"\u00e9\n"}"#,
            r#"{"a":{"a":{"a":{"a":[[[[{}]]]]}}},"b":18446744073709551615,"c":-9223372036854775808}"#,
        ],
        tokens: &JSON,
        check: payload_json,
    },
    Target {
        name: "point_json",
        valid: &[
            r#"{"id":7,"vectors":{"v":[0.1,7.038531e-26]},"multi_vectors":{"w":[[0.5,1],[1,0.25]]},"payload":{"year":1854}}"#,
            r#"{"id":"a","sparse_vectors":{"s":{"indices":[12,7],"values":[0.5,1e-7]}},"expires_at":"2054-05-01T12:30:00.25Z"}"#,
        ],
        tokens: &JSON,
        check: point_json,
    },
];

fn filter(subject: &Subject, text: &str) -> Result<bool, String> {
    let filter = match Filter::parse(text) {
        Ok(filter) => filter,
        Err(error) => return points_within(text, &error),
    };
    let printed = filter.to_string();
    let again = Filter::parse(&printed);
    let again = again.map_err(|error| format!("what it was printed as cannot be read: {error}"))?;
    same(&filter, &again)?;
    travels(&filter)?;
    let count = answered(subject.docs.count_matching(filter).wait())?;
    let other = answered(subject.docs.count_matching(again).wait())?;
    same(&count, &other)?;
    Ok(true)
}

fn text(subject: &Subject, text: &str) -> Result<bool, String> {
    let query = match TextQuery::parse(text) {
        Ok(query) => query,
        Err(error) => return points_within(text, &error),
    };
    travels(&query)?;
    asked(subject, Query::text("body", query))?;
    Ok(true)
}

fn filter_json(subject: &Subject, text: &str) -> Result<bool, String> {
    let Some(filter) = json::<Filter>(text)? else {
        return Ok(false);
    };
    travels(&filter)?;
    // Not all that JSON can say can be typed.
    if let Ok(typed) = Filter::parse(&filter.to_string()) {
        let count = answered(subject.docs.count_matching(filter).wait())?;
        same(
            &count,
            &answered(subject.docs.count_matching(typed).wait())?,
        )?;
    }
    Ok(true)
}

fn query_json(subject: &Subject, text: &str) -> Result<bool, String> {
    let Some(query) = json::<Query>(text)? else {
        return Ok(false);
    };
    travels(&query)?;
    asked(subject, query)?;
    Ok(true)
}

fn formula_json(subject: &Subject, text: &str) -> Result<bool, String> {
    let Some(formula) = json::<Expr>(text)? else {
        return Ok(false);
    };
    travels(&formula)?;
    asked(
        subject,
        Query::formula(formula).prefetch(Query::nearest("v", [1.0, 0.5])),
    )?;
    Ok(true)
}

fn text_json(subject: &Subject, text: &str) -> Result<bool, String> {
    let Some(query) = json::<TextQuery>(text)? else {
        return Ok(false);
    };
    travels(&query)?;
    asked(subject, Query::text("body", query))?;
    Ok(true)
}

fn cursor(subject: &Subject, text: &str) -> Result<bool, String> {
    let Ok(cursor) = text.parse::<Cursor>() else {
        return Ok(false);
    };
    let again = cursor.to_string().parse::<Cursor>();
    same(
        &again.map_err(|error| format!("what it was shown as cannot be read: {error}"))?,
        &cursor,
    )?;
    travels(&cursor)?;
    let page = subject.docs.scroll_page(Scroll::new().after(cursor)).wait();
    travels(&answered(page)?)?;
    Ok(true)
}

/// By whom it is read: as the end of a point, and in a filter.
fn datetime(subject: &Subject, text: &str) -> Result<bool, String> {
    let point = serde_json::json!({ "id": 1, "expires_at": text });
    let point = serde_json::from_value::<Point>(point).ok();
    if let Some(point) = &point {
        travels(point)?;
    }
    let filter = field("t").at_least(text);
    let counted = answered(subject.docs.count_matching(filter).wait())?;
    same(&counted.is_some(), &point.is_some())?;
    Ok(point.is_some())
}

fn payload_json(_: &Subject, text: &str) -> Result<bool, String> {
    let Some(payload) = json::<Payload>(text)? else {
        return Ok(false);
    };
    travels(&payload)?;
    match depth(text) > Payload::MAX_DEPTH {
        true => Err("a payload is deeper than one may be".to_owned()),
        false => Ok(true),
    }
}

fn point_json(_: &Subject, text: &str) -> Result<bool, String> {
    let Some(point) = json::<Point>(text)? else {
        return Ok(false);
    };
    travels(&point)?;
    Ok(true)
}

/// What is read, unless it is refused at a place that the text has.
fn json<T: DeserializeOwned>(text: &str) -> Result<Option<T>, String> {
    let error = match serde_json::from_str(text) {
        Ok(_) if depth(text) > MAX_JSON => return Err("JSON is deeper than it may be".to_owned()),
        Ok(read) => return Ok(Some(read)),
        Err(error) => error,
    };
    let line = text.split('\n').nth(error.line().saturating_sub(1));
    match line {
        Some(line) if error.column() <= line.len() + 1 => Ok(None),
        _ => Err(format!("an error is not where the text is: {error}")),
    }
}

/// How deep `serde_json` goes.
const MAX_JSON: usize = 127;

/// How many brackets are open at once.
fn depth(json: &str) -> usize {
    let (mut open, mut most, mut quoted, mut escaped) = (0usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => open += 1,
            b'}' | b']' if !quoted => open = open.saturating_sub(1),
            _ => {}
        }
        most = most.max(open);
    }
    most
}

/// What is written is read back as it was, unless it is deeper than JSON may be.
fn travels<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) -> Result<(), String> {
    let json = serde_json::to_string(value).map_err(|error| format!("it has no JSON: {error}"))?;
    match serde_json::from_str(&json) {
        Ok(again) => same(value, &again),
        Err(_) if depth(&json) > MAX_JSON => Ok(()),
        Err(error) => Err(format!("its JSON cannot be read: {error}\n{json}")),
    }
}

pub(crate) fn same<T: PartialEq + Debug>(one: &T, other: &T) -> Result<(), String> {
    if one == other {
        return Ok(());
    }
    Err(format!("{one:?} is not {other:?}"))
}

/// An error is at a place between two characters of the text, and says nothing long.
pub(crate) fn points_within(text: &str, error: &ParseError) -> Result<bool, String> {
    let before = text.get(..error.byte).map(|before| before.chars().count());
    if before != Some(error.character) {
        let (byte, character) = (error.byte, error.character);
        return Err(format!(
            "an error is at byte {byte} and at character {character}"
        ));
    }
    match error.to_string().chars().count() {
        ..1_000 => Ok(false),
        long => Err(format!("an error has {long} characters")),
    }
}

/// A query is answered or refused, and not answered if it is nested too deep.
fn asked(subject: &Subject, query: Query) -> Result<(), String> {
    let mut deepest = 0;
    let mut open = vec![(&query, 1)];
    while let Some((query, depth)) = open.pop() {
        deepest = deepest.max(depth);
        open.extend(query.prefetches.iter().map(|inner| (inner, depth + 1)));
    }
    let is_fused = matches!(query.kind, QueryKind::Fuse(_) | QueryKind::Formula(_));
    let is_whole = !is_fused && query.prefetches.is_empty();
    let filter = query.filter.clone();
    let Some(hits) = answered(subject.docs.search(query).wait())? else {
        return Ok(());
    };
    if deepest > Query::MAX_DEPTH {
        return Err(format!("a query of {deepest} levels was answered"));
    }
    if let (true, Some(filter)) = (is_whole, filter) {
        let most = subject
            .docs
            .count_matching(filter)
            .wait()
            .map_err(|error| error.to_string())?;
        if hits.len() as u64 > most {
            return Err(format!("{} hits, where {most} points match", hits.len()));
        }
    }
    travels(&hits)
}
