//! Values of every type that travels as JSON, whatever builders can make of them.

use crate::{
    geo::{GeoArea, GeoPoint},
    id::PointId,
    payload::Payload,
    point::Point,
    query::{
        Bm25, Cursor, CursorValue, Decay, Effort, Example, ExamplePoint, Expr, Filter, Fusion, Hit,
        Mmr, OrderBy, PrefetchScore, Projection, Query, QueryKind, Recommend, RecommendStrategy,
        Scroll, ScrollOrder, Snippet, TextQuery, field,
    },
    sparse_vector::SparseVector,
};
use proptest::{
    collection::{btree_map, vec},
    num::{f32 as single, f64 as double},
    option::of,
    prelude::*,
};
use serde_json::Value;
use std::{
    fmt::Debug,
    ops::Bound,
    time::{Duration, SystemTime},
};
use uuid::Uuid;

pub(super) fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c]{1,2}", "\\PC{0,4}", Just("$score".to_owned())]
}

pub(super) fn float() -> impl Strategy<Value = f32> {
    let any =
        single::NORMAL | single::SUBNORMAL | single::ZERO | single::POSITIVE | single::NEGATIVE;
    // The last is rounded otherwise on its way through 64 bits.
    prop_oneof![any, (-9i8..9).prop_map(f32::from), Just(7.038531e-26)]
}

pub(super) fn long_float() -> impl Strategy<Value = f64> {
    let any =
        double::NORMAL | double::SUBNORMAL | double::ZERO | double::POSITIVE | double::NEGATIVE;
    prop_oneof![any, (-9i8..9).prop_map(f64::from)]
}

pub(super) fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        long_float().prop_map(Value::from),
        name().prop_map(Value::from),
    ]
}

pub(super) fn id() -> impl Strategy<Value = PointId> {
    prop_oneof![
        any::<u64>().prop_map(PointId::from),
        name().prop_map(PointId::from),
        any::<u128>().prop_map(|number| Uuid::from_u128(number).into()),
    ]
}

pub(super) fn place() -> impl Strategy<Value = GeoPoint> {
    (long_float(), long_float()).prop_map(|(lon, lat)| GeoPoint::new(lon, lat))
}

pub(super) fn bound<T: Debug>(
    of: impl Strategy<Value = T> + Clone,
) -> impl Strategy<Value = Bound<T>> {
    prop_oneof![
        Just(()).prop_map(|()| Bound::Unbounded),
        of.clone().prop_map(Bound::Included),
        of.prop_map(Bound::Excluded),
    ]
}

pub(super) fn shared<T: Debug>(of: impl Strategy<Value = T> + 'static) -> BoxedStrategy<T> {
    of.boxed()
}

pub(super) fn area() -> impl Strategy<Value = GeoArea> {
    prop_oneof![
        (place(), place()).prop_map(|(top_left, bottom_right)| GeoArea::Box {
            top_left,
            bottom_right
        }),
        (place(), long_float()).prop_map(|(center, radius)| GeoArea::Circle { center, radius }),
        (vec(place(), 0..4), vec(vec(place(), 0..3), 0..3)).prop_map(|(exterior, interiors)| {
            GeoArea::Polygon {
                exterior,
                interiors,
            }
        }),
    ]
}

