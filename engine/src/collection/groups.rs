//! Searches whose answer is no list of hits: groups of them, and the nearest within a sample.

use super::{Collection, ReadView};
use crate::{
    op::Op,
    query::{self, DistanceMatrix, Group, GroupBy, Neighbors, Query},
};

impl Collection {
    /// The hits of a query put together by a field, in the order of their best ones. The limit and the
    /// offset of the query count groups. As many hits are looked at as it takes, up to the
    /// [limit](crate::Limits::hits) of one query; groups that are not full are then filled by a
    /// filtered search, unless the query has prefetches: quick where the schema declares the field.
    ///
    /// ```
    /// # use amphora::{Database, Metric, Point, Query, Schema, Vector, vfs::MemoryVfs};
    /// use amphora::GroupBy;
    /// use serde_json::json;
    ///
    /// # let db = Database::builder_on(MemoryVfs::new()).open().wait()?;
    /// let docs = db.create_collection("docs", Schema::new()).wait()?;
    /// docs.upsert([Point::new(7).payload(json!({ "title": "Walden" }))]).wait()?;
    /// let schema = Schema::new().vector("v", Vector::new(1, Metric::Dot));
    /// let passages = db.create_collection("passages", schema).wait()?;
    /// let passage = |id, doc, value| Point::new(id).vector("v", [value]).payload(json!({ "doc": doc }));
    /// passages.upsert([passage(1, 7, 3.0), passage(2, 8, 2.0), passage(3, 7, 1.0)]).wait()?;
    ///
    /// let by = GroupBy::new("doc").size(2).lookup("docs");
    /// let groups = passages.search_groups(Query::nearest("v", [1.0]).limit(10), by).wait()?;
    /// assert_eq!(groups.iter().map(|group| group.hits.len()).collect::<Vec<_>>(), [2, 1]);
    /// assert_eq!(groups[0].key, 7);
    /// assert_eq!(groups[0].lookup.as_ref().unwrap().payload.get("title"), Some(&json!("Walden")));
    /// assert_eq!(groups[1].lookup, None);
    /// # Ok::<_, amphora::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`search`](Self::search), and `NotFound` when there is no collection to look points up in.
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    pub fn search_groups(&self, query: Query, by: GroupBy) -> Op<Vec<Group>> {
        self.reads().search_groups(query, by)
    }

    /// Of each point of a sample the nearest among the others, in the order of their ids: what clusters and
    /// maps of a collection are made from. Every two points of the sample are compared.
    ///
    /// ```
    /// # use amphora::{Database, Metric, Point, Schema, Vector, vfs::MemoryVfs};
    /// use amphora::DistanceMatrix;
    ///
    /// # let db = Database::builder_on(MemoryVfs::new()).open().wait()?;
    /// # let schema = Schema::new().vector("v", Vector::new(1, Metric::Euclidean));
    /// # let docs = db.create_collection("docs", schema).wait()?;
    /// docs.upsert([1.0, 2.0, 4.0].map(|x| Point::new(x as u64).vector("v", [x]))).wait()?;
    /// let matrix = docs.distance_matrix(DistanceMatrix::new("v").sample(100).limit(1)).wait()?;
    /// assert_eq!(matrix[0].nearest, [(2.into(), -1.0)]);
    /// assert_eq!(matrix[2].nearest, [(2.into(), -2.0)]);
    /// # Ok::<_, amphora::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`search`](Self::search).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    pub fn distance_matrix(&self, matrix: DistanceMatrix) -> Op<Vec<Neighbors>> {
        self.reads().distance_matrix(matrix)
    }
}

impl ReadView {
    /// See [`Collection::search_groups`].
    pub fn search_groups(&self, query: Query, by: GroupBy) -> Op<Vec<Group>> {
        let state = self.state.clone();
        self.read(move |store, view, cancel| {
            let others = store.others(&state);
            query::groups(query, &by, &mut store.scope(view, &others), cancel)
        })
    }

    /// See [`Collection::distance_matrix`].
    pub fn distance_matrix(&self, matrix: DistanceMatrix) -> Op<Vec<Neighbors>> {
        let state = self.state.clone();
        self.read(move |store, view, cancel| {
            let others = store.others(&state);
            query::matrix(matrix, &store.scope(view, &others), cancel)
        })
    }
}
