//! The setting that somebody meant.

use super::keys::KEYS;

/// The known name closest to a wrong one, if one is close.
pub fn closest(name: &str) -> Option<&'static str> {
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let scored = KEYS.iter().map(|key| {
        let whole = distance(name, key.name);
        let tail = if last(name) == last(key.name) {
            1
        } else {
            usize::MAX
        };
        (whole.min(tail), key.name)
    });
    let (score, best) = scored.min()?;
    (score <= 2 + name.len() / 6).then_some(best)
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_key() {
        assert_eq!(closest("server.prot"), Some("server.port"));
        assert_eq!(closest("sever.listen"), Some("server.listen"));
        assert_eq!(closest("port"), Some("server.port"));
        assert_eq!(closest("completely.different.thing"), None);
    }
}
