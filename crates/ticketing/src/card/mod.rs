//! Card payments (contract C5, the card rows of B2 and B3): what we ask the provider, what it
//! tells us, and what both mean for orders and money.
//!
//! **Boundary.** The provider is reached through [`Provider`]; [`stripe`] is the one there is.
//! What an order becomes is decided by [`crate::orders::payment`], what is posted by
//! [`crate::money`]. No card data passes through here, only tokens.
//!
//! **Invariants.**
//! - One live intent per order, and its key is its row: however often a checkout is sent, it is
//!   made and charged once.
//! - An event has effect at most once (INV-T12), and only as a hint: the object is read first.
//! - Money that arrived is decided within 120 s, whatever is lost on the way: it confirms its
//!   order, or it goes back whole (INV-T5).
//! - A secret of the provider's is shown to the buyer and never stored.

pub mod cancel;
pub mod checkout;
pub mod console;
pub mod decide;
pub mod disputes;
pub mod inbox;
pub mod intents;
pub mod provider;
pub mod reconcile;
pub mod refunds;
pub mod settlement;
pub mod stripe;
pub mod worker;

pub use cancel::{Cancelled, cancel_now};
pub use checkout::{CardCheckout, CardOutcome, PendingPayment, checkout, declined, pending_now};
pub use provider::Provider;
