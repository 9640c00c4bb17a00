//! Quote, reserve, checkout, expiry, refunds (contract B).
