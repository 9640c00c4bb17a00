//! Reads the body of a transfer call: one pass over the text, strings borrowed, and what the
//! whole call may be refused for collected on the way.

use std::{borrow::Cow, collections::BTreeMap};

use florin_ledger::{
    call::Item,
    model::{AccountId, ITEMS_MAX, TransferId},
    rules::prepare::{RawItem, prepare},
};
use florin_platform::http::{json::parse, problem::Problem};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::surrogates;

/// Batch form of the body.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LedgerTransfersRequest)]
pub struct TransfersRequest<'a> {
    /// 1 to 8190 items.
    #[serde(borrow)]
    #[schema(value_type = Vec<TransferRequest>, min_items = 1, max_items = 8190)]
    transfers: Bounded<'a>,
}

/// The items of a call; those beyond the bound are counted but not kept, so that a body of many
/// empty items takes no memory.
#[derive(Debug)]
struct Bounded<'a> {
    items: Vec<RawItem<'a>>,
    count: usize,
}

impl<'de: 'a, 'a> Deserialize<'de> for Bounded<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Bounded<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of transfers")
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> Result<Bounded<'de>, A::Error> {
                let mut items = Vec::new();
                while items.len() < ITEMS_MAX {
                    match seq.next_element()? {
                        Some(item) => items.push(item),
                        None => {
                            return Ok(Bounded {
                                count: items.len(),
                                items,
                            });
                        }
                    }
                }
                let mut count = items.len();
                while seq.next_element::<serde::de::IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Bounded { items, count })
            }
        }
        deserializer.deserialize_seq(Visitor)
    }
}

/// One item as callers send it (contract A2); also the body of the single form.
#[derive(Debug, ToSchema)]
#[schema(as = LedgerTransferRequest, rename_all = "camelCase")]
#[allow(
    dead_code,
    reason = "the shape for the OpenAPI file; bodies are read into RawItem"
)]
pub struct TransferRequest {
    /// `^[A-Za-z0-9._-]{1,100}$`; may be left out with an `Idempotency-Key`.
    #[schema(example = "order-4711-payment")]
    id: Option<String>,
    /// single (default), pending, post or void.
    mode: Option<String>,
    /// Required for single and pending.
    #[schema(example = "customer:42")]
    debit_account_id: Option<String>,
    /// Required for single and pending; must differ from the debit account.
    #[schema(example = "sales")]
    credit_account_id: Option<String>,
    /// Whole minor units, 1 to 2^128 - 1.
    #[schema(example = "1250")]
    amount_minor: Option<String>,
    /// Asset of both accounts.
    #[schema(example = "BRL")]
    asset: Option<String>,
    /// Type of posting, `^[a-z][a-z0-9_]{0,31}$`.
    #[schema(example = "sale")]
    code: Option<String>,
    /// The pending transfer that a post or void resolves.
    pending_id: Option<String>,
    /// Life of a pending transfer, 1 to 31622400; left out: never expires.
    timeout_seconds: Option<u32>,
    /// When it counts; needs `ledger:backdate`.
    #[schema(format = DateTime)]
    effective_at: Option<String>,
    /// Chained to the next item.
    linked: Option<bool>,
    /// At most 500 characters.
    description: Option<String>,
    /// At most 16 pairs.
    metadata: Option<BTreeMap<String, String>>,
}

/// The members of an item in the order of contract A2; the single form's digests stand in it.
pub const MEMBERS: [&str; 13] = [
    "id",
    "mode",
    "debitAccountId",
    "creditAccountId",
    "amountMinor",
    "asset",
    "code",
    "pendingId",
    "timeoutSeconds",
    "effectiveAt",
    "linked",
    "description",
    "metadata",
];

/// A call that is well formed.
#[derive(Debug)]
pub struct Prepared {
    /// Its items, grammar judged.
    pub items: Vec<Item>,
    /// It was one bare object.
    pub single: bool,
    /// An item has no id of the caller's.
    pub lacks_id: bool,
    /// An item gives `effectiveAt`.
    pub backdates: bool,
    /// An item names an account under `florin:`.
    pub reserved: bool,
    /// What an `Idempotency-Key` is compared by: one digest for each item of a batch, one for
    /// each of [`MEMBERS`] of a single transfer. Empty without a key.
    pub digests: Vec<u64>,
}

/// Reads a body of either form.
///
/// # Errors
/// 400 `validation_failed` or `unknown_field` for the whole call.
pub fn read(
    bytes: &[u8],
    with_key: bool,
    mut own_id: impl FnMut() -> TransferId,
) -> Result<Prepared, Problem> {
    let problem = match read_text(bytes, with_key, &mut own_id) {
        Ok(prepared) => return Ok(prepared),
        Err(problem) => problem,
    };
    let Some(mended) = surrogates::mend(bytes) else {
        return Err(problem);
    };
    let mut prepared = read_text(&mended.bytes, with_key, &mut own_id)?;
    for item in &mut prepared.items {
        mended.judge(item);
    }
    Ok(prepared)
}

