//! Amphora, asked for all that it shares with others: `amphora-compare serve-questions NAME`, the twin of
//! `questions.py`.
//!
//! It answers with its default settings, but where a question asks for an exact answer.

use super::{Clock, Result, amphora::Amphora, each_line};
use crate::{
    protocol::{Ask, Took},
    question::{
        EMBEDDING, Examples, Formula, Hold, Order, Question, Questions, Row, Search, Shape, Terms,
        What,
    },
    systems::AMPHORA,
};
use amphora_blocking::amphora::{
    self, Collection, Decay, Expr, Facet, FacetHit, Filter, Function, Fusion, Hit, OrderBy, Point,
    Query, QueryKind, Recommend, Schema, Scroll, ScrollPage, Sparse, SparseVector, Text, Vector,
};
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    process::ExitCode,
    time::Instant,
};

pub(crate) fn run(name: &str) -> ExitCode {
    if name != AMPHORA {
        eprintln!("{name:?} answers no questions in this program");
        return ExitCode::FAILURE;
    }
    let mut holding = None;
    each_line(|ask| match ask {
        Ask::Hold(hold) => {
            holding = None;
            let clock = Clock::start();
            holding = Some(self::hold(&hold)?);
            Ok(clock.stop())
        }
        Ask::Questions(questions) => {
            let system = holding.as_ref().ok_or("nothing was taken in")?;
            answers(&system.points, &questions)
        }
        _ => Err("this process answers questions alone".into()),
    });
    ExitCode::SUCCESS
}

fn hold(hold: &Hold) -> Result<Amphora> {
    let mut schema = Schema::new();
    for (name, dimensions, metric) in &hold.vectors {
        schema = schema.vector(name, Vector::new(*dimensions, *metric));
    }
    for (name, idf) in &hold.sparse {
        let sparse = Sparse::new();
        schema = schema.sparse(name, if *idf { sparse.idf() } else { sparse });
    }
    for (name, field) in &hold.fields {
        schema = schema.field(name, *field);
    }
    for name in &hold.texts {
        schema = schema.text(name, Text::plain().fold(false));
    }
    let embeddings: Vec<f32> = match &hold.base {
        Some(path) => bytemuck::pod_collect_to_vec(&fs::read(path)?),
        None => Vec::new(),
    };
    let size = hold.vectors.iter().find(|(name, ..)| name == EMBEDDING);
    let size = size.map_or(1, |(_, dimensions, _)| *dimensions as usize);
    let lines = BufReader::new(File::open(&hold.points)?).lines();
    let points = lines.enumerate().map(|(number, line)| {
        let row: Row = serde_json::from_str(&line?)?;
        let mut point = Point::new(row.id).payload(Value::Object(row.payload));
        for (name, vector) in row.vectors {
            point = point.vector(name, vector);
        }
        for (name, vector) in &row.sparse {
            point = point.sparse(name, sparse(vector)?);
        }
        if let Some(values) = embeddings.chunks_exact(size).nth(number) {
            point = point.vector(EMBEDDING, values);
        }
        Ok(point)
    });
    let points: Vec<Point> = points.collect::<Result<_>>()?;
    let system = Amphora::open(&hold.directory, hold.threads, schema, points.into_iter())?;
    if !hold.deleted.is_empty() {
        system.points.delete(hold.deleted.iter().cloned()).wait()?;
    }
    if !hold.in_memory {
        system.settle()?;
    }
    Ok(system)
}

fn answers(points: &Collection, questions: &Questions) -> Result<Took> {
    let lines = BufReader::new(File::open(&questions.questions)?).lines();
    let lines = lines.skip(questions.first).take(questions.count);
    let asked = lines.map(|line| asked(serde_json::from_str(&line?)?));
    let asked: Vec<Asked> = asked.collect::<Result<_>>()?;
    let mut found = Vec::with_capacity(asked.len());
    let mut walls = Vec::with_capacity(asked.len());
    let clock = Clock::start();
    for question in asked {
        let begun = Instant::now();
        found.push(question.answer(points));
        walls.push(begun.elapsed().as_secs_f64());
    }
    let mut took = clock.stop();
    took.walls = walls;
    if questions.with_answers {
        took.answers = found.into_iter().map(told).collect();
    }
    Ok(took)
}

/// A question in Amphora's terms.
enum Asked {
    Count(Option<Filter>),
    Facet(Facet),
    Pages { scroll: Scroll, to_the_end: bool },
    Search(Query),
}

/// What came back.
enum Found {
    Count(u64),
    Facet(Vec<FacetHit>),
    Pages(Vec<ScrollPage>),
    Hits { hits: Vec<Hit>, are_ordered: bool },
}

fn asked(question: Question) -> Result<Asked> {
    Ok(match question {
        Question::Count { filter } => Asked::Count(filter),
        Question::Facet {
            field,
            limit,
            filter,
        } => {
            let facet = Facet::new(field).limit(limit);
            Asked::Facet(filter.into_iter().fold(facet, Facet::filter))
        }
        Question::Scroll {
            filter,
            page,
            order,
            with_payload,
            to_the_end,
        } => {
            let scroll = Scroll::new().limit(page).with_payload(with_payload);
            let scroll = filter.into_iter().fold(scroll, Scroll::filter);
            let scroll = order.into_iter().map(by).fold(scroll, Scroll::order_by);
            Asked::Pages {
                scroll: scroll.with_vectors(false),
                to_the_end,
            }
        }
        Question::Search(search) => Asked::Search(query(search)?),
    })
}

