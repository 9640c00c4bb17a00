//! `florin serve --demo`: credentials made on the spot and a little money to look at. And
//! `florin demo`: a guided tour in a terminal, without a server; `florin demo ticketing`: a sale.

mod credentials;
mod fill;
pub mod ticketing;
pub mod tour;

pub use credentials::{Credentials, ENV_FILE, credentials, password_text};
pub use fill::fill;
