//! One line of an import as a call (contract A10): `asset`, `account` and `transfer` lines, or
//! exact feed lines of every type.

use serde::{Deserialize, de::IgnoredAny};

use super::{
    error::{LineError, wrong},
    feed::{FeedAccount, FeedData, FeedLine, FeedTransfer, account_id, floor, metadata, word},
};
use crate::{
    call::{
        CreateAccount, CreateWallet, ImportLine, ImportTransfer, Item, PatchAccount, Reference,
    },
    codes::ResultCode,
    csv,
    model::{AccountId, AccountKind, Asset, AssetKind, Metadata, Mode, Side},
    rules::prepare::{
        RawItem, RawPairs, Text, is_asset_code, is_description, is_posting_code, prepare,
    },
};
use florin_base::{Timestamp, money::MAX_SCALE};

/// Longest line of an import, in bytes (contract section 0).
pub const LINE_BYTES_MAX: usize = 64 * 1024;
/// Longest id that a record can have, in bytes: a caller's with the server's suffixes.
const RECORD_ID_MAX: usize = 128;
/// Longest shown name of an asset, in characters.
const NAME_MAX: usize = 100;

/// What tells the kinds of line apart.
#[derive(Deserialize)]
struct Probe<'a> {
    #[serde(borrow, default)]
    r#type: Option<Text<'a>>,
    #[serde(default)]
    data: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAsset {
    #[serde(rename = "type")]
    _type: IgnoredAny,
    code: Box<str>,
    scale: u8,
    kind: Box<str>,
    name: Option<Box<str>>,
    metadata: Option<RawPairs>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawAccount<'a> {
    #[serde(rename = "type")]
    _type: IgnoredAny,
    #[serde(borrow)]
    id: Text<'a>,
    asset: Box<str>,
    #[serde(borrow)]
    kind: Text<'a>,
    #[serde(borrow)]
    normal_side: Option<Text<'a>>,
    may_overdraw: Option<bool>,
    #[serde(borrow)]
    floor_minor: Option<Text<'a>>,
    metadata: Option<RawPairs>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawTransfer<'a> {
    #[serde(rename = "type")]
    _type: IgnoredAny,
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    mode: Option<Text<'a>>,
    #[serde(borrow)]
    debit_account_id: Option<Text<'a>>,
    #[serde(borrow)]
    credit_account_id: Option<Text<'a>>,
    #[serde(borrow)]
    amount_minor: Option<Text<'a>>,
    #[serde(borrow)]
    asset: Option<Text<'a>>,
    #[serde(borrow)]
    code: Option<Text<'a>>,
    #[serde(borrow)]
    effective_at: Option<Text<'a>>,
    #[serde(borrow)]
    description: Option<Text<'a>>,
    metadata: Option<RawPairs>,
    #[serde(borrow)]
    source_recorded_at: Option<Text<'a>>,
}

fn json<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, LineError> {
    serde_json::from_slice(line).map_err(|error| LineError::from_json::<T>(line, &error, ""))
}

/// Reads a line of an import, without its line end; `actor` becomes the subject of what it
/// records. Values of a transfer that are outside their grammar are left to the rules, which
/// answer with the codes of A4.
///
/// # Errors
/// [`LineError`]: no JSON object, an unknown or missing member, a wrong type, a value outside
/// its grammar.
pub fn parse_line(line: &[u8], actor: Option<&str>) -> Result<ImportLine, LineError> {
    if line.len() > LINE_BYTES_MAX {
        return Err(LineError {
            code: "validation_failed",
            field: None,
            message: format!("a line has at most {LINE_BYTES_MAX} bytes").into(),
        });
    }
    let probe: Probe<'_> = json(line)?;
    if probe.data.is_some() {
        return FeedLine::parse(line)?.into_import(actor);
    }
    match probe.r#type.as_deref() {
        Some("asset") => asset(json(line)?),
        Some("account") => account(json(line)?, actor),
        Some("transfer") => transfer(json(line)?),
        Some(_) => Err(wrong(
            "type",
            "must be asset, account or transfer, or the line an exported one",
        )),
        None => Err(LineError {
            code: "field_required",
            field: Some("type".into()),
            message: "must be asset, account or transfer".into(),
        }),
    }
}

