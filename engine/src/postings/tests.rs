//! Lists against plain rows, with values of any size, as weights may be.

use super::*;
use crate::codec::{Decoder, put_varint};
use proptest::prelude::*;
use std::sync::Arc;

type Postings = Vec<(u32, u32)>;

/// Ascending rows, near and far.
fn postings() -> impl Strategy<Value = Postings> {
    let gap = prop_oneof![4 => Just(1u32), 3 => 1u32..50, 1 => 1u32..1_000_000];
    let value = prop_oneof![4 => Just(0u32), 3 => 0u32..9, 1 => any::<u32>()];
    prop::collection::vec((gap, value), 0..600).prop_map(|gaps| {
        let mut row = 0;
        let place = |(gap, value)| {
            row += gap;
            (row - 1, value)
        };
        gaps.into_iter().map(place).collect()
    })
}

/// The full blocks of a list without positions, each bounded by its largest value, and the rest.
fn write(postings: &Postings) -> (Blocks, Vec<u8>) {
    let mut blocks = Blocks::default();
    let (full, rest) = postings.as_chunks::<BLOCK>();
    for block in full {
        let largest = block.iter().map(|posting| posting.1).max().unwrap();
        let bound = u64::from(largest).to_le_bytes();
        let all = u64::from_le_bytes(blocks.bound()).max(largest.into());
        let positions = None::<fn(&mut Vec<u8>)>;
        let (rows, values) = (
            block.map(|posting| posting.0),
            block.map(|posting| posting.1),
        );
        blocks
            .push(&rows, &values, (bound, all.to_le_bytes()), positions)
            .unwrap();
    }
    let (rows, values): (Vec<u32>, Vec<u32>) = rest.iter().copied().unzip();
    let mut bytes = Vec::new();
    put_rest(&mut bytes, blocks.last(), &rows, &values);
    (blocks, bytes)
}

fn holds(list: &List<'_>, expected: &[(u32, u32)]) {
    let mut cursor = Cursor::new(list.clone()).unwrap();
    for (row, value) in expected {
        assert_eq!((cursor.row(), cursor.value().unwrap()), (*row, *value));
        cursor.skip(1).unwrap();
    }
    assert_eq!(cursor.row(), END);
    assert_eq!(Cursor::seen(list.clone()).unwrap() as usize, expected.len());
    // By leaps of all lengths.
    for step in [1, 2, 7, 100, 130, 1_000, 100_000] {
        let mut cursor = Cursor::new(list.clone()).unwrap();
        let mut target = 0u32;
        for _ in 0..200 {
            let next = expected.iter().find(|posting| posting.0 >= target);
            assert_eq!(
                cursor.seek(target).unwrap(),
                next.map_or(END, |posting| posting.0)
            );
            assert_eq!(
                next.map(|_| cursor.value().unwrap()),
                next.map(|posting| posting.1)
            );
            target = target.saturating_add(step).min(END - 1);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_list_is_read_as_it_was_written(postings in postings(), seen in any::<prop::sample::Index>()) {
        let (mut blocks, rest) = write(&postings);
        let count = postings.len() as u32;
        let rows = postings.last().map_or(0, |posting| posting.0 + 1);
        let whole: Box<[u8]> = rest.clone().into();
        let view = |rows| {
            List::shared(Arc::new(blocks.clone()), (whole.clone(), Box::default()), count, rows, false)
        };
        holds(&view(rows), &postings);
        // A view of fewer rows.
        let seen = seen.index(postings.len() + 1);
        let below = postings.get(seen).map_or(rows, |posting| posting.0);
        holds(&view(below), &postings[..seen]);

        let (mut bytes, mut none) = (Vec::new(), Vec::new());
        blocks.drain_to(&mut bytes, &mut none);
        bytes.extend(rest);
        let list = List::stored((0, &bytes), &[], count, rows, false).unwrap();
        holds(&list, &postings);
        let largest = postings[..list.full_blocks() * BLOCK].iter().map(|posting| posting.1).max();
        prop_assert_eq!(list.bound().map(u64::from_le_bytes), largest.map(u64::from));
        // One row fewer than it has.
        if let Some(last) = postings.last() {
            let list = List::stored((0, &bytes), &[], count, last.0, false).unwrap();
            let mut cursor = Cursor::new(list);
            let found = cursor.as_mut().map(|cursor| cursor.seek(last.0));
            prop_assert!(!matches!(found, Ok(Ok(_))));
        }
    }

    #[test]
    fn numbers_are_read_as_they_were_written(numbers: Vec<u32>, times in 0usize..5) {
        let numbers: Vec<u32> = numbers.repeat(times).into_iter().map(|number| number | 1).collect();
        let (mut bytes, mut read) = (Vec::new(), vec![1]);
        put_numbers(&mut bytes, &numbers);
        block::get_numbers(&bytes, numbers.len(), &mut read).unwrap();
        prop_assert_eq!(&read, &numbers);
        prop_assert!(block::get_numbers(&bytes, numbers.len() + 1, &mut read).is_err());
        bytes.push(0);
        prop_assert!(block::get_numbers(&bytes, numbers.len(), &mut read).is_err());

        let mut bytes = Vec::new();
        numbers.iter().for_each(|number| put_varint(&mut bytes, u64::from(*number) << 31));
        let mut varints = Decoder::new(&bytes);
        for number in &numbers {
            prop_assert_eq!(varints.varint(), Ok(u64::from(*number) << 31));
        }
        prop_assert!(varints.varint().is_err());
    }
}

#[test]
fn a_claim_of_many_numbers_allocates_nothing() {
    let mut read = Vec::new();
    assert!(block::get_numbers(&[0; 100], 12_800, &mut read).is_err());
    assert_eq!(read.capacity(), 0);
}
