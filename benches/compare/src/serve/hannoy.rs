//! `hannoy`: a graph in LMDB, read in one transaction.

use super::{Data, Result, Served};
use crate::protocol::{Build, Search};
use hannoy::{Database, Reader, Writer, distances::Cosine};
use heed::{CommitOrAbort, Env, EnvOpenOptions, RoTxn, WithTls};
use rand::{SeedableRng, rngs::StdRng};

const MAP_BYTES: usize = 4 << 30;
/// The links of a node, and of a node of the lowest layer; constants of the type.
const M: usize = 16;
const M0: usize = 32;

pub(super) struct Hannoy {
    reader: Reader<'static, Cosine>,
    transaction: RoTxn<'static, WithTls>,
}

impl Served for Hannoy {
    type Request = Vec<f32>;
    type Hits = Vec<(u32, f32)>;

    fn build(build: &Build, data: &Data) -> Result<Self> {
        if build.m != M {
            return Err(format!("m is {M} here").into());
        }
        std::fs::create_dir_all(&build.directory)?;
        // Kept until the process ends: what is built below borrows it.
        // SAFETY: the directory is this process's own, and opened once.
        let env = unsafe {
            EnvOpenOptions::new()
                .map_size(MAP_BYTES)
                .open(&build.directory)?
        };
        let env: &'static Env = Box::leak(Box::new(env));
        let created = env.create_databases_and_commit(env.write_txn()?, |opener, transaction| {
            let database = opener.create_database(transaction, None)?;
            heed::Result::Ok(CommitOrAbort::<_, ()>::Commit(database))
        });
        let database: Database<'static, Cosine> = created?.unwrap_commit();
        let mut transaction = env.write_txn()?;
        let writer = Writer::new(database, 0, data.dimensions);
        for (row, values) in (0..).zip(data.rows()) {
            writer.add_item(&mut transaction, row, values)?;
        }
        let mut random = StdRng::seed_from_u64(1_854);
        let mut builder = writer.builder(&mut random);
        builder.ef_construction(build.ef_construction);
        let threads = rayon::ThreadPoolBuilder::new().num_threads(build.threads);
        threads
            .build()?
            .install(|| builder.build::<M, M0>(&mut transaction))?;
        transaction.commit()?;
        let transaction = env.read_txn()?;
        let reader = Reader::open(&transaction, 0, database)?;
        Ok(Self {
            reader,
            transaction,
        })
    }

    fn request(&self, values: &[f32], _search: &Search) -> Result<Vec<f32>> {
        Ok(values.to_vec())
    }

    fn answer(&self, request: Vec<f32>, search: &Search) -> Result<Vec<(u32, f32)>> {
        let mut query = self.reader.nns(search.k);
        let found = query.ef_search(search.ef);
        Ok(found.by_vector(&self.transaction, &request)?.into_nns())
    }

    fn rows(hits: Vec<(u32, f32)>) -> Vec<i64> {
        hits.into_iter().map(|(row, _)| i64::from(row)).collect()
    }
}