fn checked_asset(asset: Asset) -> Result<Asset, LineError> {
    if !is_asset_code(&asset.code) {
        return Err(wrong("code", "must match ^[A-Z][A-Z0-9._-]{1,23}$"));
    }
    if asset.scale > MAX_SCALE {
        return Err(wrong("scale", "must be 0 to 30"));
    }
    let name = asset.name.as_deref().unwrap_or_default();
    if name.chars().count() > NAME_MAX {
        return Err(wrong("name", "must have at most 100 characters"));
    }
    Ok(asset)
}

fn asset(raw: RawAsset) -> Result<ImportLine, LineError> {
    checked_asset(Asset {
        kind: word(&raw.kind, "kind", AssetKind::from_word)?,
        metadata: metadata(raw.metadata)?,
        code: raw.code,
        scale: raw.scale,
        name: raw.name,
    })
    .map(ImportLine::Asset)
}

fn account(raw: RawAccount<'_>, actor: Option<&str>) -> Result<ImportLine, LineError> {
    let id = account_id(&raw.id, "id")?;
    if id.is_reserved() {
        return Err(LineError {
            code: "reserved_prefix",
            field: Some("id".into()),
            message: "ids starting with florin: are kept for Florin".into(),
        });
    }
    let may_overdraw = raw.may_overdraw.unwrap_or(false);
    let account = FeedAccount {
        id,
        kind: word(&raw.kind, "kind", AccountKind::from_word)?,
        normal: match raw.normal_side.as_deref() {
            Some(text) => word(text, "normalSide", Side::from_word)?,
            None => word(&raw.kind, "kind", AccountKind::from_word)?.usual_side(),
        },
        floor: floor(may_overdraw, raw.floor_minor.as_deref())?,
        metadata: metadata(raw.metadata)?,
        asset: raw.asset,
    };
    create_account(account, actor)
}

fn create_account(account: FeedAccount, actor: Option<&str>) -> Result<ImportLine, LineError> {
    if !is_asset_code(&account.asset) {
        return Err(wrong("asset", "must be the code of an asset"));
    }
    Ok(ImportLine::Account(CreateAccount {
        actor: actor.map(Into::into),
        id: account.id,
        asset: account.asset,
        kind: account.kind,
        normal: Some(account.normal),
        floor: account.floor,
        metadata: account.metadata,
        key: None,
    }))
}

fn transfer(raw: RawTransfer<'_>) -> Result<ImportLine, LineError> {
    let missing = [
        (raw.id.is_none(), ResultCode::FieldRequired, "id"),
        (
            raw.effective_at.is_none(),
            ResultCode::FieldRequired,
            "effectiveAt",
        ),
    ];
    let other_mode = raw.mode.as_deref().is_some_and(|mode| mode != "single");
    let source_recorded_at = raw.source_recorded_at.as_deref().map(Timestamp::parse);
    let unreadable = matches!(source_recorded_at, Some(Err(_)));
    let mut item = prepare(
        RawItem {
            id: raw.id,
            mode: Some(Mode::Single),
            debit_account_id: raw.debit_account_id,
            credit_account_id: raw.credit_account_id,
            amount_minor: raw.amount_minor,
            asset: raw.asset,
            code: raw.code,
            pending_id: None,
            timeout_seconds: None,
            effective_at: raw.effective_at,
            linked: false,
            description: raw.description,
            metadata: raw.metadata,
        },
        Default::default,
    );
    let findings = [
        (other_mode, ResultCode::FieldInvalid, "mode"),
        (unreadable, ResultCode::FieldInvalid, "sourceRecordedAt"),
    ];
    for (found, code, field) in findings.into_iter().chain(missing) {
        let lower = |(other, _): (ResultCode, _)| code.rank() < other.rank();
        if found && item.invalid.is_none_or(lower) {
            item.invalid = Some((code, field));
        }
    }
    Ok(ImportLine::Transfer(Box::new(ImportTransfer {
        item,
        source_recorded_at: source_recorded_at.and_then(Result::ok),
        chain: None,
        reversal_of: None,
        origin: None,
        floor_skipped: false,
        exported: false,
    })))
}

