//! Questions by examples: which numbers these are, and which points are no hits.

use super::{Above, Ask, Terms};
use crate::{
    error::{Error, Result},
    id::PointId,
    query::{
        Example, Recommend, RecommendStrategy,
        judge::{Judged, Rule, Sample, average},
    },
    schema::Vector,
    vector::{check_is_multi, check_vector},
};

impl<'b> Terms<'_, 'b> {
    pub(super) fn recommend(
        &mut self,
        vector: &str,
        examples: &Recommend,
        within: Above,
        wanted: usize,
        left_out: &mut Vec<PointId>,
    ) -> Result<Ask> {
        let Recommend {
            strategy,
            positive,
            negative,
        } = examples;
        let (number, spec) = self.dense_named(vector, positive.len() + negative.len())?;
        let named = (vector, spec);
        let mut samples = |examples: &[Example]| -> Result<Vec<Sample>> {
            let sample = |example| self.sample(example, named, left_out);
            examples.iter().map(sample).collect()
        };
        let (positive, negative) = (samples(positive)?, samples(negative)?);
        let rule = match strategy {
            RecommendStrategy::BestScore => Rule::Best(positive, negative),
            RecommendStrategy::SumScores => Rule::Sum(positive, negative),
            RecommendStrategy::Average => {
                let values = average(&positive, &negative).ok_or_else(|| {
                    Error::invalid(
                        "a recommendation by the average has no positive example; expected at least one",
                    )
                })?;
                check_vector(vector, spec, &values)
                    .map_err(|error| error.context("the average of the examples"))?;
                let mut ask =
                    self.nearest((number, spec), values, within, wanted, left_out.len())?;
                if let Ask::Nearest(nearest) = &mut ask {
                    nearest.is_apart = true;
                }
                return Ok(ask);
            }
        };
        Ok(judged((number, spec), rule, within, wanted, left_out))
    }

    /// A vector of the schema that is no list, for so many examples.
    pub(super) fn dense_named(&self, name: &str, examples: usize) -> Result<(u32, &'b Vector)> {
        let most = self.limits.examples;
        if !(1..=most).contains(&examples) {
            return Err(Error::invalid(format!(
                "a query has {examples} examples; expected 1 to {most}"
            )));
        }
        let (number, spec) = self.shape.vector_named(name)?;
        check_is_multi(name, spec, false)?;
        Ok((number, spec))
    }

    pub(super) fn sample(
        &mut self,
        example: &Example,
        (name, spec): (&str, &Vector),
        left_out: &mut Vec<PointId>,
    ) -> Result<Sample> {
        let (values, point) = self.scope.dense(example, name, spec)?;
        left_out.extend(point.filter(|point| !left_out.contains(point)));
        Ok(Sample::new(values, spec.metric))
    }

    pub(super) fn pairs(
        &mut self,
        pairs: &[(Example, Example)],
        named: (&str, &Vector),
        left_out: &mut Vec<PointId>,
    ) -> Result<Vec<(Sample, Sample)>> {
        let both = |(positive, negative): &(Example, Example)| {
            let positive = self.sample(positive, named, left_out)?;
            Ok((positive, self.sample(negative, named, left_out)?))
        };
        pairs.iter().map(both).collect()
    }
}

pub(super) fn judged(
    (vector, spec): (u32, &Vector),
    rule: Rule,
    within: Above,
    wanted: usize,
    left_out: &[PointId],
) -> Ask {
    Ask::Judged(Judged {
        vector,
        metric: spec.metric,
        rule,
        filter: within.filter,
        limit: wanted.saturating_add(left_out.len()),
        effort: within.effort.unwrap_or_default(),
    })
}
