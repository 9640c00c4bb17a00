//! A whole list as CSV (RFC 4180): the API is asked page after page while the browser reads.
//!
//! **Invariants.** One page is held at a time. A cell that a spreadsheet would take for a formula
//! gets an apostrophe in front, unless it is a number.

use std::collections::VecDeque;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use serde_json::Value;

use crate::api::{ApiError, Client, items, shown, text};
use crate::reply::{Outcome, Reply};
use crate::visit::Visit;

/// Most rows of a page of the API.
const PAGE: &str = "500";

/// A list of the API as a file.
pub struct Export {
    /// Name of the file, without ending.
    pub name: &'static str,
    /// Path of the list.
    pub path: String,
    /// Filters.
    pub query: Vec<(String, String)>,
    /// Heading and member (`a.b` looks into objects) of each column.
    pub columns: &'static [(&'static str, &'static str)],
}

struct Walk {
    api: Client,
    export: Export,
    cursor: Option<String>,
    first: Option<Bytes>,
    ready: VecDeque<Bytes>,
}

impl Export {
    /// The file. The first page is asked for before anything is sent, so that a refusal is a page.
    ///
    /// # Errors
    /// Refusals of the first page.
    pub async fn reply(self, visit: &Visit) -> Outcome {
        let name = format!("attachment; filename=\"{}.csv\"", self.name);
        let mut walk = Walk {
            api: visit.api.clone(),
            first: Some(heading(self.columns)),
            export: self,
            cursor: Some(String::new()),
            ready: VecDeque::new(),
        };
        walk.turn().await?;
        let body = stream::unfold(walk, |mut walk| async {
            let chunk = walk.next().await?;
            Some((chunk, walk))
        });
        let mut response = Response::new(Body::from_stream(body));
        let headers = response.headers_mut();
        let csv = HeaderValue::from_static("text/csv; charset=utf-8");
        headers.insert(CONTENT_TYPE, csv);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Ok(name) = HeaderValue::from_str(&name) {
            headers.insert(CONTENT_DISPOSITION, name);
        }
        Ok(Reply::Raw(response))
    }
}

impl Walk {
    /// The next piece of the file. An error in the middle breaks the download off, so that nobody
    /// takes half a list for a whole one.
    async fn next(&mut self) -> Option<Result<Bytes, ApiError>> {
        if let Some(first) = self.first.take() {
            return Some(Ok(first));
        }
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                return Some(Ok(chunk));
            }
            self.cursor.as_ref()?;
            if let Err(error) = self.turn().await {
                self.cursor = None;
                return Some(Err(error));
            }
        }
    }

    async fn turn(&mut self) -> Result<(), ApiError> {
        let cursor = self.cursor.take().unwrap_or_default();
        let pairs = self.export.query.iter();
        let pairs = pairs.map(|(name, value)| (name.as_str(), value.as_str()));
        let ask = self.api.get(self.export.path.as_str()).queries(pairs);
        let ask = ask.query("limit", PAGE).query("cursor", &cursor);
        let page = ask.json().await?;
        let next = text(&page, "nextCursor");
        self.cursor = (!next.is_empty()).then(|| next.to_owned());
        let rows = items(&page, "items");
        if !rows.is_empty() {
            self.ready.push_back(lines(rows, self.export.columns));
        }
        Ok(())
    }
}

fn heading(columns: &[(&str, &str)]) -> Bytes {
    let names: Vec<String> = columns.iter().map(|(name, _)| cell(name)).collect();
    Bytes::from(names.join(",") + "\r\n")
}

fn lines(rows: &[Value], columns: &[(&str, &str)]) -> Bytes {
    let mut out = String::new();
    for row in rows {
        let cells = columns.iter().map(|(_, member)| cell(&shown(row, member)));
        out.push_str(&cells.collect::<Vec<_>>().join(","));
        out.push_str("\r\n");
    }
    Bytes::from(out)
}

/// One cell, quoted where it must be.
pub fn cell(text: &str) -> String {
    let number = |text: &str| {
        let digits = text.strip_prefix('-').unwrap_or(text);
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
    };
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && !number(text);
    let text = match formula {
        true => format!("'{text}"),
        false => text.to_owned(),
    };
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cells_are_quoted_and_formulas_tamed() {
        assert_eq!(cell("-12.50"), "-12.50");
        assert_eq!(cell("=1+1"), "'=1+1");
        assert_eq!(cell("-cmd"), "'-cmd");
        assert_eq!(cell("a,\"b\""), "\"a,\"\"b\"\"\"");
    }

    #[test]
    fn rows_follow_the_columns() {
        let rows = [json!({"id": "x", "n": 3, "in": {"to": "y"}}), json!({})];
        let columns = [("Id", "id"), ("Number", "n"), ("To", "in.to")];
        assert_eq!(heading(&columns), "Id,Number,To\r\n");
        assert_eq!(lines(&rows, &columns), "x,3,y\r\n,,\r\n");
    }
}
