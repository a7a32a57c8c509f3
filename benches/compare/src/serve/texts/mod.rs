//! Systems that hold texts: `amphora-compare serve-texts NAME`.

mod amphora;
#[cfg(feature = "tantivy")]
mod tantivy;

use super::{Clock, Result, each_line};
use crate::{
    protocol::{Ask, Find, Index, Took},
    systems::{AMPHORA, TANTIVY},
};
use std::{fs, path::Path, process::ExitCode};

const ID: &str = "id";
const TEXT: &str = "text";

/// A system that holds the texts.
trait Served: Sized {
    /// A query in its terms.
    type Request;
    /// What it gives back.
    type Hits;

    /// Takes in the texts until all of them can be found. This is timed.
    fn index(index: &Index, texts: &[&str]) -> Result<Self>;
    fn request(&self, words: &str, find: &Find) -> Result<Self::Request>;
    /// This is timed.
    fn answer(&self, request: Self::Request) -> Result<Self::Hits>;
    fn rows(hits: Self::Hits) -> Vec<i64>;
    /// Ends it, so that its files can go.
    fn close(self) -> Result<()>;
}

pub(crate) fn run(name: &str) -> ExitCode {
    match name {
        AMPHORA => serve::<amphora::Amphora>(),
        #[cfg(feature = "tantivy")]
        TANTIVY => serve::<tantivy::Tantivy>(),
        _ => {
            eprintln!("{name:?} holds no texts in this program");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn serve<S: Served>() {
    let mut holding = None;
    each_line(|ask| match ask {
        Ask::Index(index) => {
            // An earlier one goes before the clock starts.
            holding.take().map_or(Ok(()), S::close)?;
            empty(&index.directory)?;
            let texts = fs::read_to_string(&index.texts)?;
            let texts: Vec<&str> = texts.lines().collect();
            let clock = Clock::start();
            let system = S::index(&index, &texts)?;
            let took = clock.stop();
            holding = Some(system);
            Ok(took)
        }
        Ask::Find(find) => self::find(holding.as_ref().ok_or("nothing was indexed")?, &find),
        _ => Err("this process has texts alone".into()),
    });
}

fn empty(directory: &Path) -> Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    Ok(fs::create_dir_all(directory)?)
}

fn find<S: Served>(system: &S, find: &Find) -> Result<Took> {
    let queries = fs::read_to_string(&find.queries)?;
    let requests = queries.lines().map(|words| system.request(words, find));
    let requests: Vec<_> = requests.collect::<Result<_>>()?;
    let mut answers = Vec::with_capacity(requests.len());
    let clock = Clock::start();
    for request in requests {
        answers.push(system.answer(request)?);
    }
    let mut took = clock.stop();
    took.rows = answers.into_iter().map(S::rows).collect();
    Ok(took)
}
