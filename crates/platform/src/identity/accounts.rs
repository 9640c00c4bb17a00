//! Which accounts a credential reaches in rooms that know such a scope: ids, prefixes that end in
//! `*`, or `*` (shadow-ledger contract, section E). Pure.
//!
//! **Invariants.** Nothing said (`None`) is told apart from an empty list, which reaches nothing.
//! A key reaches no more than its user does.

use super::error::{IdentityError, invalid};

/// Most patterns of a user or key.
pub const MAX_ACCOUNTS: usize = 50;
/// Longest list in bytes: it stands in every token of the user.
const MAX_BYTES: usize = 2_000;
/// Longest pattern: an id of 64 characters and the `*`.
const MAX_PATTERN: usize = 65;

/// 400 unless every pattern can name an account.
pub fn check(patterns: Option<&[String]>) -> Result<(), IdentityError> {
    let patterns = patterns.unwrap_or_default();
    let bytes: usize = patterns.iter().map(String::len).sum();
    if patterns.len() > MAX_ACCOUNTS || bytes > MAX_BYTES {
        let message = "At most 50 patterns with 2,000 characters in all can be given.";
        return Err(invalid("accounts", message));
    }
    match patterns.iter().all(|pattern| valid(pattern)) {
        true => Ok(()),
        false => Err(invalid(
            "accounts",
            "Each must be an account's id, the start of ids followed by *, or *.",
        )),
    }
}

fn valid(pattern: &str) -> bool {
    let id = pattern.strip_suffix('*').unwrap_or(pattern);
    let first = |byte: u8| byte.is_ascii_alphanumeric();
    let rest = |byte: u8| byte.is_ascii_alphanumeric() || b"._:@+=#-".contains(&byte);
    match id.as_bytes() {
        [] => pattern == "*",
        [start, tail @ ..] => {
            pattern.len() <= MAX_PATTERN && first(*start) && tail.iter().all(|byte| rest(*byte))
        }
    }
}

/// What both lists reach; `None` reaches whatever the other does.
pub fn both(one: Option<Vec<String>>, other: Option<Vec<String>>) -> Option<Vec<String>> {
    let (Some(one), Some(other)) = (&one, &other) else {
        return one.or(other);
    };
    let mut shared: Vec<String> = Vec::new();
    for a in one {
        for b in other {
            let narrower = match (covers(a, b), covers(b, a)) {
                (true, _) => b,
                (_, true) => a,
                _ => continue,
            };
            if !shared.contains(narrower) {
                shared.push(narrower.clone());
            }
        }
    }
    Some(shared)
}

/// Whether everything that `narrow` reaches is reached by `wide`.
fn covers(wide: &str, narrow: &str) -> bool {
    match wide.strip_suffix('*') {
        Some(prefix) => narrow
            .strip_suffix('*')
            .unwrap_or(narrow)
            .starts_with(prefix),
        None => wide == narrow,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(patterns: &[&str]) -> Option<Vec<String>> {
        Some(patterns.iter().map(|one| one.to_string()).collect())
    }

    #[test]
    fn patterns_are_ids_prefixes_or_all() {
        assert!(check(None).is_ok() && check(Some(&[])).is_ok());
        assert!(check(list(&["A1", "B-*", "*", "x.y:z@+=#-"]).as_deref()).is_ok());
        for bad in ["", "**", "-A", "a b", "a/b", "*a", "a*b", &"a".repeat(66)] {
            assert!(check(list(&[bad]).as_deref()).is_err(), "{bad}");
        }
        let many = vec!["a".to_owned(); MAX_ACCOUNTS + 1];
        assert!(check(Some(&many)).is_err());
    }

    #[test]
    fn the_narrower_of_two_lists_counts() {
        assert_eq!(both(None, None), None);
        assert_eq!(both(list(&["A1"]), None), list(&["A1"]));
        assert_eq!(both(None, list(&[])), list(&[]));
        assert_eq!(both(list(&["*"]), list(&["A1", "B*"])), list(&["A1", "B*"]));
        assert_eq!(
            both(list(&["A*", "C1"]), list(&["A1", "AB*", "C2"])),
            list(&["A1", "AB*"])
        );
        assert_eq!(both(list(&["A1"]), list(&["A*", "A1"])), list(&["A1"]));
        assert_eq!(both(list(&["A"]), list(&["B"])), list(&[]));
    }
}