fn read_text(
    bytes: &[u8],
    with_key: bool,
    mut own_id: impl FnMut() -> TransferId,
) -> Result<Prepared, Problem> {
    let mut prepared = Prepared {
        items: Vec::new(),
        single: !is_batch(bytes),
        lacks_id: false,
        backdates: false,
        reserved: false,
        digests: Vec::new(),
    };
    if prepared.single {
        let raw: RawItem<'_> = parse(bytes)?;
        let has_id = prepared.note(&raw);
        let item = prepare(raw, own_id);
        if with_key {
            prepared.digests = member_digests(&item, has_id);
        }
        prepared.push(item);
        return Ok(prepared);
    }
    let call: TransfersRequest<'_> = parse(bytes)?;
    let count = call.transfers.count;
    if !(1..=ITEMS_MAX).contains(&count) {
        let message = format!("A call has 1 to {ITEMS_MAX} items; this one has {count}.");
        return Err(Problem::validation("transfers", message));
    }
    prepared.items.reserve_exact(count);
    for raw in call.transfers.items {
        let has_id = prepared.note(&raw);
        let item = prepare(raw, &mut own_id);
        if with_key {
            prepared.digests.push(item_digest(&item, has_id));
        }
        prepared.push(item);
    }
    Ok(prepared)
}

impl Prepared {
    /// Notes what the item asks permissions for; tells whether it brought an id.
    fn note(&mut self, raw: &RawItem<'_>) -> bool {
        self.backdates |= raw.effective_at.is_some();
        self.lacks_id |= raw.id.is_none();
        raw.id.is_some()
    }

    fn push(&mut self, item: Item) {
        let reserved = |id: &Option<AccountId>| id.as_ref().is_some_and(AccountId::is_reserved);
        self.reserved |= reserved(&item.debit) || reserved(&item.credit);
        self.items.push(item);
    }
}

/// The first member is `transfers`. A single transfer has no such member, so that looking at the
/// first key is enough to tell the forms apart.
fn is_batch(bytes: &[u8]) -> bool {
    let text = bytes.trim_ascii_start();
    text.strip_prefix(b"{")
        .is_some_and(|rest| rest.trim_ascii_start().starts_with(b"\"transfers\""))
}

/// Members as text, in the order of [`MEMBERS`]; absent ones are `None`. An id made by the
/// server is no part of what the caller sent.
fn members(item: &Item, has_id: bool) -> [Option<Cow<'_, str>>; 13] {
    let text = |text: &Option<Box<str>>| text.as_deref().map(|text| Cow::Owned(text.to_owned()));
    let account = |id: &Option<AccountId>| id.as_ref().map(|id| Cow::Owned(id.to_string()));
    let pairs = item.metadata.pairs();
    let metadata = (!pairs.is_empty()).then(|| {
        let parts = pairs
            .iter()
            .map(|(key, value)| format!("{}:{key}={value}", value.len()));
        Cow::Owned(parts.collect())
    });
    [
        has_id.then_some(Cow::Borrowed(&*item.id)),
        Some(Cow::Borrowed(item.mode.word())),
        account(&item.debit),
        account(&item.credit),
        item.amount.map(|amount| Cow::Owned(amount.to_string())),
        text(&item.asset),
        text(&item.code),
        text(&item.pending_id),
        item.timeout_seconds
            .map(|seconds| Cow::Owned(seconds.to_string())),
        item.effective_at.map(|at| Cow::Owned(at.to_string())),
        item.linked.then_some(Cow::Borrowed("true")),
        text(&item.description),
        metadata,
    ]
}

fn member_digests(item: &Item, has_id: bool) -> Vec<u64> {
    let members = members(item, has_id);
    let digest = |member: &Option<Cow<'_, str>>| {
        let mut hash = Sha256::new();
        add(&mut hash, member.as_deref());
        first_eight(hash)
    };
    members.iter().map(digest).collect()
}

fn item_digest(item: &Item, has_id: bool) -> u64 {
    let mut hash = Sha256::new();
    for member in &members(item, has_id) {
        add(&mut hash, member.as_deref());
    }
    first_eight(hash)
}

