//! Pictures drawn on the server: SVG for lines and bars, HTML for every word in them, so that
//! words keep their size on a phone. Each picture has its numbers in a table below.
//!
//! Floats stand for positions only; the numbers that are shown come as texts.

mod legs;
mod line;
mod rows;
mod spark;

pub use legs::{Leg, legs};
pub use line::{Line, Point, lines};
pub use rows::{Bar, bars, funnel, waterfall};
pub use spark::spark;

use maud::{Markup, html};

/// A picture with its title and, folded away, its numbers.
fn figure(title: &str, picture: Markup, numbers: Markup) -> Markup {
    html! {
        figure.chart {
            figcaption { (title) }
            (picture)
            details.numbers { summary { "Numbers" } (numbers) }
        }
    }
}

/// A coordinate with at most two decimals.
fn at(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    match text {
        "-0" | "" => "0".to_owned(),
        text => text.to_owned(),
    }
}

/// Smallest and largest, a little apart when they are equal.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let mut found = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values.filter(|value| value.is_finite()) {
        found = (found.0.min(value), found.1.max(value));
    }
    match found {
        (low, high) if low > high => (0.0, 1.0),
        (low, high) if low == high => (low - 1.0, high + 1.0),
        found => found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_are_short_and_ranges_never_empty() {
        assert_eq!(at(1.0), "1");
        assert_eq!(at(-0.001), "0");
        assert_eq!(at(2.456), "2.46");
        assert_eq!(range([3.0, 3.0].into_iter()), (2.0, 4.0));
        assert_eq!(range(std::iter::empty()), (0.0, 1.0));
    }
}
