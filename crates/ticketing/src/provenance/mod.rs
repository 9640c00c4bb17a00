//! The log of salted commitments, its checkpoints and proofs (contract D6).