pub(super) fn filter() -> BoxedStrategy<Filter> {
    let on = |name: String| field(name);
    let leaf = prop_oneof![
        (name(), value()).prop_map(move |(path, value)| on(path).eq(value)),
        (name(), vec(value(), 0..3)).prop_map(move |(path, all)| on(path).any_of(all)),
        (name(), vec(value(), 0..3)).prop_map(move |(path, all)| on(path).except(all)),
        (name(), bound(shared(value())), bound(shared(value())))
            .prop_map(move |(path, low, high)| on(path).within((low, high))),
        (name(), bound(any::<u64>()), bound(any::<u64>()))
            .prop_map(move |(path, low, high)| on(path).count((low, high))),
        (name(), name(), 0..5).prop_map(move |(path, text, which)| match which {
            0 => on(path).starts_with(text),
            1 => on(path).contains(text),
            2 => on(path).has_words(text),
            3 => on(path).has_any_word(text),
            _ => on(path).has_phrase(text),
        }),
        (name(), area()).prop_map(move |(path, area)| on(path).in_area(area)),
        name().prop_map(move |path| on(path).is_null()),
        name().prop_map(move |path| on(path).is_empty()),
        vec(id(), 0..3).prop_map(Filter::Ids),
        name().prop_map(Filter::has_vector),
    ];
    let nested = leaf.prop_recursive(4, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Filter::All),
            vec(inner.clone(), 0..3).prop_map(Filter::Any),
            (any::<usize>(), vec(inner.clone(), 1..3))
                .prop_map(|(n, all)| Filter::at_least(n, all)),
            inner.clone().prop_map(|inner| !inner),
            (name(), inner).prop_map(|(path, inner)| field(path).any(inner)),
        ]
    });
    nested.boxed()
}

pub(super) fn sparse() -> impl Strategy<Value = SparseVector> {
    let entries = btree_map(any::<u32>(), -1e16f32..1e16, 0..4);
    entries.prop_filter_map("sound", |entries| SparseVector::new(entries).ok())
}

pub(super) fn example() -> impl Strategy<Value = Example> {
    prop_oneof![
        vec(float(), 0..4).prop_map(Example::Vector),
        sparse().prop_map(Example::Sparse),
        (id(), of(name()), of(name())).prop_map(|(id, collection, vector)| Example::Point(
            ExamplePoint {
                id,
                collection,
                vector
            }
        )),
    ]
}

pub(super) fn text() -> BoxedStrategy<TextQuery> {
    let leaf = prop_oneof![
        name().prop_map(TextQuery::any),
        name().prop_map(TextQuery::all),
        (any::<u32>(), name()).prop_map(|(count, text)| TextQuery::at_least(count, text)),
        (name(), any::<u32>()).prop_map(|(text, slop)| TextQuery::phrase(text).slop(slop)),
        name().prop_map(TextQuery::prefix),
        (name(), of(any::<u32>()), any::<u32>()).prop_map(|(text, edits, same)| {
            let query = TextQuery::fuzzy(text).exact_prefix(same);
            match edits {
                Some(edits) => query.distance(edits),
                None => query,
            }
        }),
    ];
    let nested = leaf.prop_recursive(4, 12, 3, |inner| {
        let some = || vec(inner.clone(), 0..3);
        prop_oneof![
            (some(), some(), some(), of(any::<u32>())).prop_map(
                |(must, should, must_not, at_least)| TextQuery::Bool {
                    must,
                    should,
                    must_not,
                    at_least
                }
            ),
            (inner.clone(), float()).prop_map(|(query, times)| query.boost(times)),
            (inner.clone(), btree_map(name(), float(), 0..3))
                .prop_map(|(query, fields)| query.fields(fields)),
        ]
    });
    nested.boxed()
}

pub(super) fn formula() -> BoxedStrategy<Expr> {
    let leaf = prop_oneof![
        long_float().prop_map(Expr::from),
        any::<usize>().prop_map(Expr::prefetch_score),
        Just(()).prop_map(|()| Expr::score()),
        name().prop_map(Expr::field),
        name().prop_map(Expr::datetime),
        name().prop_map(Expr::datetime_field),
        (place(), name()).prop_map(|(from, path)| Expr::geo_distance(from, path)),
        filter().prop_map(Expr::condition),
    ];
    let nested = leaf.prop_recursive(4, 12, 3, |inner| {
        let two = || (inner.clone(), inner.clone());
        prop_oneof![
            two().prop_map(|(a, b)| a + b),
            two().prop_map(|(a, b)| a - b),
            two().prop_map(|(a, b)| a * b),
            two().prop_map(|(a, b)| a / b),
            two().prop_map(|(a, b)| a.min(b)),
            two().prop_map(|(a, b)| a.max(b)),
            two().prop_map(|(a, b)| a.pow(b)),
            (inner.clone(), 0..5).prop_map(|(of, which)| match which {
                0 => of.abs(),
                1 => of.sqrt(),
                2 => of.exp(),
                3 => of.ln(),
                _ => of.log10(),
            }),
            (inner.clone(), long_float()).prop_map(|(of, or)| of.or(or)),
            (two(), 0..3, long_float(), long_float()).prop_map(|((x, to), shape, scale, mid)| {
                let decay = match shape {
                    0 => Decay::linear(x),
                    1 => Decay::exponential(x),
                    _ => Decay::gauss(x),
                };
                decay.target(to).scale(scale).midpoint(mid).into()
            }),
        ]
    });
    nested.boxed()
}

