//! Writing the live rows of some parts as one segment: what a flush does, and a merge.
//!
//! A pure function of its input but for the file that it writes. Rows keep their order: those of
//! the first part, then those of the second.

use crate::{
    cancel::Cancel,
    error::{Error, ErrorKind, Result},
    expiry::Expiry,
    id::{PointId, SeqNo},
    manifest::{SegmentFiles, segment_name},
    payload::Payload,
    segment::{self, Deletes, Layout, PutLists, Segment, Source, VectorShape},
    shape::Shape,
    sparse,
    sparse_vector::Halves,
    text,
    texts::{Analyzers, GrownTexts, TextField},
    vector::Values,
    vfs::Vfs,
    view::{Indexes, OpenSegment, Part, Payloads},
};
use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

/// A segment that was built, and where its rows come from.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) segment: Arc<OpenSegment>,
    pub(super) bytes: u64,
    /// The files of its indexes.
    pub(super) indexes: BTreeMap<u32, u64>,
    /// For each part the rows that were taken over, in their order.
    origins: Vec<Vec<u32>>,
}

impl Built {
    /// For each part the rows that were taken over, in their order.
    pub(super) fn origins(&self) -> &[Vec<u32>] {
        &self.origins
    }

    /// What the manifest says of it while none of its rows has ended.
    pub(super) fn files(&self) -> SegmentFiles {
        SegmentFiles {
            file: self.segment.file,
            rows: self.segment.segment.rows(),
            bytes: self.bytes,
            deletes: None,
            first_expiry: self.segment.first_expiry,
            missed: None,
            indexes: self.indexes.clone(),
        }
    }

    /// Ends the rows that ended in the part `input` after it was read.
    pub(super) fn end_as(&self, input: usize, ended: impl Iterator<Item = (u32, SeqNo)>) {
        for (row, seq) in ended {
            if let Some(place) = self.place_of(input, row) {
                self.segment.deletes.end(place, seq);
            }
        }
    }

    /// The row which that of a part has become, if it was taken over.
    pub(super) fn place_of(&self, input: usize, row: u32) -> Option<u32> {
        let first: usize = self.origins[..input].iter().map(Vec::len).sum();
        let place = self.origins[input].binary_search(&row).ok()?;
        Some((first + place) as u32)
    }
}

/// Writes the live rows of `parts` as segment `file`, durable but for its name. `None` when no
/// row is live.
pub(super) fn build(
    vfs: &dyn Vfs,
    file: u64,
    shape: &Shape,
    parts: &[Part],
    analyzers: &Analyzers,
    cancel: &Cancel,
) -> Result<Option<Built>> {
    let mut origins = Vec::with_capacity(parts.len());
    for part in parts {
        let mut live = Vec::new();
        for row in 0..part.rows() {
            cancel.check_at(row)?;
            if part.is_live(row)? {
                live.push(row);
            }
        }
        origins.push(live);
    }
    let rows: usize = origins.iter().map(Vec::len).sum();
    if rows == 0 {
        return Ok(None);
    }
    let rows = u32::try_from(rows)
        .map_err(|_| Error::invalid(format!("{rows} rows are more than a segment can number")))?;
    let vectors = shape.vectors().map(|(_, number, vector)| VectorShape {
        number,
        dimensions: vector.dimensions,
        datatype: vector.datatype,
        multi: vector.multi,
    });
    let vectors: Vec<VectorShape> = vectors.collect();
    let name = segment_name(file);
    let mut texts: Vec<u32> = shape.texts().map(|(_, number, _)| number).collect();
    texts.sort_unstable();
    let mut sparse = shape.sparse_numbers().to_vec();
    sparse.sort_unstable();
    let of = (shape, analyzers, cancel);
    let mut source = Rows::new(parts, &origins, rows, of);
    let layout = Layout {
        vectors: &vectors,
        fields: &shape.schema.fields,
        texts: &texts,
        sparse: &sparse,
    };
    let meta = segment::write(vfs, &name, layout, &mut source, cancel)?;
    let segment = Segment::open(vfs, &name)?;
    let deletes = Deletes::new(segment.rows());
    Ok(Some(Built {
        segment: Arc::new(OpenSegment {
            file,
            segment,
            deletes,
            first_expiry: meta.first_expiry,
            indexes: Indexes::default(),
            texts: GrownTexts::default(),
        }),
        bytes: meta.bytes,
        indexes: BTreeMap::new(),
        origins,
    }))
}

