//! The numbers of a vector as they are stored: of 32 bits or of 16.
//!
//! Both are read where they lie. What is computed from them is the same to the last bit, whether
//! or not numbers of 16 bits were widened before.

use crate::{kernel, schema::Datatype};

/// The numbers of a stored vector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Values<'a> {
    Float32(&'a [f32]),
    /// IEEE 754 binary16 by their bits.
    Float16(&'a [u16]),
}

/// Numbers that own their memory.
#[derive(Clone, Debug)]
pub(crate) enum OwnedValues {
    Float32(Box<[f32]>),
    Float16(Box<[u16]>),
}

impl<'a> Values<'a> {
    /// How many there are.
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Float32(values) => values.len(),
            Self::Float16(halves) => halves.len(),
        }
    }

    /// So many of them from one on, as far as there are as many.
    pub(crate) fn part(self, start: usize, len: usize) -> Self {
        let range = start.min(self.len())..start.saturating_add(len).min(self.len());
        match self {
            Self::Float32(values) => Self::Float32(&values[range]),
            Self::Float16(halves) => Self::Float16(&halves[range]),
        }
    }

    pub(crate) fn datatype(self) -> Datatype {
        match self {
            Self::Float32(_) => Datatype::Float32,
            Self::Float16(_) => Datatype::Float16,
        }
    }

    /// As they lie in a file.
    pub(crate) fn bytes(self) -> &'a [u8] {
        match self {
            Self::Float32(values) => bytemuck::cast_slice(values),
            Self::Float16(halves) => bytemuck::cast_slice(halves),
        }
    }

    /// The numbers. `room` is where they are widened, if they are not stored as such.
    pub(crate) fn widened<'b>(self, room: &'b mut Vec<f32>) -> &'b [f32]
    where
        'a: 'b,
    {
        match self {
            Self::Float32(values) => values,
            Self::Float16(halves) => {
                room.resize(halves.len(), 0.0);
                kernel::from_halves(halves, room);
                room
            }
        }
    }

    pub(crate) fn to_vec(self) -> Vec<f32> {
        match self {
            Self::Float32(values) => values.to_vec(),
            Self::Float16(halves) => {
                let mut values = vec![0.0; halves.len()];
                kernel::from_halves(halves, &mut values);
                values
            }
        }
    }

    /// Whether none is infinite or not a number.
    pub(crate) fn are_finite(self) -> bool {
        /// All ones in the place of the exponent.
        const INFINITE: u16 = 0x7c00;
        match self {
            Self::Float32(values) => values.iter().all(|value| value.is_finite()),
            Self::Float16(halves) => halves.iter().all(|half| half & INFINITE != INFINITE),
        }
    }
}

impl<'a> From<&'a [f32]> for Values<'a> {
    fn from(values: &'a [f32]) -> Self {
        Self::Float32(values)
    }
}

impl OwnedValues {
    /// Numbers as a vector of this sort keeps them; of 16 bits they are rounded, if they were not.
    pub(crate) fn new(values: Vec<f32>, datatype: Datatype) -> Self {
        match datatype {
            Datatype::Float32 => Self::Float32(values.into()),
            Datatype::Float16 => Self::Float16(halves_of(&values).into()),
        }
    }

    pub(crate) fn view(&self) -> Values<'_> {
        match self {
            Self::Float32(values) => Values::Float32(values),
            Self::Float16(halves) => Values::Float16(halves),
        }
    }
}

/// Rounds numbers to what a vector of this sort can keep.
pub(super) fn round(values: &mut [f32], datatype: Datatype) {
    if datatype == Datatype::Float16 {
        kernel::from_halves(&halves_of(values), values);
    }
}

fn halves_of(values: &[f32]) -> Vec<u16> {
    let mut halves = vec![0; values.len()];
    kernel::to_halves(values, &mut halves);
    halves
}

/// See [`kernel::dot`].
pub(super) fn dot(query: &[f32], row: Values<'_>) -> f32 {
    match row {
        Values::Float32(values) => kernel::dot(query, values),
        Values::Float16(halves) => kernel::half_dot(query, halves),
    }
}

/// See [`kernel::squared_l2`].
pub(super) fn squared_l2(query: &[f32], row: Values<'_>) -> f32 {
    match row {
        Values::Float32(values) => kernel::squared_l2(query, values),
        Values::Float16(halves) => kernel::half_squared_l2(query, halves),
    }
}

/// See [`kernel::l1`].
pub(super) fn l1(query: &[f32], row: Values<'_>) -> f32 {
    match row {
        Values::Float32(values) => kernel::l1(query, values),
        Values::Float16(halves) => kernel::half_l1(query, halves),
    }
}
