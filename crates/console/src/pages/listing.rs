//! A list of the API as a page was asked for it: its filters, its place, and the whole of it as a
//! file.

use serde_json::Value;

use crate::api::ApiError;
use crate::pages::ledger::period;
use crate::reply::{Failure, Outcome};
use crate::ui::export::Export;
use crate::ui::table::PAGE;
use crate::visit::Visit;

/// A list being asked for.
pub struct Listing<'v> {
    visit: &'v Visit,
    path: String,
    query: Vec<(String, String)>,
}

impl<'v> Listing<'v> {
    /// The list at this path of the API.
    pub fn new(visit: &'v Visit, path: impl Into<String>) -> Self {
        Self {
            visit,
            path: path.into(),
            query: Vec::new(),
        }
    }

    /// Passes filters of the page on to the API.
    #[must_use]
    pub fn filters(mut self, names: &[&str]) -> Self {
        for name in names {
            let value = self.visit.query(name);
            self = self.with(name, value);
        }
        self
    }

    /// A filter of its own.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Amounts as exact decimals: `money=string` of the shadow ledger.
    #[must_use]
    pub fn exact(self) -> Self {
        self.with("money", "string")
    }

    /// Passes `from` and `to` on.
    ///
    /// # Errors
    /// A text that is no time.
    pub fn period(mut self) -> Result<Self, Failure> {
        for (name, value) in period(self.visit)? {
            self = self.with(name, &value);
        }
        Ok(self)
    }

    /// The whole list as a file.
    ///
    /// # Errors
    /// Refusals of the first page.
    pub async fn export(
        self,
        name: &'static str,
        columns: &'static [(&'static str, &'static str)],
    ) -> Outcome {
        let export = Export {
            name,
            path: self.path,
            query: self.query,
            columns,
        };
        export.reply(self.visit).await
    }

    /// The page that was asked for.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn page(&self) -> Result<Value, ApiError> {
        self.first(PAGE, self.visit.query("cursor")).await
    }

    /// A page of another size, from a place of its own.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn first(&self, limit: &str, cursor: &str) -> Result<Value, ApiError> {
        let pairs = self.query.iter();
        let pairs = pairs.map(|(name, value)| (name.as_str(), value.as_str()));
        let ask = self.visit.api.get(self.path.as_str()).queries(pairs);
        ask.query("limit", limit)
            .query("cursor", cursor)
            .json()
            .await
    }
}
