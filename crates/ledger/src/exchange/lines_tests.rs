//! Lines of an import, good and bad.

use super::*;
use crate::model::{Floor, Status, WalletType};

fn parse(line: &str) -> Result<ImportLine, LineError> {
    parse_line(line.as_bytes(), Some("importer"))
}

fn refused(line: &str) -> (&'static str, String) {
    let error = parse(line).expect_err(line);
    (error.code, error.field.unwrap_or_default().into_owned())
}

fn transfer_of(line: &str) -> ImportTransfer {
    match parse(line).expect(line) {
        ImportLine::Transfer(t) => *t,
        other => panic!("{other:?}"),
    }
}

const TRANSFER: &str = r#"{"type":"transfer","id":"t1","debitAccountId":"a","creditAccountId":"b","amountMinor":"5","asset":"BRL","code":"rent","effectiveAt":"2020-01-01T00:00:00Z"}"#;

#[test]
fn plain_lines_become_calls() {
    let ImportLine::Asset(asset) =
        parse(r#"{"type":"asset","code":"CHF","scale":2,"kind":"fiat","name":"franc"}"#)
            .expect("an asset")
    else {
        panic!("no asset")
    };
    assert_eq!((&*asset.code, asset.scale), ("CHF", 2));
    let ImportLine::Account(account) = parse(
        r#"{"type":"account","id":"bank","asset":"CHF","kind":"asset","mayOverdraw":true,"floorMinor":"-10"}"#,
    )
    .expect("an account") else {
        panic!("no account")
    };
    assert_eq!(account.floor, Floor::Minus(10));
    assert_eq!(account.normal, Some(Side::Debit));
    assert_eq!(account.actor.as_deref(), Some("importer"));
    let t = transfer_of(&TRANSFER.replace(
        '}',
        r#","sourceRecordedAt":"2019-12-31T00:00:00Z","metadata":{"k":"v"}}"#,
    ));
    assert_eq!(t.item.invalid, None);
    assert_eq!(t.item.amount, Some(5));
    assert_eq!(t.item.metadata.get("k"), Some("v"));
    assert!(t.source_recorded_at.is_some() && !t.exported);
}

#[test]
fn values_of_transfers_are_left_to_the_rules_with_their_rank() {
    let invalid = |from: &str, to: &str| {
        assert!(TRANSFER.contains(from), "{from}");
        transfer_of(&TRANSFER.replace(from, to)).item.invalid
    };
    use ResultCode::{AmountMustNotBeZero, FieldInvalid, FieldRequired};
    assert_eq!(invalid(r#""id":"t1","#, ""), Some((FieldRequired, "id")));
    assert_eq!(
        invalid(r#","effectiveAt":"2020-01-01T00:00:00Z""#, ""),
        Some((FieldRequired, "effectiveAt"))
    );
    assert_eq!(
        invalid(r#""id""#, r#""mode":"pending","id""#),
        Some((FieldInvalid, "mode"))
    );
    assert_eq!(
        invalid(r#""5""#, r#""0""#),
        Some((AmountMustNotBeZero, "amountMinor"))
    );
    assert_eq!(invalid("t1", "t:1"), Some((FieldInvalid, "id")));
    assert_eq!(
        invalid(r#""id":"t1""#, r#""id":"t1","sourceRecordedAt":"x""#),
        Some((FieldInvalid, "sourceRecordedAt"))
    );
}

#[test]
fn refusals_name_the_member() {
    let unknown = "unknown_field";
    assert_eq!(refused("[]"), ("field_required", "type".into()));
    assert_eq!(refused("{"), ("validation_failed", String::new()));
    assert_eq!(refused("{}"), ("field_required", "type".into()));
    assert_eq!(refused(r#"{"type":"x"}"#), ("field_invalid", "type".into()));
    assert_eq!(
        refused(&TRANSFER.replace("\"id\"", "\"linked\":true,\"id\"")),
        (unknown, "linked".into())
    );
    assert_eq!(
        refused(&TRANSFER.replace("\"5\"", "5")),
        ("field_invalid", "amountMinor".into())
    );
    assert_eq!(
        refused(r#"{"type":"asset","code":"CHF","kind":"fiat"}"#),
        ("field_required", "scale".into())
    );
    assert_eq!(
        refused(r#"{"type":"asset","code":"chf","scale":2,"kind":"fiat"}"#),
        ("field_invalid", "code".into())
    );
    assert_eq!(
        refused(r#"{"type":"account","id":"florin:fees:BRL","asset":"BRL","kind":"income"}"#),
        ("reserved_prefix", "id".into())
    );
    assert_eq!(
        refused(r#"{"type":"account","id":"a","asset":"BRL","kind":"income","floorMinor":"-1"}"#),
        ("field_invalid", "floorMinor".into())
    );
    let long = format!(
        r#"{{"type":"asset","name":"{}"}}"#,
        "x".repeat(LINE_BYTES_MAX)
    );
    assert_eq!(refused(&long), ("validation_failed", String::new()));
}

fn feed(kind: &str, data: &str) -> String {
    format!(
        r#"{{"batch":3,"data":{data},"recordedAt":"2026-01-01T00:00:00.000000Z","seq":9,"type":"{kind}","v":1}}"#
    )
}

#[test]
fn refusals_of_feed_lines_name_the_member_in_data() {
    let line = feed(
        "transfer.expired",
        r#"{"effectiveAt":"2026-01-01T00:00:00.000000Z","id":"p:exp","pendingId":"p","x":1}"#,
    );
    assert_eq!(refused(&line), ("unknown_field", "data.x".into()));
    let line = feed(
        "transfer.expired",
        r#"{"effectiveAt":"2026-01-01T00:00:00.000000Z","id":"p:exp"}"#,
    );
    assert_eq!(refused(&line), ("field_required", "data.pendingId".into()));
    assert_eq!(
        refused(&feed("asset.gone", "{}")),
        ("field_invalid", "type".into())
    );
    let future = feed("asset.created", "{}").replace("\"v\":1", "\"v\":2");
    assert_eq!(refused(&future), ("field_invalid", "v".into()));
}

#[test]
fn every_type_of_exported_line_is_taken() {
    let wallet = "0190f000-0000-7000-8000-00000000000a";
    let line = feed(
        "transfer",
        &format!(
            r#"{{"actor":"u","amountMinor":"7","asset":"BRL","chainId":"x","chainIndex":1,"code":"hold","creditAccountId":"florin:external:BRL","debitAccountId":"florin:wallet:{wallet}","effectiveAt":"2026-01-01T00:00:00.000000Z","expiresAt":"2026-01-01T00:01:00.000000Z","id":"x:2","mode":"pending","origin":{{"module":"wallets","type":"HOLD","walletId":"{wallet}"}},"timeoutSeconds":60}}"#
        ),
    );
    let t = transfer_of(&line);
    assert_eq!(t.item.invalid, None);
    assert!(t.exported);
    assert_eq!(t.chain, Some(("x".into(), 1)));
    assert_eq!(t.origin.map(|o| o.r#type), Some(WalletType::Hold));
    assert_eq!(
        t.source_recorded_at.map(|at| at.to_string()),
        Some("2026-01-01T00:00:00.000000Z".into())
    );
    let line = feed(
        "wallet.created",
        &format!(r#"{{"currency":"BRL","id":"{wallet}","tier":"standard","userId":"ana"}}"#),
    );
    assert!(
        matches!(parse(&line), Ok(ImportLine::Wallet { wallet }) if &*wallet.user_id == "ana" && wallet.reference.generated)
    );
    let limits = r#"{"in":{"daily":null,"monthly":null,"perTransaction":null},"out":{"daily":"5","monthly":null,"perTransaction":null}}"#;
    let updated = |member: &str| {
        let line = feed(
            "wallet.updated",
            &format!(r#"{{"id":"{wallet}",{member}"status":"FROZEN","version":2}}"#),
        );
        match parse(&line) {
            Ok(ImportLine::WalletUpdate { change, .. }) => *change,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(updated("").status, Some(Status::Frozen));
    assert_eq!(updated("").limits, None);
    assert_eq!(updated(r#""limits":null,"#).limits, Some(None));
    let given = updated(&format!(r#""limits":{limits},"#)).limits;
    assert_eq!(given.flatten().and_then(|l| l.out.daily), Some(5));
    let line = feed(
        "account.updated",
        r#"{"id":"a","mayOverdraw":true,"metadata":{},"version":2}"#,
    );
    let Ok(ImportLine::AccountUpdate(patch)) = parse(&line) else {
        panic!("no update")
    };
    assert_eq!(patch.change.floor, Some(Floor::None));
    assert_eq!(patch.change.metadata, Some(Metadata::default()));
    let line = feed(
        "account.created",
        r#"{"asset":"BRL","id":"florin:external:BRL","kind":"asset","mayOverdraw":true,"normalSide":"debit"}"#,
    );
    assert!(matches!(parse(&line), Ok(ImportLine::Account(a)) if a.id.is_reserved()));
    let line = feed(
        "transfer.expired",
        r#"{"effectiveAt":"2026-01-01T00:00:00.000000Z","id":"p:exp","pendingId":"p"}"#,
    );
    assert!(
        matches!(parse(&line), Ok(ImportLine::Expired { pending_id, .. }) if &*pending_id == "p")
    );
}

#[test]
fn rows_of_a_csv_file_become_lines() {
    let import = csv::Import {
        asset: "CZK".into(),
        scale: 2,
        asset_kind: AssetKind::Fiat,
        accounts: vec![csv::ImportAccount {
            id: "bank:1".into(),
            asset: "CZK".into(),
            kind: AccountKind::Asset,
        }],
        transfers: vec![csv::ImportTransfer {
            line: 2,
            id: "row-1".into(),
            debit_account_id: "bank:1".into(),
            credit_account_id: "florin:opening:CZK".into(),
            amount_minor: 100,
            asset: "CZK".into(),
            code: "import".into(),
            effective_at_micros: -1,
            description: Some("old".into()),
            metadata: [("k".to_owned(), "v".to_owned())].into(),
        }],
        balances: None,
    };
    let lines: Vec<ImportLine> = csv_lines(import, None).map(|l| l.expect("fine")).collect();
    assert!(matches!(&lines[0], ImportLine::Asset(a) if &*a.code == "CZK"));
    assert!(matches!(&lines[1], ImportLine::Account(a) if a.normal.is_none()));
    let ImportLine::Transfer(t) = &lines[2] else {
        panic!("{:?}", lines[2])
    };
    assert_eq!(t.item.invalid, None);
    assert_eq!(t.item.effective_at, Some(Timestamp(-1)));
    assert_eq!(
        (t.item.amount, t.item.metadata.get("k")),
        (Some(100), Some("v"))
    );
}
