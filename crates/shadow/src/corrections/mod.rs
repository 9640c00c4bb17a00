//! Corrections: proposed, decided by four eyes, applied through the log, reversed (contract C4).
pub mod ids;
pub mod rules;
