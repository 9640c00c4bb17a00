//! The closed list of result codes of a transfer (contract A4).

/// Defines the codes with rank, word and HTTP status.
macro_rules! codes {
    ($($variant:ident = $number:literal, $rank:literal, $word:literal, $http:literal;)+) => {
        /// The result of one item. The number is what the journal keeps and never changes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[repr(u8)]
        pub enum ResultCode { $(#[doc = concat!("`", $word, "`")] $variant = $number),+ }
        impl ResultCode {
            /// Every code in order of rank.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The rank; the first that applies is the result. 0 for both successes.
            pub const fn rank(self) -> u8 { match self { $(Self::$variant => $rank),+ } }
            /// The word in JSON.
            pub const fn word(self) -> &'static str { match self { $(Self::$variant => $word),+ } }
            /// Status of the single form.
            pub const fn http(self) -> u16 { match self { $(Self::$variant => $http),+ } }
            /// The code for its number in the journal.
            pub const fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

codes! {
    Created = 0, 0, "created", 201;
    Exists = 1, 0, "exists", 200;
    LinkedChainOpen = 2, 1, "linked_chain_open", 400;
    LinkedTransferFailed = 3, 2, "linked_transfer_failed", 409;
    FieldInvalid = 4, 3, "field_invalid", 400;
    FieldRequired = 5, 4, "field_required", 400;
    FieldNotAllowed = 6, 5, "field_not_allowed", 400;
    AmountInvalid = 7, 6, "amount_invalid", 400;
    AmountMustNotBeZero = 8, 7, "amount_must_not_be_zero", 400;
    AccountsMustDiffer = 9, 8, "accounts_must_differ", 400;
    PendingIdMustDiffer = 10, 9, "pending_id_must_differ", 400;
    ExistsWithDifferentMode = 11, 10, "exists_with_different_mode", 409;
    ExistsWithDifferentPendingId = 12, 11, "exists_with_different_pending_id", 409;
    ExistsWithDifferentDebitAccount = 13, 12, "exists_with_different_debit_account", 409;
    ExistsWithDifferentCreditAccount = 14, 13, "exists_with_different_credit_account", 409;
    ExistsWithDifferentAmount = 15, 14, "exists_with_different_amount", 409;
    ExistsWithDifferentAsset = 16, 15, "exists_with_different_asset", 409;
    ExistsWithDifferentCode = 17, 16, "exists_with_different_code", 409;
    ExistsWithDifferentTimeout = 18, 17, "exists_with_different_timeout", 409;
    ExistsWithDifferentEffectiveTime = 19, 18, "exists_with_different_effective_time", 409;
    ExistsWithDifferentDescription = 20, 19, "exists_with_different_description", 409;
    ExistsWithDifferentMetadata = 21, 20, "exists_with_different_metadata", 409;
    ExistsWithDifferentChain = 22, 21, "exists_with_different_chain", 409;
    IdAlreadyFailed = 23, 22, "id_already_failed", 409;
    AssetNotFound = 24, 30, "asset_not_found", 404;
    PendingTransferNotFound = 25, 31, "pending_transfer_not_found", 404;
    PendingTransferNotPending = 26, 32, "pending_transfer_not_pending", 409;
    PendingTransferMismatch = 27, 33, "pending_transfer_mismatch", 422;
    ExceedsPendingAmount = 28, 34, "exceeds_pending_amount", 422;
    PendingTransferAlreadyPosted = 29, 35, "pending_transfer_already_posted", 409;
    PendingTransferAlreadyVoided = 30, 36, "pending_transfer_already_voided", 409;
    PendingTransferExpired = 31, 37, "pending_transfer_expired", 409;
    DebitAccountNotFound = 32, 38, "debit_account_not_found", 404;
    CreditAccountNotFound = 33, 39, "credit_account_not_found", 404;
    AssetMismatch = 34, 40, "asset_mismatch", 422;
    EffectiveTimeInFuture = 35, 41, "effective_time_in_future", 422;
    EffectiveTimeInClosedPeriod = 36, 42, "effective_time_in_closed_period", 422;
    EffectiveTimeBeforePending = 37, 43, "effective_time_before_pending", 422;
    EffectiveTimeBeforeOriginal = 38, 43, "effective_time_before_original", 422;
    TransferNotFound = 39, 44, "transfer_not_found", 404;
    TransferNotReversible = 40, 45, "transfer_not_reversible", 409;
    AlreadyReversed = 41, 46, "already_reversed", 409;
    DebitAccountClosed = 42, 47, "debit_account_closed", 409;
    CreditAccountClosed = 43, 48, "credit_account_closed", 409;
    DebitAccountFrozen = 44, 49, "debit_account_frozen", 409;
    CreditAccountFrozen = 45, 50, "credit_account_frozen", 409;
    Overflow = 46, 51, "overflow", 422;
    LimitExceeded = 47, 52, "limit_exceeded", 422;
    InsufficientFunds = 48, 53, "insufficient_funds", 400;
}

impl ResultCode {
    /// Recorded now or before with equal content.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Created | Self::Exists)
    }

    /// A state code: remembered as the id's outcome for ever (contract A3, identity).
    pub const fn is_remembered(self) -> bool {
        self.rank() >= 30
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_never_fall_and_numbers_round_trip() {
        for pair in ResultCode::ALL.windows(2) {
            assert!(pair[0].rank() <= pair[1].rank(), "{pair:?}");
        }
        for code in ResultCode::ALL {
            assert_eq!(ResultCode::from_number(*code as u8), Some(*code));
        }
    }
}
