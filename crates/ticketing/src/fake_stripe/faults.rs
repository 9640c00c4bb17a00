//! Faults on purpose: the next calls of a path fail or hang, before or after their effect.

use serde::Deserialize;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Answers the status, nothing done.
    Fail,
    /// Never answers, nothing done.
    Hang,
    /// Does it, and answers the status: the answer was lost.
    FailAfter,
    /// Does it, and never answers.
    HangAfter,
}

impl Kind {
    pub const fn is_after(self) -> bool {
        matches!(self, Self::FailAfter | Self::HangAfter)
    }

    pub const fn hangs(self) -> bool {
        matches!(self, Self::Hang | Self::HangAfter)
    }
}

/// A fault for the next calls of a path.
#[derive(Debug, Clone)]
pub struct Fault {
    /// A path, or the beginning of one; `*` is any one segment; a method and a space may stand
    /// before it.
    pub path: String,
    pub kind: Kind,
    pub status: u16,
    pub left: u32,
}

/// Takes the fault that applies to a call, counting it down.
pub fn take(faults: &mut Vec<Fault>, method: &str, path: &str) -> Option<Fault> {
    let found = faults
        .iter_mut()
        .find(|fault| matches(&fault.path, method, path))?;
    found.left = found.left.saturating_sub(1);
    let taken = found.clone();
    faults.retain(|fault| fault.left > 0);
    Some(taken)
}

fn matches(pattern: &str, method: &str, path: &str) -> bool {
    let pattern = match pattern.split_once(' ') {
        Some((wanted, _)) if !wanted.eq_ignore_ascii_case(method) => return false,
        Some((_, rest)) => rest,
        None => pattern,
    };
    let mut segments = path.trim_matches('/').split('/');
    let wanted = pattern.trim_matches('/').split('/');
    wanted.filter(|part| !part.is_empty()).all(|part| {
        segments
            .next()
            .is_some_and(|segment| part == "*" || part == segment)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_apply_to_their_path_and_are_used_up() {
        let fault = |path: &str| Fault {
            path: path.to_owned(),
            kind: Kind::Fail,
            status: 500,
            left: 1,
        };
        let mut faults = vec![
            fault("POST /v1/payment_intents/*/confirm"),
            fault("/v1/refunds"),
        ];
        assert!(take(&mut faults, "GET", "/v1/payment_intents/pi_1/confirm").is_none());
        assert!(take(&mut faults, "POST", "/v1/payment_intents").is_none());
        assert!(take(&mut faults, "POST", "/v1/payment_intents/pi_1/confirm").is_some());
        assert!(take(&mut faults, "POST", "/v1/payment_intents/pi_1/confirm").is_none());
        assert!(take(&mut faults, "GET", "/v1/refunds/re_1").is_some());
    }
}
