"""qdrant-edge, asked for all that it shares with Amphora: `python questions.py qdrant-edge`.

Speaks the same lines as `peers.py`. Questions are those of `src/question.rs`, as JSON; filters are as people write them
for Qdrant.
"""

import functools
import json
import time

import numpy as np
import qdrant_edge as qdrant

from peers import Clock, one_segment, serve

VECTOR = "embedding"
CLAUSES = ("must", "should", "must_not", "min_should")
METRICS = {
    "cosine": qdrant.Distance.Cosine,
    "dot": qdrant.Distance.Dot,
    "euclidean": qdrant.Distance.Euclid,
    "manhattan": qdrant.Distance.Manhattan,
}
FIELDS = {
    "keyword": qdrant.PayloadSchemaType.Keyword,
    "integer": qdrant.PayloadSchemaType.Integer,
    "float": qdrant.PayloadSchemaType.Float,
    "bool": qdrant.PayloadSchemaType.Bool,
    "date_time": qdrant.PayloadSchemaType.Datetime,
    "uuid": qdrant.PayloadSchemaType.Uuid,
    "geo": qdrant.PayloadSchemaType.Geo,
}
WORDS = qdrant.TextIndexParams(
    tokenizer=qdrant.TokenizerType.Word,
    lowercase=True,
    stopwords=qdrant.StopwordsSet(),
    stemmer=qdrant.DisabledStemmer(),
    phrase_matching=True,
    scoring=True,
)


BM25 = qdrant.Bm25Params(k=1.2, b=0.75)


def sparse(vector):
    return qdrant.SparseVector(vector["indices"], vector["values"])


def id_of(it):
    return it["uuid"] if isinstance(it, dict) else it


def place(point):
    return qdrant.GeoPoint(point["lon"], point["lat"])


# Filters


def filter_of(node):
    if node is None:
        return None
    # Within another, since it makes one list of what should hold for a query and for its prefetch.
    return qdrant.Filter(must=[condition(node)])


def clauses(node):
    lists = {name: [condition(it) for it in node[name]] for name in CLAUSES[:3] if name in node}
    if "min_should" in node:
        some = node["min_should"]
        conditions = [condition(it) for it in some["conditions"]]
        lists["min_should"] = qdrant.MinShould(conditions, some["min_count"])
    return qdrant.Filter(**lists)


def condition(node):
    if any(clause in node for clause in CLAUSES) or not node:
        return clauses(node)
    if "has_id" in node:
        return qdrant.HasIdCondition({id_of(it) for it in node["has_id"]})
    if "has_vector" in node:
        return qdrant.HasVectorCondition(node["has_vector"])
    if "is_null" in node:
        return qdrant.IsNullCondition(node["is_null"]["key"])
    if "is_empty" in node:
        return qdrant.IsEmptyCondition(node["is_empty"]["key"])
    if "nested" in node:
        return qdrant.NestedCondition(node["nested"]["key"], filter_of(node["nested"]["filter"]))
    return qdrant.FieldCondition(key=node["key"], **about_field(node))


def about_field(node):
    if "match" in node:
        ((kind, value),) = node["match"].items()
        return {"match": MATCHES[kind](value)}
    if "range" in node:
        bounds = node["range"]
        are_dates = any(isinstance(bound, str) for bound in bounds.values())
        return {"range": (qdrant.RangeDateTime if are_dates else qdrant.RangeFloat)(**bounds)}
    if "values_count" in node:
        return {"values_count": qdrant.ValuesCount(**node["values_count"])}
    if "geo_bounding_box" in node:
        box = node["geo_bounding_box"]
        corners = place(box["top_left"]), place(box["bottom_right"])
        return {"geo_bounding_box": qdrant.GeoBoundingBox(*corners)}
    if "geo_radius" in node:
        circle = node["geo_radius"]
        return {"geo_radius": qdrant.GeoRadius(place(circle["center"]), circle["radius"])}
    polygon = node["geo_polygon"]
    rings = [polygon["exterior"], *polygon.get("interiors", [])]
    exterior, *interiors = [[place(point) for point in ring["points"]] for ring in rings]
    return {"geo_polygon": qdrant.GeoPolygon(exterior, interiors)}


MATCHES = {
    "value": qdrant.MatchValue,
    "any": qdrant.MatchAny,
    "except": qdrant.MatchExcept,
    "text": qdrant.MatchText,
    "text_any": qdrant.MatchTextAny,
    "phrase": qdrant.MatchPhrase,
    "prefix": qdrant.MatchPrefix,
    "contains": qdrant.MatchSubstring,
}


# Formulas


