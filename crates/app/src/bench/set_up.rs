//! Accounts with money: made through the import route and funded by ledger calls. What exists
//! already is left as it is, so a set-up can be repeated.

use std::time::{Duration, Instant};

use anyhow::bail;
use indicatif::ProgressBar;
use serde_json::Value;

use super::client::{Client, Target};
use super::names::{ASSET, FUNDS_MINOR, TREASURY, put_account, put_padded, put_wallet};
use super::wire;
use super::work::Shape;

/// Connections that set up: more would not help a server of two cores.
const CONNECTIONS: u64 = 2;
/// Transfers of one funding call.
const FUNDING_BATCH: u64 = 8_190;

/// Makes `accounts` accounts of a shape and funds them; answers how long that took.
pub fn set_up(
    target: &Target,
    shape: Shape,
    accounts: u64,
    bar: &ProgressBar,
) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let treasury = format!(
        "{{\"type\":\"account\",\"id\":\"{TREASURY}\",\"asset\":\"{ASSET}\",\"kind\":\"asset\",\"mayOverdraw\":true}}\n"
    );
    let summary = Client::new(target)?.import(|out| Ok(out.write_all(treasury.as_bytes())?))?;
    taken(&summary)?;
    let share = accounts.div_ceil(CONNECTIONS);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..CONNECTIONS)
            .map(|part| (part * share, ((part + 1) * share).min(accounts)))
            .map(|(from, to)| scope.spawn(move || part(target, shape, from, to, bar)))
            .collect();
        for worker in workers {
            match worker.join() {
                Ok(done) => done?,
                Err(_) => bail!("the set-up broke off"),
            }
        }
        Ok(())
    })?;
    Ok(begun.elapsed())
}

/// Every line was new or known.
fn taken(summary: &Value) -> anyhow::Result<()> {
    match summary["summary"]["refused"].as_u64() {
        Some(0) => Ok(()),
        _ => bail!("the import refused lines: {summary}"),
    }
}

fn part(
    target: &Target,
    shape: Shape,
    from: u64,
    to: u64,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    let mut client = Client::new(target)?;
    let summary = client.import(|out| {
        let mut line = Vec::with_capacity(512);
        for number in from..to {
            line.clear();
            match shape {
                Shape::Wallet => put_wallet_lines(number, &mut line),
                Shape::Ledger => put_account_line(number, &mut line),
            }
            out.write_all(&line)?;
            bar.inc(1);
        }
        Ok(())
    })?;
    taken(&summary)?;
    let mut first = from;
    while first < to {
        let end = (first + FUNDING_BATCH).min(to);
        let reply = client.post("/api/v1/ledger/transfers", &funding(shape, first, end))?;
        let good = wire::count(&reply.body, b"\"code\":\"created\"")
            + wire::count(&reply.body, b"\"code\":\"exists\"");
        if reply.status != 200 || good as u64 != end - first {
            let text = String::from_utf8_lossy(&reply.body[..reply.body.len().min(500)]);
            bail!("accounts could not be funded: {} {text}", reply.status);
        }
        bar.inc(end - first);
        first = end;
    }
    Ok(())
}

fn put_account_line(number: u64, line: &mut Vec<u8>) {
    line.extend_from_slice(b"{\"type\":\"account\",\"id\":\"");
    put_account(number, line);
    line.extend_from_slice(b"\",\"asset\":\"");
    line.extend_from_slice(ASSET.as_bytes());
    line.extend_from_slice(b"\",\"kind\":\"liability\"}\n");
}

/// A wallet as an export tells it: its account, then itself.
fn put_wallet_lines(number: u64, line: &mut Vec<u8>) {
    const TAIL: &[u8] = b"\"recordedAt\":\"2026-01-01T00:00:00.000000Z\",\"seq\":1,\"type\":\"";
    line.extend_from_slice(b"{\"batch\":1,\"data\":{\"asset\":\"");
    line.extend_from_slice(ASSET.as_bytes());
    line.extend_from_slice(b"\",\"id\":\"florin:wallet:");
    put_wallet(number, line);
    line.extend_from_slice(
        b"\",\"kind\":\"liability\",\"mayOverdraw\":false,\"normalSide\":\"credit\"},",
    );
    line.extend_from_slice(TAIL);
    line.extend_from_slice(b"account.created\",\"v\":1}\n{\"batch\":1,\"data\":{\"currency\":\"");
    line.extend_from_slice(ASSET.as_bytes());
    line.extend_from_slice(b"\",\"id\":\"");
    put_wallet(number, line);
    line.extend_from_slice(b"\",\"tier\":\"standard\",\"userId\":\"bench-");
    put_padded(number, 8, line);
    line.extend_from_slice(b"\"},");
    line.extend_from_slice(TAIL);
    line.extend_from_slice(b"wallet.created\",\"v\":1}\n");
}

fn funding(shape: Shape, from: u64, to: u64) -> String {
    let mut body = b"{\"transfers\":[".to_vec();
    for number in from..to {
        if number > from {
            body.push(b',');
        }
        body.extend_from_slice(match shape {
            Shape::Wallet => b"{\"id\":\"bench-fund-w-",
            Shape::Ledger => b"{\"id\":\"bench-fund-a-",
        });
        put_padded(number, 8, &mut body);
        body.extend_from_slice(b"\",\"debitAccountId\":\"");
        body.extend_from_slice(TREASURY.as_bytes());
        body.extend_from_slice(b"\",\"creditAccountId\":\"");
        match shape {
            Shape::Wallet => {
                body.extend_from_slice(b"florin:wallet:");
                put_wallet(number, &mut body);
            }
            Shape::Ledger => put_account(number, &mut body),
        }
        body.extend_from_slice(b"\",\"amountMinor\":\"");
        body.extend_from_slice(FUNDS_MINOR.to_string().as_bytes());
        body.extend_from_slice(b"\",\"asset\":\"");
        body.extend_from_slice(ASSET.as_bytes());
        body.extend_from_slice(b"\",\"code\":\"funding\"}");
    }
    body.extend_from_slice(b"]}");
    String::from_utf8(body).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_calls_are_json() {
        let mut lines = Vec::new();
        put_wallet_lines(3, &mut lines);
        put_account_line(3, &mut lines);
        let types: Vec<Value> = lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice::<Value>(line).expect("JSON")["type"].clone())
            .collect();
        assert_eq!(types, ["account.created", "wallet.created", "account"]);
        for shape in [Shape::Wallet, Shape::Ledger] {
            let call: Value = serde_json::from_str(&funding(shape, 5, 8)).expect("JSON");
            assert_eq!(call["transfers"].as_array().map(Vec::len), Some(3));
        }
    }
}
