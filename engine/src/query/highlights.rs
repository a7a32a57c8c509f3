//! What of their texts hits show: the parts in which the words of the query are.

use super::{
    check::{Ask, Checked, Shown},
    text::{Snippet, Wanted, snippet},
};
use crate::{analysis::Analyzer, error::Result, payload::Payload, texts::each_text};

/// Makes the snippets of one hit after another.
pub(super) struct Highlighter<'a>(Vec<(&'a Shown, Wanted<'a>, Analyzer)>);

impl<'a> Highlighter<'a> {
    /// For all that any part of a query looks for in texts.
    pub(super) fn new(query: &'a Checked) -> Self {
        let mut nodes = Vec::new();
        query.node.each(&mut |node| {
            if let Ask::Text(words) = &node.ask {
                nodes.extend(&words.node);
            }
        });
        let each = query.shown.iter().map(|shown| {
            let wanted = Wanted::of(&nodes, shown.number);
            (shown, wanted, shown.analyzer.clone())
        });
        Self(each.collect())
    }

    /// Of each text that is shown, and that the payload has, the string with the most matches.
    pub(super) fn snippets(&mut self, payload: &Payload) -> Result<Vec<(String, Snippet)>> {
        let mut snippets = Vec::new();
        for (shown, wanted, analyzer) in &mut self.0 {
            let mut best: Option<(usize, Snippet)> = None;
            each_text(payload, &shown.name, |text| {
                let spans = wanted.spans(analyzer, text);
                if best.as_ref().is_none_or(|(most, _)| spans.len() > *most) {
                    best = Some((spans.len(), snippet(text, &spans, shown.characters)));
                }
            })?;
            snippets.extend(best.map(|(_, snippet)| (shown.name.clone(), snippet)));
        }
        Ok(snippets)
    }
}
