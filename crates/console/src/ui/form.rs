//! Forms with the session's token, and their fields.

use maud::{Markup, html};

use crate::session::random;
use crate::visit::{FORM_TOKEN, ONCE, Visit};

/// The hidden fields of every form that acts.
pub fn hidden(visit: &Visit) -> Markup {
    hidden_with(visit.form_token())
}

/// The same where only the token is at hand.
pub fn hidden_with(token: &str) -> Markup {
    html! {
        input type="hidden" name=(FORM_TOKEN) value=(token);
        input type="hidden" name=(ONCE) value=(random());
    }
}

/// A form that acts.
pub fn form(visit: &Visit, action: &str, content: Markup) -> Markup {
    html! { form method="post" action=(action) { (hidden(visit)) (content) } }
}

/// A form of one button, without a question first: for what can be undone.
pub fn button(visit: &Visit, action: &str, label: &str) -> Markup {
    html! {
        form.inline method="post" action=(action) {
            (hidden(visit))
            button type="submit" { (label) }
        }
    }
}

/// A line of text.
pub fn text(name: &str, label: &str, value: &str, required: bool) -> Markup {
    html! {
        label.field {
            span { (label) @if !required { span.note { " optional" } } }
            input type="text" name=(name) value=(value) required[required];
        }
    }
}

/// Several lines.
pub fn area(name: &str, label: &str, value: &str, required: bool) -> Markup {
    html! {
        label.field {
            span { (label) @if !required { span.note { " optional" } } }
            textarea name=(name) rows="3" required[required] { (value) }
        }
    }
}

/// One of several; `(value, label)`.
pub fn select(name: &str, label: &str, options: &[(&str, &str)], chosen: &str) -> Markup {
    html! {
        label.field {
            span { (label) }
            select name=(name) {
                @for (value, shown) in options {
                    option value=(value) selected[*value == chosen] { (shown) }
                }
            }
        }
    }
}

/// A yes.
pub fn check(name: &str, label: &str, value: &str, checked: bool) -> Markup {
    html! {
        label.check {
            input type="checkbox" name=(name) value=(value) checked[checked];
            span { (label) }
        }
    }
}
