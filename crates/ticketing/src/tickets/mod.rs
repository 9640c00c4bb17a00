//! Tickets: issue, kill, reissue, transfer, holder (contract D1, D2, D5).