impl FeedLine {
    /// The line as part of an import. `recordedAt` of the exporting ledger is kept as
    /// `sourceRecordedAt`, unless the line has one already; `actor` replaces the line's.
    ///
    /// # Errors
    /// [`LineError`] for a value outside its grammar.
    pub fn into_import(self, actor: Option<&str>) -> Result<ImportLine, LineError> {
        let subject: Option<Box<str>> = actor.map(Into::into);
        Ok(match self.data {
            FeedData::AssetCreated(asset) => ImportLine::Asset(checked_asset(asset)?),
            FeedData::AccountCreated(account) => create_account(account, actor)?,
            FeedData::AccountUpdated {
                id,
                version,
                change,
            } => ImportLine::AccountUpdate(PatchAccount {
                actor: subject,
                id,
                change,
                if_version: Some(version.saturating_sub(1)),
            }),
            FeedData::Transfer(t) => ImportLine::Transfer(Box::new(exported(*t, self.recorded_at))),
            FeedData::Expired {
                pending_id,
                effective_at,
            } => ImportLine::Expired {
                pending_id,
                effective_at,
            },
            FeedData::WalletCreated(wallet) => ImportLine::Wallet {
                wallet: CreateWallet {
                    actor: subject,
                    id: wallet.id,
                    user_id: wallet.user_id,
                    currency: wallet.currency,
                    tier: wallet.tier,
                    label: wallet.label,
                    metadata: wallet.metadata,
                    // An export carries no identities of creations.
                    reference: Reference {
                        id: Box::default(),
                        generated: true,
                    },
                },
            },
            FeedData::WalletUpdated {
                id,
                version,
                change,
            } => ImportLine::WalletUpdate {
                id,
                version,
                change,
            },
        })
    }
}

/// Ids of records may hold the `:` of server-made ones.
fn is_record_id(id: &str) -> bool {
    let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b':');
    (1..=RECORD_ID_MAX).contains(&id.len()) && id.bytes().all(known)
}

fn exported(t: FeedTransfer, recorded_at: Timestamp) -> ImportTransfer {
    let ids_ok = [&t.pending_id, &t.reversal_of];
    let findings = [
        (is_record_id(&t.id), "id"),
        (is_asset_code(&t.asset), "asset"),
        (is_posting_code(&t.code), "code"),
        (ids_ok[0].as_deref().is_none_or(is_record_id), "pendingId"),
        (ids_ok[1].as_deref().is_none_or(is_record_id), "reversalOf"),
        (
            t.chain.as_ref().is_none_or(|(id, _)| is_record_id(id)),
            "chainId",
        ),
        (
            is_description(t.description.as_deref().unwrap_or_default()),
            "description",
        ),
    ];
    let invalid = findings
        .into_iter()
        .find(|(fine, _)| !fine)
        .map(|(_, field)| (ResultCode::FieldInvalid, field))
        .or_else(|| value_finding(&t));
    ImportTransfer {
        item: Item {
            id: t.id,
            mode: t.mode,
            debit: Some(t.debit),
            credit: Some(t.credit),
            amount: Some(t.amount),
            asset: Some(t.asset),
            code: Some(t.code),
            pending_id: t.pending_id,
            timeout_seconds: t.timeout_seconds,
            effective_at: Some(t.effective_at),
            linked: false,
            description: t.description,
            metadata: t.metadata,
            invalid,
        },
        source_recorded_at: t.source_recorded_at.or(Some(recorded_at)),
        chain: t.chain,
        reversal_of: t.reversal_of,
        origin: t.origin,
        floor_skipped: t.floor_skipped,
        exported: true,
    }
}

