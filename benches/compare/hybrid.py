"""Peers from PyPI that answer queries of a vector and words, or of words alone: `python hybrid.py NAME`.

Speaks the same lines as `peers.py`. All find as many by the vector as by the words, and fuse both by
reciprocal ranks with a constant of 60, ranks from 1. Nothing is left out as a stop word.
"""

import json
import os
import time

from peers import Clock, Runner, one_segment, serve, settle

# Has to be known before the library is loaded: it warns at each query that is asked for few columns,
# which takes longer than the query.
os.environ.setdefault("LANCEDB_LOG", "error")
RRF = 60


class Asked:
    """A query, with its vector."""

    def __init__(self, line, vector):
        asked = json.loads(line)
        self.vector = vector
        self.words, self.author, self.terms = asked["words"], asked["author"], asked["terms"]


class Fused:
    """A peer that answers one request after another."""

    def answer(self, requests):
        answers, walls = [], []
        for request in requests:
            begun = time.perf_counter()
            answers.append(self.query(request))
            walls.append(time.perf_counter() - begun)
        return answers, walls


class QdrantEdge(Fused):
    """Words by its BM25 over the text index of a payload field."""

    sparse = False

    def __init__(self, ask, data, directory):
        import qdrant_edge as qdrant

        self.qdrant = qdrant
        vectors = qdrant.EdgeVectorParams(size=data.dimensions, distance=qdrant.Distance.Cosine)
        terms = qdrant.EdgeSparseVectorParams(modifier=qdrant.Modifier.Idf)
        config = one_segment(
            qdrant,
            ask,
            vectors={"embedding": vectors},
            sparse_vectors={"terms": terms} if self.sparse else None,
        )
        self.shard = qdrant.EdgeShard.create(directory, config)
        update = qdrant.UpdateOperation
        keyword = qdrant.PayloadSchemaType.Keyword
        self.shard.update(update.create_field_index("author", keyword))
        if not self.sparse:
            english = qdrant.TextIndexParams(
                tokenizer=qdrant.TokenizerType.Word,
                lowercase=True,
                stopwords=qdrant.StopwordsSet(),
                stemmer=qdrant.SnowballParams(qdrant.SnowballLanguage.English),
                scoring=True,
            )
            self.shard.update(update.create_field_index("text", english))
        terms = self.read_terms(ask["data"]["terms"]) if self.sparse else None
        for batch in data.batches():
            points = []
            for row in batch:
                vector = {"embedding": data.base[row].tolist()}
                if terms:
                    vector["terms"] = terms[row]
                points.append(qdrant.Point(id=row, vector=vector, payload=data.payloads[row]))
            self.shard.update(update.upsert_points(points))
        settle(self.shard, len(data.base) * (2 if self.sparse else 1))

    def read_terms(self, path):
        with open(path, encoding="utf-8") as lines:
            return [self.vector_of(json.loads(line)) for line in lines]

    def vector_of(self, terms):
        return self.qdrant.SparseVector(terms["indices"], terms["values"])

    def prepare(self, asked, ask):
        qdrant = self.qdrant
        is_author = None
        if ask["is_filtered"]:
            author = qdrant.MatchValue(asked.author)
            is_author = qdrant.Filter(must=[qdrant.FieldCondition(key="author", match=author)])
        nearest = qdrant.Query.Nearest(asked.vector.tolist(), using="embedding")
        params = qdrant.SearchParams(hnsw_ef=ask["ef"])
        if self.sparse:
            words = qdrant.Query.Nearest(self.vector_of(asked.terms), using="terms")
        else:
            words = qdrant.TextQuery("text", asked.words, qdrant.Bm25Params(k=1.2, b=0.75))
        if ask["by_terms"]:
            return qdrant.QueryRequest(
                limit=ask["k"], query=words, filter=is_author, with_payload=ask["with_payload"]
            )
        depth = ask["depth"]
        return qdrant.QueryRequest(
            limit=ask["k"],
            prefetches=[
                qdrant.Prefetch(limit=depth, query=nearest, params=params, filter=is_author),
                qdrant.Prefetch(limit=depth, query=words, filter=is_author),
            ],
            # It ranks from 0.
            query=qdrant.Fusion.Rrf(k=RRF + 1),
            with_payload=ask["with_payload"],
        )

    def query(self, request):
        return self.shard.query(request)

    def rows(self, points):
        return [point.id for point in points]


