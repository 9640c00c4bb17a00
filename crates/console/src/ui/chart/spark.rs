//! A small line without axes, beside a figure.

use maud::{Markup, html};

use super::{at, range};

const WIDTH: f64 = 120.0;
const HEIGHT: f64 = 28.0;

/// A sparkline of values at equal distances; the scale begins at zero. Fewer than two values
/// give no line.
pub fn spark(values: &[f64], label: &str) -> Markup {
    let (_, high) = range(values.iter().copied().chain([0.0]));
    let step = WIDTH / (values.len().max(2) - 1) as f64;
    let point = |(index, value): (usize, &f64)| {
        let x = index as f64 * step;
        let y = HEIGHT - 1.0 - value / high.max(f64::MIN_POSITIVE) * (HEIGHT - 2.0);
        format!("{} {}", at(x), at(y.clamp(0.0, HEIGHT)))
    };
    let points: Vec<String> = values.iter().enumerate().map(point).collect();
    let line = points.join(" L");
    html! {
        svg.spark role="img" aria-label=(label) viewBox={ "0 0 " (WIDTH) " " (HEIGHT) }
            preserveAspectRatio="none" {
            @if values.len() > 1 {
                path.area d={ "M0 " (HEIGHT) " L" (line) " L" (WIDTH) " " (HEIGHT) "Z" } { }
                path.line d={ "M" (line) } { }
            }
        }
    }
}
