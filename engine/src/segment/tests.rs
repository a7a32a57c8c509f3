//! Segments against a model of them, whole, damaged and hostile.

use super::{
    format::{ColumnEntry, Contents, Kind, VectorEntry},
    sparse::tests as sparse,
    writer::{PutLists, SegmentMeta, SparseOf},
    *,
};
use crate::{
    cancel::Cancel,
    container::tamper::Parts,
    error::{ErrorKind, Result},
    expiry::Expiry,
    id::PointId,
    payload::Payload,
    schema::{Datatype, Field},
    text,
    vector::{OwnedValues, Values},
    vfs::{MemoryVfs, Vfs},
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeMap,
    ops::{Bound, Range},
};

const NAME: &str = "segment-1";
const SHAPES: [VectorShape; 5] = [
    shape(0, 3, Datatype::Float32, false),
    shape(4, 1, Datatype::Float32, false),
    shape(7, 5, Datatype::Float16, false),
    shape(9, 2, Datatype::Float32, true),
    shape(11, 1, Datatype::Float16, true),
];

/// `b` holds what it should not, and `none` nothing.
const FIELDS: [(&str, Field); 6] = [
    ("a", Field::Keyword),
    ("b", Field::Float),
    ("flags", Field::Bool),
    ("n", Field::Integer),
    ("none", Field::Integer),
    ("text", Field::Keyword),
];

const fn shape(number: u32, dimensions: u32, datatype: Datatype, multi: bool) -> VectorShape {
    VectorShape {
        number,
        dimensions,
        datatype,
        multi,
    }
}

/// Vectors by their numbers, each with its scale.
type Vectors = BTreeMap<u32, (OwnedValues, f32)>;

fn insert(vectors: &mut Vectors, number: u32, values: Vec<f32>, scale: f32) {
    let shape = SHAPES.iter().find(|shape| shape.number == number).unwrap();
    let values = OwnedValues::new(values, shape.datatype);
    vectors.insert(number, (values, scale));
}

/// What a segment is made from, and compared with.
#[derive(Clone, Debug, Default)]
struct Model(Vec<Row>);

#[derive(Clone, Debug)]
struct Row {
    id: PointId,
    vectors: Vectors,
    payload: Payload,
    expiry: Expiry,
}

impl Source for Model {
    fn rows(&self) -> u32 {
        self.0.len() as u32
    }

    fn id(&mut self, row: u32) -> Result<PointId> {
        Ok(self.0[row as usize].id.clone())
    }

    fn vector(&mut self, row: u32, number: u32) -> Result<Option<(Values<'_>, f32)>> {
        let vector = self.0[row as usize].vectors.get(&number);
        Ok(vector.map(|(values, scale)| (values.view(), *scale)))
    }

    fn expiry(&mut self, row: u32) -> Result<Expiry> {
        Ok(self.0[row as usize].expiry)
    }

    fn payload(&mut self, row: u32) -> Result<Payload> {
        Ok(self.0[row as usize].payload.clone())
    }

    fn payload_json(&mut self, row: u32, out: &mut Vec<u8>) -> Result<()> {
        let payload = self.0[row as usize].payload.checked()?;
        serde_json::to_writer(out, payload).unwrap();
        Ok(())
    }

    fn text(&mut self, number: u32) -> Result<Option<text::Bytes>> {
        let mut builder = text::Builder::new(true);
        for (row, point) in (0..).zip(&self.0) {
            let json = serde_json::to_string(&point.payload.to_value()).unwrap();
            let words = json.split(|c: char| !c.is_alphanumeric());
            let words = words
                .filter(|word| (1..=255).contains(&word.len()))
                .zip(0..);
            builder.add(row, words).unwrap();
        }
        assert_eq!(number, TEXT);
        Ok(Some(builder.finish(self.rows(), &Cancel::default())?))
    }

