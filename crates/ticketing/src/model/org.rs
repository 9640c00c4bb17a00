//! Organisations (contract A1).

/// Who pays the fees of a sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeePayer {
    /// Added to what the buyer pays.
    Buyer,
    /// Taken from what the organiser gets.
    Organizer,
}

/// Who hands collected tax to the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaxRemitter {
    /// The organiser: tax is paid out.
    Organizer,
    /// The platform: tax stays.
    Platform,
}

/// Whether an organisation may sell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrgStatus {
    /// It may.
    Active,
    /// Selling stops; scanning and refunds go on.
    Suspended,
    /// As suspended, for good.
    Closed,
}

macro_rules! words {
    ($kind:ident { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl $kind {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word in tables and JSON.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }

            /// The value of a word.
            pub fn from_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}
pub(crate) use words;

words!(FeePayer { Buyer => "buyer", Organizer => "organizer" });
words!(TaxRemitter { Organizer => "organizer", Platform => "platform" });
words!(OrgStatus { Active => "active", Suspended => "suspended", Closed => "closed" });

/// Where money of an organisation goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PayoutMethod {
    /// Into a wallet, at once.
    Wallet(String),
    /// By hand of an admin; the label says where.
    BankManual(String),
}

impl PayoutMethod {
    /// `wallet` or `bank_manual`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Wallet(_) => "wallet",
            Self::BankManual(_) => "bank_manual",
        }
    }

    /// The wallet's id, or the label.
    pub fn target(&self) -> &str {
        match self {
            Self::Wallet(target) | Self::BankManual(target) => target,
        }
    }

    /// From kind and target.
    pub fn from_columns(kind: &str, target: String) -> Option<Self> {
        match kind {
            "wallet" => Some(Self::Wallet(target)),
            "bank_manual" => Some(Self::BankManual(target)),
            _ => None,
        }
    }
}

/// An organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Org {
    /// Its id.
    pub id: String,
    /// For URLs.
    pub slug: String,
    /// Shown name.
    pub name: String,
    /// Name in contracts.
    pub legal_name: String,
    /// ISO 3166-1 alpha-2.
    pub country: String,
    /// Default for its events.
    pub currency: String,
    /// Where buyers write to.
    pub contact_email: String,
    /// Tax number.
    pub tax_id: Option<String>,
    /// Default for its events.
    pub fee_payer: FeePayer,
    /// Who hands tax on.
    pub tax_remitter: TaxRemitter,
    /// Where its money goes.
    pub payout_method: Option<PayoutMethod>,
    /// Days from an event's end until its money may leave, 0 to 60.
    pub payout_delay_days: i64,
    /// Whether it may sell.
    pub status: OrgStatus,
    /// A person checked who it is; payouts need it.
    pub verified: bool,
    /// Counts changes.
    pub version: i64,
    /// Microseconds.
    pub created_at: i64,
    /// Microseconds.
    pub updated_at: i64,
}
