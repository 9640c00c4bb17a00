//! Work that goes on: shown on a page of its own, which the script asks for again until it ends.
//! It can be left and found again, since its state is the API's.

use maud::{Markup, html};

use super::badge::badge;

/// A state of such work.
pub struct Progress<'p> {
    /// The API's word.
    pub state: &'p str,
    /// It has ended: the page stops asking.
    pub ended: bool,
    /// Parts done and parts there are, where that is known.
    pub parts: Option<(u64, u64)>,
    /// More.
    pub note: Markup,
}

impl Progress<'_> {
    /// The part of the page with this id.
    pub fn render(&self, id: &str) -> Markup {
        html! {
            div #(id) data-live=[(!self.ended).then_some("1")] role="status" {
                p {
                    (badge(self.state)) " "
                    @match self.parts {
                        Some((done, all)) => {
                            progress max=(all.max(1)) value=(done) aria-label="Done" { }
                            " " (done) " of " (all)
                        }
                        None if !self.ended => progress aria-label="Under way" { },
                        None => {}
                    }
                }
                (self.note)
            }
        }
    }
}