/// The live rows of all parts, one after another.
struct Rows<'a> {
    parts: Vec<(&'a Part, &'a [u32], Payloads<'a>)>,
    /// For each part the number of rows before it.
    firsts: Vec<u32>,
    rows: u32,
    shape: &'a Shape,
    analyzers: &'a Analyzers,
    cancel: &'a Cancel,
}

impl<'a> Rows<'a> {
    fn new(
        parts: &'a [Part],
        origins: &'a [Vec<u32>],
        rows: u32,
        (shape, analyzers, cancel): (&'a Shape, &'a Analyzers, &'a Cancel),
    ) -> Self {
        let mut first = 0;
        let firsts = origins.iter().map(|rows| {
            let before = first;
            first += rows.len() as u32;
            before
        });
        let firsts = firsts.collect();
        let parts = parts.iter().zip(origins);
        let parts = parts.map(|(part, rows)| (part, &rows[..], part.payloads()));
        Self {
            parts: parts.collect(),
            firsts,
            rows,
            shape,
            analyzers,
            cancel,
        }
    }

    /// For each part which row each of its rows becomes, if it stays.
    fn maps(&self) -> impl Iterator<Item = impl Fn(u32) -> Option<u32>> {
        let parts = self.parts.iter().zip(&self.firsts);
        parts.map(|((_, rows, _), first)| {
            move |row: u32| {
                // Up to the first that has gone, each is in its place.
                if rows.get(row as usize) == Some(&row) {
                    return Some(first + row);
                }
                Some(first + rows.binary_search(&row).ok()? as u32)
            }
        })
    }

    /// The number of the part that a row comes from, and its row there.
    fn place(&self, row: u32) -> (usize, u32) {
        let part = self.firsts.partition_point(|first| *first <= row) - 1;
        (part, self.parts[part].1[(row - self.firsts[part]) as usize])
    }
}

impl Source for Rows<'_> {
    fn rows(&self) -> u32 {
        self.rows
    }

    fn id(&mut self, row: u32) -> Result<PointId> {
        let (part, row) = self.place(row);
        self.parts[part].0.id(row)
    }

    fn vector(&mut self, row: u32, number: u32) -> Result<Option<(Values<'_>, f32)>> {
        let (part, row) = self.place(row);
        self.parts[part].0.vector(row, number)
    }

    fn expiry(&mut self, row: u32) -> Result<Expiry> {
        let (part, row) = self.place(row);
        self.parts[part].0.expiry(row)
    }

    fn payload(&mut self, row: u32) -> Result<Payload> {
        let (part, row) = self.place(row);
        self.parts[part].2.get(row)
    }

    fn payload_json(&mut self, row: u32, out: &mut Vec<u8>) -> Result<()> {
        let (part, row) = self.place(row);
        self.parts[part].2.put_json(row, out)
    }

