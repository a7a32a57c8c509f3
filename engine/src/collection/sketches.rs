//! Sketches of what searches would have to compare point by point: made in the background when a
//! search meets enough of it, and kept where it lies until it is flushed, merged or indexed.

use super::build::Built;
use crate::{
    cancel::Cancel,
    error::Result,
    op::{Inline, Op},
    pool::Entrance,
    schema::Vector,
    shape::Shape,
    sync::Mutex,
    vector::{Center, Sketcher, Values, VectorSource, sketch_bytes},
    view::{Part, View},
};
use std::{
    collections::BTreeMap,
    ops::Range,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

/// From so many rows on that have no sketch it is worth the job.
const WORTH: usize = 512;
/// The center is that of so many rows.
const CENTER_ROWS: usize = 1_024;

/// What is being sketched for the searches of a collection.
#[derive(Debug, Default)]
pub(super) struct Sketches(Mutex<Begun>);

#[derive(Debug, Default)]
struct Begun {
    job: Option<Op<(u32, Center)>>,
    /// By the numbers of the vectors: the same for all sketches, while the database is open.
    centers: BTreeMap<u32, Center>,
}

impl Sketches {
    /// After a search of the vector `number`: begins to sketch on the lane what the next one would
    /// have to compare, if that is much, unless a job is under way.
    pub(super) fn begin(&self, lane: &Entrance, view: &Arc<View>, number: u32) {
        // Whoever has the lock sees to it.
        let Ok(mut begun) = self.0.try_lock() else {
            return;
        };
        if begun.is_busy() {
            return;
        }
        let mut vectors = view.shape().vectors();
        let is_it =
            |(_, found, vector): &(_, u32, &Vector)| *found == number && sketch_bytes(vector) > 0;
        let Some((_, _, vector)) = vectors.find(is_it) else {
            return;
        };
        let rows = view.parts.iter().flat_map(|part| part.unsketched(number));
        if rows.map(|rows| rows.len()).sum::<usize>() < WORTH {
            return;
        }
        let (view, vector) = (Arc::clone(view), vector.clone());
        let center = begun.centers.get(&number).cloned();
        begun.job = Some(Op::job(lane.clone(), Inline::Never, move |cancel| {
            let center = match center {
                Some(center) => center,
                None => center_of(&view, number, &vector, cancel)?,
            };
            for part in &view.parts {
                for stretch in part.unsketched(number) {
                    sketch(part, number, stretch, &center, cancel)?;
                }
            }
            Ok((number, center))
        }));
        // Only what is polled begins.
        begun.is_busy();
    }
}

impl Begun {
    /// Whether a job is under way; takes what one has ended with.
    fn is_busy(&mut self) -> bool {
        let Some(job) = &mut self.job else {
            return false;
        };
        let mut context = Context::from_waker(Waker::noop());
        match Pin::new(job).poll(&mut context) {
            Poll::Pending => return true,
            Poll::Ready(Ok((number, center))) => {
                self.centers.insert(number, center);
            }
            Poll::Ready(Err(error)) => tracing::debug!(%error, "nothing was sketched"),
        }
        self.job = None;
        false
    }
}

/// Sketches a segment that takes the place of `parts`, if one of these was: searches would meet it
/// bare otherwise.
pub(super) fn carry_over(
    built: &Built,
    parts: &[Part],
    shape: &Shape,
    cancel: &Cancel,
) -> Result<()> {
    for (_, number, _) in shape.vectors() {
        let indexes = &built.segment.indexes;
        let center = parts.iter().find_map(|part| center_in(part, number));
        let Some(center) = center.filter(|_| indexes.get(number).is_none()) else {
            continue;
        };
        let mut sketcher = Sketcher::new(&center, built.segment.segment.rows() as usize);
        let mut row = 0;
        for (part, origins) in parts.iter().zip(built.origins()) {
            let mut origins = &origins[..];
            part.stretches(number, |stretch, sketch| {
                cancel.check()?;
                let count = origins.partition_point(|origin| *origin < stretch.end);
                let (here, rest) = origins.split_at(count);
                for origin in here {
                    let place = (origin - stretch.start) as usize;
                    let copied = sketch.is_some_and(|from| sketcher.copy(row, from, place));
                    if !copied && let Some((values, scale)) = part.vector(*origin, number)? {
                        sketcher.put(row, values, scale);
                    }
                    row += 1;
                }
                origins = rest;
                Ok(())
            })?;
        }
        indexes.set_sketch(number, sketcher.end());
    }
    Ok(())
}

/// What a sketch of a part is relative to.
fn center_in(part: &Part, number: u32) -> Option<Center> {
    let mut center = None;
    let _ = part.stretches(number, |_, sketch| {
        center = center
            .take()
            .or_else(|| sketch.map(|sketch| sketch.center().clone()));
        Ok(())
    });
    center
}

fn sketch(
    part: &Part,
    number: u32,
    stretch: Range<u32>,
    center: &Center,
    cancel: &Cancel,
) -> Result<()> {
    let mut sketcher = Sketcher::new(center, stretch.len());
    part.vectors(number, stretch.clone(), cancel, |row, values, scale| {
        sketcher.put((row - stretch.start) as usize, values, scale);
        Ok(())
    })?;
    part.set_sketch(number, stretch, sketcher.end());
    Ok(())
}

/// Some vectors of the newest parts.
struct Sample(Vec<(Vec<f32>, f32)>);

impl VectorSource for Sample {
    fn len(&self) -> u32 {
        self.0.len() as u32
    }

    fn vector<'a>(&'a self, place: u32, _: &'a mut Vec<f32>) -> Result<(&'a [f32], f32)> {
        let (values, scale) = &self.0[place as usize];
        Ok((values, *scale))
    }

    fn row(&self, place: u32) -> u32 {
        place
    }
}

