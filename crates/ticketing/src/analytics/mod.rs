//! Figures for organisers, each a fold of postings and rows (contract E).
