//! Figures, exports and live updates (contract E).
//!
//! **Boundary.** Reads what orders, tickets, gate and ledger have written, and writes nothing that
//! they read. Money figures are folds of the ledger's postings and of nothing else (INV-T11).

pub mod export;
pub mod figures;
pub mod fold;
pub mod sales;
