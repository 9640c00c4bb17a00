//! Promo codes (contract A4).

/// What a code does. Amounts are minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Benefit {
    /// Basis points of the list price, 1 to 10000.
    Percent(i64),
    /// Off each ticket.
    FixedPerTicket(i64),
    /// Off the order.
    FixedPerOrder(i64),
    /// Opens hidden types; no discount.
    Access,
}

impl Benefit {
    /// `kind` in tables and JSON.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Percent(_) => "percent",
            Self::FixedPerTicket(_) => "fixed_per_ticket",
            Self::FixedPerOrder(_) => "fixed_per_order",
            Self::Access => "access",
        }
    }

    /// From columns.
    pub fn from_columns(kind: &str, bp: Option<i64>, amount: Option<i64>) -> Option<Self> {
        match (kind, bp, amount) {
            ("percent", Some(bp), _) => Some(Self::Percent(bp)),
            ("fixed_per_ticket", _, Some(amount)) => Some(Self::FixedPerTicket(amount)),
            ("fixed_per_order", _, Some(amount)) => Some(Self::FixedPerOrder(amount)),
            ("access", _, _) => Some(Self::Access),
            _ => None,
        }
    }
}

/// A promo code of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promo {
    /// Its id.
    pub id: String,
    /// Of which event.
    pub event_id: String,
    /// Upper case, `[A-Z0-9-]{3,32}`.
    pub code: String,
    /// What it does.
    pub benefit: Benefit,
    /// Only for these types; `None`: all.
    pub type_ids: Option<Vec<String>>,
    /// Good from then on, microseconds.
    pub valid_from: Option<i64>,
    /// Good before then, microseconds.
    pub valid_until: Option<i64>,
    /// Most orders.
    pub max_uses: Option<i64>,
    /// Most orders of one buyer.
    pub max_uses_per_buyer: Option<i64>,
    /// Least Σ of list prices, minor units.
    pub min_order_amount: Option<i64>,
    /// Orders that use it now.
    pub uses: i64,
    /// When it was made, microseconds.
    pub created_at: i64,
}

impl Promo {
    /// It is good at this instant; the window is half-open.
    pub fn is_current(&self, now: i64) -> bool {
        self.valid_from.is_none_or(|from| now >= from)
            && self.valid_until.is_none_or(|until| now < until)
    }

    /// It is for this type.
    pub fn covers(&self, type_id: &str) -> bool {
        self.type_ids
            .as_ref()
            .is_none_or(|ids| ids.iter().any(|id| id == type_id))
    }

    /// It opens this hidden type.
    pub fn opens(&self, type_id: &str, now: i64) -> bool {
        self.benefit == Benefit::Access && self.is_current(now) && self.covers(type_id)
    }
}

/// A code as it is stored and compared: upper case, `[A-Z0-9-]{3,32}`.
pub fn normal(code: &str) -> Option<String> {
    let code = code.trim().to_ascii_uppercase();
    let allowed = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-';
    ((3..=32).contains(&code.len()) && code.bytes().all(allowed)).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_compared_in_upper_case() {
        assert_eq!(normal(" early-26 ").as_deref(), Some("EARLY-26"));
        assert_eq!(normal("ab"), None);
        assert_eq!(normal("a b c"), None);
        assert_eq!(normal("É12"), None);
    }
}