class QdrantEdgeSparse(QdrantEdge):
    """Words by sparse vectors, whose terms it weighs by how rare they are."""

    sparse = True


class LanceDb:
    """Its own hybrid query, whose parts find as many as it gives back: it is asked for all that are to
    be fused, and the first of them are taken."""

    fuses_few = False

    def __init__(self, ask, data, directory):
        import asyncio

        # Its synchronous interface takes half as long again: it hands each part to a thread.
        self.loop = asyncio.new_event_loop()
        self.table = self.loop.run_until_complete(self.build(ask, data, directory))

    async def build(self, ask, data, directory):
        import lancedb
        import pyarrow as pa
        from lancedb.index import FTS, Bitmap, HnswSq

        vectors = pa.array(data.base.reshape(-1))
        columns = {
            name: [payload[name] for payload in data.payloads] for name in data.payloads[0]
        }
        columns["embedding"] = pa.FixedSizeListArray.from_arrays(vectors, data.dimensions)
        db = await lancedb.connect_async(directory)
        # At once, so that there is one fragment, and ids of rows are their numbers.
        table = await db.create_table("points", pa.table(columns))
        graph = HnswSq(
            distance_type="cosine",
            num_partitions=1,
            m=ask["m"],
            ef_construction=ask["ef_construction"],
        )
        english = FTS(
            base_tokenizer="simple",
            language="English",
            with_position=False,
            stem=True,
            remove_stop_words=False,
            ascii_folding=False,
        )
        indexes = [("embedding", graph), ("text", english), ("author", Bitmap())]
        for column, index in indexes:
            await table.create_index(column, config=index)
        await table.optimize()
        for index in await table.list_indices():
            stats = await table.index_stats(index.name)
            assert stats.num_unindexed_rows == 0, f"{index.name} is not complete"
            await table.prewarm_index(index.name)
        self.columns = list(data.payloads[0])
        return table

    def prepare(self, asked, ask):
        from lancedb.rerankers import RRFReranker

        query = self.table.query().nearest_to(asked.vector).column("embedding").ef(ask["ef"])
        query = query.distance_type("cosine").nearest_to_text(asked.words, columns="text")
        query = query.rerank(RRFReranker(RRF)).limit(ask["k"] if self.fuses_few else ask["depth"])
        if ask["is_filtered"]:
            author = asked.author.replace("'", "''")
            query = query.where(f"author = '{author}'")
        query = query.select(self.columns if ask["with_payload"] else [])
        return query.with_row_id(), ask["k"]

    def answer(self, requests):
        return self.loop.run_until_complete(self.answer_all(requests))

    async def answer_all(self, requests):
        answers, walls = [], []
        for query, k in requests:
            begun = time.perf_counter()
            answers.append((await query.to_arrow()).slice(0, k))
            walls.append(time.perf_counter() - begun)
        return answers, walls

    def rows(self, table):
        return table.column("_rowid").to_pylist()


class LanceDb10(LanceDb):
    """As it is asked by default: the ten of each part that are to be given back are fused."""

    fuses_few = True


PEERS = {
    "qdrant-edge": QdrantEdge,
    "qdrant-edge-sparse": QdrantEdgeSparse,
    "lancedb": LanceDb,
    "lancedb-10": LanceDb10,
}


class FusingRunner(Runner):
    def answer(self, ask):
        if "build" in ask:
            return self.build(ask["build"])
        return self.fuse(ask["fuse"])

    def fuse(self, ask):
        with open(ask["queries"], encoding="utf-8") as lines:
            asked = [Asked(*it) for it in zip(lines, self.data.queries[: ask["count"]])]
        requests = [self.peer.prepare(it, ask) for it in asked]
        with Clock() as clock:
            answers, walls = self.peer.answer(requests)
        rows = [self.peer.rows(answer) for answer in answers]
        return {"rows": rows, "walls": walls, **clock.took()}


if __name__ == "__main__":
    serve(PEERS, FusingRunner)