impl Asked {
    fn answer(self, points: &Collection) -> amphora::Result<Found> {
        Ok(match self {
            Self::Count(None) => Found::Count(points.count().wait()?),
            Self::Count(Some(filter)) => Found::Count(points.count_matching(filter).wait()?),
            Self::Facet(facet) => Found::Facet(points.facet(facet).wait()?),
            Self::Pages { scroll, to_the_end } => {
                let mut pages = vec![points.scroll_page(scroll.clone()).wait()?];
                while to_the_end && let Some(next) = pages.last().and_then(|it| it.next.clone()) {
                    pages.push(points.scroll_page(scroll.clone().after(next)).wait()?);
                }
                Found::Pages(pages)
            }
            Self::Search(query) => Found::Hits {
                are_ordered: matches!(query.kind, QueryKind::OrderBy(_)),
                hits: points.search(query).wait()?,
            },
        })
    }
}

/// As JSON: see [`Question`].
fn told(found: amphora::Result<Found>) -> Value {
    match found {
        Err(error) => json!(error.to_string()),
        Ok(Found::Count(count)) => json!(count),
        Ok(Found::Facet(hits)) => {
            let hits = hits.iter().map(|hit| json!([hit.value, hit.count]));
            hits.collect()
        }
        Ok(Found::Pages(pages)) => {
            let points = pages.iter().flat_map(|page| &page.points);
            points
                .map(|point| json!([point.id.to_string(), null]))
                .collect()
        }
        Ok(Found::Hits { hits, are_ordered }) => {
            let hit = |hit: &Hit| match are_ordered {
                true => json!([hit.id.to_string(), hit.order_value]),
                false => json!([hit.id.to_string(), hit.score]),
            };
            hits.iter().map(hit).collect()
        }
    }
}

fn query(search: Search) -> Result<Query> {
    let mut query = about(search.what)?
        .limit(search.limit)
        .offset(search.offset)
        .with_payload(search.with_payload);
    if search.exact {
        query = query.exact();
    }
    query = search.filter.into_iter().fold(query, Query::filter);
    query = search
        .score_threshold
        .into_iter()
        .fold(query, Query::score_threshold);
    for prefetch in search.prefetches {
        query = query.prefetch(self::query(prefetch)?);
    }
    Ok(query)
}

fn about(what: What) -> Result<Query> {
    Ok(match what {
        What::Nearest { using, vector } => Query::nearest(using, vector),
        What::Sparse { using, vector } => Query::sparse(using, sparse(&vector)?),
        What::Text { field, words } => Query::text(field, words),
        What::Average(it) => recommend(Recommend::average(), it),
        What::BestScore(it) => recommend(Recommend::best_score(), it),
        What::SumScores(it) => recommend(Recommend::sum_scores(), it),
        What::Discover {
            using,
            target,
            pairs,
        } => Query::discover(using, target, pairs),
        What::Context { using, pairs } => Query::context(using, pairs),
        What::OrderBy(order) => Query::order_by(by(order)),
        What::Rrf { k } => Query::fuse(Fusion::rrf().k(k as f32)),
        What::Dbsf {} => Query::fuse(Fusion::dbsf()),
        What::Formula(formula) => Query::formula(expr(formula)),
    })
}

fn recommend(by: Recommend, it: Examples) -> Query {
    Query::recommend(it.using, by.positive(it.positive).negative(it.negative))
}

fn by(order: Order) -> OrderBy {
    let by = match order.descending {
        true => OrderBy::descending(order.field),
        false => OrderBy::ascending(order.field),
    };
    order.from.into_iter().fold(by, OrderBy::start_from)
}

fn sparse(terms: &Terms) -> Result<SparseVector> {
    Ok(SparseVector::from_parts(&terms.indices, &terms.values)?)
}

fn expr(formula: Formula) -> Expr {
    let all =
        |function, of: Vec<Formula>| Expr::Apply(function, of.into_iter().map(expr).collect());
    let two = |(first, second): (Formula, Formula)| (expr(first), expr(second));
    match formula {
        Formula::Constant(value) => Expr::Constant(value),
        // As it is for the others.
        Formula::Score(number) => Expr::prefetch_score(number).or(0.0),
        Formula::Field { path, or } => Expr::field(path).or(or),
        Formula::DateTime(text) => Expr::datetime(text),
        Formula::DateTimeField(path) => Expr::datetime_field(path),
        Formula::GeoDistance { from, path } => Expr::geo_distance(from, path),
        Formula::Condition(filter) => Expr::condition(filter),
        Formula::Sum(of) => all(Function::Sum, of),
        Formula::Product(of) => all(Function::Product, of),
        Formula::Min(of) => all(Function::Min, of),
        Formula::Max(of) => all(Function::Max, of),
        Formula::Div(both) => {
            let (left, right) = two(*both);
            left / right
        }
        Formula::Pow(both) => {
            let (base, exponent) = two(*both);
            base.pow(exponent)
        }
        Formula::Neg(of) => -expr(*of),
        Formula::Abs(of) => expr(*of).abs(),
        Formula::Sqrt(of) => expr(*of).sqrt(),
        Formula::Exp(of) => expr(*of).exp(),
        Formula::Ln(of) => expr(*of).ln(),
        Formula::Log10(of) => expr(*of).log10(),
        Formula::Decay {
            shape,
            x,
            target,
            scale,
            midpoint,
        } => {
            let x = expr(*x);
            let decay = match shape {
                Shape::Linear => Decay::linear(x),
                Shape::Exponential => Decay::exponential(x),
                Shape::Gauss => Decay::gauss(x),
            };
            decay
                .target(expr(*target))
                .scale(scale)
                .midpoint(midpoint)
                .into()
        }
    }
}
