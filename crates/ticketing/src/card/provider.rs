//! What this room asks of whoever takes card payments, in words that are nobody's in particular.
//!
//! **Boundary.** Amounts are minor units, currencies are codes in upper case, times are seconds
//! since the epoch. No card data passes: only tokens of payment methods.
//!
//! **Invariants.** Every call that changes something carries a key made from our row, so that a
//! call whose answer was lost can be made again and has one effect.

use std::future::Future;
use std::pin::Pin;

use serde_json::Value;

use crate::model::amounts::Minor;

/// The answer of a provider, to be awaited.
pub type Calling<'a, T> = Pin<Box<dyn Future<Output = Result<T, ProviderError>> + Send + 'a>>;

/// Takes card payments; see contract C5.
pub trait Provider: Send + Sync + 'static {
    /// Name of the provider in the inbox (`stripe`).
    fn name(&self) -> &'static str;

    /// Key that browsers may hold.
    fn publishable_key(&self) -> &str;

    /// Smallest payment of a currency, minor units.
    fn minimum(&self, currency: &str) -> Minor;

    /// Makes an intent for the exact total; the same key makes it once.
    fn create<'a>(&'a self, new: &'a NewIntent) -> Calling<'a, Intent>;

    /// Charges an intent with a payment method.
    fn confirm<'a>(&'a self, intent_id: &'a str, with: &'a Confirm) -> Calling<'a, Intent>;

    /// Gives an intent up, if it can still be.
    fn cancel<'a>(&'a self, intent_id: &'a str, key: &'a str) -> Calling<'a, Intent>;

    /// An intent as it is now, with what its charge cost.
    fn intent<'a>(&'a self, intent_id: &'a str) -> Calling<'a, Intent>;

    /// Sends money back the way it came.
    fn refund<'a>(&'a self, new: &'a NewRefund) -> Calling<'a, Refund>;

    /// A refund as it is now.
    fn refund_now<'a>(&'a self, refund_id: &'a str) -> Calling<'a, Refund>;

    /// All refunds of an intent, whoever made them.
    fn refunds_of<'a>(&'a self, intent_id: &'a str) -> Calling<'a, Vec<Refund>>;

    /// A dispute as it is now.
    fn dispute<'a>(&'a self, dispute_id: &'a str) -> Calling<'a, Dispute>;

    /// A payout of the provider to our bank account.
    fn payout<'a>(&'a self, payout_id: &'a str) -> Calling<'a, ProviderPayout>;

    /// Everything that happened in a time, `from` and `until` included, oldest first.
    fn events<'a>(&'a self, from: i64, until: i64) -> Calling<'a, Vec<ProviderEvent>>;

    /// Movements of the balance in a time, `from` included and `until` not, oldest first.
    fn movements<'a>(&'a self, from: i64, until: i64) -> Calling<'a, Vec<Movement>>;

    /// The balance of each currency, what is not yet available included.
    fn balance<'a>(&'a self) -> Calling<'a, Vec<(String, Minor)>>;

    /// Reads a webhook after its signature was found good.
    ///
    /// # Errors
    /// [`BadWebhook`].
    fn webhook(
        &self,
        signature: Option<&str>,
        body: &[u8],
        now: i64,
    ) -> Result<ProviderEvent, BadWebhook>;
}

/// Why a call did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ProviderError {
    /// The card was declined; the intent takes another one.
    #[error("declined: {}", .0.code)]
    Declined(Box<Decline>),
    /// The intent is in another state than the call needs; the state it is in.
    #[error("the intent is {:?}", .0.status)]
    State(Box<Intent>),
    /// Refused for good.
    #[error("refused: {code}")]
    Refused {
        /// The provider's code.
        code: String,
    },
    /// There is no such object.
    #[error("the provider does not know it")]
    Missing,
    /// No answer, or none that can be used: it may have been done or not.
    #[error("the provider does not answer: {0}")]
    Unavailable(String),
}

/// A declined payment.
#[derive(Debug, Clone)]
pub struct Decline {
    /// The most precise code the provider gives.
    pub code: String,
    /// The intent after it.
    pub intent: Intent,
}

/// A webhook that is not taken (400 `signature_invalid`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadWebhook {
    /// Missing, malformed, too old, or made with another secret.
    #[error("the signature is not good")]
    Signature,
    /// The signature is good and the body is no event.
    #[error("the body is no event")]
    Body,
}