/// Length and text, so that neighbouring members cannot be confused; absent ones have no length.
fn add(hash: &mut Sha256, member: Option<&str>) {
    match member {
        Some(text) => {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        None => hash.update(u64::MAX.to_be_bytes()),
    }
}

fn first_eight(hash: Sha256) -> u64 {
    let bytes: [u8; 32] = hash.finalize().into();
    bytes[..8]
        .iter()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// In the single form the digests are those of the members, so that the place of the first that
/// differs names a member.
pub fn name_member(problem: Problem) -> Problem {
    let named = problem.errors().first().and_then(|error| {
        let index = error.field.strip_prefix("transfers[")?.strip_suffix(']')?;
        MEMBERS.get(index.parse::<usize>().ok()?).copied()
    });
    let Some(member) = named else {
        return problem;
    };
    let (status, code) = (problem.status(), problem.code().to_owned());
    let detail = problem.detail().to_owned();
    Problem::new(status, code.clone(), detail.clone())
        .with("field", member)
        .with_error(member, code, detail)
        .refused()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> TransferId {
        "made".into()
    }

    const ITEM: &str = r#"{"id":"a","debitAccountId":"d","creditAccountId":"c","amountMinor":"1","asset":"BRL","code":"t"}"#;

    #[test]
    fn both_forms_are_told_apart() {
        let one = read(ITEM.as_bytes(), false, made).expect("single");
        assert!(one.single && !one.lacks_id && !one.reserved && !one.backdates);
        let many = format!(" {{ \"transfers\" : [{ITEM},{ITEM}]}}");
        let many = read(many.as_bytes(), false, made).expect("batch");
        assert_eq!((many.single, many.items.len()), (false, 2));
    }

    #[test]
    fn case_53_sizes_and_unknown_members_refuse_the_call() {
        let of = |count: usize| format!("{{\"transfers\":[{}]}}", vec![ITEM; count].join(","));
        for count in [0, 8191] {
            let problem = read(of(count).as_bytes(), false, made).expect_err("size");
            assert_eq!(
                (problem.status().as_u16(), problem.code()),
                (400, "validation_failed")
            );
        }
        assert_eq!(
            read(of(8190).as_bytes(), false, made)
                .expect("largest")
                .items
                .len(),
            8190
        );
        let mut items = vec![ITEM.to_owned(); 6];
        items[5] = ITEM.replace("\"code\"", "\"colour\"");
        let text = format!("{{\"transfers\":[{}]}}", items.join(","));
        let problem = read(text.as_bytes(), false, made).expect_err("unknown member");
        assert_eq!(problem.code(), "unknown_field");
        assert_eq!(problem.errors()[0].field, "transfers[5].colour");
    }

    #[test]
    fn case_19_a_number_as_amount_refuses_the_call() {
        let text = ITEM.replace("\"1\"", "12");
        let problem = read(text.as_bytes(), false, made).expect_err("wrong type");
        assert_eq!(
            (problem.status().as_u16(), problem.code()),
            (400, "validation_failed")
        );
    }

    #[test]
    fn a_lone_surrogate_refuses_its_item_only() {
        let bad = ITEM.replace("\"id\":\"a\"", r#""id":"b","description":"x\ud800""#);
        let text = format!("{{\"transfers\":[{ITEM},{bad}]}}");
        let read = read(text.as_bytes(), false, made).expect("well formed");
        assert_eq!(read.items[0].invalid, None);
        let refused = Some((florin_ledger::ResultCode::FieldInvalid, "description"));
        assert_eq!(read.items[1].invalid, refused);
    }

    #[test]
    fn digests_are_of_values_and_leave_made_ids_out() {
        let digests = |text: &str| read(text.as_bytes(), true, made).expect("single").digests;
        let base = digests(ITEM);
        let other_order = r#"{"code":"t","asset":"BRL","amountMinor":"1","creditAccountId":"c","debitAccountId":"d","id":"a","mode":"single"}"#;
        assert_eq!(base, digests(other_order), "equal by value");
        let changed = digests(&ITEM.replace("\"1\"", "\"2\""));
        let first = base.iter().zip(&changed).position(|(a, b)| a != b);
        assert_eq!(first.map(|index| MEMBERS[index]), Some("amountMinor"));
        let without_id = ITEM.replace("\"id\":\"a\",", "");
        let read_with = |id: &str| {
            let own: TransferId = id.into();
            read(without_id.as_bytes(), true, move || own.clone()).expect("single")
        };
        assert!(read_with("x").lacks_id);
        assert_eq!(read_with("x").digests, read_with("y").digests);
    }

    #[test]
    fn a_conflict_of_the_single_form_names_the_member() {
        let problem = Problem::conflict("idempotency_conflict", "Differs.").with_error(
            "transfers[4]",
            "idempotency_conflict",
            "Differs.",
        );
        let named = name_member(problem);
        assert_eq!(named.errors()[0].field, "amountMinor");
        assert_eq!(named.status().as_u16(), 409);
    }
}
