//! Columns against their values, one by one.

use super::{super::Builder, *};
use proptest::prelude::*;
use serde_json::json;

fn build(field: Field, payloads: &[Value]) -> Vec<u8> {
    let mut builder = Builder::new(field);
    for payload in payloads {
        builder.add(payload.as_object().unwrap(), "f");
    }
    builder.finish().unwrap()
}

fn open(bytes: &[u8], field: Field, rows: usize) -> Decoded<Column<'_>> {
    let column = Column::open(bytes, field, rows as u32)?;
    column.check()?;
    Ok(column)
}

fn rows(found: Option<Selection<'_>>) -> Option<Vec<u32>> {
    found.map(|found| sorted(found.rows()))
}

fn key(number: u64) -> Bound<Key> {
    Bound::Excluded(Key::of(&number.into()))
}

fn sorted(mut rows: Vec<u32>) -> Vec<u32> {
    rows.sort_unstable();
    rows
}

#[test]
fn what_a_column_answers_and_what_it_leaves_to_payloads() {
    let payloads = [
        json!({ "f": [3, "three", 3] }),
        json!({ "g": 1 }),
        json!({ "f": [null, [1], 2.0, 1] }),
    ];
    let bytes = build(Field::Integer, &payloads);
    let column = open(&bytes, Field::Integer, 3).unwrap();
    column.verify().unwrap();
    assert_eq!(rows(column.equal(&json!(3))), Some(vec![0]));
    assert_eq!(rows(column.equal(&json!(2))), Some(vec![2]));
    assert_eq!(rows(column.equal(&json!(true))), Some(vec![]));
    assert_eq!(rows(column.equal(&json!("three"))), None);
    let all = column.within(&Bound::Unbounded, &Bound::Unbounded).unwrap();
    assert_eq!((sorted(all.rows()), all.count()), (vec![0, 2], 3));
    let none = column.within(&key(2), &key(2));
    assert_eq!(rows(none), Some(vec![]));

    let bytes = build(Field::Keyword, &payloads);
    let column = open(&bytes, Field::Keyword, 3).unwrap();
    assert_eq!(rows(column.equal(&json!("three"))), Some(vec![0]));
    assert_eq!(rows(column.equal(&json!(3))), None);
    assert!(
        column
            .within(&Bound::Unbounded, &Bound::Unbounded)
            .is_none()
    );

    let bytes = build(Field::Bool, &[]);
    let column = open(&bytes, Field::Bool, 0).unwrap();
    assert_eq!(rows(column.equal(&json!(3))), Some(vec![]));
    assert!(open(&bytes, Field::Bool, 1).is_err());
}

proptest! {
    /// Checksums tell damage, not intent.
    #[test]
    fn hostile_bytes_are_refused_or_harmless(
        field in prop::sample::select(vec![Field::Keyword, Field::Integer, Field::Bool]),
        many: bool,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u32>()), 1..5),
        cut in 0usize..3,
    ) {
        let value = |row: u64| match field {
            Field::Keyword => json!(format!("text-{}", row % 7)),
            Field::Bool => json!(row.is_multiple_of(2)),
            _ => json!(u64::MAX - row % 5),
        };
        let payload = |row| match row % 4 {
            0 => json!({}),
            1 if many => json!({ "f": [value(row), value(row + 1)] }),
            _ => json!({ "f": value(row) }),
        };
        let payloads: Vec<Value> = (0..50).map(payload).collect();
        let mut bytes = build(field, &payloads);
        for (at, value) in changes {
            let at = at.index(bytes.len() / 4) * 4;
            let value = if value % 3 == 0 { value } else { value % 64 };
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        bytes.truncate(bytes.len() - cut);
        let Ok(column) = Column::open(&bytes, field, 50) else {
            return Ok(());
        };
        let is_sound = column.check().is_ok();
        let _ = column.verify();
        let all = column.within(&Bound::Unbounded, &Bound::Unbounded);
        for found in column.equal(&value(2)).into_iter().chain(all) {
            let rows = sorted(found.rows());
            prop_assert!(!is_sound || rows.iter().all(|row| *row < 50));
            let _ = (found.count(), found.has(0), found.has(49), found.has(50));
        }
    }
}