    fn sparse(&mut self, row: u32, number: u32) -> Result<SparseOf<'_>> {
        Ok(sparse::of(&self.0[row as usize].payload, number).map(std::borrow::Cow::Owned))
    }

    fn sparse_lists(&mut self, number: u32, filled: u32, put: PutLists<'_>) -> Result<Vec<u8>> {
        sparse::lists(self.0.iter().map(|row| &row.payload), number, filled, put)
    }
}

/// The number of the text that all payloads are.
const TEXT: u32 = 900;

fn write_to(vfs: &MemoryVfs, source: &mut Model, cancel: &Cancel) -> Result<SegmentMeta> {
    let fields = FIELDS.map(|(name, field)| (name.to_owned(), field));
    let layout = Layout {
        vectors: &SHAPES,
        fields: &BTreeMap::from(fields),
        texts: &[TEXT],
        sparse: &sparse::NUMBERS,
    };
    write(vfs, NAME, layout, source, cancel)
}

fn build(model: &Model) -> (MemoryVfs, SegmentMeta) {
    let vfs = MemoryVfs::new();
    let meta = write_to(&vfs, &mut model.clone(), &Cancel::default()).unwrap();
    (vfs, meta)
}

fn with_content(content: &[u8]) -> MemoryVfs {
    let vfs = MemoryVfs::new();
    vfs.set_content(NAME, content);
    vfs
}

/// The answer, or an error that names the damage.
fn right<T: PartialEq + std::fmt::Debug>(found: Result<T>, expected: &T) -> bool {
    match found {
        Ok(found) => {
            assert_eq!(found, *expected);
            true
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Corrupted, "{error}");
            assert_eq!(error.location().unwrap().0, NAME);
            false
        }
    }
}

/// Whether every read gives what the model has; those that do not give an error.
fn reads_right(segment: &Segment, model: &Model) -> bool {
    let mut all = true;
    let mut payloads = segment.payloads();
    for (row, expected) in (0..).zip(&model.0) {
        all &= right(segment.id(row), &expected.id);
        all &= right(segment.find(&expected.id), &Some(row));
        all &= right(segment.expiry(row), &expected.expiry);
        all &= right(segment.payload(row), &expected.payload);
        all &= right(payloads.payload(row), &expected.payload);
        all &= right(
            sparse::found(segment, row),
            &sparse::all_of(&expected.payload),
        );
        for number in [0, 4, 7, 8, 9, 11] {
            let vector = expected.vectors.get(&number);
            let vector = vector.map(|(values, scale)| (values.view(), *scale));
            all &= right(segment.vector(row, number), &vector);
        }
    }
    for absent in [PointId::from("absent"), PointId::from(u64::MAX)] {
        all &= right(segment.find(&absent), &None);
    }
    let rows = segment.rows();
    for (number, range) in [
        (0, 0..rows),
        (4, 1..rows),
        (7, 0..u32::MAX),
        (8, 0..rows),
        (9, 1..rows),
        (11, 0..rows),
    ] {
        all &= scans_right(segment, model, number, range);
    }
    for (name, _) in FIELDS {
        all &= column_right(segment, model, name);
    }
    all
}

/// Whether each value that some row has is found in the rows that have it.
fn column_right(segment: &Segment, model: &Model, name: &str) -> bool {
    let column = match segment.column(name, &Cancel::default()) {
        Ok(column) => column.unwrap(),
        Err(error) => return right(Err(error), &()),
    };
    let values = |row: &Row| match row.payload.get(name) {
        Some(Value::Array(values)) => values.clone(),
        value => value.into_iter().cloned().collect(),
    };
    for value in model.0.iter().flat_map(values) {
        let Some(found) = column.equal(&value) else {
            assert_eq!(name, "b", "of another type than was declared");
            continue;
        };
        let rows = (0..).zip(&model.0);
        let rows = rows.filter(|(_, row)| values(row).contains(&value));
        let rows: Vec<u32> = rows.map(|(row, _)| row).collect();
        assert_eq!(found.rows(), rows);
        assert_eq!(found.count() as usize, rows.len());
        assert!((0..segment.rows()).all(|row| found.has(row) == rows.contains(&row)));
    }
    true
}

