//! Distance on the earth (contract A6): great circle on a sphere of radius 6371.0088 km.
#![allow(
    clippy::float_arithmetic,
    reason = "angles on a sphere; no money comes near"
)]

/// Mean radius of the earth in kilometres (IUGG).
const RADIUS_KM: f64 = 6_371.008_8;

/// Kilometres between two places, each latitude and longitude in millionths of a degree.
pub fn distance_km(a: (i64, i64), b: (i64, i64)) -> f64 {
    let radians = |micro: i64| (micro as f64 / 1e6).to_radians();
    let (lat_a, lat_b) = (radians(a.0), radians(b.0));
    let (half_lat, half_lng) = ((lat_b - lat_a) / 2.0, (radians(b.1) - radians(a.1)) / 2.0);
    let h = half_lat.sin().powi(2) + lat_a.cos() * lat_b.cos() * half_lng.sin().powi(2);
    2.0 * RADIUS_KM * h.min(1.0).sqrt().asin()
}

/// A box of latitudes and longitudes (millionths of a degree) that holds every place within a
/// radius. West > east when it crosses the 180° line; `None` for longitudes near the poles, where
/// all are within.
pub fn around(place: (i64, i64), radius_km: f64) -> ((i64, i64), Option<(i64, i64)>) {
    let degrees = (radius_km / RADIUS_KM).to_degrees();
    let reach = (degrees * 1e6).ceil() as i64 + 1;
    let (south, north) = (place.0 - reach, place.0 + reach);
    let lats = (south.max(-90_000_000), north.min(90_000_000));
    if south <= -89_900_000 || north >= 89_900_000 {
        return (lats, None);
    }
    let widest = south.abs().max(north.abs()) as f64 / 1e6;
    let wide = (degrees / widest.to_radians().cos() * 1e6).ceil() as i64 + 1;
    if wide >= 180_000_000 {
        return (lats, None);
    }
    let turn = |micro: i64| match micro {
        micro if micro < -180_000_000 => micro + 360_000_000,
        micro if micro > 180_000_000 => micro - 360_000_000,
        micro => micro,
    };
    (lats, Some((turn(place.1 - wide), turn(place.1 + wide))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_59_distances_cross_the_180_degree_line() {
        let (here, there) = ((0, 179_900_000), (0, -179_900_000));
        let km = distance_km(here, there);
        assert!((22.2..22.3).contains(&km), "{km}");
        let (_, lngs) = around(here, 25.0);
        let (west, east) = lngs.expect("not near a pole");
        assert!(west > east, "crosses: {west} {east}");
        assert!(-179_900_000 <= east);
    }

    #[test]
    fn known_distances() {
        // Berlin to Paris, about 878 km.
        let km = distance_km((52_520_000, 13_405_000), (48_856_600, 2_352_200));
        assert!((876.0..880.0).contains(&km), "{km}");
        assert!(around((89_950_000, 0), 25.0).1.is_none());
    }
}
