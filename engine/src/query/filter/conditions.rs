//! Conditions that were checked, and are asked of one point after another.

use super::test::Test;
use crate::{
    error::{Error, Result},
    id::PointId,
};
use serde_json::{Map, Value};
use std::{collections::HashSet, sync::Arc};

/// A [`Filter`](super::Filter) in the terms of a schema. No deeper than that may be; cheap to clone but for
/// what joins conditions.
#[derive(Clone, Debug)]
pub(crate) enum Conditions {
    All(Vec<Conditions>),
    Any(Vec<Conditions>),
    AtLeast(usize, Vec<Conditions>),
    Not(Box<Conditions>),
    Ids(Arc<HashSet<PointId>>),
    /// The number of a vector.
    Vector(u32),
    /// The path of a field.
    Field(Arc<str>, Arc<Test>),
}

/// What conditions are asked of.
pub(crate) trait Subject {
    fn id(&self) -> Result<PointId>;

    /// Whether it has the vector of this number.
    fn has_vector(&self, number: u32) -> Result<bool>;

    fn payload(&mut self) -> Result<&Map<String, Value>>;
}

impl Conditions {
    /// Those of both.
    pub(crate) fn and(self, other: Self) -> Self {
        Self::All(vec![self, other])
    }

    pub(crate) fn hold_for(&self, subject: &mut impl Subject) -> Result<bool> {
        match self {
            Self::All(all) => at_least(all.len(), all, subject),
            Self::Any(any) => at_least(1, any, subject),
            Self::AtLeast(count, some) => at_least(*count, some, subject),
            Self::Not(inner) => Ok(!inner.hold_for(subject)?),
            Self::Ids(ids) => Ok(ids.contains(&subject.id()?)),
            Self::Vector(number) => subject.has_vector(*number),
            Self::Field(path, test) => test.holds(subject.payload()?, path),
        }
    }
}

/// An object within a payload, of whose fields alone something may be asked.
pub(super) struct Element<'a>(pub(super) &'a Map<String, Value>);

impl Subject for Element<'_> {
    fn id(&self) -> Result<PointId> {
        Err(Error::invalid("an object within a payload has no id"))
    }

    fn has_vector(&self, _: u32) -> Result<bool> {
        Ok(false)
    }

    fn payload(&mut self) -> Result<&Map<String, Value>> {
        Ok(self.0)
    }
}

/// Whether so many of some conditions hold.
fn at_least(count: usize, some: &[Conditions], subject: &mut impl Subject) -> Result<bool> {
    let mut missing = count;
    for (conditions, left) in some.iter().zip((1..=some.len()).rev()) {
        if missing == 0 || left < missing {
            break;
        }
        missing -= usize::from(conditions.hold_for(subject)?);
    }
    Ok(missing == 0)
}
