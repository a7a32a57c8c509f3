//! `hnsw_rs`: inner products of unit vectors, with its SIMD.

use super::{Data, Result, Served};
use crate::protocol::{Build, Search};
use hnsw_rs::prelude::{DistDot, Hnsw, Neighbour};

const LAYERS: usize = 16;

pub(super) struct HnswRs(Hnsw<'static, f32, DistDot>);

impl Served for HnswRs {
    type Request = Vec<f32>;
    type Hits = Vec<Neighbour>;

    fn build(build: &Build, data: &Data) -> Result<Self> {
        let threads = rayon::ThreadPoolBuilder::new().num_threads(build.threads);
        let rows: Vec<(&[f32], usize)> = data.rows().zip(0..).collect();
        let mut index = Hnsw::new(build.m, rows.len(), LAYERS, build.ef_construction, DistDot);
        threads
            .build()?
            .install(|| index.parallel_insert_slice(&rows));
        index.set_searching_mode(true);
        Ok(Self(index))
    }

    fn request(&self, values: &[f32], _search: &Search) -> Result<Vec<f32>> {
        Ok(values.to_vec())
    }

    fn answer(&self, request: Vec<f32>, search: &Search) -> Result<Vec<Neighbour>> {
        Ok(self.0.search(&request, search.k, search.ef))
    }

    fn rows(hits: Vec<Neighbour>) -> Vec<i64> {
        hits.into_iter().map(|hit| hit.d_id as i64).collect()
    }
}
