//! A few named values, and figures that lead to the rows they are made of.

use maud::{Markup, Render, html};

/// Named values of one thing, as a description list.
#[derive(Default)]
pub struct Facts(Vec<(String, Markup)>);

impl Facts {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    #[must_use]
    pub fn add(mut self, name: &str, value: impl Render) -> Self {
        self.0.push((name.to_owned(), value.render()));
        self
    }

    /// Adds one unless it is empty.
    #[must_use]
    pub fn add_text(self, name: &str, value: &str) -> Self {
        match value.is_empty() {
            true => self,
            false => self.add(name, value),
        }
    }
}

impl Render for Facts {
    fn render(&self) -> Markup {
        html! {
            dl.facts {
                @for (name, value) in &self.0 { div { dt { (name) } dd { (value) } } }
            }
        }
    }
}

/// A figure with its name; `href` leads to the rows behind it, `picture` is a sparkline.
pub struct Figure {
    /// What it is.
    pub name: String,
    /// It.
    pub value: Markup,
    /// Where its rows are.
    pub href: Option<String>,
    /// A small picture.
    pub picture: Option<Markup>,
    /// A word below.
    pub note: Option<String>,
}

impl Figure {
    /// A figure without more.
    pub fn new(name: &str, value: impl Render) -> Self {
        Self {
            name: name.to_owned(),
            value: value.render(),
            href: None,
            picture: None,
            note: None,
        }
    }

    /// Leads to its rows.
    #[must_use]
    pub fn href(mut self, href: impl Into<String>) -> Self {
        self.href = Some(href.into());
        self
    }

    /// With a small picture.
    #[must_use]
    pub fn picture(mut self, picture: Markup) -> Self {
        self.picture = Some(picture);
        self
    }

    /// With a word below.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }
}

/// Figures side by side.
pub fn figures(figures: &[Figure]) -> Markup {
    html! {
        div.figures {
            @for figure in figures {
                div.figure {
                    span.name { (figure.name) }
                    @match &figure.href {
                        Some(href) => a.value href=(href) { (figure.value) },
                        None => span.value { (figure.value) },
                    }
                    @if let Some(picture) = &figure.picture { (picture) }
                    @if let Some(note) = &figure.note { span.note { (note) } }
                }
            }
        }
    }
}
