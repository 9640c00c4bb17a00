//! Ranks 3 to 9 of the naive ledger, and the names of ranks 10 to 21.

use super::model::{Item, Mode};

fn all(text: &str, length: std::ops::RangeInclusive<usize>, more: &str) -> bool {
    length.contains(&text.len())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || more.contains(c))
}

fn is_account(id: &str) -> bool {
    all(id, 1..=128, ":._@-") && id.starts_with(|c: char| c.is_ascii_alphanumeric())
}

fn is_asset(code: &str) -> bool {
    all(code, 2..=24, "._-")
        && code.starts_with(|c: char| c.is_ascii_uppercase())
        && !code.contains(|c: char| c.is_ascii_lowercase())
}

fn is_code(code: &str) -> bool {
    all(code, 1..=32, "_")
        && code.starts_with(|c: char| c.is_ascii_lowercase())
        && !code.contains(|c: char| c.is_ascii_uppercase())
}

/// The first rank that applies, with its field.
pub fn invalid(item: &Item) -> Option<(&'static str, &'static str)> {
    let bad =
        |given: &Option<String>, ok: fn(&str) -> bool| given.as_deref().is_some_and(|t| !ok(t));
    let wrong = [
        (!all(&item.id, 1..=100, "._-"), "id"),
        (bad(&item.debit, is_account), "debitAccountId"),
        (bad(&item.credit, is_account), "creditAccountId"),
        (bad(&item.asset, is_asset), "asset"),
        (bad(&item.code, is_code), "code"),
        (bad(&item.pending, |p| all(p, 1..=104, ":._-")), "pendingId"),
        (
            item.timeout.is_some_and(|t| !(1..=31_622_400).contains(&t)),
            "timeoutSeconds",
        ),
        (
            item.description
                .as_ref()
                .is_some_and(|d| d.chars().count() > 500),
            "description",
        ),
    ];
    if let Some((_, field)) = wrong.into_iter().find(|(wrong, _)| *wrong) {
        return Some(("field_invalid", field));
    }
    let moves = matches!(item.mode(), Mode::Single | Mode::Pending);
    let missing = [
        (moves && item.debit.is_none(), "debitAccountId"),
        (moves && item.credit.is_none(), "creditAccountId"),
        (moves && item.amount.is_none(), "amountMinor"),
        (moves && item.asset.is_none(), "asset"),
        (moves && item.code.is_none(), "code"),
        (!moves && item.pending.is_none(), "pendingId"),
    ];
    if let Some((_, field)) = missing.into_iter().find(|(missing, _)| *missing) {
        return Some(("field_required", field));
    }
    let refused = [
        (
            item.mode() == Mode::Void && item.amount.is_some(),
            "amountMinor",
        ),
        (moves && item.pending.is_some(), "pendingId"),
        (
            item.mode() != Mode::Pending && item.timeout.is_some(),
            "timeoutSeconds",
        ),
    ];
    if let Some((_, field)) = refused.into_iter().find(|(refused, _)| *refused) {
        return Some(("field_not_allowed", field));
    }
    if let Some(amount) = &item.amount {
        let digits = !amount.is_empty() && amount.chars().all(|c| c.is_ascii_digit());
        let plain = amount == "0" || !amount.starts_with('0');
        match amount.parse::<u128>() {
            Ok(0) if plain && digits => return Some(("amount_must_not_be_zero", "")),
            Ok(_) if plain && digits => {}
            _ => return Some(("amount_invalid", "")),
        }
    }
    if item.debit.is_some() && item.debit == item.credit {
        return Some(("accounts_must_differ", ""));
    }
    (item.pending.as_ref() == Some(&item.id)).then_some(("pending_id_must_differ", ""))
}

/// `exists_with_different_` + what.
pub fn different(what: &str) -> &'static str {
    match what {
        "mode" => "exists_with_different_mode",
        "pending_id" => "exists_with_different_pending_id",
        "debit_account" => "exists_with_different_debit_account",
        "credit_account" => "exists_with_different_credit_account",
        "amount" => "exists_with_different_amount",
        "asset" => "exists_with_different_asset",
        "code" => "exists_with_different_code",
        "timeout" => "exists_with_different_timeout",
        "effective_time" => "exists_with_different_effective_time",
        "description" => "exists_with_different_description",
        "metadata" => "exists_with_different_metadata",
        _ => "exists_with_different_chain",
    }
}