pub(super) fn projection() -> impl Strategy<Value = Projection> {
    prop_oneof![
        any::<bool>().prop_map(Projection::from),
        vec(name(), 0..3).prop_map(Projection::Include),
        vec(name(), 0..3).prop_map(Projection::Exclude),
    ]
}

pub(super) fn order() -> impl Strategy<Value = OrderBy> {
    (name(), any::<bool>(), of(value())).prop_map(|(field, descending, start_from)| {
        let order = match descending {
            true => OrderBy::descending(field),
            false => OrderBy::ascending(field),
        };
        match start_from {
            Some(value) => order.start_from(value),
            None => order,
        }
    })
}

pub(super) fn fusion() -> impl Strategy<Value = Fusion> {
    let weights = || vec(float(), 0..3);
    prop_oneof![
        float().prop_map(|k| Fusion::rrf().k(k)),
        weights().prop_map(|weights| Fusion::rrf().weights(weights)),
        weights().prop_map(Fusion::weighted),
        Just(()).prop_map(|()| Fusion::dbsf()),
        weights().prop_map(|weights| Fusion::dbsf().weights(weights)),
    ]
}

/// By names that ascend, as they are in a [`Value`].
pub(super) fn named<T: Debug>(
    of: impl Strategy<Value = T>,
) -> impl Strategy<Value = Vec<(String, T)>> {
    btree_map(name(), of, 0..3).prop_map(|map| map.into_iter().collect())
}

pub(super) fn kind() -> impl Strategy<Value = Query> {
    let examples = || vec(example(), 0..3);
    let pairs = || vec((example(), example()), 0..3);
    prop_oneof![
        (name(), example()).prop_map(|(vector, example)| Query::nearest_like(vector, example)),
        (name(), vec(vec(float(), 0..3), 0..3))
            .prop_map(|(name, all)| Query::nearest_multi(name, all)),
        (named(float()), text()).prop_map(|(texts, query)| Query::texts(texts, query)),
        (name(), example())
            .prop_map(|(vector, example)| Query::of(QueryKind::Sparse { vector, example })),
        (name(), examples(), examples(), 0..3).prop_map(|(vector, positive, negative, which)| {
            let strategy = match which {
                0 => RecommendStrategy::Average,
                1 => RecommendStrategy::BestScore,
                _ => RecommendStrategy::SumScores,
            };
            let examples = Recommend {
                strategy,
                positive,
                negative,
            };
            Query::recommend(vector, examples)
        }),
        (name(), example(), pairs()).prop_map(|(vector, target, pairs)| Query::of(
            QueryKind::Discover {
                vector,
                target,
                pairs
            }
        )),
        (name(), pairs())
            .prop_map(|(vector, pairs)| Query::of(QueryKind::Context { vector, pairs })),
        order().prop_map(Query::order_by),
        any::<u64>().prop_map(Query::random),
        fusion().prop_map(Query::fuse),
        formula().prop_map(Query::formula),
    ]
}

impl Query {
    fn nearest_like(vector: String, example: Example) -> Self {
        Self::of(QueryKind::Nearest { vector, example })
    }
}

pub(super) fn effort() -> impl Strategy<Value = Effort> {
    prop_oneof![
        Just(Effort::Exact),
        float().prop_map(Effort::Recall),
        any::<usize>().prop_map(Effort::Ef),
    ]
}

