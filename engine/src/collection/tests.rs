//! Filters, asked of all that a part knows and of the payloads alone.

use super::{build::build, columns};
use crate::{
    cancel::Cancel,
    error::Result,
    expiry::Expiry,
    geo::{GeoArea, GeoPoint},
    id::{PointId, SeqNo},
    manifest::columns_name,
    memtable::Memtable,
    options::Limits,
    payload::Payload,
    point::Record,
    query::{self, Condition, Conditions, Filter, Subject, Terms, Wording},
    schema::{Field, Schema, Text},
    segment::Beside,
    shape::Shape,
    texts::Analyzers,
    vfs::MemoryVfs,
    view::{Part, Stored, View},
};
use proptest::{prelude::*, sample::select};
use serde_json::{Map, Value, json};
use std::{ops::Bound, sync::Arc};

const PATHS: [&str; 11] = [
    "number", "integer", "key", "flag", "deep.x", "deep[].x", "free", "time", "place", "body",
    "deep",
];

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

fn any_time() -> impl Strategy<Value = Value> {
    select(vec![
        json!("2024-01-01"),
        json!("2024-01-01T00:00:00Z"),
        json!("2024-01-01T00:00:00.000001Z"),
        json!("2023-12-31T23:00:00-02:00"),
        json!("1969-07-20 20:17:40"),
    ])
}

fn any_point() -> impl Strategy<Value = GeoPoint> {
    let near = (-2.0..2f64, -2.0..2f64);
    let far = (-180.0..=180f64, -90.0..=90f64);
    prop_oneof![near, far].prop_map(|(lon, lat)| GeoPoint::new(lon, lat))
}

fn any_place() -> impl Strategy<Value = Value> {
    any_point().prop_map(|point| json!({ "lon": point.lon, "lat": point.lat }))
}

fn any_area() -> impl Strategy<Value = GeoArea> {
    let corners = |count| prop::collection::vec(any_point(), count);
    prop_oneof![
        (any_point(), any_point()).prop_map(|(a, b)| GeoArea::Box {
            top_left: GeoPoint::new(a.lon, a.lat.max(b.lat)),
            bottom_right: GeoPoint::new(b.lon, a.lat.min(b.lat)),
        }),
        (any_point(), select(vec![0.0, 1e5, 3e5, 1e7, 3e7]))
            .prop_map(|(center, radius)| GeoArea::Circle { center, radius }),
        (corners(3..6), prop::collection::vec(corners(3..4), 0..2)).prop_map(
            |(exterior, interiors)| GeoArea::Polygon {
                exterior,
                interiors
            }
        ),
    ]
}

fn any_body() -> impl Strategy<Value = Value> {
    select(vec![
        json!("A pond in winter"),
        json!("the winter pond, in the wood"),
        json!("Ponds"),
        json!(""),
    ])
}

fn any_scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        any_number(),
        any_text(),
        any_time(),
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
        values(any_time().boxed()),
        values(any_place().boxed()),
        prop::option::of(any_values(any_body().boxed())),
    );
    top.prop_map(
        |(number, integer, key, flag, free, deep, whole, time, place, body)| {
            let all = [
                ("number", number),
                ("integer", integer),
                ("key", key),
                ("flag", flag),
                ("time", time),
                ("place", place),
                ("body", body),
                ("free", free),
                ("deep", Some(deep)),
                ("deep.x", whole),
            ];
            let present = all
                .into_iter()
                .filter_map(|(key, value)| Some((key, value?)));
            let map = present.map(|(key, value)| (key.to_owned(), value));
            Payload::from(map.collect::<Map<_, _>>())
        },
    )
}

fn any_condition() -> impl Strategy<Value = Condition> {
    let bounds = |value: BoxedStrategy<Value>| {
        let bound = prop_oneof![
            Just(Bound::Unbounded),
            value.clone().prop_map(Bound::Included),
            value.prop_map(Bound::Excluded),
        ];
        (bound.clone(), bound).prop_map(|(low, high)| Condition::Within(low, high))
    };
    let counts = || prop_oneof![Just(Bound::Unbounded), (0..3u64).prop_map(Bound::Included)];
    let texts = || select(vec!["", "a", "ab", "20", "\u{e9}", "winter"]).prop_map(str::to_owned);
    let values = || prop::collection::vec(any_scalar(), 0..4);
    let wording = select(vec![Wording::All, Wording::Any, Wording::Phrase]);
    let words = select(vec![
        "pond",
        "Winter POND",
        "in the",
        "in winter",
        "lake ponds",
        "",
    ]);
    prop_oneof![
        any_scalar().prop_map(Condition::Equals),
        bounds(any_number().boxed()),
        bounds(any_time().boxed()),
        values().prop_map(Condition::AnyOf),
        values().prop_map(Condition::Except),
        texts().prop_map(Condition::Prefix),
        texts().prop_map(Condition::Contains),
        (wording, words).prop_map(|(wording, words)| Condition::Words(wording, words.to_owned())),
        any_area().prop_map(Condition::Area),
        Just(Condition::Null),
        Just(Condition::Empty),
        (counts(), counts()).prop_map(|(low, high)| Condition::Count(low, high)),
        (any_scalar(), any::<bool>()).prop_map(|(value, not)| {
            let inner = query::field("x").eq(value);
            Condition::Nested(Box::new(if not { !inner } else { inner }))
        }),
    ]
}

