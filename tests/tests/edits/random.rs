//! Random edits in random batches, of points in every place: memory, segments, and both.

use super::shape;
use amphora::{
    Batch, Collection, Database, Edit, Filter, Payload, Point, PointId, field, vfs::MemoryVfs,
};
use amphora_tests::{
    opening::{self, Memory},
    random::Random,
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const IDS: u64 = 60;
const NAMES: [&str; 2] = ["docs", "notes"];

type Model = BTreeMap<PointId, Point>;

struct World {
    vfs: MemoryVfs,
    db: Database,
    models: [Model; 2],
    random: Random,
}

#[test]
fn random_edits_leave_what_the_model_says() {
    for seed in 0..12 {
        let mut world = World::new(seed);
        for step in 0..150 {
            world.step();
            if step % 10 == 9 {
                world.check(&format!("seed {seed}, step {step}"));
            }
        }
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let vfs = MemoryVfs::new();
        let db = opening::open(vfs.clone(), Memory::Tiny).unwrap();
        for name in NAMES {
            db.create_collection(name, shape()).wait().unwrap();
        }
        Self {
            vfs,
            db,
            models: Default::default(),
            random: Random(seed),
        }
    }

    fn step(&mut self) {
        match self.random.below(40) {
            0 => self.reopen(),
            1 => self.db.optimize().wait().unwrap(),
            2..6 => self.by_filter(),
            _ => self.batch(),
        }
    }

    fn reopen(&mut self) {
        self.db.close().wait().unwrap();
        self.db = opening::open(self.vfs.clone(), Memory::Tiny).unwrap();
    }

    fn collection(&self, place: usize) -> Collection {
        self.db.collection(NAMES[place]).wait().unwrap()
    }

    fn batch(&mut self) {
        let mut batch = Batch::new();
        let mut count = 0;
        for _ in 0..1 + self.random.below(4) {
            let place = self.random.below(2) as usize;
            let (edit, changed) = self.edit(place);
            batch = batch.edit(&self.collection(place), edit);
            count += changed;
        }
        assert_eq!(self.db.write(batch).wait().unwrap(), count);
    }

    fn by_filter(&mut self) {
        let place = self.random.below(2) as usize;
        let least = self.random.below(100);
        let filter: Filter = field("x").at_least(least);
        let matches: Vec<PointId> = self.models[place]
            .values()
            .filter(|point| matches(point, least))
            .map(|point| point.id.clone())
            .collect();
        let docs = self.collection(place);
        let changed = if self.random.below(2) == 0 {
            let given = json!({ "y": self.random.below(9) });
            set_payload(&mut self.models[place], &matches, &given);
            docs.set_payload(filter, given).wait()
        } else {
            self.models[place].retain(|id, _| !matches.contains(id));
            docs.delete_matching(filter).wait()
        };
        assert_eq!(changed.unwrap(), matches.len() as u64);
    }

    /// An edit, carried out on the model, and how many points it changed there.
    fn edit(&mut self, place: usize) -> (Edit, u64) {
        let random = &mut self.random;
        let model = &mut self.models[place];
        let points: Vec<Point> = (0..=random.below(6)).map(|_| point(random)).collect();
        let ids: Vec<PointId> = points.iter().map(|point| point.id.clone()).collect();
        let least = random.below(100);
        match random.below(9) {
            0 | 1 => {
                let count = write(model, &points, |_| true);
                (Edit::upsert(points), count)
            }
            2 => {
                let count = write(model, &points, |before| before.is_none());
                (Edit::insert(points), count)
            }
            3 => {
                let count = write(model, &points, |before| before.is_some());
                (Edit::update(points), count)
            }
            4 => {
                let wanted = |before: Option<&Point>| before.is_none_or(|p| matches(p, least));
                let count = write(model, &points, wanted);
                (Edit::upsert_if(points, field("x").at_least(least)), count)
            }
            5 => {
                let there = ids.iter().filter(|id| model.remove(id).is_some());
                let count = there.count() as u64;
                (Edit::delete(ids), count)
            }
            6 => {
                let given = json!({ "z": random.below(5), "x": random.below(100) });
                let count = set_payload(model, &ids, &given);
                (Edit::set_payload(ids, given), count)
            }
            7 => {
                let bare = points.into_iter().map(|point| Point {
                    payload: Payload::default(),
                    ..point
                });
                let bare: Vec<Point> = bare.collect();
                let count = bare
                    .iter()
                    .filter(|given| set_vectors(model, given))
                    .count();
                (Edit::set_vectors(bare), count as u64)
            }
            _ => {
                let mut count = 0;
                for id in &ids {
                    if let Some(point) = model.get_mut(id) {
                        point.vectors.retain(|(name, _)| name != "b");
                        count += 1;
                    }
                }
                (Edit::delete_vectors(ids, ["b"]), count)
            }
        }
    }

    fn check(&self, when: &str) {
        for (place, model) in self.models.iter().enumerate() {
            let docs = self.collection(place);
            let found: Result<Model, _> = docs
                .scroll()
                .into_iter()
                .map(|point| point.map(|point| (point.id.clone(), point)))
                .collect();
            assert_eq!(&found.unwrap(), model, "{when}");
            assert_eq!(docs.count().wait().unwrap(), model.len() as u64, "{when}");
            for id in (0..IDS).map(PointId::from) {
                assert_eq!(
                    docs.get(id.clone()).wait().unwrap().as_ref(),
                    model.get(&id)
                );
            }
        }
    }
}

fn point(random: &mut Random) -> Point {
    let x = random.below(100);
    let point = Point::new(random.below(IDS))
        .vector("a", [random.unit(), 1.0])
        .payload(json!({ "x": x, "text": "word ".repeat(random.below(40) as usize) }));
    if x < 50 {
        point.vector("b", [x as f32])
    } else {
        point
    }
}

fn matches(point: &Point, least: u64) -> bool {
    point.payload.get("x").and_then(Value::as_u64) >= Some(least)
}

fn write(model: &mut Model, points: &[Point], wanted: impl Fn(Option<&Point>) -> bool) -> u64 {
    let mut count = 0;
    for point in points {
        if wanted(model.get(&point.id)) {
            model.insert(point.id.clone(), point.clone());
            count += 1;
        }
    }
    count
}

fn set_payload(model: &mut Model, ids: &[PointId], given: &Value) -> u64 {
    let mut count = 0;
    for id in ids {
        if let Some(point) = model.get_mut(id) {
            let mut map: Map<String, Value> = point.payload.to_value().as_object().unwrap().clone();
            map.extend(given.as_object().unwrap().clone());
            point.payload = map.into();
            count += 1;
        }
    }
    count
}

fn set_vectors(model: &mut Model, given: &Point) -> bool {
    let Some(point) = model.get_mut(&given.id) else {
        return false;
    };
    for (name, values) in &given.vectors {
        point.vectors.retain(|(known, _)| known != name);
        point.vectors.push((name.clone(), values.clone()));
    }
    point.vectors.sort_by(|(a, _), (b, _)| a.cmp(b));
    true
}