    fn text(&mut self, number: u32) -> Result<Option<text::Bytes>> {
        let mut texts = self.shape.texts();
        let Some((name, number, text)) = texts.find(|(_, known, _)| *known == number) else {
            return Ok(None);
        };
        let field = TextField { name, number, text };
        let parts = self.parts.iter();
        let indexes = parts.map(|(part, ..)| part.text(field, self.analyzers, self.cancel));
        let indexes: Vec<_> = match indexes.collect::<Result<_>>() {
            Ok(indexes) => indexes,
            // Whoever searches it is told; what was written must not wait for a tokenizer.
            Err(error) if error.kind() == ErrorKind::Panicked => {
                tracing::warn!(%error, "a segment is written without an index over a text");
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let maps: Vec<_> = self.maps().collect();
        let inputs = indexes.iter().zip(&maps);
        let inputs = inputs.map(|(index, map)| text::Input {
            index: &**index,
            map,
        });
        let inputs: Vec<_> = inputs.collect();
        text::merge(&inputs, self.rows, text.positions, self.cancel).map(Some)
    }

    fn sparse(&mut self, row: u32, number: u32) -> Result<Option<Cow<'_, Halves>>> {
        let (part, row) = self.place(row);
        self.parts[part].0.sparse(row, number)
    }

    fn sparse_lists(&mut self, number: u32, filled: u32, put: PutLists<'_>) -> Result<Vec<u8>> {
        let parts = self.parts.iter();
        let indexes = parts.map(|(part, ..)| part.sparse_index(number, self.cancel));
        let indexes: Vec<_> = indexes.collect::<Result<_>>()?;
        let maps: Vec<_> = self.maps().collect();
        let inputs = indexes.iter().zip(&maps);
        let inputs = inputs.filter_map(|(index, map)| {
            let index = index.as_deref()?;
            Some(sparse::Input { index, map })
        });
        let inputs: Vec<_> = inputs.collect();
        sparse::merge(&inputs, (self.rows, filled), self.cancel, put)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        memtable::Memtable,
        point::Record,
        query::{self, Filter},
        schema::{Field, Schema},
        vfs::MemoryVfs,
        view::Stored,
    };
    use proptest::{prelude::*, sample::select};
    use serde_json::{Value, json};
    use std::ops::Bound;

    const PATHS: [&str; 6] = ["number", "integer", "key", "flag", "deep.x", "free"];

    fn any_number() -> impl Strategy<Value = Value> {
        let big = 1i64 << 53;
        select(vec![
            json!(0),
            json!(-0.0),
            json!(1),
            json!(1.0),
            json!(1.5),
            json!(-1),
            json!(big),
            json!(big as f64),
            json!(big + 1),
            json!(i64::MIN),
            json!(u64::MAX - 1),
            json!(u64::MAX),
            json!(u64::MAX as f64),
            json!(-1e300),
        ])
    }

    fn any_text() -> impl Strategy<Value = Value> {
        select(vec!["", "a", "ab", "b", "\u{e9}"]).prop_map(Value::from)
    }

    fn any_scalar() -> impl Strategy<Value = Value> {
        prop_oneof![
            any_number(),
            any_text(),
            any::<bool>().prop_map(Value::from)
        ]
    }

    /// What a payload may have at a path: a value, nothing, or several.
    fn any_values(scalar: BoxedStrategy<Value>) -> impl Strategy<Value = Value> {
        let item = prop_oneof![9 => scalar.clone(), 1 => Just(Value::Null), 1 => Just(json!([1]))];
        prop_oneof![
            8 => scalar,
            1 => Just(Value::Null),
            2 => prop::collection::vec(item, 0..4).prop_map(Value::from),
        ]
    }

    /// Payloads as fields are declared; if `mixed`, with values of other types too.
    fn any_payload(mixed: bool) -> impl Strategy<Value = Payload> {
        let values = |declared: BoxedStrategy<Value>| {
            let scalar = match mixed {
                true => prop_oneof![8 => declared, 1 => any_scalar()].boxed(),
                false => declared,
            };
            prop::option::weighted(0.9, any_values(scalar))
        };
        let x = || values(any_number().boxed());
        let deep = prop_oneof![
            x().prop_map(|x| json!({ "x": x })),
            (x(), x()).prop_map(|(x, y)| json!([{ "x": x }, 7, { "x": y }])),
            any_scalar(),
        ];
        let top = (
            values(any_number().boxed()),
            values(any_number().boxed()),
            values(any_text().boxed()),
            values(any::<bool>().prop_map(Value::from).boxed()),
            values(any_scalar().boxed()),
            deep,
            prop::option::weighted(0.1, any_values(any_number().boxed())),
        );
        top.prop_map(|(number, integer, key, flag, free, deep, whole)| {
            let all = [
                ("number", number),
                ("integer", integer),
                ("key", key),
                ("flag", flag),
                ("free", free),
                ("deep", Some(deep)),
                ("deep.x", whole),
            ];
            let present = all
                .into_iter()
                .filter_map(|(key, value)| Some((key, value?)));
            let map = present.map(|(key, value)| (key.to_owned(), value));
            Payload::from(map.collect::<serde_json::Map<_, _>>())
        })
    }

    fn any_filter() -> impl Strategy<Value = Filter> {
        let bound = || {
            prop_oneof![
                Just(Bound::Unbounded),
                any_number().prop_map(Bound::Included),
                any_number().prop_map(Bound::Excluded),
            ]
        };
        let path = || select(&PATHS[..]).prop_map(str::to_owned);
        let leaf = prop_oneof![
            (path(), any_scalar()).prop_map(|(path, value)| Filter::Equals(path, value)),
            (path(), bound(), bound())
                .prop_map(|(path, low, high)| Filter::Within(path, low, high)),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            let several = prop::collection::vec(inner.clone(), 0..4);
            prop_oneof![
                several.clone().prop_map(Filter::All),
                several.prop_map(Filter::Any),
                inner.prop_map(|inner| Filter::Not(Box::new(inner))),
            ]
        })
    }

