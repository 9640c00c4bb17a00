//! Actions that ask first: a button, and a dialog with the form.

use maud::{Markup, html};

use super::form;
use crate::visit::Visit;

/// An action with its question.
pub struct Confirm<'c> {
    /// Names the dialog on its page.
    pub id: &'c str,
    /// On the button, and as the title of the dialog.
    pub label: &'c str,
    /// What will happen.
    pub text: Markup,
    /// Where the form is sent.
    pub action: &'c str,
    /// Further fields, such as the reason.
    pub fields: Markup,
    /// It cannot be undone, or hurts.
    pub danger: bool,
}

impl Confirm<'_> {
    /// The button with its dialog.
    pub fn render(&self, visit: &Visit) -> Markup {
        let title = format!("{}-title", self.id);
        html! {
            button type="button" data-dialog=(self.id) class=[self.danger.then_some("danger")] {
                (self.label)
            }
            dialog #(self.id) aria-labelledby=(title) {
                form method="post" action=(self.action) {
                    h2 id=(title) { (self.label) }
                    p { (self.text) }
                    (form::hidden(visit))
                    (self.fields)
                    div.buttons {
                        button type="button" data-close { "Cancel" }
                        button type="submit" class=(if self.danger { "danger" } else { "primary" }) {
                            (self.label)
                        }
                    }
                }
            }
        }
    }
}

/// The field for a reason, which audit keeps.
pub fn reason() -> Markup {
    html! {
        label.field {
            span { "Reason" }
            input type="text" name="reason" required minlength="3" maxlength="200";
        }
    }
}
