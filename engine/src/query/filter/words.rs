//! Which rows have words, by the index over their text.

use super::{Wording, test::Words};
use crate::{
    cancel::Cancel,
    error::Result,
    postings::Collector,
    text::{self, Bm25, Query, Weighed},
    texts::TextField,
    view::Part,
};
use roaring::RoaringBitmap;

/// The rows of a part, live or not, of which the text `name` has these words; nothing if no index tells.
pub(in crate::query) fn rows_with(
    words: &Words,
    name: &str,
    part: &Part,
    cancel: &Cancel,
) -> Result<Option<RoaringBitmap>> {
    let Some((number, text, analyzers)) = &words.text else {
        return Ok(None);
    };
    let mut all = All(RoaringBitmap::new());
    if words.terms.is_empty() {
        return Ok(Some(all.0));
    }
    let field = TextField {
        name,
        number: *number,
        text,
    };
    let index = part.text(field, analyzers, cancel)?;
    let fields = [Some(&*index)];
    let weighed = Weighed::new(&query(words), Bm25::default(), &[&fields], cancel)?;
    text::search(&weighed, &fields, &mut all, cancel)?;
    Ok(Some(all.0))
}

fn query(words: &Words) -> Query {
    let (field, boost) = (0, 1.0);
    let terms = words.terms.iter();
    if words.wording == Wording::Phrase {
        return Query::Phrase {
            field,
            terms: terms
                .map(|(term, place)| (term.clone().into_bytes(), *place))
                .collect(),
            slop: 0,
            boost,
        };
    }
    let terms = terms.map(|(term, _)| Query::Term {
        field,
        term: term.clone().into_bytes(),
        boost,
    });
    let (must, should) = match words.wording {
        Wording::All => (terms.collect(), Vec::new()),
        _ => (Vec::new(), terms.collect()),
    };
    Query::Bool {
        at_least: usize::from(must.is_empty()),
        must,
        should,
        must_not: Vec::new(),
        boost,
    }
}

/// Takes every row.
struct All(RoaringBitmap);

impl Collector for All {
    fn last_wanted(&self) -> f32 {
        f32::NEG_INFINITY
    }

    fn accepts(&mut self, _: u32) -> Result<bool> {
        Ok(true)
    }

    fn offer(&mut self, row: u32, _: f32) -> Result<()> {
        // As a rule they ascend.
        if self.0.try_push(row).is_err() {
            self.0.insert(row);
        }
        Ok(())
    }
}
