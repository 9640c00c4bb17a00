//! The form above a list. It is a plain GET form: a filtered list has an address of its own.

use maud::{Markup, html};

use crate::visit::Visit;

/// Fields of a list's filters.
pub struct Filter<'v> {
    visit: &'v Visit,
    fields: Vec<Markup>,
}

impl<'v> Filter<'v> {
    /// No fields yet.
    pub fn new(visit: &'v Visit) -> Self {
        Self {
            visit,
            fields: Vec::new(),
        }
    }

    /// A line of text, named like the query parameter.
    #[must_use]
    pub fn text(mut self, name: &str, label: &str) -> Self {
        let value = self.visit.query(name);
        self.fields.push(html! {
            label.field {
                span { (label) }
                input type="search" name=(name) value=(value) autocomplete="off" spellcheck="false";
            }
        });
        self
    }

    /// One of several values, or all.
    #[must_use]
    pub fn choice(mut self, name: &str, label: &str, values: &[&str]) -> Self {
        let chosen = self.visit.query(name);
        self.fields.push(html! {
            label.field {
                span { (label) }
                select name=(name) {
                    option value="" { "all" }
                    @for value in values {
                        option value=(value) selected[*value == chosen] {
                            (value.to_ascii_lowercase().replace('_', " "))
                        }
                    }
                }
            }
        });
        self
    }

    /// One of several values of which the first holds when nothing is chosen.
    #[must_use]
    pub fn one_of(mut self, name: &str, label: &str, values: &[&str]) -> Self {
        let chosen = self.visit.query(name);
        self.fields.push(html! {
            label.field {
                span { (label) }
                select name=(name) {
                    @for (index, value) in values.iter().enumerate() {
                        option value=(if index == 0 { "" } else { value })
                            selected[*value == chosen] { (value.replace('_', " ")) }
                    }
                }
            }
        });
        self
    }

    /// A time.
    #[must_use]
    pub fn time(mut self, name: &str, label: &str) -> Self {
        let field = super::time::field(name, label, self.visit.query(name));
        self.fields.push(field);
        self
    }

    /// The form.
    pub fn render(self) -> Markup {
        html! {
            form.filter method="get" action=(self.visit.path()) role="search" {
                @for field in &self.fields { (field) }
                div.buttons {
                    button type="submit" { "Show" }
                    a href=(self.visit.path()) { "Reset" }
                }
            }
        }
    }
}
