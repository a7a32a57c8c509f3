//! A schema as points are kept by it: each vector, text and sparse vector under a number that no other
//! ever had.

use crate::{
    error::{Error, Result},
    schema::{Field, Schema, Sparse, Text, Vector, check_name, quoted},
    sparse_vector::Halves,
};
use serde::{Deserialize, Serialize};

/// A schema, and the numbers of its vectors, texts and sparse vectors. One that is dropped leaves its number behind, so
/// that one that comes again under its name does not get what the old one held.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shape {
    pub(crate) schema: Schema,
    /// In the order of the vectors' names.
    numbers: Vec<u32>,
    /// In the order of the texts' names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    text_numbers: Vec<u32>,
    /// In the order of the sparse vectors' names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sparse_numbers: Vec<u32>,
    next: u32,
}

/// A change of a schema.
#[derive(Clone, Debug)]
pub(crate) enum Alteration {
    AddVector(String, Vector),
    DropVector(String),
    AddField(String, Field),
    DropField(String),
    AddText(String, Text),
    DropText(String),
    AddSparse(String, Sparse),
    DropSparse(String),
}

/// The vectors of a point by their places in a shape.
pub(crate) type Vectors = Vec<Option<Vec<f32>>>;
/// The sparse vectors of a point by their places in a shape.
pub(crate) type SparseVectors = Vec<Option<Halves>>;

impl Shape {
    pub(crate) fn new(schema: Schema) -> Self {
        let vectors = schema.vectors.len() as u32;
        let texts = vectors + schema.texts.len() as u32;
        let next = texts + schema.sparse_vectors.len() as u32;
        Self {
            schema,
            numbers: (0..vectors).collect(),
            text_numbers: (vectors..texts).collect(),
            sparse_numbers: (texts..next).collect(),
            next,
        }
    }

