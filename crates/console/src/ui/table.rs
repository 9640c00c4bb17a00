//! Lists: columns, rows, paging by cursor, what to say when there is nothing.
//!
//! A page holds at most [`PAGE`] rows and knows only where the next one starts, so that a list of
//! a million rows costs no more than one of fifty.

use maud::{Markup, Render, html};
use serde_json::Value;

use crate::api::text;
use crate::visit::Visit;

/// Rows of a page.
pub const PAGE: &str = "50";

/// A column.
struct Column {
    name: String,
    number: bool,
}

/// A list being built.
pub struct Table {
    caption: String,
    columns: Vec<Column>,
    rows: Vec<(Vec<Markup>, Option<String>)>,
    empty: String,
    foot: Option<Markup>,
}

impl Table {
    /// A list; the caption is read to those who do not see it.
    pub fn new(caption: &str) -> Self {
        Self {
            caption: caption.to_owned(),
            columns: Vec::new(),
            rows: Vec::new(),
            empty: "Nothing here.".to_owned(),
            foot: None,
        }
    }

    /// A column of words.
    #[must_use]
    pub fn column(mut self, name: &str) -> Self {
        let (name, number) = (name.to_owned(), false);
        self.columns.push(Column { name, number });
        self
    }

    /// Several columns of words.
    #[must_use]
    pub fn columns(self, names: &[&str]) -> Self {
        names.iter().fold(self, |table, name| table.column(name))
    }

    /// A column of numbers: aligned to the right, digits of one width.
    #[must_use]
    pub fn number(mut self, name: &str) -> Self {
        let (name, number) = (name.to_owned(), true);
        self.columns.push(Column { name, number });
        self
    }

    /// What to say when there are no rows.
    #[must_use]
    pub fn empty(mut self, words: &str) -> Self {
        words.clone_into(&mut self.empty);
        self
    }

    /// A row; as many cells as columns.
    pub fn row(&mut self, cells: Vec<Markup>) {
        debug_assert_eq!(cells.len(), self.columns.len(), "{}", self.caption);
        self.rows.push((cells, None));
    }

    /// A row that stands out: `class` is a mood of [`super::badge`].
    pub fn row_as(&mut self, class: &str, cells: Vec<Markup>) {
        debug_assert_eq!(cells.len(), self.columns.len(), "{}", self.caption);
        self.rows.push((cells, Some(class.to_owned())));
    }

    /// All items of a list through one function.
    #[must_use]
    pub fn rows(mut self, items: &[Value], row: impl Fn(&Value) -> Vec<Markup>) -> Self {
        for item in items {
            self.row(row(item));
        }
        self
    }

    /// Below the rows: sums.
    #[must_use]
    pub fn foot(mut self, cells: Markup) -> Self {
        self.foot = Some(cells);
        self
    }
}

impl Render for Table {
    fn render(&self) -> Markup {
        html! {
            @if self.rows.is_empty() {
                p.empty { (self.empty) }
            } @else {
                div.table tabindex="0" role="region" aria-label=(self.caption) {
                    table {
                        caption { (self.caption) }
                        thead { tr {
                            @for column in &self.columns {
                                th scope="col" class=[column.number.then_some("number")] {
                                    (column.name)
                                }
                            }
                        } }
                        tbody {
                            @for (cells, class) in &self.rows {
                                tr class=[class.as_deref()] {
                                    @for (cell, column) in cells.iter().zip(&self.columns) {
                                        td class=[column.number.then_some("number")]
                                            data-name=(column.name) { (cell) }
                                    }
                                }
                            }
                        }
                        @if let Some(foot) = &self.foot { tfoot { (foot) } }
                    }
                }
            }
        }
    }
}

/// Below a list: to the next page, back to the first, and the whole list as a file. `page` is the
/// API's answer; `exports` is whether this page can give the file (see [`super::export`]).
pub fn pager(visit: &Visit, page: &Value, exports: bool) -> Markup {
    let next = text(page, "nextCursor");
    let begun = !visit.query("cursor").is_empty();
    html! {
        nav.pager aria-label="Pages" {
            @if begun { a href=(visit.here_with(&[])) { "First page" } }
            @if !next.is_empty() {
                a rel="next" href=(visit.here_with(&[("cursor", next)])) { "Next page" }
            } @else if begun { span.note { "Last page" } }
            @if exports {
                a.export href=(visit.here_with(&[("export", "csv")])) download { "Export CSV" }
            }
        }
    }
}
