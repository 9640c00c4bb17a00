//! Postings: one file for each row of the contract's table C3, with its legs.
