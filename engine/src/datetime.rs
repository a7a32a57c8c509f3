//! Date-times in payloads and filters: strings of RFC 3339, and shorter forms of ISO 8601.

use jiff::{Timestamp, civil::DateTime, tz::Offset};
use std::time::SystemTime;

/// Microseconds since 1970 in UTC, negative before, of `2024-05-01T12:30:00.5+02:00`. Without an offset
/// UTC is meant; a space may stand for the `T`, and seconds or the whole time may be missing. What is
/// finer than a microsecond is cut off.
pub(crate) fn micros(text: &str) -> Option<i64> {
    instant(text).map(Timestamp::as_microsecond)
}

/// The same instant to the nanosecond, where the system's clock can hold it.
pub(crate) fn time(text: &str) -> Option<SystemTime> {
    let since = instant(text)?.as_duration();
    let by = since.unsigned_abs();
    match since.is_negative() {
        true => SystemTime::UNIX_EPOCH.checked_sub(by),
        false => SystemTime::UNIX_EPOCH.checked_add(by),
    }
}

/// What [`time`] reads as this; none for what lies beyond the years of four digits.
pub(crate) fn written(time: SystemTime) -> Option<String> {
    let text = Timestamp::try_from(time).ok()?.to_string();
    instant(&text).is_some().then_some(text)
}

/// What [`micros`] reads as this, in UTC.
pub(crate) fn text_of(micros: i64) -> String {
    // Only what was no date-time lies beyond those that can be written.
    Timestamp::from_microsecond(micros).map_or_else(|_| String::new(), |time| time.to_string())
}

fn instant(text: &str) -> Option<Timestamp> {
    // As jiff takes other forms, too, that other strings may happen to have.
    let is_date = text.len() >= 10 && text.as_bytes()[4] == b'-' && text.as_bytes()[7] == b'-';
    if !is_date || !text.is_ascii() {
        return None;
    }
    let instant = text.parse::<Timestamp>().or_else(|_| {
        let here: DateTime = text.parse()?;
        Offset::UTC.to_timestamp(here)
    });
    instant.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_by_table() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1970-01-01", Some(0)),
            ("1970-01-01 00:00:01", Some(1_000_000)),
            ("1970-01-01T00:01", Some(60_000_000)),
            ("1970-01-01T02:00:00+02:00", Some(0)),
            ("1969-12-31T23:59:59.999999Z", Some(-1)),
            ("1970-01-01T00:00:00.0000015Z", Some(1)),
            ("2024-02-29T12:00:00.25-05:30", Some(1_709_227_800_250_000)),
            ("2023-02-29", None),
            ("19700101", None),
            ("1970-01-01T25:00:00Z", None),
            ("1854", None),
            ("", None),
            ("a year-long walk", None),
            ("1970-01-0\u{661}", None),
        ] {
            assert_eq!(micros(text), expected, "{text}");
        }
    }
}