def expression(node, defaults, signs):
    """What a formula is for it, and in `defaults` the values of fields that are missing. Scores of prefetches have
    signs."""
    ((kind, it),) = node.items()
    of = functools.partial(expression, defaults=defaults, signs=signs)
    build = qdrant.Expression
    if kind == "constant":
        return build.Constant(it)
    if kind == "score":
        score = build.Variable(f"$score[{it}]")
        return build.Neg(score) if signs[it] < 0 else score
    if kind == "field":
        defaults[it["path"]] = it["or"]
        return build.Variable(it["path"])
    if kind == "date_time":
        return build.Datetime(it)
    if kind == "date_time_field":
        return build.DatetimeKey(it)
    if kind == "geo_distance":
        return build.GeoDistance(place(it["from"]), it["path"])
    if kind == "condition":
        return build.Condition(condition(it))
    if kind == "decay":
        return build.Decay(
            DECAYS[it["shape"]], of(it["x"]), of(it["target"]), it["midpoint"], it["scale"]
        )
    if kind in MANY:
        return MANY[kind]([of(one) for one in it])
    if kind in TWO:
        return TWO[kind](of(it[0]), of(it[1]))
    return ONE[kind](of(it))


DECAYS = {
    "linear": qdrant.DecayKind.Lin,
    "exponential": qdrant.DecayKind.Exp,
    "gauss": qdrant.DecayKind.Gauss,
}
MANY = {
    "sum": qdrant.Expression.Sum,
    "product": qdrant.Expression.Mult,
    "min": qdrant.Expression.Min,
    "max": qdrant.Expression.Max,
}
# Nothing is divided by zero.
TWO = {
    "div": lambda left, right: qdrant.Expression.Div(left, right, None),
    "pow": qdrant.Expression.Pow,
}
ONE = {
    "neg": qdrant.Expression.Neg,
    "abs": qdrant.Expression.Abs,
    "sqrt": qdrant.Expression.Sqrt,
    "exp": qdrant.Expression.Exp,
    "ln": qdrant.Expression.Ln,
    "log10": qdrant.Expression.Log10,
}


# Questions


def about(what, signs):
    """A question of its kind, of prefetches whose scores have these signs."""
    ((kind, it),) = what.items()
    query = qdrant.Query
    if kind == "nearest":
        return query.Nearest(it["vector"], using=it["using"])
    if kind == "sparse":
        return query.Nearest(sparse(it["vector"]), using=it["using"])
    if kind == "text":
        return qdrant.TextQuery(it["field"], it["words"], BM25)
    if kind == "average":
        # It has no such query: what the server makes of one.
        positive = np.mean(it["positive"], axis=0)
        negative = np.mean(it["negative"], axis=0) if it["negative"] else positive
        return query.Nearest((2 * positive - negative).tolist(), using=it["using"])
    if kind in ("best_score", "sum_scores"):
        examples = qdrant.RecommendQuery(it["positive"], it["negative"])
        best = kind == "best_score"
        return (query.RecommendBestScore if best else query.RecommendSumScores)(
            examples, using=it["using"]
        )
    if kind == "discover":
        return query.Discover(
            qdrant.DiscoverQuery(it["target"], pairs(it["pairs"])), using=it["using"]
        )
    if kind == "context":
        return query.Context(qdrant.ContextQuery(pairs(it["pairs"])), using=it["using"])
    if kind == "order_by":
        return order(it)
    if kind == "rrf":
        # It ranks from 0.
        return qdrant.Fusion.Rrf(it["k"] + 1)
    if kind == "dbsf":
        return qdrant.Fusion.Dbsf()
    defaults = {}
    formula = expression(it, defaults, signs)
    return qdrant.Formula(formula, defaults)


def pairs(both):
    return [qdrant.ContextPair(*pair) for pair in both]


def order(it):
    way = qdrant.Direction.Desc if it["descending"] else qdrant.Direction.Asc
    return qdrant.OrderBy(it["field"], way, it["from"])


