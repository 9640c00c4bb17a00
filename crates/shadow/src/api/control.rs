//! What the routes of checks, corrections, links, monitors and alerts share.

use std::sync::Arc;

use florin_platform::http::page::{Cursors, FilterDigest, Page, Position};
use florin_platform::http::problem::{ErrorForm, Problem, Status};
use florin_platform::http::router::Routes;
use serde::Serialize;

use super::problem::ours;
use super::{alerts, audit, corrections, drift_check, drift_checks, links, monitors};
use crate::corrections::service::Corrections;
use crate::drift::Checker;
use crate::drift::input::Fault;
use crate::links::Links;
use crate::monitors::Monitors;
use crate::store::Shadow;

/// What these handlers work with.
pub struct ControlApi {
    /// Checks, and through them corrections.
    pub checker: Checker,
    /// Monitors and alerts.
    pub monitors: Monitors,
    /// Links to our own ledger; `None` where this process has none.
    pub links: Option<Links>,
    /// Makes and reads cursors.
    pub cursors: Cursors,
}

impl ControlApi {
    /// The shadow ledger.
    pub fn shadow(&self) -> &Shadow {
        self.checker.shadow()
    }

    /// The corrections.
    pub fn corrections(&self) -> &Corrections {
        self.checker.corrections()
    }
}

/// [`ControlApi`] as handlers hold it.
pub type Control = Arc<ControlApi>;

/// All routes of part C, of links and of monitors (contract C, D4, E), with `aliases` also at the
/// root.
pub fn routes(aliases: bool) -> Routes<Control> {
    Routes::new()
        .merge(drift_check::routes(aliases))
        .merge(drift_checks::routes())
        .merge(corrections::routes(aliases))
        .merge(links::routes())
        .merge(monitors::routes())
        .merge(alerts::routes())
        .merge(audit::routes())
        .with_error_form(ErrorForm::Words)
}

/// 400, or 413 for too many accounts, for faults of a check: one gives its code, several
/// `validation_failed`.
pub fn faulty(faults: Vec<Fault>) -> Problem {
    let problem = match faults.as_slice() {
        [fault] => {
            let status = match fault.code {
                "too_many_accounts" => Status::PayloadTooLarge,
                _ => Status::BadRequest,
            };
            Problem::new(status, fault.code, fault.message.clone())
        }
        _ => Problem::new(
            Status::BadRequest,
            "validation_failed",
            "Several fields are wrong; `errors` names each.",
        ),
    };
    let named = faults.into_iter().filter(|fault| !fault.field.is_empty());
    ours(named.fold(problem, |problem, fault| {
        problem.with_error(fault.field, fault.code, fault.message)
    }))
}

/// A page of a list that is ordered by a number: `next` is the number of the last item shown.
pub fn numbered<T: Serialize>(
    cursors: &Cursors,
    digest: FilterDigest,
    items: Vec<T>,
    next: Option<i64>,
) -> Page<T> {
    let seal = |last: i64| {
        let position = Position {
            snapshot: 0,
            after: last.to_be_bytes().to_vec(),
        };
        cursors.seal(digest, &position)
    };
    Page {
        items,
        next_cursor: next.map(seal),
    }
}

/// The number behind a cursor of [`numbered`].
///
/// # Errors
/// 400 `cursor_invalid` or `cursor_mismatch`.
pub fn after(
    cursors: &Cursors,
    digest: FilterDigest,
    text: Option<&str>,
) -> Result<Option<i64>, Problem> {
    let position = cursors.open_optional(digest, text).map_err(ours)?;
    position
        .map(|position| {
            let bytes = position.after.as_slice().try_into();
            bytes.map(i64::from_be_bytes).map_err(Problem::internal)
        })
        .transpose()
}

/// Most characters of a reason.
pub const REASON_MAX: usize = 500;

/// A reason of 1 to 500 characters without control characters.
///
/// # Errors
/// 400 `required` or `too_long`.
pub fn reason(text: Option<&str>) -> Result<String, Problem> {
    let text = text.unwrap_or_default().trim();
    if text.is_empty() {
        let message = "A reason is required.";
        return Err(super::problem::field("reason", "required", message));
    }
    if text.chars().count() > REASON_MAX {
        let message = "The reason has at most 500 characters.";
        return Err(super::problem::field("reason", "too_long", message));
    }
    if text.chars().any(char::is_control) {
        let message = "The reason has control characters.";
        return Err(super::problem::field("reason", "invalid_text", message));
    }
    Ok(text.to_owned())
}