    /// The live rows of a part match as their payloads do.
    fn check(part: &Part, filter: &Filter) {
        let cancel = Cancel::default();
        let mut bound = query::Bound::new(filter, part, &cancel).unwrap();
        let mut payloads = part.payloads();
        let mut expected = Vec::new();
        for row in 0..part.rows() {
            let matches = filter.matches(&payloads.get(row).unwrap());
            assert_eq!(bound.matches(row).unwrap(), matches, "row {row}");
            expected.extend(matches.then_some(row));
        }
        let mut rows = bound.rows().unwrap();
        rows.sort_unstable();
        assert_eq!(rows, expected);
        let Some(estimate) = bound.estimate() else {
            return;
        };
        let count = expected.len() as u64;
        match filter {
            Filter::Equals(..) => assert_eq!(estimate, count),
            _ => assert!((count..=u64::from(part.rows())).contains(&estimate)),
        }
    }

    fn memtable(shape: &Arc<Shape>, first: u64, payloads: &[Payload]) -> Memtable {
        let mut memtable = Memtable::new(Arc::clone(shape));
        for (id, payload) in (first..).zip(payloads) {
            let record = Record {
                id: id.into(),
                vectors: Vec::new(),
                sparse: Vec::new(),
                payload: payload.clone(),
                expiry: Expiry::NEVER,
            };
            memtable.upsert(record, SeqNo(1));
        }
        memtable
    }

    fn built(vfs: &MemoryVfs, file: u64, shape: &Shape, parts: &[Part]) -> Part {
        let built = build(
            vfs,
            file,
            shape,
            parts,
            &Analyzers::default(),
            &Cancel::default(),
        );
        Part::Stored(Stored {
            segment: built.unwrap().unwrap().segment,
            seq: SeqNo(1),
            now: Expiry::BEGINNING,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        /// In memory, flushed before and after fields were declared, and merged without some rows.
        #[test]
        fn filters_answer_as_payloads_do(
            (older, newer) in any::<bool>().prop_flat_map(|mixed| {
                let payloads = || prop::collection::vec(any_payload(mixed), 1..60);
                (payloads(), payloads())
            }),
            filters in prop::collection::vec(any_filter(), 1..20),
            ended in prop::collection::vec(any::<bool>(), 60),
        ) {
            let vfs = MemoryVfs::new();
            let schema = Schema::new().field("number", Field::Float).field("key", Field::Keyword);
            let old = Arc::new(Shape::new(schema.clone()));
            let schema = schema.field("integer", Field::Integer).field("flag", Field::Bool);
            let new = Arc::new(Shape::new(schema.field("deep.x", Field::Integer)));
            let memory = |shape: &Arc<Shape>, first, payloads: &[Payload]| {
                Part::Memory(memtable(shape, first, payloads).view(SeqNo(1)))
            };
            let first = memory(&old, 0, &older);
            let second = built(&vfs, 1, &old, std::slice::from_ref(&first));
            let third = built(&vfs, 2, &new, &[memory(&new, 100, &newer)]);
            let parts = [first, second, third];
            for part in &parts {
                filters.iter().for_each(|filter| check(part, filter));
            }
            if let Part::Stored(stored) = &parts[1] {
                let rows = (0..parts[1].rows()).zip(&ended).filter(|(_, ended)| **ended);
                for (row, _) in rows {
                    stored.segment.deletes.end(row, SeqNo(1));
                }
            }
            let merged = built(&vfs, 3, &new, &parts[1..]);
            filters.iter().for_each(|filter| check(&merged, filter));
        }
    }
}
