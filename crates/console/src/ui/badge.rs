//! States as words with a colour; the word says it, the colour helps.

use maud::{Markup, html};

/// How a state feels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// As it should be.
    Good,
    /// Waits, or somebody should look.
    Care,
    /// Wrong.
    Bad,
    /// Neither.
    Plain,
}

impl Mood {
    /// Class in the style sheet.
    pub const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Care => "care",
            Self::Bad => "bad",
            Self::Plain => "plain",
        }
    }
}

/// The mood of a word of the API.
pub fn mood_of(word: &str) -> Mood {
    match word.to_ascii_lowercase().as_str() {
        "ok" | "active" | "open" | "posted" | "recorded" | "completed" | "applied" | "matched"
        | "captured" | "done" | "delivered" | "succeeded" | "confirmed" | "paid" | "published"
        | "valid" | "used" | "converted" | "final" | "imported" | "clean" | "on_sale" => Mood::Good,
        "pending" | "held" | "frozen" | "degraded" | "proposed" | "ambiguous" | "waiting"
        | "running" | "approved" | "draft" | "retrying" | "in_progress" | "reserved"
        | "requested" | "in_transit" | "sold_out" | "scheduled" | "paused" | "suspended"
        | "partially_refunded" | "requires_action" | "processing" | "acknowledged"
        | "postponed" => Mood::Care,
        "down" | "failed" | "rejected" | "unmatched" | "error" | "parked" | "conflict"
        | "disputed" | "charged_back" | "blocked" | "critical" | "unexplained" | "cancelled" => {
            Mood::Bad
        }
        _ => Mood::Plain,
    }
}

/// A word of the API as a badge.
pub fn badge(word: &str) -> Markup {
    badge_as(word, mood_of(word))
}

/// A word with a mood of its own.
pub fn badge_as(word: &str, mood: Mood) -> Markup {
    let shown = word.to_ascii_lowercase().replace('_', " ");
    html! { @if !word.is_empty() { span class={ "badge " (mood.class()) } { (shown) } } }
}