fn any_filter() -> impl Strategy<Value = Filter> {
    let field = |(path, condition): (&str, Condition)| Filter::Field(path.to_owned(), condition);
    let leaf = prop_oneof![
        15 => (select(&PATHS[..]), any_condition()).prop_map(field),
        1 => prop::collection::vec(prop_oneof![0u64..60, 100u64..160], 0..5).prop_map(Filter::ids),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let several = prop::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            several.clone().prop_map(Filter::All),
            several.clone().prop_map(Filter::Any),
            (0..5usize, several).prop_map(|(count, some)| Filter::AtLeast(count, some)),
            inner.prop_map(|inner| Filter::Not(Box::new(inner))),
        ]
    })
}

/// A point of which only the id and the payload are known.
struct Known(PointId, Payload);

impl Subject for Known {
    fn id(&self) -> Result<PointId> {
        Ok(self.0.clone())
    }

    fn has_vector(&self, _: u32) -> Result<bool> {
        Ok(false)
    }

    fn payload(&mut self) -> Result<&Map<String, Value>> {
        self.1.checked()
    }
}

/// The live rows of a part match as their payloads do.
fn check(part: &Part, filter: &Filter, conditions: &Conditions) {
    let cancel = Cancel::default();
    let mut bound = query::Bound::new(conditions, part, &cancel).unwrap();
    let mut payloads = part.payloads();
    let mut expected = Vec::new();
    for row in 0..part.rows() {
        let mut point = Known(part.id(row).unwrap(), payloads.get(row).unwrap());
        let matches = conditions.hold_for(&mut point).unwrap();
        let payload = &point.1;
        assert_eq!(
            bound.matches(row).unwrap(),
            matches,
            "row {row}, {payload:?}, {filter:?}"
        );
        expected.extend(matches.then_some(row));
    }
    let mut rows = bound.rows().unwrap();
    rows.sort_unstable();
    assert_eq!(rows, expected, "{filter:?}");
    let view = View {
        parts: vec![part.clone()],
        ..View::empty(Arc::new(Shape::new(Schema::new())))
    };
    let counted = query::count(&view, Some(conditions), &cancel).unwrap();
    assert_eq!(counted, expected.len() as u64, "{filter:?}");
    let Some(estimate) = bound.estimate() else {
        return;
    };
    let count = expected.len() as u64;
    match filter {
        Filter::Field(_, Condition::Equals(..)) => assert_eq!(estimate, count),
        _ => assert!(
            (count..=u64::from(part.rows())).contains(&estimate),
            "{filter:?}"
        ),
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
    let segment = built.unwrap().unwrap().segment;
    Part::Stored(Stored::new(segment, SeqNo(1), Expiry::BEGINNING))
}

/// A segment with the columns beside it that a schema wants.
fn with_columns(vfs: &MemoryVfs, file: u64, part: &Part, shape: &Shape) -> Part {
    let Part::Stored(Stored { segment, .. }) = part else {
        unreachable!("columns are of segments");
    };
    let wanting = |beside: &Beside| columns::wanting(&segment.segment, beside, &shape.schema);
    let fields = wanting(&segment.late.get()).expect("it wants some");
    let name = columns_name(file);
    let made = columns::make(vfs, &name, segment, &fields, &Cancel::default()).unwrap();
    assert_eq!(wanting(&made), None);
    segment.late.set(made);
    let stored = Stored::new(Arc::clone(segment), SeqNo(1), Expiry::BEGINNING);
    let late = stored.beside.columns().unwrap();
    assert!(late.verify(&Cancel::default()).unwrap().is_empty());
    Part::Stored(stored)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// In memory, flushed before and after fields were declared, with columns that came later, and merged
    /// without some rows.
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
        let between = Shape::new(schema.clone().field("time", Field::Keyword));
        let schema = schema.field("time", Field::DateTime).field("place", Field::Geo);
        let schema = schema.text("body", Text::english());
        let new = Arc::new(Shape::new(schema.field("deep.x", Field::Integer)));
        let checked = filters.iter().map(|filter| {
            let conditions = filter.checked(Terms {
                shape: &new,
                limits: &Limits::default(),
                analyzers: &Arc::default(),
            });
            (filter, conditions.unwrap())
        });
        let filters: Vec<_> = checked.collect();
        let memory = |shape: &Arc<Shape>, first, payloads: &[Payload]| {
            Part::Memory(memtable(shape, first, payloads).view(SeqNo(1)))
        };
        let first = memory(&old, 0, &older);
        let second = built(&vfs, 1, &old, std::slice::from_ref(&first));
        let third = built(&vfs, 2, &new, &[memory(&new, 100, &newer)]);
        let parts = [first, second, third];
        for part in &parts {
            filters.iter().for_each(|(filter, conditions)| check(part, filter, conditions));
        }
        // Of some fields, and then of all, some of which were there.
        for (file, shape) in [(4, &between), (5, &*new)] {
            let late = with_columns(&vfs, file, &parts[1], shape);
            filters.iter().for_each(|(filter, conditions)| check(&late, filter, conditions));
        }
        if let Part::Stored(stored) = &parts[1] {
            let rows = (0..parts[1].rows()).zip(&ended).filter(|(_, ended)| **ended);
            for (row, _) in rows {
                stored.segment.deletes.end(row, SeqNo(1));
            }
        }
        let merged = built(&vfs, 3, &new, &parts[1..]);
        filters.iter().for_each(|(filter, conditions)| check(&merged, filter, conditions));
    }
}
