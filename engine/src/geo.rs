//! Points and areas on the Earth, by longitude and latitude in degrees.
//!
//! Distances are along great circles of a sphere of the Earth's mean radius (the haversine formula),
//! at most half a percent from those on the ellipsoid. Edges of polygons are straight lines of longitude and latitude.

use crate::error::{Error, Result};
use robust::{Coord, orient2d};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::ops::RangeInclusive;

/// Meters.
const EARTH_RADIUS: f64 = 6_371_008.8;
/// What a bound is wider than the circle in it, in degrees: more than what rounding takes away.
const MARGIN: f64 = 1e-6;

/// A place on the Earth. In payloads an object: `{ "lon": 13.4, "lat": 52.5 }`.
///
/// ```
/// use amphora::GeoPoint;
///
/// let (berlin, paris) = (GeoPoint::new(13.405, 52.52), GeoPoint::new(2.3522, 48.8566));
/// assert!((berlin.distance(paris) - 877_464.0).abs() < 100.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeoPoint {
    /// The longitude in degrees, -180 to 180.
    pub lon: f64,
    /// The latitude in degrees, -90 to 90.
    pub lat: f64,
}

/// A part of the Earth's surface, its border included.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum GeoArea {
    /// Between two parallels and two meridians. One whose western border lies east of the eastern one
    /// crosses the meridian of 180 degrees.
    Box {
        /// The corner in the north-west.
        top_left: GeoPoint,
        /// The corner in the south-east.
        bottom_right: GeoPoint,
    },
    /// All within a distance.
    Circle {
        /// Its middle.
        center: GeoPoint,
        /// In meters.
        radius: f64,
    },
    /// What a ring of straight lines encloses, without the holes in it.
    Polygon {
        /// The corners in their order, three at least. The last is joined to the first.
        exterior: Vec<GeoPoint>,
        /// The rings of the holes.
        interiors: Vec<Vec<GeoPoint>>,
    },
}

/// Ranges of longitude and of latitude.
pub(crate) type Bounds = (RangeInclusive<f64>, RangeInclusive<f64>);

impl GeoPoint {
    /// The place of this longitude and latitude, in degrees.
    #[must_use]
    pub fn new(lon: f64, lat: f64) -> Self {
        Self { lon, lat }
    }

    /// How far it is to another place, in meters.
    #[must_use]
    pub fn distance(self, other: Self) -> f64 {
        let (lat, other_lat) = (self.lat.to_radians(), other.lat.to_radians());
        let half_lat = ((other_lat - lat) / 2.0).sin();
        let half_lon = ((other.lon - self.lon).to_radians() / 2.0).sin();
        let a = half_lat * half_lat + lat.cos() * other_lat.cos() * half_lon * half_lon;
        2.0 * EARTH_RADIUS * a.sqrt().min(1.0).asin()
    }

    /// The place that a payload's value is, if it is one.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        let map = value.as_object()?;
        let point = Self {
            lon: map.get("lon")?.as_f64()?,
            lat: map.get("lat")?.as_f64()?,
        };
        point.is_valid().then_some(point)
    }

    fn is_valid(self) -> bool {
        (-180.0..=180.0).contains(&self.lon) && (-90.0..=90.0).contains(&self.lat)
    }

    pub(crate) fn check(self) -> Result<()> {
        if self.is_valid() {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "a place is of longitude {} and latitude {}; expected -180 to 180 and -90 to 90",
            self.lon, self.lat
        )))
    }
}

