//! Figures, exports and live updates (contract E).
//!
//! **Boundary.** Reads what orders, tickets, gate and ledger have written, and writes nothing that
//! they read; [`counts`] alone is written by tickets and gate, beside their own rows. Money figures are folds of the ledger's postings and of nothing else (INV-T11).

pub mod counts;
pub mod export;
pub mod figures;
pub mod fold;
pub mod sales;
