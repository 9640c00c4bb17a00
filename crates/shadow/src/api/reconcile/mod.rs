//! The routes of part D: statements, lines, profiles, account references, reconciliations,
//! matches.
//!
//! **Boundary.** A state of its own beside [`super::ShadowApi`]: what part D needs of the rest is
//! the store and the desk of corrections, which the reconciler holds.

mod account_refs;
mod body;
mod csv_profiles;
mod lines;
mod matches;
mod reconciliations;
mod shapes;
mod statements;

use std::sync::Arc;

use florin_platform::http::page::{Cursors, FilterDigest, PageLimits, Position};
use florin_platform::http::problem::{ErrorForm, Problem};
use florin_platform::http::router::Routes;
use serde::Serialize;

use super::problem::{field, ours};
use crate::matching::service::Reconciler;
use crate::statements::Statements;
use crate::store::Shadow;

/// What the handlers work with.
pub struct ReconcileApi {
    /// Takes statements in.
    pub statements: Statements,
    /// Decides about matches.
    pub reconciler: Reconciler,
    /// Makes and reads cursors.
    pub cursors: Cursors,
}

/// [`ReconcileApi`] as handlers hold it.
pub type Shared = Arc<ReconcileApi>;

impl ReconcileApi {
    fn shadow(&self) -> &Shadow {
        self.reconciler.shadow()
    }
}

/// All routes of part D.
pub fn routes() -> Routes<Shared> {
    Routes::new()
        .merge(statements::routes())
        .merge(lines::routes())
        .merge(csv_profiles::routes())
        .merge(account_refs::routes())
        .merge(reconciliations::routes())
        .merge(matches::routes())
        .with_error_form(ErrorForm::Words)
}

/// A page of a list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PageOut<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

/// Where a list without filters goes on.
#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListParams {
    /// At most 500; 50 when left out.
    limit: Option<u32>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// The bounds of a list: page size, and where the last page ended.
struct Walk {
    filters: FilterDigest,
    limit: usize,
    after: Vec<u8>,
}

impl Walk {
    fn new<'a>(
        api: &ReconcileApi,
        list: &str,
        filters: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
        limit: Option<u32>,
        cursor: Option<&str>,
    ) -> Result<Self, Problem> {
        let given = filters
            .into_iter()
            .filter_map(|(name, value)| value.map(|value| (name, value)));
        let filters = FilterDigest::new(list, given);
        let limit = PageLimits::default().resolve(limit).map_err(ours)?;
        let position = api.cursors.open_optional(filters, cursor).map_err(ours)?;
        Ok(Self {
            filters,
            limit,
            after: position.map(|position| position.after).unwrap_or_default(),
        })
    }

    /// One more than fits tells whether there is another page.
    const fn wanted(&self) -> usize {
        self.limit + 1
    }

    /// Numbers at the end of the last page; zeros before the first.
    fn numbers<const N: usize>(&self) -> [i64; N] {
        let mut numbers = [0; N];
        for (number, bytes) in numbers.iter_mut().zip(self.after.chunks_exact(8)) {
            let mut eight = [0; 8];
            eight.copy_from_slice(bytes);
            *number = i64::from_be_bytes(eight);
        }
        numbers
    }

    /// The name at the end of the last page; empty before the first.
    fn name(&self) -> Result<String, Problem> {
        String::from_utf8(self.after.clone()).map_err(Problem::internal)
    }

    /// The page of rows with the name of each.
    fn named<T>(self, api: &ReconcileApi, mut rows: Vec<(String, T)>) -> PageOut<T> {
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let last = rows.last().filter(|_| more);
        let after = last.map(|(name, _)| name.clone().into_bytes());
        PageOut {
            items: rows.into_iter().map(|(_, row)| row).collect(),
            next_cursor: after.map(|after| {
                let position = Position { snapshot: 0, after };
                api.cursors.seal(self.filters, &position)
            }),
        }
    }

    /// The page of rows with the numbers of each.
    fn page<const N: usize, T>(
        self,
        api: &ReconcileApi,
        mut rows: Vec<([i64; N], T)>,
    ) -> PageOut<T> {
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let last = rows.last().filter(|_| more).map(|(numbers, _)| *numbers);
        PageOut {
            items: rows.into_iter().map(|(_, row)| row).collect(),
            next_cursor: last.map(|numbers| {
                let after = numbers
                    .iter()
                    .flat_map(|number| number.to_be_bytes())
                    .collect();
                api.cursors
                    .seal(self.filters, &Position { snapshot: 0, after })
            }),
        }
    }
}

/// A person's reason: 1 to 500 characters without control characters.
fn reason(text: Option<String>) -> Result<String, Problem> {
    let Some(text) = text else {
        return Err(field("reason", "required", "A reason is needed."));
    };
    let length = text.chars().count();
    if text.trim().is_empty() {
        return Err(field("reason", "required", "A reason is needed."));
    }
    if length > 500 {
        return Err(field(
            "reason",
            "too_long",
            "A reason has at most 500 characters.",
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(field(
            "reason",
            "invalid_text",
            "Control characters are not taken.",
        ));
    }
    Ok(text)
}
