//! The JSON shapes of feed lines, before their words and numbers are read.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::rules::prepare::{RawPairs, Text};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawLine<'a> {
    pub v: u64,
    pub seq: u64,
    pub batch: u64,
    #[serde(borrow)]
    pub recorded_at: Text<'a>,
    #[serde(borrow)]
    pub r#type: Text<'a>,
    #[serde(borrow)]
    pub data: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAsset {
    pub actor: Option<Box<str>>,
    pub code: Box<str>,
    pub scale: u8,
    pub kind: Box<str>,
    pub name: Option<Box<str>>,
    pub metadata: Option<RawPairs>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawAccount<'a> {
    pub actor: Option<Box<str>>,
    #[serde(borrow)]
    pub id: Text<'a>,
    pub asset: Box<str>,
    #[serde(borrow)]
    pub kind: Text<'a>,
    #[serde(borrow)]
    pub normal_side: Text<'a>,
    pub may_overdraw: bool,
    #[serde(borrow)]
    pub floor_minor: Option<Text<'a>>,
    pub metadata: Option<RawPairs>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawAccountUpdate<'a> {
    pub actor: Option<Box<str>>,
    #[serde(borrow)]
    pub id: Text<'a>,
    pub version: u32,
    pub may_overdraw: Option<bool>,
    #[serde(borrow)]
    pub floor_minor: Option<Text<'a>>,
    #[serde(borrow)]
    pub status: Option<Text<'a>>,
    pub metadata: Option<RawPairs>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawTransfer<'a> {
    pub actor: Option<Box<str>>,
    pub id: Box<str>,
    #[serde(borrow)]
    pub mode: Text<'a>,
    #[serde(borrow)]
    pub debit_account_id: Text<'a>,
    #[serde(borrow)]
    pub credit_account_id: Text<'a>,
    #[serde(borrow)]
    pub amount_minor: Text<'a>,
    pub asset: Box<str>,
    pub code: Box<str>,
    #[serde(borrow)]
    pub effective_at: Text<'a>,
    pub pending_id: Option<Box<str>>,
    pub timeout_seconds: Option<u32>,
    #[serde(borrow)]
    pub expires_at: Option<Text<'a>>,
    pub chain_id: Option<Box<str>>,
    pub chain_index: Option<u32>,
    pub reversal_of: Option<Box<str>>,
    pub description: Option<Box<str>>,
    pub metadata: Option<RawPairs>,
    #[serde(borrow)]
    pub source_recorded_at: Option<Text<'a>>,
    #[serde(borrow)]
    pub origin: Option<RawOrigin<'a>>,
    pub floor_skipped: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawOrigin<'a> {
    pub module: Box<str>,
    #[serde(borrow)]
    pub r#type: Text<'a>,
    pub reference_id: Option<Box<str>>,
    #[serde(borrow)]
    pub wallet_id: Text<'a>,
    #[serde(borrow)]
    pub destination_wallet_id: Option<Text<'a>>,
    pub hold_id: Option<Box<str>>,
    pub rate: Option<Box<str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawExpired<'a> {
    pub actor: Option<Box<str>>,
    #[serde(borrow)]
    pub id: Text<'a>,
    pub pending_id: Box<str>,
    #[serde(borrow)]
    pub effective_at: Text<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawWallet<'a> {
    pub actor: Option<Box<str>>,
    #[serde(borrow)]
    pub id: Text<'a>,
    pub user_id: Box<str>,
    pub currency: Box<str>,
    pub tier: Box<str>,
    pub label: Option<Box<str>>,
    pub metadata: Option<RawPairs>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawWalletUpdate<'a> {
    pub actor: Option<Box<str>>,
    #[serde(borrow)]
    pub id: Text<'a>,
    pub version: u32,
    #[serde(borrow)]
    pub status: Option<Text<'a>>,
    pub tier: Option<Box<str>>,
    /// `null` (the wallet follows its tier again) is a value, leaving it out is another.
    #[serde(default, borrow, deserialize_with = "given")]
    pub limits: Option<Option<RawLimits<'a>>>,
    pub reason: Option<Box<str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLimits<'a> {
    #[serde(borrow)]
    pub r#in: RawDirection<'a>,
    #[serde(borrow)]
    pub out: RawDirection<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawDirection<'a> {
    #[serde(borrow)]
    pub daily: Option<Text<'a>>,
    #[serde(borrow)]
    pub monthly: Option<Text<'a>>,
    #[serde(borrow)]
    pub per_transaction: Option<Text<'a>>,
}

fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
