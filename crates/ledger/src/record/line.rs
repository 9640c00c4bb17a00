//! The exact feed line of a record: RFC 8785 canonical JSON (contract A8). Members are written
//! in sorted order by hand, because these bytes are hashed and must never change.

use florin_base::Timestamp;

use crate::model::{
    AccountChange, Asset, AssetNo, Body, DirectionLimits, Floor, Limits, Metadata, NewAccount,
    NewWallet, Origin, Record, Slot, Transfer, WalletChange, write_uuid,
};

/// Names behind the numbers of a record.
pub trait Names {
    /// Appends the id of an account.
    fn account(&self, slot: Slot, out: &mut Vec<u8>);
    /// Appends the code of an asset.
    fn asset(&self, no: AssetNo, out: &mut Vec<u8>);
    /// The asset of an account.
    fn asset_of(&self, slot: Slot) -> AssetNo;
}

/// Writes one JSON object with members in the order given.
struct Object<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

impl<'o> Object<'o> {
    fn begin(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    fn key(&mut self, key: &str) -> &mut Vec<u8> {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    fn text(&mut self, key: &str, value: &str) {
        write_string(value, self.key(key));
    }

    fn maybe_text(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    fn number(&mut self, key: &str, value: u64) {
        write_u128(u128::from(value), self.key(key));
    }

    fn minor(&mut self, key: &str, value: u128) {
        self.quoted(key, |out| write_u128(value, out));
    }

    fn time(&mut self, key: &str, value: Timestamp) {
        self.quoted(key, |out| value.write_to(out));
    }

    fn maybe_time(&mut self, key: &str, value: Option<Timestamp>) {
        if let Some(value) = value {
            self.time(key, value);
        }
    }

    fn uuid(&mut self, key: &str, id: u128) {
        self.quoted(key, |out| write_uuid(id, out));
    }

    fn bool(&mut self, key: &str, value: bool) {
        self.key(key)
            .extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// For values that need no escapes.
    fn quoted(&mut self, key: &str, write: impl FnOnce(&mut Vec<u8>)) {
        let out = self.key(key);
        out.push(b'"');
        write(out);
        out.push(b'"');
    }

    fn metadata(&mut self, metadata: &Metadata) {
        if !metadata.is_empty() {
            self.all_metadata(metadata);
        }
    }

    fn all_metadata(&mut self, metadata: &Metadata) {
        let mut pairs = Object::begin(self.key("metadata"));
        for (key, value) in metadata.pairs() {
            pairs.text(key, value);
        }
        pairs.end();
    }

    fn end(self) {
        self.out.push(b'}');
    }
}

fn write_u128(value: u128, out: &mut Vec<u8>) {
    if let Ok(small) = u64::try_from(value) {
        let mut digits = [0u8; 20];
        let mut at = digits.len();
        let mut rest = small;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        out.extend_from_slice(&digits[at..]);
    } else {
        out.extend_from_slice(value.to_string().as_bytes());
    }
}

/// Appends a JSON string with the escapes of RFC 8785 §3.2.2.2 and no others.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let mut plain = 0;
    let bytes = text.as_bytes();
    for (i, &b) in bytes.iter().enumerate() {
        if b >= 0x20 && b != b'"' && b != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[plain..i]);
        plain = i + 1;
        match b {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', b]),
            0x08 => out.extend_from_slice(b"\\b"),
            0x09 => out.extend_from_slice(b"\\t"),
            0x0A => out.extend_from_slice(b"\\n"),
            0x0C => out.extend_from_slice(b"\\f"),
            0x0D => out.extend_from_slice(b"\\r"),
            _ => out.extend_from_slice(&[
                b'\\',
                b'u',
                b'0',
                b'0',
                HEX[usize::from(b >> 4)],
                HEX[usize::from(b & 15)],
            ]),
        }
    }
    out.extend_from_slice(&bytes[plain..]);
    out.push(b'"');
}

/// The word in the `type` member.
pub const fn type_word(body: &Body) -> &'static str {
    match body {
        Body::AssetCreated(_) => "asset.created",
        Body::AccountCreated(_) => "account.created",
        Body::AccountUpdated { .. } => "account.updated",
        Body::Transfer(_) => "transfer",
        Body::Expired { .. } => "transfer.expired",
        Body::WalletCreated(_) => "wallet.created",
        Body::WalletUpdated { .. } => "wallet.updated",
    }
}

/// Appends the line of a record without its line end.
pub fn write_line(record: &Record, names: &impl Names, out: &mut Vec<u8>) {
    let mut line = Object::begin(out);
    line.number("batch", record.batch);
    let mut data = Object::begin(line.key("data"));
    data.maybe_text("actor", record.actor.as_deref());
    match &record.body {
        Body::AssetCreated(asset) => write_asset(&mut data, asset),
        Body::AccountCreated(account) => write_account(&mut data, account, names),
        Body::AccountUpdated {
            slot,
            version,
            change,
        } => write_account_change(&mut data, *slot, *version, change, names),
        Body::Transfer(t) => write_transfer(&mut data, t, names),
        Body::Expired {
            pending_id,
            effective_at,
            ..
        } => {
            data.time("effectiveAt", *effective_at);
            data.text("id", &format!("{pending_id}:exp"));
            data.text("pendingId", pending_id);
        }
        Body::WalletCreated(wallet) => write_wallet(&mut data, wallet, names),
        Body::WalletUpdated {
            id,
            version,
            change,
            ..
        } => write_wallet_change(&mut data, *id, *version, change),
    }
    data.end();
    line.time("recordedAt", record.recorded_at);
    line.number("seq", record.seq);
    line.text("type", type_word(&record.body));
    line.number("v", 1);
    line.end();
}

fn write_asset(data: &mut Object<'_>, asset: &Asset) {
    data.text("code", &asset.code);
    data.text("kind", asset.kind.word());
    data.metadata(&asset.metadata);
    data.maybe_text("name", asset.name.as_deref());
    data.number("scale", u64::from(asset.scale));
}

fn write_floor_minor(data: &mut Object<'_>, floor: Floor) {
    if let Floor::Minus(depth) = floor {
        data.quoted("floorMinor", |out| {
            if depth > 0 {
                out.push(b'-');
            }
            write_u128(depth, out);
        });
    }
}

fn write_account(data: &mut Object<'_>, account: &NewAccount, names: &impl Names) {
    data.quoted("asset", |out| names.asset(account.asset, out));
    write_floor_minor(data, account.floor);
    data.quoted("id", |out| account.id.write_to(out));
    data.text("kind", account.kind.word());
    data.bool("mayOverdraw", account.floor.may_overdraw());
    data.metadata(&account.metadata);
    data.text("normalSide", account.normal.word());
}

fn write_account_change(
    data: &mut Object<'_>,
    slot: Slot,
    version: u32,
    change: &AccountChange,
    names: &impl Names,
) {
    if let Some(floor) = change.floor {
        write_floor_minor(data, floor);
    }
    data.quoted("id", |out| names.account(slot, out));
    if let Some(floor) = change.floor {
        data.bool("mayOverdraw", floor.may_overdraw());
    }
    if let Some(metadata) = &change.metadata {
        data.all_metadata(metadata);
    }
    data.maybe_text("status", change.status.map(|s| s.word()));
    data.number("version", u64::from(version));
}

fn write_transfer(data: &mut Object<'_>, t: &Transfer, names: &impl Names) {
    data.minor("amountMinor", t.amount);
    data.quoted("asset", |out| names.asset(t.asset, out));
    if let Some((id, index)) = &t.chain {
        data.text("chainId", id);
        data.number("chainIndex", u64::from(*index));
    }
    data.text("code", &t.code);
    data.quoted("creditAccountId", |out| names.account(t.credit, out));
    data.quoted("debitAccountId", |out| names.account(t.debit, out));
    data.maybe_text("description", t.description.as_deref());
    data.time("effectiveAt", t.effective_at);
    data.maybe_time("expiresAt", t.expires_at);
    if t.floor_skipped {
        data.bool("floorSkipped", true);
    }
    data.text("id", &t.id);
    data.metadata(&t.metadata);
    data.text("mode", t.mode.word());
    if let Some(origin) = &t.origin {
        write_origin(data, origin);
    }
    data.maybe_text("pendingId", t.pending_id.as_deref());
    data.maybe_text("reversalOf", t.reversal_of.as_deref());
    data.maybe_time("sourceRecordedAt", t.source_recorded_at);
    if let Some(seconds) = t.timeout_seconds {
        data.number("timeoutSeconds", u64::from(seconds));
    }
}

fn write_origin(data: &mut Object<'_>, origin: &Origin) {
    let mut o = Object::begin(data.key("origin"));
    if let Some(id) = origin.destination_wallet_id {
        o.uuid("destinationWalletId", id);
    }
    o.maybe_text("holdId", origin.hold_id.as_deref());
    o.text("module", &origin.module);
    o.maybe_text("rate", origin.rate.as_deref());
    o.maybe_text("referenceId", origin.reference_id.as_deref());
    o.text("type", origin.r#type.word());
    o.uuid("walletId", origin.wallet_id);
    o.end();
}

fn write_wallet(data: &mut Object<'_>, wallet: &NewWallet, names: &impl Names) {
    data.quoted("currency", |out| {
        names.asset(names.asset_of(wallet.slot), out)
    });
    data.uuid("id", wallet.id);
    data.maybe_text("label", wallet.label.as_deref());
    data.metadata(&wallet.metadata);
    data.text("tier", &wallet.tier);
    data.text("userId", &wallet.user_id);
}

fn write_wallet_change(data: &mut Object<'_>, id: u128, version: u32, change: &WalletChange) {
    data.uuid("id", id);
    match &change.limits {
        Some(Some(limits)) => write_limits(data, limits),
        Some(None) => data.key("limits").extend_from_slice(b"null"),
        None => {}
    }
    data.maybe_text("reason", change.reason.as_deref());
    data.maybe_text("status", change.status.map(|s| s.wallet_word()));
    data.maybe_text("tier", change.tier.as_deref());
    data.number("version", u64::from(version));
}

fn write_limits(data: &mut Object<'_>, limits: &Limits) {
    let mut both = Object::begin(data.key("limits"));
    for (key, d) in [("in", limits.r#in), ("out", limits.out)] {
        let DirectionLimits {
            per_transaction,
            daily,
            monthly,
        } = d;
        let mut one = Object::begin(both.key(key));
        for (key, value) in [
            ("daily", daily),
            ("monthly", monthly),
            ("perTransaction", per_transaction),
        ] {
            match value {
                Some(value) => one.minor(key, value),
                None => one.key(key).extend_from_slice(b"null"),
            }
        }
        one.end();
    }
    both.end();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AssetKind, Touches};

    struct NoNames;
    impl Names for NoNames {
        fn account(&self, _: Slot, _: &mut Vec<u8>) {}
        fn asset(&self, _: AssetNo, _: &mut Vec<u8>) {}
        fn asset_of(&self, _: Slot) -> AssetNo {
            0
        }
    }

    #[test]
    fn the_vector_of_contract_a9() {
        let record = Record {
            seq: 1,
            batch: 1,
            recorded_at: Timestamp::parse("2026-01-01T00:00:00Z").expect("valid"),
            actor: None,
            body: Body::AssetCreated(Asset {
                code: "BRL".into(),
                scale: 2,
                kind: AssetKind::Fiat,
                name: None,
                metadata: Metadata::default(),
            }),
            touches: Touches::default(),
        };
        let mut line = Vec::new();
        write_line(&record, &NoNames, &mut line);
        assert_eq!(
            String::from_utf8(line).expect("UTF-8"),
            r#"{"batch":1,"data":{"code":"BRL","kind":"fiat","scale":2},"recordedAt":"2026-01-01T00:00:00.000000Z","seq":1,"type":"asset.created","v":1}"#
        );
    }

    #[test]
    fn strings_have_the_escapes_of_rfc_8785() {
        let mut out = Vec::new();
        write_string("a\"\\\u{8}\t\n\u{c}\r\u{1}\u{1f}é€", &mut out);
        assert_eq!(
            String::from_utf8(out).expect("UTF-8"),
            "\"a\\\"\\\\\\b\\t\\n\\f\\r\\u0001\\u001fé€\""
        );
    }
}
