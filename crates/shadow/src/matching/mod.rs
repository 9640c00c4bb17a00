//! Matching of statement lines and entries, and the report (contract D2, D3).
