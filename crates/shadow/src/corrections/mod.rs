//! Corrections: proposed, approved, applied, reversed (contract C4).
