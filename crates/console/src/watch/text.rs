//! Lines of Prometheus' text format.

/// A sample line.
pub(super) struct Line<'t> {
    /// Name of the metric.
    pub family: &'t str,
    labels: &'t str,
    /// The value as it was written.
    pub value: &'t str,
}

/// A line; `None` for comments and what is none.
pub(super) fn parse(line: &str) -> Option<Line<'_>> {
    if line.starts_with('#') {
        return None;
    }
    let (series, value) = line.rsplit_once(' ')?;
    let (family, labels) = match series.split_once('{') {
        Some((family, labels)) => (family, labels.strip_suffix('}')?),
        None => (series, ""),
    };
    Some(Line {
        family,
        labels,
        value,
    })
}

impl Line<'_> {
    /// A label. Values of the labels that are asked for hold no quotes.
    pub fn label(&self, name: &str) -> Option<&str> {
        let mut rest = self.labels;
        loop {
            let (key, after) = rest.split_once("=\"")?;
            let (value, after) = after.split_once('"')?;
            if key.trim_start_matches(',') == name {
                return Some(value);
            }
            rest = after;
        }
    }

    /// The value; 0 when it is none.
    pub fn number(&self) -> f64 {
        self.value.parse().unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_apart() {
        let line = parse("a_total{x=\"1\",route=\"/api/{id}\"} 2.5").expect("a line");
        assert_eq!((line.family, line.value), ("a_total", "2.5"));
        assert_eq!(line.label("route"), Some("/api/{id}"));
        assert_eq!(line.label("y"), None);
        assert!(parse("# HELP a b").is_none());
    }
}