fn scans_right(segment: &Segment, model: &Model, number: u32, range: Range<u32>) -> bool {
    let mut found = Vec::new();
    let mut visit = |row: u32, values: Values<'_>, scale| found.push((row, values.to_vec(), scale));
    let scanned = segment.scan(number, range.clone(), &mut visit);
    let rows = (0..).zip(&model.0).filter(|(row, _)| range.contains(row));
    let expected: Vec<_> = rows
        .filter_map(|(row, expected)| {
            let (values, scale) = expected.vectors.get(&number)?;
            Some((row, values.view().to_vec(), *scale))
        })
        .collect();
    assert!(expected.starts_with(&found), "what is visited is right");
    right(scanned.map(|()| found.len()), &expected.len())
}

fn any_id(sorts: u8) -> impl Strategy<Value = PointId> {
    (0..sorts, 0u64..5_000, "[a-z]{1,200}").prop_map(|(sort, number, text)| match sort {
        0 => PointId::from(number),
        1 => uuid::Uuid::from_u128(u128::from(number) << 70).into(),
        _ => PointId::from(format!("{number}{text}")),
    })
}

fn any_payload() -> impl Strategy<Value = Payload> {
    let text = prop_oneof![
        8 => "[a-zA-Z ]{0,80}",
        1 => (3_000usize..9_000).prop_map(|len| "long ".repeat(len / 5)),
    ];
    let map = prop::collection::btree_map("[a-d]", text, 0..3);
    map.prop_map(|map| {
        let map = map.into_iter().map(|(key, text)| (key, Value::from(text)));
        Payload::from(map.collect::<Map<_, _>>())
    })
}

fn any_vectors() -> impl Strategy<Value = Vectors> {
    // The first is always there, the last rarely, the scale of the second always 1.
    (-1e3f32..1e3, any::<bool>(), 0u8..20, 1usize..9).prop_map(|(x, second, third, count)| {
        let mut vectors = Vectors::new();
        insert(&mut vectors, 0, vec![x, -x, 1.0], x + 1e4);
        if second {
            insert(&mut vectors, 4, vec![x], 1.0);
        }
        if third == 0 {
            insert(&mut vectors, 7, vec![x, 0.0, x, -0.0, x], 0.5);
        }
        insert(&mut vectors, 9, vec![x; 2 * count], 1.0);
        if !second {
            insert(&mut vectors, 11, vec![x; 9 - count], 1.0);
        }
        vectors
    })
}

