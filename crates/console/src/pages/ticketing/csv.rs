//! Lists as CSV that [`crate::ui::export`] does not fit: answers without pages, and rows that are
//! made of one item of the API.
//!
//! **Invariant.** One page of the API is held at a time; an error in the middle breaks the
//! download off.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use serde_json::Value;

use crate::api::{ApiError, Client, items, shown, text};
use crate::reply::{Outcome, Reply};
use crate::ui::export::cell;
use crate::visit::Visit;

/// Most items of a page of the API.
const PAGE: &str = "500";

/// Heading and member of each column.
pub type Columns = &'static [(&'static str, &'static str)];

/// Rows that are all at hand, as a file.
///
/// # Errors
/// None.
pub fn whole(name: &str, columns: Columns, rows: &[Value]) -> Outcome {
    let lines = heading(columns) + &lines(rows, columns);
    Ok(Reply::Raw(answer(name, Body::from(lines))))
}

/// A list whose items hold rows.
pub struct Nested {
    /// Name of the file, without ending.
    pub name: &'static str,
    /// Path of the list.
    pub path: String,
    /// Columns of the rows.
    pub columns: Columns,
    /// The rows of an item.
    pub rows: fn(&Value) -> Vec<Value>,
}

enum Next {
    Page(Value),
    At(String),
    End,
}

struct Walk {
    api: Client,
    list: Nested,
    head: Option<String>,
    next: Next,
}

impl Nested {
    /// The file. The first page is asked for before anything is sent, so that a refusal is a page.
    ///
    /// # Errors
    /// Refusals of the first page.
    pub async fn reply(self, visit: &Visit) -> Outcome {
        let name = self.name;
        let mut walk = Walk {
            api: visit.api.clone(),
            head: Some(heading(self.columns)),
            list: self,
            next: Next::End,
        };
        walk.next = Next::Page(walk.ask("").await?);
        let body = stream::unfold(walk, |mut walk| async {
            let chunk = walk.turn().await?;
            Some((chunk, walk))
        });
        Ok(Reply::Raw(answer(name, Body::from_stream(body))))
    }
}

impl Walk {
    async fn ask(&self, cursor: &str) -> Result<Value, ApiError> {
        let ask = self.api.get(self.list.path.as_str()).query("limit", PAGE);
        ask.query("cursor", cursor).json().await
    }

    async fn turn(&mut self) -> Option<Result<Bytes, ApiError>> {
        loop {
            match std::mem::replace(&mut self.next, Next::End) {
                Next::End => return None,
                Next::At(cursor) => match self.ask(&cursor).await {
                    Ok(page) => self.next = Next::Page(page),
                    Err(error) => return Some(Err(error)),
                },
                Next::Page(page) => {
                    let cursor = text(&page, "nextCursor");
                    if !cursor.is_empty() {
                        self.next = Next::At(cursor.to_owned());
                    }
                    let rows = items(&page, "items").iter().flat_map(self.list.rows);
                    let rows: Vec<Value> = rows.collect();
                    let mut chunk = self.head.take().unwrap_or_default();
                    chunk.push_str(&lines(&rows, self.list.columns));
                    if !chunk.is_empty() {
                        return Some(Ok(chunk.into()));
                    }
                }
            }
        }
    }
}

fn heading(columns: Columns) -> String {
    let names: Vec<String> = columns.iter().map(|(name, _)| cell(name)).collect();
    names.join(",") + "\r\n"
}

fn lines(rows: &[Value], columns: Columns) -> String {
    let mut out = String::new();
    for row in rows {
        let cells = columns.iter().map(|(_, member)| cell(&shown(row, member)));
        out.push_str(&cells.collect::<Vec<_>>().join(","));
        out.push_str("\r\n");
    }
    out
}

fn answer(name: &str, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    let csv = HeaderValue::from_static("text/csv; charset=utf-8");
    headers.insert(CONTENT_TYPE, csv);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(name) = HeaderValue::from_str(&format!("attachment; filename=\"{name}.csv\"")) {
        headers.insert(CONTENT_DISPOSITION, name);
    }
    response
}
