//! Date-times in payloads and filters: strings of RFC 3339, and shorter forms of ISO 8601.

use jiff::{
    SignedDuration,
    civil::{DateTime, Time, date},
    fmt::temporal::Pieces,
};
use std::time::SystemTime;

/// Microseconds since 1970 in UTC, negative before, of `2024-05-01T12:30:00.5+02:00`. Without an offset
/// UTC is meant; a space may stand for the `T`, and seconds or the whole time may be missing. What is
/// finer than a microsecond is cut off. In UTC its year is one of 0 to 9999.
pub(crate) fn micros(text: &str) -> Option<i64> {
    since_1970(text)?.as_micros().try_into().ok()
}

/// The same instant to the nanosecond, where the system's clock can hold it.
pub(crate) fn time(text: &str) -> Option<SystemTime> {
    let since = since_1970(text)?;
    let by = since.unsigned_abs();
    match since.is_negative() {
        true => SystemTime::UNIX_EPOCH.checked_sub(by),
        false => SystemTime::UNIX_EPOCH.checked_add(by),
    }
}

/// What [`time`] reads as this; none for what lies beyond the years of four digits.
pub(crate) fn written(time: SystemTime) -> Option<String> {
    let since = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => SignedDuration::try_from(after).ok()?,
        Err(before) => -SignedDuration::try_from(before.duration()).ok()?,
    };
    utc(since).map(|time| format!("{time}Z"))
}

/// What [`micros`] reads as this, in UTC.
pub(crate) fn text_of(micros: i64) -> String {
    // Only what was no date-time lies beyond those that can be written.
    let time = utc(SignedDuration::from_micros(micros));
    time.map_or_else(String::new, |time| format!("{time}Z"))
}

/// So long since 1970, if that is within the years 0 to 9999.
fn utc(since: SignedDuration) -> Option<DateTime> {
    let time = date(1970, 1, 1).at(0, 0, 0, 0).checked_add(since).ok()?;
    (time.year() >= 0).then_some(time)
}

fn since_1970(text: &str) -> Option<SignedDuration> {
    // As jiff takes other forms, too, that other strings may happen to have.
    let is_date = text.len() >= 10 && text.as_bytes()[4] == b'-' && text.as_bytes()[7] == b'-';
    if !is_date || !text.is_ascii() || text.contains('[') {
        return None;
    }
    let pieces = Pieces::parse(text).ok()?;
    let here = pieces
        .date()
        .to_datetime(pieces.time().unwrap_or(Time::midnight()));
    let since = here.duration_since(date(1970, 1, 1).at(0, 0, 0, 0));
    let offset = pieces
        .to_numeric_offset()
        .map_or(0, jiff::tz::Offset::seconds);
    let since = since.checked_sub(SignedDuration::from_secs(offset.into()))?;
    utc(since).map(|_| since)
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
            ("9999-12-31", Some(253_402_214_400_000_000)),
            ("9999-12-31T23:59:59.999999Z", Some(253_402_300_799_999_999)),
            ("9999-12-31T23:59:59-05:00", None),
            ("9999-12-30T21:00:00-05:00", Some(253_402_221_600_000_000)),
            ("0000-01-01T00:00:00Z", Some(-62_167_219_200_000_000)),
            ("0000-01-01T00:00:00+01:00", None),
            ("2024-05-01T12:30:00[America/New_York]", None),
            ("2024-05-01[Europe/Berlin]", None),
            ("2024-05-01T12:30:00+02:00[Europe/Berlin]", None),
            ("2024-05-01T12:30:00[u-ca=hebrew]", None),
        ] {
            assert_eq!(micros(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        for text in [
            "0000-01-01T00:00:00Z",
            "1969-12-31T23:59:59.999999Z",
            "2024-02-29T12:00:00.25Z",
            "9999-12-31T23:59:59.999999Z",
        ] {
            assert_eq!(text_of(micros(text).unwrap()), text);
            assert_eq!(written(time(text).unwrap()).unwrap(), text);
        }
        assert_eq!(text_of(i64::MAX), "");
        let beyond = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(253_402_300_800);
        assert_eq!(written(beyond), None);
    }
}
