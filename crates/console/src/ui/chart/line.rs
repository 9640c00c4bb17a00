//! Lines over time, straight or in steps.

use maud::{Markup, html};

use super::{at, figure, range};
use crate::ui::time;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 200.0;
/// Points that get a mark with its words; more would only be a thick line.
const MARKS: usize = 200;
/// Rows of the table of numbers.
const ROWS: usize = 500;

/// A point of a line.
#[derive(Debug, Clone)]
pub struct Point {
    /// When, in microseconds.
    pub at: i64,
    /// How high; a position, never an amount.
    pub height: f64,
    /// The exact value.
    pub shown: String,
}

/// A line.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// Its points in order of time.
    pub points: Vec<Point>,
    /// Stays at a value until the next point, as a balance does.
    pub steps: bool,
}

/// Up to four lines over the same time.
pub fn lines(title: &str, lines: &[Line]) -> Markup {
    let all = || lines.iter().flat_map(|line| &line.points);
    let (Some(first), Some(last)) = (
        all().map(|point| point.at).min(),
        all().map(|point| point.at).max(),
    ) else {
        return html! { p.empty { (title) ": nothing to draw yet." } };
    };
    let (low, high) = range(all().map(|point| point.height));
    // From zero, unless that would press everything against the top.
    let low = if low > 0.0 && low < high / 2.0 {
        0.0
    } else {
        low
    };
    let high = if high < 0.0 { 0.0 } else { high };
    let span = (last - first).max(1) as f64;
    let x = |point: &Point| (point.at - first) as f64 / span * WIDTH;
    let y = |height: f64| HEIGHT - (height - low) / (high - low) * HEIGHT;
    let marks = all().count() <= MARKS;
    let by_height = |wanted: f64| {
        let found = all().find(|point| point.height == wanted);
        found.map(|point| point.shown.clone())
    };
    let picture = html! {
        div.plot {
            div.y aria-hidden="true" {
                span { (by_height(high).unwrap_or_else(|| at(high))) }
                span { (by_height(low).unwrap_or_else(|| at(low))) }
            }
            svg role="img" aria-label=(title) viewBox={ "0 -4 " (WIDTH) " " (HEIGHT + 8.0) }
                preserveAspectRatio="none" {
                @for part in 0..=4 {
                    @let at_y = at(HEIGHT * f64::from(part) / 4.0);
                    path.grid d={ "M0 " (at_y) "H" (WIDTH) } { }
                }
                @if low < 0.0 && high > 0.0 {
                    path.zero d={ "M0 " (at(y(0.0))) "H" (WIDTH) } { }
                }
                @for (index, line) in lines.iter().enumerate() {
                    path class={ "line s" (index) } d=(path(line, &x, &y)) { }
                    @if marks {
                        @for point in &line.points {
                            path class={ "mark s" (index) }
                                d={ "M" (at(x(point))) " " (at(y(point.height))) "h0" } {
                                title { (line.name) ": " (point.shown) " · "
                                    (time::utc(&time::rfc3339(point.at))) " UTC" }
                            }
                        }
                    }
                }
            }
            div.x aria-hidden="true" {
                (time::time(&time::rfc3339(first)))
                (time::time(&time::rfc3339(last)))
            }
        }
        @if lines.len() > 1 {
            ul.legend {
                @for (index, line) in lines.iter().enumerate() {
                    li class={ "s" (index) } { (line.name) }
                }
            }
        }
    };
    figure(title, picture, numbers(lines))
}

fn path(line: &Line, x: &impl Fn(&Point) -> f64, y: &impl Fn(f64) -> f64) -> String {
    let mut out = String::new();
    for (index, point) in line.points.iter().enumerate() {
        let (px, py) = (at(x(point)), at(y(point.height)));
        match (index, line.steps) {
            (0, _) => out.push_str(&format!("M{px} {py}")),
            (_, true) => out.push_str(&format!("H{px}V{py}")),
            (_, false) => out.push_str(&format!("L{px} {py}")),
        }
    }
    if line.points.len() == 1 {
        out.push_str("h0");
    }
    out
}

fn numbers(lines: &[Line]) -> Markup {
    html! {
        div.table { table {
            thead { tr {
                th scope="col" { "Time" }
                @if lines.len() > 1 { th scope="col" { "Line" } }
                th.number scope="col" { "Value" }
            } }
            tbody {
                @for line in lines {
                    @for point in line.points.iter().take(ROWS) {
                        tr {
                            td { (time::time(&time::rfc3339(point.at))) }
                            @if lines.len() > 1 { td { (line.name) } }
                            td.number { (point.shown) }
                        }
                    }
                }
            }
        } }
    }
}