impl GeoArea {
    /// The most corners of a polygon, those of its holes included.
    pub const MAX_CORNERS: usize = 100_000;

    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Self::Box {
                top_left,
                bottom_right,
            } => {
                top_left.check()?;
                bottom_right.check()?;
                if top_left.lat < bottom_right.lat {
                    return Err(Error::invalid(format!(
                        "a geo box reaches from latitude {} in the north to {} in the south; expected the \
                         northern one to be the greater",
                        top_left.lat, bottom_right.lat
                    )));
                }
            }
            Self::Circle { center, radius } => {
                center.check()?;
                if !(radius.is_finite() && *radius >= 0.0) {
                    return Err(Error::invalid(format!(
                        "the radius of a geo circle is {radius}; expected meters, 0 or more"
                    )));
                }
            }
            Self::Polygon { .. } => {
                let corners = self.corners();
                if corners > Self::MAX_CORNERS || self.rings().any(|ring| ring.len() < 3) {
                    return Err(Error::invalid(format!(
                        "a geo polygon has a ring of fewer than 3 corners, or {corners} in all; expected \
                         at most {}",
                        Self::MAX_CORNERS
                    )));
                }
                self.rings()
                    .flatten()
                    .try_for_each(|corner| corner.check())?;
            }
        }
        Ok(())
    }

    /// How many corners it is to be compared with, if it is a polygon.
    pub(crate) fn corners(&self) -> usize {
        self.rings().map(Vec::len).sum()
    }

    fn rings(&self) -> impl Iterator<Item = &Vec<GeoPoint>> {
        let (exterior, interiors) = match self {
            Self::Polygon {
                exterior,
                interiors,
            } => (Some(exterior), &interiors[..]),
            _ => (None, &[][..]),
        };
        exterior.into_iter().chain(interiors)
    }

    /// Whether a place lies in it.
    #[must_use]
    pub fn contains(&self, point: GeoPoint) -> bool {
        match self {
            Self::Box {
                top_left,
                bottom_right,
            } => {
                let (west, east) = (top_left.lon, bottom_right.lon);
                let between = if west > east {
                    point.lon >= west || point.lon <= east
                } else {
                    (west..=east).contains(&point.lon)
                };
                between && (bottom_right.lat..=top_left.lat).contains(&point.lat)
            }
            Self::Circle { center, radius } => center.distance(point) <= *radius,
            Self::Polygon {
                exterior,
                interiors,
            } => {
                let in_hole = |ring: &Vec<GeoPoint>| place_in(ring, point) == Place::Inside;
                place_in(exterior, point) != Place::Outside && !interiors.iter().any(in_hole)
            }
        }
    }

    /// Ranges of which at least one has each of its places.
    pub(crate) fn bounds(&self) -> Vec<Bounds> {
        match self {
            Self::Box {
                top_left,
                bottom_right,
            } => {
                let lat = bottom_right.lat..=top_left.lat;
                if top_left.lon > bottom_right.lon {
                    return vec![
                        (top_left.lon..=180.0, lat.clone()),
                        (-180.0..=bottom_right.lon, lat),
                    ];
                }
                vec![(top_left.lon..=bottom_right.lon, lat)]
            }
            Self::Circle { center, radius } => around(*center, *radius),
            Self::Polygon { exterior, .. } => {
                let range = |of: fn(&GeoPoint) -> f64| {
                    let least = exterior.iter().map(of).fold(f64::MAX, f64::min);
                    least..=exterior.iter().map(of).fold(f64::MIN, f64::max)
                };
                vec![(range(|point| point.lon), range(|point| point.lat))]
            }
        }
    }
}

fn around(center: GeoPoint, radius: f64) -> Vec<Bounds> {
    let angle = radius / EARTH_RADIUS;
    let up = angle.to_degrees() + MARGIN;
    let lat = (center.lat - up).max(-90.0)..=(center.lat + up).min(90.0);
    // One that holds a pole touches all meridians.
    if *lat.start() <= -90.0 || *lat.end() >= 90.0 {
        return vec![(-180.0..=180.0, lat)];
    }
    let aside = (angle.sin() / center.lat.to_radians().cos())
        .min(1.0)
        .asin();
    let aside = aside.to_degrees() + MARGIN;
    let (west, east) = (center.lon - aside, center.lon + aside);
    if west < -180.0 {
        return vec![(-180.0..=east, lat.clone()), (west + 360.0..=180.0, lat)];
    }
    if east > 180.0 {
        return vec![(west..=180.0, lat.clone()), (-180.0..=east - 360.0, lat)];
    }
    vec![(west..=east, lat)]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Outside,
    Border,
    Inside,
}

