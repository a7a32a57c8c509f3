//! Opens a database, writes real passages of books with their embeddings, asks questions, closes,
//! opens it again from disk, and asks again. The same program under each runtime:
//!
//! ```text
//! cargo run --release --example quickstart -- --runtime tokio|tokio-mt|smol|blocking
//! ```

mod data;

use amphora::{Database, Error, Field, Metric, Op, Point, Query, Schema, Vector, field};
use data::{Passage, Question};
use serde_json::json;
use std::{
    env,
    io::{self, Write},
    path::Path,
    process::ExitCode,
    time::Instant,
};

/// As `println!`, but a reader that has seen enough (`| head`) is no reason to panic.
macro_rules! say {
    ($($text:tt)*) => {
        let _ = writeln!(io::stdout(), $($text)*);
    };
}

/// Points in one write.
const BATCH: usize = 500;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let runtime = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => "tokio",
        ["--runtime", runtime] => runtime,
        _ => "",
    };
    let directory = env::temp_dir().join(format!("amphora-quickstart-{}", std::process::id()));
    let path = directory.clone();
    let ran = match runtime {
        // One thread for everything that awaits, as in many servers and desktop programs.
        "tokio" => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map(|tokio| tokio.block_on(quickstart(move || amphora_tokio::open(&path)))),
        "tokio-mt" => tokio::runtime::Runtime::new()
            .map(|tokio| tokio.block_on(quickstart(move || amphora_tokio::open(&path)))),
        "smol" => Ok(smol::block_on(quickstart(move || {
            amphora_smol::open(&path)
        }))),
        "blocking" => Ok(amphora_blocking::block_on(quickstart(move || {
            amphora_blocking::builder(&path).open()
        }))),
        _ => {
            eprintln!("usage: quickstart [--runtime tokio|tokio-mt|smol|blocking]");
            return ExitCode::FAILURE;
        }
    };
    let _ = std::fs::remove_dir_all(&directory);
    match ran {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => failed(&error),
        Err(error) => failed(&error),
    }
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

/// The program. `open` is all that differs between the runtimes.
async fn quickstart(open: impl Fn() -> Op<Database>) -> Result<(), Error> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart/data");
    let passages = data::passages(&data);
    let questions = data::questions(&data);

    let db = open().await?;
    let schema = Schema::new()
        .vector("embedding", Vector::new(384, Metric::Cosine))
        .field("work", Field::Keyword)
        .field("year", Field::Integer);
    let books = db.create_collection("books", schema).await?;

    let started = Instant::now();
    for batch in passages.chunks(BATCH) {
        // When a write is answered it is on the disk, and every later search sees it.
        books.upsert(batch.iter().map(point)).await?;
    }
    say!(
        "wrote {} passages of 384 dimensions, durably, in {:.0?}\n",
        books.count().await?,
        started.elapsed()
    );
    for question in &questions {
        ask(&books, question).await?;
    }
    db.close().await?;

    let started = Instant::now();
    let db = open().await?;
    let books = db.collection("books").await?;
    say!(
        "closed, and opened again from disk with {} passages in {:.0?}\n",
        books.count().await?,
        started.elapsed()
    );
    if let Some(question) = questions.first() {
        ask(&books, question).await?;
        let old = Query::nearest("embedding", question.embedding.clone())
            .filter(field("year").below(1850))
            .limit(1);
        say!("the same, but only before 1850:");
        print(&books.search(old).await?);
    }
    db.close().await
}

fn point(passage: &Passage) -> Point {
    Point::new(passage.id.as_str())
        .vector("embedding", passage.embedding.clone())
        .payload(json!({
            "work": passage.work,
            "author": passage.author,
            "year": passage.year,
            "text": passage.text,
        }))
}

async fn ask(books: &amphora::Collection, question: &Question) -> Result<(), Error> {
    say!("{}", question.text);
    let query = Query::nearest("embedding", question.embedding.clone()).limit(2);
    print(&books.search(query).await?);
    Ok(())
}

fn print(hits: &[amphora::Hit]) {
    for hit in hits {
        let text = |key| {
            hit.payload
                .get(key)
                .and_then(|value| value.as_str())
                .unwrap_or("")
        };
        let start: String = text("text").chars().take(110).collect();
        say!("  {:.3}  {}: {start}...", hit.score, text("work"));
    }
    say!("");
}