    /// Whether it may have been written by us.
    pub(crate) fn check(&self) -> Result<()> {
        self.schema.check()?;
        let all = [&self.numbers[..], &self.text_numbers, &self.sparse_numbers];
        let mut sorted = all.concat();
        let count = sorted.len();
        sorted.sort_unstable();
        sorted.dedup();
        let fits = self.numbers.len() == self.schema.vectors.len()
            && self.text_numbers.len() == self.schema.texts.len()
            && self.sparse_numbers.len() == self.schema.sparse_vectors.len()
            && sorted.len() == count
            && sorted.last().is_none_or(|last| *last < self.next);
        if fits {
            return Ok(());
        }
        Err(Error::invalid(
            "the numbers of vectors, texts and sparse vectors are not one for each",
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

    /// The texts with their names and numbers.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, u32, &Text)> {
        let numbers = self.text_numbers.iter();
        numbers
            .zip(&self.schema.texts)
            .map(|(number, (name, text))| (name.as_str(), *number, text))
    }

    /// The sparse vectors with their names and numbers.
    pub(crate) fn sparse(&self) -> impl Iterator<Item = (&str, u32, Sparse)> {
        let numbers = self.sparse_numbers.iter();
        numbers
            .zip(&self.schema.sparse_vectors)
            .map(|(number, (name, sparse))| (name.as_str(), *number, *sparse))
    }

    pub(crate) fn sparse_numbers(&self) -> &[u32] {
        &self.sparse_numbers
    }

    /// Where the vector of this number stands.
    pub(crate) fn place(&self, number: u32) -> Option<usize> {
        self.numbers.iter().position(|known| *known == number)
    }

    /// Where the sparse vector of this number stands.
    pub(crate) fn sparse_place(&self, number: u32) -> Option<usize> {
        let mut numbers = self.sparse_numbers.iter();
        numbers.position(|known| *known == number)
    }

    /// The number of the vector `name`, and what it is.
    pub(crate) fn vector_named(&self, name: &str) -> Result<(u32, &Vector)> {
        let (place, vector) = self.schema.vector_named(name)?;
        Ok((self.numbers[place], vector))
    }

    /// The number of the text `name`, and what it is.
    pub(crate) fn text_named(&self, name: &str) -> Result<(u32, &Text)> {
        let (place, text) = self.schema.text_named(name)?;
        Ok((self.text_numbers[place], text))
    }

    /// The number of the sparse vector `name`, and what it is.
    pub(crate) fn sparse_named(&self, name: &str) -> Result<(u32, Sparse)> {
        let (place, sparse) = self.schema.sparse_named(name)?;
        Ok((self.sparse_numbers[place], sparse))
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
            Alteration::AddText(name, text) => {
                check_name("text", &name)?;
                if schema.texts.insert(name.clone(), text).is_some() {
                    return Err(there_already("text", &name));
                }
                let (place, _) = schema.text_named(&name)?;
                next.text_numbers.insert(place, next.next);
                next.next += 1;
            }
            Alteration::DropText(name) => {
                let (place, _) = schema.text_named(&name)?;
                schema.texts.remove(&name);
                next.text_numbers.remove(place);
            }
            Alteration::AddSparse(name, sparse) => {
                check_name("sparse vector", &name)?;
                let known = &mut schema.sparse_vectors;
                if known.insert(name.clone(), sparse).is_some() {
                    return Err(there_already("sparse vector", &name));
                }
                let (place, _) = schema.sparse_named(&name)?;
                next.sparse_numbers.insert(place, next.next);
                next.next += 1;
            }
            Alteration::DropSparse(name) => {
                let (place, _) = schema.sparse_named(&name)?;
                schema.sparse_vectors.remove(&name);
                next.sparse_numbers.remove(place);
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

    /// The sparse vectors of a point of another shape as they stand in this one.
    pub(crate) fn adopt_sparse(
        &self,
        mut vectors: SparseVectors,
        from: &Self,
    ) -> Result<SparseVectors> {
        let mut adopt =
            |number: &u32| Some(vectors.get_mut(from.sparse_place(*number)?)?.take()).flatten();
        let adopted = self.sparse_numbers.iter().map(&mut adopt).collect();
        if vectors.iter().any(Option::is_some) {
            let what = "a sparse vector of it was dropped from the schema meanwhile";
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

    #[test]
    fn texts_share_the_numbers_with_vectors_and_are_left_out_where_there_are_none() {
        let vector = || Vector::new(1, Metric::Dot);
        let bare = Shape::new(Schema::new().vector("v", vector()));
        let json = serde_json::to_string(&bare).unwrap();
        assert!(!json.contains("text"), "{json}");
        assert_eq!(serde_json::from_str::<Shape>(&json).unwrap(), bare);

        let add = |name: &str| Alteration::AddText(name.into(), Text::plain());
        let shape = bare.altered(add("b")).unwrap().altered(add("a")).unwrap();
        let numbers: Vec<_> = shape.texts().map(|(name, n, _)| (name, n)).collect();
        assert_eq!(numbers, [("a", 2), ("b", 1)]);
        assert!(shape.altered(add("a")).is_err());
        let dropped = shape.altered(Alteration::DropText("b".into())).unwrap();
        assert!(dropped.altered(Alteration::DropText("b".into())).is_err());
        let again = dropped.altered(add("b")).unwrap();
        assert_eq!(again.text_named("b").unwrap().0, 3);
        let with_vector = again.altered(Alteration::AddVector("w".into(), vector()));
        assert_eq!(with_vector.unwrap().vector_named("w").unwrap().0, 4);
        assert!(again.check().is_ok());
        let mut wrong = again.clone();
        wrong.text_numbers[0] = 0;
        assert!(wrong.check().is_err());
        let both = Shape::new(Schema::new().vector("v", vector()).text("t", Text::plain()));
        assert_eq!((both.text_named("t").unwrap().0, both.next), (1, 2));
    }
}