/// An intent to be made.
#[derive(Debug, Clone)]
pub struct NewIntent {
    /// Our row; the key and the reference that comes back.
    pub reference: String,
    /// The order, for people who look at the provider's console.
    pub order_id: String,
    /// The order's number.
    pub order_number: String,
    /// The exact total.
    pub amount: Minor,
    /// Its currency.
    pub currency: String,
}

/// A confirmation.
#[derive(Debug, Clone)]
pub struct Confirm {
    /// Key of this attempt.
    pub key: String,
    /// Token of the payment method.
    pub payment_method: String,
    /// Where a browser comes back to.
    pub return_url: Option<String>,
}

/// How far an intent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntentStatus {
    /// Waits for a payment method.
    NeedsMethod,
    /// Waits for its confirmation.
    NeedsConfirmation,
    /// The cardholder must do something.
    NeedsAction,
    /// Under way at the bank.
    Processing,
    /// Paid.
    Succeeded,
    /// Given up.
    Canceled,
}

/// An intent as the provider shows it.
#[derive(Debug, Clone)]
pub struct Intent {
    /// The provider's id.
    pub id: String,
    /// How far it is.
    pub status: IntentStatus,
    /// What came in; zero until it is paid.
    pub received: Minor,
    /// Its currency.
    pub currency: String,
    /// Opens it for a browser; never stored.
    pub client_secret: String,
    /// What the cardholder must do, in the provider's own shape.
    pub next_action: Option<Value>,
    /// Why the last attempt was declined.
    pub declined: Option<String>,
    /// Its last charge.
    pub charge_id: Option<String>,
    /// What the provider kept of the charge, when it is known and of the same currency.
    pub cost: Option<Minor>,
    /// Our row.
    pub reference: Option<String>,
}

/// A refund to be made.
#[derive(Debug, Clone)]
pub struct NewRefund {
    /// Our row; the key and the reference that comes back.
    pub reference: String,
    /// The intent that was paid.
    pub intent_id: String,
    /// How much.
    pub amount: Minor,
}

/// How far a refund is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundStatus {
    /// Under way.
    Pending,
    /// Left the balance.
    Succeeded,
    /// Came back.
    Failed,
}

/// A refund as the provider shows it.
#[derive(Debug, Clone)]
pub struct Refund {
    /// The provider's id.
    pub id: String,
    /// How far it is.
    pub status: RefundStatus,
    /// How much.
    pub amount: Minor,
    /// Its currency.
    pub currency: String,
    /// The intent that was paid.
    pub intent_id: Option<String>,
    /// Why it failed.
    pub failure: Option<String>,
    /// Our row; absent for refunds made at the provider's own console.
    pub reference: Option<String>,
}

/// How far a dispute is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DisputeStatus {
    /// Somebody asks; nothing was withdrawn.
    Inquiry,
    /// An inquiry ended.
    InquiryClosed,
    /// The money was withdrawn.
    Open,
    /// It came back.
    Won,
    /// It did not.
    Lost,
}

/// A dispute as the provider shows it.
#[derive(Debug, Clone)]
pub struct Dispute {
    /// The provider's id.
    pub id: String,
    /// How far it is.
    pub status: DisputeStatus,
    /// What is disputed.
    pub amount: Minor,
    /// Its currency.
    pub currency: String,
    /// The intent that was paid.
    pub intent_id: Option<String>,
    /// What was withdrawn: the amount, and the fee for it.
    pub withdrawn: Option<(Minor, Minor)>,
    /// What came back: the amount, and what of the fee.
    pub reinstated: Option<(Minor, Minor)>,
}

/// A payout of the provider.
#[derive(Debug, Clone)]
pub struct ProviderPayout {
    /// The provider's id.
    pub id: String,
    /// How much.
    pub amount: Minor,
    /// Its currency.
    pub currency: String,
    /// It arrived, or is on its way without having failed.
    pub paid: bool,
}

/// Something the provider tells: a hint which object to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderEvent {
    /// The provider's id.
    pub id: String,
    /// Its name, such as `payment_intent.succeeded`.
    pub kind: String,
    /// When it happened.
    pub created: i64,
    /// The object it is about.
    pub object_id: String,
    /// The intent behind the object.
    pub intent_id: Option<String>,
}

/// A movement of the provider's balance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    /// The provider's id.
    pub id: String,
    /// Its kind, such as `charge`, `refund`, `payout`.
    pub kind: String,
    /// Gross.
    pub amount: Minor,
    /// What the provider kept.
    pub fee: Minor,
    /// What the balance changed by.
    pub net: Minor,
    /// Its currency.
    pub currency: String,
    /// The object behind it: a charge, refund, dispute or payout.
    pub source: String,
    /// When.
    pub created: i64,
}
