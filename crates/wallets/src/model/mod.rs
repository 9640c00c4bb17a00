//! JSON shapes of the wallet routes, made from the ledger's records and views.
//!
//! Boundary: pure. What is shown and to whom is decided here from values passed in; nothing is
//! looked up, stored or posted. Invariant: figures of a wallet appear only where the party
//! passed in is marked readable (INV-L25).

pub mod csv;
pub mod hold;
pub mod money;
pub mod statement;
pub mod transaction;
pub mod wallet;

pub use hold::Hold;
pub use money::{Id, Money, MoneyStyle, Pairs};
pub use transaction::{Direction, Leg, Party, Transaction};
pub use wallet::{Balance, Wallet};