fn any_model(rows: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Model> {
    let rows = rows.into();
    (1u8..=3).prop_flat_map(move |sorts| {
        let expiry = prop_oneof![20 => Just(Expiry::NEVER), 1 => (0u64..9).prop_map(Expiry)];
        let row = (any_vectors(), any_payload(), expiry);
        prop::collection::btree_map(any_id(sorts), row, rows.clone()).prop_map(|rows| {
            let row = |(id, (vectors, payload, expiry))| Row {
                id,
                vectors,
                payload,
                expiry,
            };
            Model(rows.into_iter().map(row).collect())
        })
    })
}

/// Small, with something in every section, ids of every sort, and units of both sorts.
fn small(only_numbers: bool) -> Model {
    let row = |number: u64| {
        let id = match number % 3 {
            1 if !only_numbers => PointId::from(format!("text-{number}")),
            2 if !only_numbers => uuid::Uuid::from_u128(u128::from(number)).into(),
            _ => PointId::from(number * 7),
        };
        let x = number as f32;
        let mut vectors = Vectors::new();
        insert(&mut vectors, 0, vec![x, 1.0, 2.0], 0.5);
        if number.is_multiple_of(2) {
            insert(&mut vectors, 4, vec![x], 1.0);
        }
        if number.is_multiple_of(3) {
            insert(&mut vectors, 7, vec![x; 5], 1.0);
            insert(&mut vectors, 9, vec![x; 2 + 2 * number as usize], 1.0);
        }
        insert(&mut vectors, 11, vec![x; 1 + number as usize % 3], 1.0);
        let payload = match number {
            3 => json!({}),
            7 => json!({ "n": [number, 3], "flags": true }),
            _ => json!({ "n": number, "text": "a b a b a b a b ".repeat(3), "flags": [] }),
        };
        Row {
            id,
            vectors,
            payload: payload.into(),
            expiry: match number {
                5 => Expiry(7),
                _ => Expiry::NEVER,
            },
        }
    };
    Model((0..9).map(row).collect())
}

fn open(content: &[u8]) -> Result<Segment> {
    Segment::open(&with_content(content), NAME)
}

/// Reads everything there is; only a panic is wrong.
fn read_everything(segment: &Segment) {
    let rows = segment.rows().min(50);
    for row in 0..rows {
        if let Ok(id) = segment.id(row) {
            let _ = segment.find(&id);
        }
        let _ = segment.payload(row);
        for shape in SHAPES {
            let _ = segment.vector(row, shape.number);
            let _ = segment.scan(shape.number, row..row + 3, &mut |_, _, _| {});
        }
    }
    for (name, _) in FIELDS {
        let Ok(Some(column)) = segment.column(name, &Cancel::default()) else {
            continue;
        };
        let all = column.within(&Bound::Unbounded, &Bound::Unbounded);
        for found in [json!(3), json!("b"), json!(true)].map(|value| column.equal(&value)) {
            for found in found.into_iter().chain(all) {
                assert!(found.rows().iter().all(|row| *row < segment.rows()));
                let _ = (found.count(), (0..=rows).any(|row| found.has(row)));
            }
        }
    }
    let _ = segment.find(&PointId::from("absent"));
    let _ = segment.verify(&Cancel::default());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_written_is_read(model in any_model(0..120)) {
        let (vfs, meta) = build(&model);
        let segment = Segment::open(&vfs, NAME).unwrap();
        prop_assert_eq!(segment.rows() as usize, model.0.len());
        prop_assert_eq!((segment.rows(), segment.file_len(), segment.file_id()), (meta.rows, meta.bytes, meta.file_id));
        prop_assert!(reads_right(&segment, &model));
        prop_assert!(segment.verify(&Cancel::default()).unwrap().is_empty());
        for shape in SHAPES {
            let has = model.0.iter().any(|row| row.vectors.contains_key(&shape.number));
            prop_assert_eq!(segment.shape(shape.number), has.then_some(shape));
        }
        let last = segment.rows();
        prop_assert_eq!(segment.id(last).unwrap_err().kind(), ErrorKind::InvalidInput);
        prop_assert_eq!(segment.payload(last).unwrap_err().kind(), ErrorKind::InvalidInput);
    }

    /// Checksums tell damage, not intent: what they vouch for is bounded all the same.
    #[test]
    fn hostile_content_with_sound_checksums_is_harmless(
        only_numbers: bool,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u32>()), 1..6),
    ) {
        let (vfs, _) = build(&small(only_numbers));
        let mut parts = Parts::<Kind>::of(&vfs.content(NAME).unwrap());
        let end = parts.sections().last().map_or(0, |(_, bytes, _)| bytes.end);
        for (at, value) in changes {
            // Aligned, so that whole fields change, and often to what is almost right.
            let at = 64 + at.index((end - 68) / 4) * 4;
            let value = if value % 3 == 0 { value } else { value % 64 };
            parts.content[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        if let Ok(segment) = open(&parts.seal()) {
            read_everything(&segment);
        }
    }
}

#[test]
fn rows_around_the_borders_of_chunks_are_read() {
    let per_chunk = (16 << 10) / 8;
    for rows in [0, 1, per_chunk - 1, per_chunk, per_chunk + 1, 3 * per_chunk] {
        let row = |number: u64| {
            let mut vectors = Vectors::new();
            insert(&mut vectors, 0, vec![number as f32; 3], 1.0);
            insert(&mut vectors, 7, vec![number as f32; 5], 1.0);
            Row {
                id: PointId::from(number << 40),
                vectors,
                payload: json!({ "number": number }).into(),
                expiry: Expiry::NEVER,
            }
        };
        let model = Model((0..rows).map(row).collect());
        let (vfs, _) = build(&model);
        let segment = Segment::open(&vfs, NAME).unwrap();
        assert!(reads_right(&segment, &model), "{rows} rows");
        assert!(segment.verify(&Cancel::default()).unwrap().is_empty());
    }
}

#[test]
fn every_flipped_byte_is_seen_or_harmless_and_nothing_is_read_wrong() {
    for only_numbers in [true, false] {
        let model = small(only_numbers);
        let good = build(&model).0.content(NAME).unwrap();
        let parts = Parts::<Kind>::of(&good);
        for at in 0..good.len() {
            let mut content = good.clone();
            content[at] ^= 1 << (at % 8);
            match open(&content) {
                Ok(segment) => {
                    reads_right(&segment, &model);
                    let flaws = segment.verify(&Cancel::default()).unwrap();
                    assert_eq!(
                        flaws.is_empty(),
                        parts.is_padding(at),
                        "byte {at}: {flaws:?}"
                    );
                    assert!(flaws.iter().all(|flaw| flaw.location().is_some()));
                }
                Err(error) => {
                    let newer = at < 12 && error.kind() == ErrorKind::Unsupported;
                    assert!(newer || error.kind() == ErrorKind::Corrupted, "{error}");
                }
            }
        }
    }
}

#[test]
fn hostile_directories_with_sound_checksums_are_refused() {
    let good = build(&small(false)).0.content(NAME).unwrap();
    let refused = |change: &dyn Fn(&mut Parts<Kind>)| {
        let mut parts = Parts::of(&good);
        change(&mut parts);
        match open(&parts.seal()) {
            Ok(segment) => {
                read_everything(&segment);
                false
            }
            Err(error) => error.kind() == ErrorKind::Corrupted,
        }
    };
    let contents = |change: &dyn Fn(&mut Contents)| {
        refused(&|parts| {
            let rows = *parts.rows();
            let mut contents = Contents::decode(parts.extra(), rows).unwrap();
            change(&mut contents);
            *parts.extra() = contents.encode();
        })
    };
    let vectors = |change: &dyn Fn(&mut Vec<VectorEntry>)| {
        contents(&|contents| change(&mut contents.vectors))
    };
    let columns = |change: &dyn Fn(&mut Vec<ColumnEntry>)| {
        contents(&|contents| change(&mut contents.columns))
    };
    assert!(!refused(&|_| {}) && !vectors(&|_| {}), "the control opens");
    for rows in [0, 1, 8, 10, u32::MAX - 1, u32::MAX] {
        assert!(refused(&|parts| *parts.rows() = rows), "{rows} rows");
    }
    assert!(vectors(&|v| v[0].dimensions = 4));
    assert!(vectors(&|v| v[0].dimensions = 0));
    assert!(vectors(&|v| v[0].dimensions = u32::MAX));
    assert!(vectors(&|v| v[0].count -= 1));
    // Half of what numbers of 32 bits would take.
    assert!(vectors(&|v| v[2].dimensions *= 2));
    assert!(vectors(&|v| v[2].count += 1));
    // Of lists as many begin as there are rows that have one.
    assert!(vectors(&|v| v[3].count += 1));
    assert!(vectors(&|v| v[4].count -= 1));
    assert!(vectors(&|v| v[1].count = 0));
    assert!(vectors(&|v| v[1].number = v[0].number));
    assert!(vectors(&|v| v[1].number = 99));
    assert!(vectors(&|v| *v = vec![v[0]; 100_000]));
    assert!(!columns(&|c| c[0].name = String::new()));
    assert!(columns(&|c| c[1].name = c[0].name.clone()));
    assert!(columns(&|c| c.swap(0, 1)));
    assert!(columns(&|c| *c = vec![c[0].clone(); 100_000]));
    let more = |name: &str| ColumnEntry {
        name: name.into(),
        field: Field::Bool,
    };
    assert!(columns(&|c| c.push(more("z"))));
    // What is wrong with its content is told when it is first read.
    for field in [Field::Integer, Field::Bool] {
        assert!(!columns(&|c| c[0].field = field));
    }
    assert!(refused(&|parts| parts.extra().truncate(23)));
    assert!(refused(&|parts| parts.extra().push(0)));
}

/// Checksums are sound, and yet lists are not all that there is.
#[test]
fn lists_that_begin_late_or_end_early_are_flaws() {
    let good = build(&small(true)).0.content(NAME).unwrap();
    let parts = Parts::<Kind>::of(&good);
    let mut sections = parts.sections();
    let starts = sections.find(|(kind, _, _)| *kind == Kind::VectorStarts);
    let (_, starts, _) = starts.unwrap();
    for at in starts.clone().step_by(8) {
        for change in [1, 2, 0x80] {
            let mut parts = Parts::<Kind>::of(&good);
            parts.content[at] ^= change;
            let segment = open(&parts.seal()).unwrap();
            read_everything(&segment);
            let flaws = segment.verify(&Cancel::default()).unwrap();
            // Between two lists, one may as well be longer and the other shorter.
            let is_between = at > starts.start && at + 8 < starts.end;
            assert!(
                is_between && change < 0x80 || !flaws.is_empty(),
                "byte {at}"
            );
        }
    }
}

#[test]
fn opening_reads_no_section_and_damage_stays_where_it_is() {
    let model = small(true);
    let mut content = build(&model).0.content(NAME).unwrap();
    for (kind, bytes, table) in Parts::<Kind>::of(&content).sections() {
        if kind != Kind::Vector {
            content[bytes.start] ^= 1;
            content[table] ^= 1;
        }
    }
    let segment = open(&content).unwrap();
    for _ in 0..2 {
        assert!(segment.id(0).is_err() && segment.payload(0).is_err());
        assert!(segment.find(&model.0[0].id).is_err());
    }
    // Its places are damaged, its values are not.
    assert!(segment.vector(0, 4).is_err());
}

#[test]
fn what_was_cancelled_or_failed_leaves_no_file() {
    let vfs = MemoryVfs::new();
    let cancel = Cancel::default();
    cancel.cancel();
    let error = write_to(&vfs, &mut small(true), &cancel).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    let mut twice = small(true);
    twice.0[8].id = twice.0[1].id.clone();
    let mut wide = small(true);
    insert(&mut wide.0[3].vectors, 4, vec![1.0; 2], 1.0);
    let mut halves = small(true);
    let values = OwnedValues::new(vec![1.0], Datatype::Float16);
    halves.0[3].vectors.insert(4, (values, 1.0));
    let mut torn = small(true);
    insert(&mut torn.0[3].vectors, 9, vec![1.0; 3], 1.0);
    let mut long = small(true);
    insert(&mut long.0[3].vectors, 11, vec![1.0; 4_097], 1.0);
    let mut empty = small(true);
    insert(&mut empty.0[3].vectors, 11, Vec::new(), 1.0);
    for mut flawed in [twice, wide, halves, torn, long, empty] {
        let error = write_to(&vfs, &mut flawed, &Cancel::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
    assert!(vfs.list().unwrap().is_empty());
}