/// Where a point lies by a ring: how often that winds around it.
fn place_in(ring: &[GeoPoint], point: GeoPoint) -> Place {
    let coord = |point: GeoPoint| Coord {
        x: point.lon,
        y: point.lat,
    };
    let mut winds = 0;
    let Some(last) = ring.last() else {
        return Place::Outside;
    };
    let mut from = *last;
    for &to in ring {
        let (low, high) = (from.lat.min(to.lat), from.lat.max(to.lat));
        if (low..=high).contains(&point.lat) {
            let side = orient2d(coord(from), coord(to), coord(point));
            let lons = from.lon.min(to.lon)..=from.lon.max(to.lon);
            if side == 0.0 && lons.contains(&point.lon) {
                return Place::Border;
            }
            if from.lat <= point.lat && to.lat > point.lat && side > 0.0 {
                winds += 1;
            } else if from.lat > point.lat && to.lat <= point.lat && side < 0.0 {
                winds -= 1;
            }
        }
        from = to;
    }
    match winds {
        0 => Place::Outside,
        _ => Place::Inside,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(lon: f64, lat: f64) -> GeoPoint {
        GeoPoint::new(lon, lat)
    }

    #[test]
    fn boxes_cross_the_meridian_of_180_degrees() {
        let area = GeoArea::Box {
            top_left: at(170.0, 10.0),
            bottom_right: at(-170.0, -10.0),
        };
        assert!(area.contains(at(180.0, 0.0)) && area.contains(at(-175.0, 10.0)));
        assert!(!area.contains(at(0.0, 0.0)) && !area.contains(at(175.0, 11.0)));
        assert_eq!(area.bounds().len(), 2);
    }

    #[test]
    fn polygons_have_borders_and_holes() {
        let square =
            |from: f64, to: f64| vec![at(from, from), at(to, from), at(to, to), at(from, to)];
        let area = GeoArea::Polygon {
            exterior: square(0.0, 10.0),
            interiors: vec![square(4.0, 6.0)],
        };
        for (lon, lat, expected) in [
            (1.0, 1.0, true),
            (0.0, 5.0, true),
            (10.0, 10.0, true),
            (5.0, 5.0, false),
            (4.0, 5.0, true),
            (11.0, 5.0, false),
            (5.0, -0.1, false),
        ] {
            assert_eq!(area.contains(at(lon, lat)), expected, "{lon} {lat}");
        }
    }

    #[test]
    fn what_is_no_place_or_area_is_refused() {
        assert!(at(181.0, 0.0).check().is_err() && at(0.0, f64::NAN).check().is_err());
        let circle = |radius| GeoArea::Circle {
            center: at(0.0, 0.0),
            radius,
        };
        assert!(circle(-1.0).check().is_err() && circle(f64::INFINITY).check().is_err());
        let upside_down = GeoArea::Box {
            top_left: at(0.0, 0.0),
            bottom_right: at(1.0, 1.0),
        };
        assert!(upside_down.check().is_err());
        let line = GeoArea::Polygon {
            exterior: vec![at(0.0, 0.0), at(1.0, 1.0)],
            interiors: Vec::new(),
        };
        assert!(line.check().is_err());
    }

    proptest! {
        /// Whatever lies in a circle lies in one of its bounds.
        #[test]
        fn bounds_hold_circles(
            lon in -180.0..180f64, lat in -90.0..90f64, radius in 0.0..2.1e7f64,
            angle in 0.0..360f64, share in 0.0..=1f64,
        ) {
            let center = at(lon, lat);
            // What lies so far away in this direction.
            let (far, turn) = (radius * share / EARTH_RADIUS, angle.to_radians());
            let (lat, lon) = (lat.to_radians(), lon.to_radians());
            let to = (lat.sin() * far.cos() + lat.cos() * far.sin() * turn.cos()).clamp(-1.0, 1.0).asin();
            let aside = (turn.sin() * far.sin() * lat.cos()).atan2(far.cos() - lat.sin() * to.sin());
            let east = (lon + aside).to_degrees();
            let east = (east + 540.0).rem_euclid(360.0) - 180.0;
            let point = at(east, to.to_degrees().clamp(-90.0, 90.0));
            let area = GeoArea::Circle { center, radius };
            if area.contains(point) {
                let is_in = |(lon, lat): &Bounds| lon.contains(&point.lon) && lat.contains(&point.lat);
                prop_assert!(area.bounds().iter().any(is_in), "{point:?} {:?}", area.bounds());
            }
        }

        /// By the number of edges to the east, where no corner is as far north.
        #[test]
        fn polygons_as_by_counting_edges(
            corners in prop::collection::vec((-50i32..50, -50i32..50), 3..12),
            (x, y) in (-50i32..50, -50i32..50),
        ) {
            let ring: Vec<GeoPoint> = corners.iter().map(|(x, y)| at(f64::from(*x), f64::from(*y))).collect();
            let point = at(f64::from(x) + 0.25, f64::from(y) + 0.5);
            let mut edges = ring.iter().zip(ring.iter().cycle().skip(1));
            let side = |a: &GeoPoint, b: &GeoPoint| a.lon + (point.lat - a.lat) / (b.lat - a.lat) * (b.lon - a.lon);
            let crossed = |(a, b): (&GeoPoint, &GeoPoint)| (a.lat > point.lat) != (b.lat > point.lat);
            let near = |(a, b)| crossed((a, b)) && (side(a, b) - point.lon).abs() < 1e-6;
            prop_assume!(!edges.clone().any(near));
            // Rings that cross themselves enclose by winding; simple ones by parity.
            let mut winding = 0;
            for (a, b) in edges.by_ref() {
                if crossed((a, b)) && side(a, b) > point.lon {
                    winding += if b.lat > a.lat { 1 } else { -1 };
                }
            }
            let area = GeoArea::Polygon { exterior: ring, interiors: Vec::new() };
            prop_assert_eq!(area.contains(point), winding != 0);
        }
    }
}
