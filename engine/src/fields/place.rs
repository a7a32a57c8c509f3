//! Places in an order in which what lies near to each other mostly stands so: that of their cells along a
//! Z-order curve (Morton, 1966).

use crate::geo::{Bounds, GeoPoint};
use std::ops::RangeInclusive;

/// How many bytes the coordinates of a place take.
pub(super) const BYTES: usize = 16;
/// How many ranges of cells an area comes down to, about, at most.
const MOST_RANGES: usize = 64;

/// A place, in the order of columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    pub(super) cell: u64,
    /// The bits of longitude and latitude.
    bits: (u64, u64),
}

impl Place {
    pub(super) fn of(point: GeoPoint) -> Self {
        Self {
            cell: spread(step(point.lon, 180.0)) | spread(step(point.lat, 90.0)) << 1,
            // Adding zero takes the sign from a negative one.
            bits: ((point.lon + 0.0).to_bits(), (point.lat + 0.0).to_bits()),
        }
    }

    pub(super) fn bytes(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(&self.bits.0.to_le_bytes());
        bytes[8..].copy_from_slice(&self.bits.1.to_le_bytes());
        bytes
    }
}

/// The place of these bytes.
pub(super) fn point(bytes: &[u8]) -> Option<GeoPoint> {
    let (lon, lat) = bytes.split_first_chunk::<8>()?;
    let lat = lat.try_into().ok()?;
    Some(GeoPoint::new(
        f64::from_le_bytes(*lon),
        f64::from_le_bytes(lat),
    ))
}

/// Which of 2^32 steps from `-most` to `most` a coordinate is on.
fn step(coordinate: f64, most: f64) -> u32 {
    // What lies beyond is put on the last step, by how floats become integers.
    ((coordinate + most) / (2.0 * most) * 4_294_967_296.0) as u32
}

/// Every other bit.
fn spread(number: u32) -> u64 {
    let mut bits = u64::from(number);
    for (shift, mask) in [
        (16, 0x0000_FFFF_0000_FFFF),
        (8, 0x00FF_00FF_00FF_00FF),
        (4, 0x0F0F_0F0F_0F0F_0F0F),
        (2, 0x3333_3333_3333_3333),
        (1, 0x5555_5555_5555_5555),
    ] {
        bits = (bits | bits << shift) & mask;
    }
    bits
}

/// A square of cells: those that share so many upper bits, which are the ones of `first`.
#[derive(Clone, Copy)]
struct Square {
    lon: u32,
    lat: u32,
    /// How many lower bits of each coordinate are free.
    free: u32,
}

impl Square {
    fn cells(self) -> RangeInclusive<u64> {
        let first = spread(self.lon) | spread(self.lat) << 1;
        let free = 1u64
            .checked_shl(2 * self.free)
            .map_or(u64::MAX, |count| count - 1);
        first..=first | free
    }

    /// First and last step of longitude and of latitude.
    fn sides(self) -> [(u32, u32); 2] {
        let free = 1u32
            .checked_shl(self.free)
            .map_or(u32::MAX, |count| count - 1);
        [(self.lon, self.lon | free), (self.lat, self.lat | free)]
    }
}

/// Ranges of cells, ascending, in which all places within `bounds` are.
pub(super) fn cells(bounds: &[Bounds]) -> Vec<RangeInclusive<u64>> {
    let steps =
        |range: &RangeInclusive<f64>, most| (step(*range.start(), most), step(*range.end(), most));
    let areas: Vec<[(u32, u32); 2]> = bounds
        .iter()
        .map(|(lon, lat)| [steps(lon, 180.0), steps(lat, 90.0)])
        .collect();
    let overlaps = |square: Square| {
        let meet = |((a, b), (c, d)): (&(u32, u32), &(u32, u32))| a <= d && c <= b;
        areas
            .iter()
            .any(|area| area.iter().zip(&square.sides()).all(meet))
    };
    let is_within = |square: Square| {
        let covers = |((a, b), (c, d)): (&(u32, u32), &(u32, u32))| a <= c && d <= b;
        areas
            .iter()
            .any(|area| area.iter().zip(&square.sides()).all(covers))
    };
    // Level by level, as long as there are few.
    let all = Square {
        lon: 0,
        lat: 0,
        free: 32,
    };
    let (mut open, mut done) = (vec![all], Vec::new());
    while !open.is_empty() && open.len() + done.len() <= MOST_RANGES {
        let mut next = Vec::new();
        for square in open {
            if is_within(square) || square.free == 0 {
                done.push(square);
                continue;
            }
            let free = square.free - 1;
            let quarters = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(lon, lat)| Square {
                lon: square.lon | lon << free,
                lat: square.lat | lat << free,
                free,
            });
            next.extend(quarters.into_iter().filter(|quarter| overlaps(*quarter)));
        }
        open = next;
    }
    let mut cells: Vec<_> = done.into_iter().chain(open).map(Square::cells).collect();
    cells.sort_unstable_by_key(|cells| *cells.start());
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cells_hold_what_is_within_bounds(
            (west, width) in (-180.0..180f64, 0.0..360f64), (south, height) in (-90.0..90f64, 0.0..180f64),
            (x, y) in (0.0..=1f64, 0.0..=1f64), scale in 0..12u32,
        ) {
            let less = 10f64.powi(-(scale as i32));
            let (east, north) = ((west + width * less).min(180.0), (south + height * less).min(90.0));
            let point = GeoPoint::new(
                (west + (east - west) * x).clamp(west, east),
                (south + (north - south) * y).clamp(south, north),
            );
            let ranges = cells(&[(west..=east, south..=north)]);
            let cell = Place::of(point).cell;
            prop_assert!(ranges.iter().any(|range| range.contains(&cell)));
            prop_assert!(ranges.len() <= 4 * MOST_RANGES + 4);
            prop_assert!(ranges.is_sorted_by(|a, b| a.end() < b.start()));
            prop_assert_eq!(super::point(&Place::of(point).bytes()), Some(point));
        }
    }
}
