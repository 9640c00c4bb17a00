//! What a ticket is, and what may happen to it (contract D1).

/// Status of a ticket as it is stored. `expired` is shown and never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TicketStatus {
    /// Opens the door.
    Valid,
    /// Has opened it (events without re-entry).
    Used,
    /// A dispute on its order is open.
    Suspended,
    /// Offered for resale.
    Listed,
    /// Money went or goes back. Final.
    Refunded,
    /// Void, event cancelled or dispute lost. Final.
    Cancelled,
}

/// What happens to a ticket. Each is one leaf of the provenance log (contract D6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transition {
    /// By confirmation of the order.
    Issued,
    /// A transfer was accepted.
    Transferred,
    /// A new code instead of the old one.
    Reissued,
    /// A refund was decided.
    Refunded,
    /// Void, event cancelled, dispute lost.
    Cancelled,
    /// A dispute was opened.
    Suspended,
    /// A dispute was won.
    Restored,
    /// Checked in.
    Used,
    /// The check-in was undone.
    Undone,
}

impl TicketStatus {
    /// Every status.
    pub const ALL: [Self; 6] = [
        Self::Valid,
        Self::Used,
        Self::Suspended,
        Self::Listed,
        Self::Refunded,
        Self::Cancelled,
    ];

    /// The word of the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Used => "used",
            Self::Suspended => "suspended",
            Self::Listed => "listed",
            Self::Refunded => "refunded",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads a word of the contract.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Whether the ticket holds a unit of its type and pools.
    pub const fn holds_stock(self) -> bool {
        !self.is_dead()
    }

    /// Nothing brings it back.
    pub const fn is_dead(self) -> bool {
        matches!(self, Self::Refunded | Self::Cancelled)
    }

    /// The status after a transition; `None` when it may not happen now.
    pub const fn after(self, transition: Transition) -> Option<Self> {
        use Transition as T;
        match (transition, self) {
            (T::Transferred | T::Reissued, Self::Valid) => Some(Self::Valid),
            (T::Refunded, Self::Valid | Self::Used | Self::Suspended) => Some(Self::Refunded),
            (T::Cancelled, Self::Valid | Self::Used | Self::Suspended) => Some(Self::Cancelled),
            (T::Suspended, Self::Valid) => Some(Self::Suspended),
            (T::Restored, Self::Suspended) | (T::Undone, Self::Used) => Some(Self::Valid),
            (T::Used, Self::Valid) => Some(Self::Used),
            _ => None,
        }
    }
}

impl Transition {
    /// Every transition.
    pub const ALL: [Self; 9] = [
        Self::Issued,
        Self::Transferred,
        Self::Reissued,
        Self::Refunded,
        Self::Cancelled,
        Self::Suspended,
        Self::Restored,
        Self::Used,
        Self::Undone,
    ];

    /// The word of the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Transferred => "transferred",
            Self::Reissued => "reissued",
            Self::Refunded => "refunded",
            Self::Cancelled => "cancelled",
            Self::Suspended => "suspended",
            Self::Restored => "restored",
            Self::Used => "used",
            Self::Undone => "undone",
        }
    }

    /// Reads a word of the contract.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Whether codes made before it stop working.
    pub const fn raises_generation(self) -> bool {
        matches!(
            self,
            Self::Transferred | Self::Reissued | Self::Refunded | Self::Cancelled
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of contract D1, whole: what is not in it is refused.
    #[test]
    fn only_the_listed_transitions_happen() {
        use TicketStatus as S;
        use Transition as T;
        let allowed = [
            (S::Valid, T::Transferred, S::Valid),
            (S::Valid, T::Reissued, S::Valid),
            (S::Valid, T::Refunded, S::Refunded),
            (S::Used, T::Refunded, S::Refunded),
            (S::Suspended, T::Refunded, S::Refunded),
            (S::Valid, T::Cancelled, S::Cancelled),
            (S::Used, T::Cancelled, S::Cancelled),
            (S::Suspended, T::Cancelled, S::Cancelled),
            (S::Valid, T::Suspended, S::Suspended),
            (S::Suspended, T::Restored, S::Valid),
            (S::Valid, T::Used, S::Used),
            (S::Used, T::Undone, S::Valid),
        ];
        for from in S::ALL {
            for by in T::ALL {
                let wanted = allowed
                    .iter()
                    .find(|(status, kind, _)| (*status, *kind) == (from, by))
                    .map(|(_, _, to)| *to);
                assert_eq!(from.after(by), wanted, "{from:?} by {by:?}");
            }
        }
    }

    #[test]
    fn words_are_read_back() {
        for status in TicketStatus::ALL {
            assert_eq!(TicketStatus::from_word(status.as_str()), Some(status));
            assert_eq!(status.holds_stock(), !status.is_dead());
        }
        for kind in Transition::ALL {
            assert_eq!(Transition::from_word(kind.as_str()), Some(kind));
        }
    }
}
