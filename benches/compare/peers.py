"""Peers from PyPI behind one line protocol: `python peers.py NAME`.

Reads one JSON object per line from standard input and answers with one on standard output (see
`src/protocol.rs`). Vectors and payloads are files that the asking program wrote. Requests are made
before the clock starts and answers are taken apart after it stops, so that what is timed is the
peer's own call. Index libraries answer all queries in one call on one thread; databases answer one
query per call, payloads included.
"""

import gc
import json
import os
import sys
import time

import numpy as np


class Data:
    """The files of a data set: unit vectors, and one payload per row."""

    def __init__(self, files):
        dimensions = files["dimensions"]
        self.base = np.fromfile(files["base"], dtype=np.float32).reshape(-1, dimensions)
        self.queries = np.fromfile(files["queries"], dtype=np.float32).reshape(-1, dimensions)
        self.indexed = files["indexed"]
        with open(files["payloads"], encoding="utf-8") as lines:
            self.payloads = [json.loads(line) for line in lines]

    @property
    def dimensions(self):
        return self.base.shape[1]

    def batches(self, size=1000):
        for first in range(0, len(self.base), size):
            yield range(first, min(first + size, len(self.base)))


class IndexOnly:
    """A library that holds vectors and nothing else. `answer` takes all queries at once."""

    def prepare(self, data, ask):
        queries = data.queries[ask["first"] : ask["first"] + ask["count"]]
        return np.ascontiguousarray(queries)

    def rows(self, answers):
        return answers.tolist()


class Hnswlib(IndexOnly):
    def __init__(self, ask, data, directory):
        import hnswlib

        self.index = hnswlib.Index("ip", data.dimensions)
        self.index.init_index(len(data.base), M=ask["m"], ef_construction=ask["ef_construction"])
        self.index.add_items(data.base, num_threads=ask["threads"])

    def answer(self, queries, ask):
        self.index.set_ef(ask["ef"])
        return self.index.knn_query(queries, k=ask["k"], num_threads=1)[0]


class Faiss(IndexOnly):
    codes = False

    def __init__(self, ask, data, directory):
        import faiss

        faiss.omp_set_num_threads(ask["threads"])
        metric = faiss.METRIC_INNER_PRODUCT
        if self.codes:
            code = faiss.ScalarQuantizer.QT_8bit
            self.index = faiss.IndexHNSWSQ(data.dimensions, code, ask["m"], metric)
        else:
            self.index = faiss.IndexHNSWFlat(data.dimensions, ask["m"], metric)
        self.index.hnsw.efConstruction = ask["ef_construction"]
        self.index.train(data.base)
        self.index.add(data.base)
        faiss.omp_set_num_threads(1)

    def answer(self, queries, ask):
        self.index.hnsw.efSearch = ask["ef"]
        return self.index.search(queries, ask["k"])[1]


class FaissSq8(Faiss):
    codes = True


class Usearch(IndexOnly):
    dtype = "f32"

    def __init__(self, ask, data, directory):
        from usearch.index import Index

        self.index = Index(
            ndim=data.dimensions,
            metric="ip",
            dtype=self.dtype,
            connectivity=ask["m"],
            expansion_add=ask["ef_construction"],
        )
        self.index.add(np.arange(len(data.base)), data.base, threads=ask["threads"])

    def answer(self, queries, ask):
        self.index.expansion_search = ask["ef"]
        return self.index.search(queries, ask["k"], threads=1).keys

    def rows(self, answers):
        return answers.astype(np.int64).tolist()


class UsearchF16(Usearch):
    dtype = "f16"


def one_segment(qdrant, ask, **vectors):
    """How an edge shard with these vectors is set up."""
    return qdrant.EdgeConfig(
        hnsw_config=qdrant.HnswIndexConfig(
            m=ask["m"],
            ef_construct=ask["ef_construction"],
            full_scan_threshold=10_000,
            max_indexing_threads=ask["threads"],
        ),
        # One segment, as the others have it.
        optimizers=qdrant.EdgeOptimizersConfig(
            default_segment_number=1, max_segment_size=10_000_000, indexing_threshold=1_000
        ),
        # Twice as cheap for a single caller as its default, a thread per processor.
        max_search_threads=1,
        **vectors,
    )


def settle(shard, vectors):
    """Waits until all of an edge shard is on the disk and indexed."""
    shard.flush()
    while shard.optimize():
        pass
    indexed = shard.info().indexed_vectors_count
    assert indexed == vectors, f"{indexed} vectors of {vectors} are indexed"


