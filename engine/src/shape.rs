//! A schema as points are kept by it: each vector under a number that no other ever had.

use crate::{
    error::{Error, Result},
    schema::{Field, Schema, Vector, check_name, quoted},
};
use serde::{Deserialize, Serialize};

/// A schema, and the numbers of its vectors. A vector that is dropped leaves its number behind, so
/// that one that comes again under its name does not get what the old one held.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shape {
    pub(crate) schema: Schema,
    /// In the order of the vectors' names.
    numbers: Vec<u32>,
    next: u32,
}

/// A change of a schema.
#[derive(Clone, Debug)]
pub(crate) enum Alteration {
    AddVector(String, Vector),
    DropVector(String),
    AddField(String, Field),
    DropField(String),
}

/// The vectors of a point by their places in a shape.
pub(crate) type Vectors = Vec<Option<Vec<f32>>>;

impl Shape {
    pub(crate) fn new(schema: Schema) -> Self {
        let next = schema.vectors.len() as u32;
        Self {
            schema,
            numbers: (0..next).collect(),
            next,
        }
    }

    /// Whether it may have been written by us.
    pub(crate) fn check(&self) -> Result<()> {
        self.schema.check()?;
        let mut sorted = self.numbers.clone();
        sorted.sort_unstable();
        sorted.dedup();
        let fits = sorted.len() == self.schema.vectors.len()
            && self.numbers.len() == sorted.len()
            && sorted.last().is_none_or(|last| *last < self.next);
        if fits {
            return Ok(());
        }
        Err(Error::invalid(
            "the numbers of vectors are not one for each",
        ))
    }

    /// The vectors with their names and numbers.
    pub(crate) fn vectors(&self) -> impl Iterator<Item = (&str, u32, &Vector)> {
        let numbers = self.numbers.iter();
        numbers
            .zip(&self.schema.vectors)
            .map(|(number, (name, vector))| (name.as_str(), *number, vector))
    }

    pub(crate) fn numbers(&self) -> &[u32] {
        &self.numbers
    }

    /// Where the vector of this number stands.
    pub(crate) fn place(&self, number: u32) -> Option<usize> {
        self.numbers.iter().position(|known| *known == number)
    }

    /// The number of the vector `name`, and what it is.
    pub(crate) fn vector_named(&self, name: &str) -> Result<(u32, &Vector)> {
        let (place, vector) = self.schema.vector_named(name)?;
        Ok((self.numbers[place], vector))
    }

    /// The shape after a change.
    pub(crate) fn altered(&self, alteration: Alteration) -> Result<Self> {
        let mut next = self.clone();
        let schema = &mut next.schema;
        match alteration {
            Alteration::AddVector(name, vector) => {
                check_name("vector", &name)?;
                if schema.vectors.insert(name.clone(), vector).is_some() {
                    return Err(there_already("vector", &name));
                }
                let place = schema.vectors.keys().position(|known| *known == name);
                next.numbers.insert(place.unwrap_or_default(), next.next);
                next.next += 1;
            }
            Alteration::DropVector(name) => {
                let (place, _) = schema.vector_named(&name)?;
                schema.vectors.remove(&name);
                next.numbers.remove(place);
            }
            Alteration::AddField(name, field) => {
                check_name("field", &name)?;
                if schema.fields.insert(name.clone(), field).is_some() {
                    return Err(there_already("field", &name));
                }
            }
            Alteration::DropField(name) => {
                if schema.fields.remove(&name).is_none() {
                    let name = quoted(&name);
                    let what = format!("the schema declares no field {name}");
                    return Err(Error::invalid(what));
                }
            }
        }
        next.schema.check()?;
        Ok(next)
    }

    /// The vectors of a point of another shape as they stand in this one.
    pub(crate) fn adopt(&self, mut vectors: Vectors, from: &Self) -> Result<Vectors> {
        let mut adopt =
            |number: &u32| Some(vectors.get_mut(from.place(*number)?)?.take()).flatten();
        let adopted = self.numbers.iter().map(&mut adopt).collect();
        if vectors.iter().any(Option::is_some) {
            let what = "a vector of it was dropped from the schema meanwhile";
            return Err(Error::invalid(what));
        }
        Ok(adopted)
    }
}

fn there_already(what: &str, name: &str) -> Error {
    Error::new(
        crate::error::ErrorKind::AlreadyExists,
        format!("the schema has a {what} {} already", quoted(name)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Metric;

    #[test]
    fn a_number_is_never_used_twice_and_vectors_find_their_places() {
        let vector = || Vector::new(1, Metric::Dot);
        let old = Shape::new(Schema::new().vector("b", vector()).vector("d", vector()));
        let added = Alteration::AddVector("c".into(), vector());
        let new = old.altered(added.clone()).unwrap();
        assert_eq!(new.numbers, [0, 2, 1]);
        let vectors = vec![Some(vec![1.0]), Some(vec![2.0])];
        let adopted = new.adopt(vectors.clone(), &old).unwrap();
        assert_eq!(adopted, [Some(vec![1.0]), None, Some(vec![2.0])]);

        let dropped = new.altered(Alteration::DropVector("b".into())).unwrap();
        assert!(dropped.adopt(vectors, &old).is_err());
        let again = dropped.altered(Alteration::DropVector("c".into())).unwrap();
        let again = again.altered(added.clone()).unwrap();
        assert_eq!(again.numbers, [3, 1]);
        assert!(again.altered(added).is_err());
        assert!(again.check().is_ok());
    }
}
