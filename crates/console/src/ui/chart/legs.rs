//! The legs of a posting: from account to account, with what moved.

use maud::{Markup, html};

/// A leg: the account debited, the account credited, what moved.
#[derive(Debug, Clone)]
pub struct Leg {
    /// Id of the account debited.
    pub debit: String,
    /// Id of the account credited.
    pub credit: String,
    /// What moved.
    pub amount: Markup,
    /// Mode or state, below the arrow.
    pub note: Markup,
    /// Nothing moved, or not yet: drawn as a broken line.
    pub faint: bool,
    /// This is the posting that the page is about.
    pub own: bool,
}

/// One row a leg, the money going from left to right: the account credited gains what the one
/// debited gives, in the ledger's sense of the words.
pub fn legs(legs: &[Leg], account: impl Fn(&str) -> Markup) -> Markup {
    html! {
        div.legs role="list" aria-label="Legs" {
            @for leg in legs {
                div.leg.own[leg.own].faint[leg.faint] role="listitem" {
                    div.account { span.which { "debit" } (account(&leg.debit)) }
                    div.arrow {
                        (leg.amount)
                        svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" {
                            path.line d="M0 5H97" { }
                            path.head d="M92 1L98 5L92 9" { }
                        }
                        (leg.note)
                    }
                    div.account { span.which { "credit" } (account(&leg.credit)) }
                }
            }
        }
    }
}
