//! Pictures of one bar a row: bars, funnel, waterfall. The words are ordinary text, so that these
//! pictures need no further table.

use maud::{Markup, html};

use super::{at, range};

/// A row.
#[derive(Debug, Clone)]
pub struct Bar {
    /// Its name.
    pub name: String,
    /// Stands in place of the name.
    pub label: Option<Markup>,
    /// How long; a position, never an amount. Below zero it goes to the left.
    pub length: f64,
    /// The exact value.
    pub shown: Markup,
    /// Leads to its rows.
    pub href: Option<String>,
    /// Mood of the style sheet: `good`, `care`, `bad` or nothing.
    pub mood: &'static str,
}

impl Bar {
    /// A row.
    pub fn new(name: impl Into<String>, length: f64, shown: Markup) -> Self {
        Self {
            name: name.into(),
            label: None,
            length,
            shown,
            href: None,
            mood: "",
        }
    }

    /// With this in place of the name.
    #[must_use]
    pub fn label(mut self, label: Markup) -> Self {
        self.label = Some(label);
        self
    }

    /// Leads to its rows.
    #[must_use]
    pub fn href(mut self, href: impl Into<String>) -> Self {
        self.href = Some(href.into());
        self
    }

    /// In a colour.
    #[must_use]
    pub fn mood(mut self, mood: &'static str) -> Self {
        self.mood = mood;
        self
    }
}

/// Where a bar begins and ends.
struct Placed<'b> {
    bar: &'b Bar,
    from: f64,
    to: f64,
    note: Option<String>,
}

/// Bars from zero.
pub fn bars(title: &str, bars: &[Bar]) -> Markup {
    let placed = bars.iter().map(|bar| Placed {
        bar,
        from: 0.0,
        to: bar.length,
        note: None,
    });
    draw(title, "bars", &placed.collect::<Vec<_>>())
}

/// Steps of which each keeps a part of the one before; the share stands beside it.
pub fn funnel(title: &str, bars: &[Bar]) -> Markup {
    let mut before: Option<f64> = None;
    let mut placed = Vec::new();
    for bar in bars {
        let share = before
            .filter(|before| *before > 0.0)
            .map(|before| format!("{:.0} %", bar.length / before * 100.0));
        before = Some(bar.length);
        placed.push(Placed {
            bar,
            from: -bar.length / 2.0,
            to: bar.length / 2.0,
            note: share,
        });
    }
    draw(title, "funnel", &placed)
}

/// What adds up: each bar begins where the one before ended. A bar whose name begins with `=` is
/// a sum and begins at zero.
pub fn waterfall(title: &str, bars: &[Bar]) -> Markup {
    let mut level = 0.0;
    let mut placed = Vec::new();
    for bar in bars {
        let from = if bar.name.starts_with('=') {
            0.0
        } else {
            level
        };
        level = from + bar.length;
        placed.push(Placed {
            bar,
            from,
            to: level,
            note: None,
        });
    }
    draw(title, "waterfall", &placed)
}

fn draw(title: &str, kind: &str, rows: &[Placed<'_>]) -> Markup {
    if rows.is_empty() {
        return html! { p.empty { (title) ": nothing to draw yet." } };
    }
    let ends = rows.iter().flat_map(|row| [row.from, row.to, 0.0]);
    let (low, high) = range(ends);
    let low = if kind == "funnel" { low } else { low.min(0.0) };
    let x = |value: f64| (value - low) / (high - low) * 100.0;
    html! {
        figure class={ "chart rows " (kind) } {
            figcaption { (title) }
            dl {
                @for row in rows {
                    @let (left, right) = (x(row.from.min(row.to)), x(row.from.max(row.to)));
                    @let down = row.bar.length < 0.0;
                    dt {
                        @match &row.bar.label {
                            Some(label) => (label),
                            None => (row.bar.name.trim_start_matches('=')),
                        }
                    }
                    dd {
                        svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" {
                            rect class={ "bar " (row.bar.mood) @if down { " down" } }
                                x=(at(left)) width=(at((right - left).max(0.4))) y="0" height="10" { }
                        }
                        span.value {
                            @match &row.bar.href {
                                Some(href) => a href=(href) { (row.bar.shown) },
                                None => (row.bar.shown),
                            }
                            @if let Some(note) = &row.note { " " span.note { (note) } }
                        }
                    }
                }
            }
        }
    }
}