pub(super) fn mmr() -> impl Strategy<Value = Mmr> {
    (float(), of(any::<usize>()), of(name())).prop_map(|(lambda, candidates, vector)| Mmr {
        lambda,
        candidates,
        vector,
    })
}

pub(super) fn query() -> BoxedStrategy<Query> {
    let searched = (
        of(effort()),
        of(float()),
        of((float(), float())),
        of(mmr()),
        of(float()),
    );
    let shown = (
        projection(),
        projection(),
        named(any::<usize>()),
        any::<bool>(),
    );
    let paged = (of(filter()), of(any::<usize>()), any::<usize>());
    let one = (kind(), searched, shown, paged).prop_map(|(mut query, searched, shown, paged)| {
        let bm25;
        (
            query.effort,
            query.oversampling,
            bm25,
            query.mmr,
            query.score_threshold,
        ) = searched;
        query.bm25 = bm25.map(|(k1, b)| Bm25 { k1, b });
        (
            query.with_payload,
            query.with_vectors,
            query.highlights,
            query.with_scores,
        ) = shown;
        (query.filter, query.limit, query.offset) = paged;
        query
    });
    let nested = one.prop_recursive(3, 6, 2, |inner| {
        (kind(), vec(inner, 0..3)).prop_map(|(mut query, prefetches)| {
            query.prefetches = prefetches;
            query
        })
    });
    nested.boxed()
}

pub(super) fn payload() -> impl Strategy<Value = Payload> {
    let nested = value().prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            btree_map(name(), inner, 0..3).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });
    btree_map(name(), nested, 0..3).prop_map(|map| Value::Object(map.into_iter().collect()).into())
}

pub(super) fn point() -> impl Strategy<Value = Point> {
    let time = of((0u64..200_000_000_000, 0u32..1_000_000_000)).prop_map(|time| {
        let (seconds, nanos) = time?;
        Some(SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos))
    });
    let vectors = (
        named(vec(float(), 0..3)),
        named(vec(vec(float(), 0..3), 0..2)),
        named(sparse()),
    );
    (id(), vectors, payload(), time).prop_map(|(id, vectors, payload, expires_at)| {
        let (vectors, multi_vectors, sparse_vectors) = vectors;
        Point {
            id,
            vectors,
            multi_vectors,
            sparse_vectors,
            payload,
            expires_at,
        }
    })
}

pub(super) fn hit() -> impl Strategy<Value = Hit> {
    let score = (any::<usize>(), float()).prop_map(|(rank, score)| PrefetchScore { rank, score });
    let snippet = (name(), vec(0usize..9, 0..3)).prop_map(|(text, at)| Snippet {
        text,
        matches: at.iter().map(|at| *at..at + 2).collect(),
        span: 3..7,
    });
    let told = (named(snippet), of(value()), vec(of(score), 0..3));
    (point(), float(), told).prop_map(|(point, score, (snippets, order_value, scores))| Hit {
        id: point.id,
        score,
        payload: point.payload,
        vectors: point.vectors,
        multi_vectors: point.multi_vectors,
        sparse_vectors: point.sparse_vectors,
        snippets,
        order_value,
        scores,
    })
}

pub(super) fn cursor() -> impl Strategy<Value = Cursor> {
    let by = of((name(), any::<bool>(), value()));
    let id = id().prop_filter("not empty", |id| id.check().is_ok());
    (id, by).prop_map(|(id, by)| Cursor {
        id,
        value: by.map(|(field, descending, value)| CursorValue {
            field,
            descending,
            value,
        }),
    })
}

pub(super) fn scroll() -> impl Strategy<Value = Scroll> {
    let order = prop_oneof![Just(ScrollOrder::Id), order().prop_map(ScrollOrder::Field)];
    let shown = (projection(), projection());
    (
        of(filter()),
        of(any::<usize>()),
        of(order),
        of(cursor()),
        shown,
    )
        .prop_map(
            |(filter, limit, order, after, (with_payload, with_vectors))| Scroll {
                filter,
                limit,
                order,
                after,
                with_payload,
                with_vectors,
            },
        )
}