class QdrantEdge:
    def __init__(self, ask, data, directory):
        import qdrant_edge as qdrant

        self.qdrant = qdrant
        vectors = qdrant.EdgeVectorParams(size=data.dimensions, distance=qdrant.Distance.Cosine)
        config = one_segment(qdrant, ask, vectors=vectors)
        self.shard = qdrant.EdgeShard.create(directory, config)
        update = qdrant.UpdateOperation
        # Before the vectors are indexed: the graph gets further links for each indexed field.
        for field in data.indexed:
            index = update.create_field_index(field, qdrant.PayloadSchemaType.Integer)
            self.shard.update(index)
        for batch in data.batches():
            points = [
                qdrant.Point(id=row, vector=data.base[row].tolist(), payload=data.payloads[row])
                for row in batch
            ]
            self.shard.update(update.upsert_points(points))
        settle(self.shard, len(data.base))

    def prepare(self, data, ask):
        qdrant = self.qdrant
        params = qdrant.SearchParams(hnsw_ef=ask["ef"])
        condition = None
        if ask["filter"]:
            below = qdrant.RangeFloat(lt=ask["filter"]["below"])
            field = qdrant.FieldCondition(key=ask["filter"]["field"], range=below)
            condition = qdrant.Filter(must=[field])
        return [
            qdrant.SearchRequest(
                query=qdrant.Query.Nearest(query.tolist()),
                limit=ask["k"],
                filter=condition,
                params=params,
                with_payload=True,
            )
            for query in data.queries[ask["first"] : ask["first"] + ask["count"]]
        ]

    def answer(self, requests, ask):
        return [self.shard.search(request) for request in requests]

    def rows(self, answers):
        return [[point.id for point in points] for points in answers]


class Zvec:
    codes = False

    def __init__(self, ask, data, directory):
        import zvec

        self.zvec = zvec
        zvec.init(
            log_level=zvec.LogLevel.ERROR, query_threads=1, optimize_threads=ask["threads"]
        )
        types = {int: zvec.DataType.INT64, str: zvec.DataType.STRING}
        fields = [
            zvec.FieldSchema(
                name,
                types[type(value)],
                index_param=zvec.InvertIndexParam(enable_range_optimization=True)
                if name in data.indexed
                else None,
            )
            for name, value in data.payloads[0].items()
        ]
        quantize = zvec.QuantizeType.INT8 if self.codes else zvec.QuantizeType.UNDEFINED
        vector = zvec.VectorSchema(
            "embedding",
            zvec.DataType.VECTOR_FP32,
            data.dimensions,
            index_param=zvec.HnswIndexParam(
                metric_type=zvec.MetricType.COSINE,
                m=ask["m"],
                ef_construction=ask["ef_construction"],
                quantize_type=quantize,
            ),
        )
        schema = zvec.CollectionSchema("points", fields=fields, vectors=vector)
        self.collection = zvec.create_and_open(directory, schema)
        for batch in data.batches():
            docs = [
                zvec.Doc(
                    id=str(row),
                    vectors={"embedding": data.base[row].tolist()},
                    fields=data.payloads[row],
                )
                for row in batch
            ]
            for status in self.collection.insert(docs):
                assert status.ok(), status.message()
        self.collection.flush()
        self.collection.optimize(zvec.OptimizeOption(concurrency=ask["threads"]))

    def prepare(self, data, ask):
        param = self.zvec.HnswQueryParam(ef=ask["ef"], is_using_refiner=self.codes)
        queries = data.queries[ask["first"] : ask["first"] + ask["count"]]
        return [self.zvec.Query("embedding", vector=query, param=param) for query in queries]

    def answer(self, requests, ask):
        condition = None
        if ask["filter"]:
            condition = f"{ask['filter']['field']} < {ask['filter']['below']}"
        query, k = self.collection.query, ask["k"]
        return [query(request, topk=k, filter=condition) for request in requests]

    def rows(self, answers):
        return [[int(doc.id) for doc in docs] for docs in answers]


class ZvecInt8(Zvec):
    codes = True


PEERS = {
    "hnswlib": Hnswlib,
    "faiss": Faiss,
    "faiss-sq8": FaissSq8,
    "usearch": Usearch,
    "usearch-f16": UsearchF16,
    "qdrant-edge": QdrantEdge,
    "zvec": Zvec,
    "zvec-int8": ZvecInt8,
}


class Clock:
    """Wall time, and processor time of all threads of this process."""

    def __enter__(self):
        gc.collect()
        gc.disable()
        self.wall, self.cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_):
        self.cpu = time.process_time() - self.cpu
        self.wall = time.perf_counter() - self.wall
        gc.enable()

    def took(self):
        return {"wall": self.wall, "cpu": self.cpu}


class Runner:
    def __init__(self, make):
        self.make = make
        self.data = self.peer = None

    def answer(self, ask):
        if "build" in ask:
            return self.build(ask["build"])
        return self.search(ask["search"])

    def build(self, ask):
        self.data = Data(ask["data"])
        with Clock() as clock:
            self.peer = self.make(ask, self.data, ask["directory"])
        return {"rows": [], **clock.took()}

    def search(self, ask):
        requests = self.peer.prepare(self.data, ask)
        with Clock() as clock:
            answers = self.peer.answer(requests, ask)
        return {"rows": self.peer.rows(answers), **clock.took()}


def serve(peers, make_runner):
    """Answers for the peer that is named on the command line, until there are no more questions."""
    # Whatever a library prints goes to standard error, and not among the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    runner = make_runner(peers[sys.argv[1]])
    for line in sys.stdin:
        try:
            answer = {"done": runner.answer(json.loads(line))}
        except Exception as error:
            answer = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    serve(PEERS, Runner)
