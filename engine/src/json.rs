//! How values are written as JSON, or in any other format that describes itself, where a derive does not say it
//! well: pairs as an object, a string in place of an object, times.
//!
//! Asked by the `serde` attributes of other types; it knows none of them. What it reads is never kept back to be
//! read again, so that numbers of 32 bits come back as they were.

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
    ser,
};
use std::{fmt, marker::PhantomData};

/// Whether it need not be written.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Writes a number, or says that JSON has none such: `null`, which it has in its place, would be read as no number
/// at all.
pub(crate) fn finite<T: Copy + Into<f64> + Serialize, S: Serializer>(
    number: &Option<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match number.map(T::into) {
        Some(number) if !number.is_finite() => Err(ser::Error::custom(format_args!(
            "a number is {number}; expected a finite one"
        ))),
        _ => number.serialize(serializer),
    }
}

/// Reads an object, or a string that stands for one by `of`.
pub(crate) fn object_or<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
    expected: &'static str,
    of: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, D::Error> {
    struct Either<T, F>(&'static str, F, PhantomData<T>);

    impl<'de, T: Deserialize<'de>, F: FnOnce(&str) -> Result<T, String>> Visitor<'de> for Either<T, F> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            (self.1)(text).map_err(E::custom)
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            whole(map)
        }
    }

    deserializer.deserialize_any(Either(expected, of, PhantomData))
}

/// Reads all of an object: an enumeration would leave the keys behind its first.
pub(crate) fn whole<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    mut map: A,
) -> Result<T, A::Error> {
    let value = T::deserialize(MapAccessDeserializer::new(&mut map))?;
    match map.next_key::<String>()? {
        None => Ok(value),
        Some(key) => Err(de::Error::custom(format_args!(
            "key {key:?} stands beside another; expected one alone"
        ))),
    }
}

/// Names with what they name, as an object in their order. One that comes twice does so in the object.
pub(crate) mod pairs {
    use serde::{
        Deserialize, Deserializer, Serialize, Serializer,
        de::{MapAccess, Visitor},
    };
    use std::{fmt, marker::PhantomData};

    pub(crate) fn serialize<T: Serialize, S: Serializer>(
        pairs: &[(String, T)],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
    }

    pub(crate) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<(String, T)>, D::Error> {
        struct Pairs<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Pairs<T> {
            type Value = Vec<(String, T)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object, by names")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(pairs)
            }
        }

        deserializer.deserialize_map(Pairs(PhantomData))
    }
}

/// Durations as whole numbers of nanoseconds.
pub(crate) mod nanoseconds {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::time::Duration;

    pub(crate) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let nanos = u64::try_from(duration.as_nanos());
        nanos.unwrap_or(u64::MAX).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_nanos)
    }
}

/// Times as date-times of RFC 3339 in UTC, to the nanosecond.
pub(crate) mod time {
    use crate::datetime;
    use serde::{Deserialize, Deserializer, Serializer, de, ser};
    use std::time::SystemTime;

    pub(crate) fn serialize<S: Serializer>(
        time: &Option<SystemTime>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            None => serializer.serialize_none(),
            Some(time) => {
                let text = datetime::written(*time);
                let text = text
                    .ok_or_else(|| ser::Error::custom("a time is not within the years 0 to 9999"));
                serializer.serialize_str(&text?)
            }
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<SystemTime>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else {
            return Ok(None);
        };
        datetime::time(&text).map(Some).ok_or_else(|| {
            de::Error::invalid_value(
                de::Unexpected::Str(&text),
                &"a date-time as of RFC 3339, as 2024-05-01T12:30:00Z",
            )
        })
    }
}