/// Ranks 4 to 8 of an exported transfer.
fn value_finding(t: &FeedTransfer) -> Option<(ResultCode, &'static str)> {
    let resolves = matches!(t.mode, Mode::Post | Mode::Void);
    let findings = [
        (
            resolves && t.pending_id.is_none(),
            ResultCode::FieldRequired,
            "pendingId",
        ),
        (
            !resolves && t.pending_id.is_some(),
            ResultCode::FieldNotAllowed,
            "pendingId",
        ),
        (
            t.mode != Mode::Pending && t.timeout_seconds.is_some(),
            ResultCode::FieldNotAllowed,
            "timeoutSeconds",
        ),
        (
            t.amount == 0,
            ResultCode::AmountMustNotBeZero,
            "amountMinor",
        ),
        (
            t.debit == t.credit,
            ResultCode::AccountsMustDiffer,
            "creditAccountId",
        ),
        (
            t.pending_id.as_ref() == Some(&t.id),
            ResultCode::PendingIdMustDiffer,
            "pendingId",
        ),
    ];
    let found = findings.into_iter().find(|(found, ..)| *found);
    found.map(|(_, code, field)| (code, field))
}

/// The lines of a CSV file that [`csv::read`] has checked: its asset, its accounts, its
/// transfers in order. Asset and accounts that exist with other values are refused by the
/// ledger as conflicts, so a file may be imported beside what is there.
///
/// # Errors
/// [`LineError`] for values that the profile took from the file and the ledger does not take.
pub fn csv_lines(
    import: csv::Import,
    actor: Option<&str>,
) -> impl Iterator<Item = Result<ImportLine, LineError>> {
    let subject: Option<Box<str>> = actor.map(Into::into);
    let asset = checked_asset(Asset {
        code: import.asset.into(),
        scale: import.scale,
        kind: import.asset_kind,
        name: None,
        metadata: Metadata::default(),
    })
    .map(ImportLine::Asset);
    let accounts = import.accounts.into_iter().map(move |account| {
        let id = AccountId::parse(&account.id);
        Ok(ImportLine::Account(CreateAccount {
            actor: subject.clone(),
            id: id.ok_or_else(|| wrong("id", "must be an account id"))?,
            asset: account.asset.into(),
            kind: account.kind,
            normal: None,
            floor: Default::default(),
            metadata: Metadata::default(),
            key: None,
        }))
    });
    let transfers = import.transfers.into_iter().map(csv_transfer);
    std::iter::once(asset).chain(accounts).chain(transfers)
}

fn csv_transfer(t: csv::ImportTransfer) -> Result<ImportLine, LineError> {
    let amount = t.amount_minor.to_string();
    let effective_at = Timestamp(t.effective_at_micros).to_string();
    let text = |text: String| Some(Text(text.into()));
    let pairs = t.metadata.into_iter().map(|(k, v)| (k.into(), v.into()));
    let item = prepare(
        RawItem {
            id: text(t.id),
            mode: Some(Mode::Single),
            debit_account_id: text(t.debit_account_id),
            credit_account_id: text(t.credit_account_id),
            amount_minor: text(amount),
            asset: text(t.asset),
            code: text(t.code),
            pending_id: None,
            timeout_seconds: None,
            effective_at: text(effective_at),
            linked: false,
            description: t.description.map(|text| Text(text.into())),
            metadata: Some(RawPairs(pairs.collect())),
        },
        Default::default,
    );
    Ok(ImportLine::Transfer(Box::new(ImportTransfer {
        item,
        source_recorded_at: None,
        chain: None,
        reversal_of: None,
        origin: None,
        floor_skipped: false,
        exported: false,
    })))
}

#[cfg(test)]
#[path = "lines_tests.rs"]
mod tests;
