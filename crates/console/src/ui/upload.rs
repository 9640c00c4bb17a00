//! A file sent to a page with progress: the script sends it as the body of a request, so that it
//! is passed on to the API while it arrives, however large it is.

use maud::{Markup, html};

use crate::visit::Visit;

/// A form for one file. It is sent to `action` with the fields as query parameters and the name
/// of the file as `name`; the answer leads on. Register `action` with [`crate::visit::upload`].
pub fn form(visit: &Visit, action: &str, accept: &str, fields: Markup) -> Markup {
    html! {
        form.upload data-upload=(action) data-token=(visit.form_token()) {
            label.field {
                span { "File" }
                input type="file" name="file" accept=(accept) required;
            }
            (fields)
            div.buttons { button.primary type="submit" { "Upload" } }
            p.uploading hidden {
                progress max="100" value="0" aria-label="Sent" { }
                " " span data-sent { }
            }
            p.said.bad hidden role="alert" { }
        }
    }
}