class QdrantEdge:
    def __init__(self, hold):
        metrics = {name: metric for name, _, metric in hold["vectors"]}
        # Of these it gives the distance.
        self.distances = {it for it, metric in metrics.items() if metric in DISTANCES}
        vectors = {
            name: qdrant.EdgeVectorParams(size=size, distance=METRICS[metric])
            for name, size, metric in hold["vectors"]
        }
        modifiers = {True: qdrant.Modifier.Idf, False: None}
        terms = {
            name: qdrant.EdgeSparseVectorParams(modifier=modifiers[idf])
            for name, idf in hold["sparse"]
        }
        setting = one_segment(qdrant, hold, vectors=vectors, sparse_vectors=terms or None)
        self.shard = qdrant.EdgeShard.create(hold["directory"], setting)
        update = qdrant.UpdateOperation
        fields = [(field, FIELDS[kind]) for field, kind in hold["fields"]]
        for field, kind in fields + [(field, WORDS) for field in hold["texts"]]:
            self.shard.update(update.create_field_index(field, kind))
        base = None
        if hold["base"]:
            size = next(size for name, size, _ in hold["vectors"] if name == VECTOR)
            base = np.fromfile(hold["base"], dtype=np.float32).reshape(-1, size)
        batch = []
        with open(hold["points"], encoding="utf-8") as lines:
            for row, line in enumerate(lines):
                batch.append(self.point(json.loads(line), None if base is None else base[row]))
                if len(batch) == 1000:
                    self.shard.update(update.upsert_points(batch))
                    batch = []
        self.shard.update(update.upsert_points(batch))
        if hold["deleted"]:
            self.shard.update(update.delete_points([id_of(it) for it in hold["deleted"]]))
        self.shard.flush()
        while self.shard.optimize():
            pass

    def point(self, it, embedding):
        vectors = dict(it["vectors"])
        if embedding is not None:
            vectors[VECTOR] = embedding.tolist()
        for name, vector in it["sparse"].items():
            vectors[name] = sparse(vector)
        return qdrant.Point(id=id_of(it["id"]), vector=vectors, payload=it["payload"])

    def prepare(self, question):
        """A function that answers, and one that takes the answer apart."""
        ((kind, it),) = question.items()
        if kind == "count":
            request = qdrant.CountRequest(exact=True, filter=filter_of(it["filter"]))
            return lambda: self.shard.count(request), lambda count: count
        if kind == "facet":
            request = qdrant.FacetRequest(
                it["field"], limit=it["limit"], exact=True, filter=filter_of(it["filter"])
            )
            return lambda: self.shard.facet(request), lambda answer: [
                [hit.value, hit.count] for hit in answer
            ]
        if kind == "scroll":
            return self.scroll(it)
        request, sign = self.request(it), self.sign(it)
        if "order_by" in it["what"]:
            return lambda: self.shard.query(request), lambda hits: [
                [str(hit.id), hit.order_value] for hit in hits
            ]
        return lambda: self.shard.query(request), lambda hits: [
            [str(hit.id), sign * hit.score] for hit in hits
        ]

    def sign(self, it):
        ((_, what),) = it["what"].items()
        if "text" in it["what"]:
            # As of Lucene, which leaves out a factor that is the same for all.
            return 1 / (1 + BM25.k)
        return -1 if "nearest" in it["what"] and what["using"] in self.distances else 1

    def request(self, it):
        stage = self.stage(it)
        return qdrant.QueryRequest(
            **stage, offset=it["offset"], with_payload=it["with_payload"], with_vector=False
        )

    def stage(self, it):
        threshold = it["score_threshold"]
        return {
            "limit": it["limit"],
            "query": about(it["what"], [self.sign(one) for one in it["prefetches"]]),
            "prefetches": [qdrant.Prefetch(**self.stage(one)) for one in it["prefetches"]],
            "params": qdrant.SearchParams(exact=it["exact"], hnsw_ef=it["ef"]),
            "filter": filter_of(it["filter"]),
            "score_threshold": None if threshold is None else threshold * self.sign(it),
        }

    def scroll(self, it):
        condition = filter_of(it["filter"])
        by = order(it["order"]) if it["order"] else None

        def answer():
            pages, offset = [], None
            while True:
                request = qdrant.ScrollRequest(
                    offset=offset,
                    limit=it["page"],
                    filter=condition,
                    with_payload=it["with_payload"],
                    with_vector=False,
                    order_by=by,
                )
                page, offset = self.shard.scroll(request)
                pages.append(page)
                if offset is None or not it["to_the_end"]:
                    return pages

        return answer, lambda pages: [
            [str(point.id), point.order_value] for page in pages for point in page
        ]


DISTANCES = ("euclidean", "manhattan")


class Runner:
    def __init__(self, make):
        self.make = make
        self.peer = None

    def answer(self, ask):
        if "hold" in ask:
            with Clock() as clock:
                self.peer = self.make(ask["hold"])
            return {"rows": [], **clock.took()}
        return self.questions(ask["questions"])

    def questions(self, ask):
        with open(ask["questions"], encoding="utf-8") as lines:
            lines = list(lines)
        first = ask["first"]
        prepared = [self.prepare(json.loads(line)) for line in lines[first : first + ask["count"]]]
        answers, walls = [], []
        with Clock() as clock:
            for answer, _ in prepared:
                begun = time.perf_counter()
                answers.append(answer())
                walls.append(time.perf_counter() - begun)
        told = []
        if ask["with_answers"]:
            told = [apart(answer) for answer, (_, apart) in zip(answers, prepared)]
        return {"rows": [], "walls": walls, "answers": told, **clock.took()}

    def prepare(self, question):
        """A question that it refuses is answered by what it says."""
        try:
            answer, apart = self.peer.prepare(question)
        except Exception as error:
            return functools.partial(Refusal, error), str
        return functools.partial(asked, answer), functools.partial(taken, apart)


class Refusal:
    def __init__(self, error):
        self.error = error

    def __str__(self):
        return f"{type(self.error).__name__}: {self.error}"


def asked(answer):
    try:
        return answer()
    except Exception as error:
        return Refusal(error)


def taken(apart, answer):
    return str(answer) if isinstance(answer, Refusal) else apart(answer)


if __name__ == "__main__":
    serve({"qdrant-edge": QdrantEdge}, Runner)