fn center_of(view: &View, number: u32, vector: &Vector, cancel: &Cancel) -> Result<Center> {
    let mut sample = Sample(Vec::new());
    'parts: for part in &view.parts {
        for stretch in part.unsketched(number) {
            let stretch = stretch.start..stretch.end.min(stretch.start + CENTER_ROWS as u32);
            part.vectors(number, stretch, cancel, |_, values: Values<'_>, scale| {
                sample.0.push((values.to_vec(), scale));
                Ok(())
            })?;
            if sample.0.len() >= CENTER_ROWS {
                break 'parts;
            }
        }
    }
    let dimensions = vector.dimensions as usize;
    Center::of(&sample, dimensions, vector.metric, cancel)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        collection::build::build,
        expiry::Expiry,
        id::{PointId, SeqNo},
        memtable::Memtable,
        options::{Limits, PoolOptions},
        payload::Payload,
        point::Record,
        pool::Pools,
        query::{Query, Scope, search},
        schema::{Metric, Schema},
        texts::Analyzers,
        vfs::MemoryVfs,
        view::Stored,
    };
    use std::{thread, time::Duration};
    use xxhash_rust::xxh3::xxh3_64_with_seed;

    const DIMENSIONS: usize = 48;
    /// The rows of a block of a memtable.
    const BLOCK: u64 = 256;

    /// The vector of a point: numbers between -1 and 1 that depend on the id alone.
    fn values(id: u64) -> Vec<f32> {
        let value = |place: u64| {
            let mixed = xxh3_64_with_seed(&place.to_le_bytes(), id);
            (mixed >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..DIMENSIONS as u64).map(value).collect()
    }

    fn memtable(shape: &Arc<Shape>, ids: Range<u64>) -> Memtable {
        let mut memtable = Memtable::new(Arc::clone(shape));
        for id in ids {
            let record = Record {
                id: id.into(),
                vectors: vec![Some(values(id))],
                sparse: Vec::new(),
                payload: Payload::default(),
                expiry: Expiry::NEVER,
            };
            memtable.upsert(record, SeqNo(1));
        }
        memtable
    }

    fn view(shape: &Arc<Shape>, part: Part) -> Arc<View> {
        Arc::new(View {
            parts: vec![part],
            ..View::empty(Arc::clone(shape))
        })
    }

    fn ids(view: &View, query: Query) -> Vec<PointId> {
        let (limits, analyzers) = (Limits::default(), Arc::default());
        let others = |_: &str| Ok(None);
        let mut scope = Scope::new(view, &limits, &analyzers, &others);
        let query = query.checked(&mut scope).unwrap();
        let hits = search(view, &query, &Cancel::default()).unwrap();
        hits.into_iter().map(|hit| hit.id).collect()
    }

    /// What a search by sketches finds of what one by vectors does.
    fn recall(view: &View) -> f64 {
        let (mut found, mut all) = (0, 0);
        for query in 100_000..100_100 {
            let query = Query::nearest("v", values(query)).limit(10);
            let (exact, seen) = (ids(view, query.clone().exact()), ids(view, query));
            found += exact.iter().filter(|id| seen.contains(id)).count();
            all += exact.len();
        }
        found as f64 / all as f64
    }

    fn unsketched(view: &View) -> usize {
        let stretches = view.parts.iter().flat_map(|part| part.unsketched(0));
        stretches.map(|rows| rows.len()).sum()
    }

    fn sketch_all(view: &Arc<View>) {
        let pools = Pools::new(&PoolOptions::default()).unwrap();
        let sketches = Sketches::default();
        for _ in 0..10_000 {
            sketches.begin(&pools.entrances().io, view, 0);
            if unsketched(view) == 0 {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
        panic!("nothing was sketched");
    }

    #[test]
    fn what_was_sketched_is_found_in_memory_and_in_what_it_becomes() {
        for metric in [Metric::Cosine, Metric::Dot, Metric::Euclidean] {
            let schema = Schema::new().vector("v", Vector::new(DIMENSIONS as u32, metric));
            let shape = Arc::new(Shape::new(schema));
            let mut memtable = memtable(&shape, 0..3_000);
            let before = view(&shape, Part::Memory(memtable.view(SeqNo(1))));
            for id in (0..3_000u64).step_by(3) {
                memtable.delete(&id.into(), SeqNo(2)).unwrap();
            }
            let part = Part::Memory(memtable.view(SeqNo(2)));
            let after = view(&shape, part.clone());
            assert_eq!(unsketched(&after), (3_000 / BLOCK * BLOCK) as usize);
            sketch_all(&after);
            assert!(recall(&after) > 0.99);
            // What had ended when it was sketched is still there for who began before.
            for id in (0..3_000).step_by(33) {
                let query = Query::nearest("v", values(id)).limit(1);
                let expected = [PointId::from(id)];
                if metric != Metric::Dot {
                    assert_eq!(ids(&before, query.clone()), expected);
                }
                assert_ne!(ids(&after, query), expected);
            }

            let parts = [part];
            let built = as_segment(&parts, &shape);
            assert!(built.segment.indexes.sketch(0).is_some());
            let stored = Stored::new(built.segment, SeqNo(2), Expiry::BEGINNING);
            let stored = view(&shape, Part::Stored(stored));
            assert_eq!(unsketched(&stored), 0);
            assert!(recall(&stored) > 0.99);
        }
    }

    /// A segment of the parts, with what is carried over to it.
    fn as_segment(parts: &[Part], shape: &Shape) -> Built {
        let (vfs, analyzers, cancel) = (MemoryVfs::new(), Analyzers::default(), Cancel::default());
        let built = build(&vfs, 1, shape, parts, &analyzers, &cancel);
        let built = built.unwrap().unwrap();
        carry_over(&built, parts, shape, &cancel).unwrap();
        built
    }

    #[test]
    fn a_segment_without_an_index_is_sketched() {
        let schema = Schema::new().vector("v", Vector::new(DIMENSIONS as u32, Metric::Cosine));
        let shape = Arc::new(Shape::new(schema));
        let parts = [Part::Memory(memtable(&shape, 0..2_000).view(SeqNo(1)))];
        let built = as_segment(&parts, &shape);
        let indexes = &built.segment.indexes;
        assert!(indexes.sketch(0).is_none(), "nobody has searched");
        let stored = Stored::new(Arc::clone(&built.segment), SeqNo(1), Expiry::BEGINNING);
        let stored = view(&shape, Part::Stored(stored));
        sketch_all(&stored);
        assert!(recall(&stored) > 0.99);
    }
}
