//! The check at the end of every measurement: nothing was made or lost. Debits equal credits in
//! every asset, the sum moved is the sum acknowledged, and sampled accounts changed by exactly
//! what was acknowledged for them. Nobody else may move money meanwhile.

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::client::{Client, Target};
use super::names::{ASSET, put_account, put_wallet};
use super::pick::{Random, mix};
use super::work::{Expected, Outcome, Shape, outcome};

/// Accounts whose balances are compared.
const SAMPLE: u64 = 200;

/// Balances before a measurement.
#[derive(Debug)]
pub struct Before {
    moved: u128,
    sample: Vec<(u64, i128)>,
}

/// Reads them.
pub fn before(target: &Target, shape: Shape, accounts: u64) -> anyhow::Result<Before> {
    let mut client = Client::new(target)?;
    let mut random = Random::new(accounts);
    // The hot pair, the most used accounts of the Zipf law, and others.
    let mut numbers: Vec<u64> = (0..2)
        .chain((0..20).map(|rank| mix(rank) % accounts))
        .collect();
    numbers.extend((0..SAMPLE).map(|_| random.below(accounts)));
    numbers.sort_unstable();
    numbers.dedup();
    let read = |number| Ok((number, balance(&mut client, shape, number)?));
    let sample = numbers
        .into_iter()
        .map(read)
        .collect::<anyhow::Result<_>>()?;
    let moved = moved(&client.get("/api/v1/ledger/trial-balance")?)?;
    Ok(Before { moved, sample })
}

/// Sends again what may have been done, then compares; any difference is an error.
pub fn after(
    target: &Target,
    shape: Shape,
    before: &Before,
    expected: &mut Expected,
) -> anyhow::Result<()> {
    settle(target, expected)?;
    let mut client = Client::new(target)?;
    let now = moved(&client.get("/api/v1/ledger/trial-balance")?)?;
    if now - before.moved != expected.moved_minor {
        bail!(
            "conservation: {} minor units were acknowledged, the ledger moved {}",
            expected.moved_minor,
            now - before.moved
        );
    }
    for (number, balance_before) in &before.sample {
        let now = balance(&mut client, shape, *number)?;
        let change = i128::from(expected.changes[*number as usize]);
        if now - balance_before != change {
            bail!(
                "conservation: account {number} changed by {}, acknowledged was {change}",
                now - balance_before
            );
        }
    }
    Ok(())
}

/// An uncertain outcome becomes certain by the same identity.
fn settle(target: &Target, expected: &mut Expected) -> anyhow::Result<()> {
    let unknown = std::mem::take(&mut expected.unknown);
    if unknown.is_empty() {
        return Ok(());
    }
    let mut client = Client::new(target)?;
    for request in unknown {
        let reply = client.exchange(&request.bytes)?;
        match outcome(&request, reply.status, &reply.body) {
            Outcome::Unknown(code) => bail!("a request cannot be settled: {code}"),
            Outcome::Done => drop(expected.take(&request, Outcome::Done)),
            Outcome::Refused(_) => {}
        }
    }
    Ok(())
}

/// Σ posted debits of our asset; every asset must balance.
fn moved(trial: &Value) -> anyhow::Result<u128> {
    let assets = trial["assets"].as_array().context("a trial balance")?;
    if let Some(row) = assets.iter().find(|row| row["difference"] != "0") {
        bail!("conservation: the ledger does not balance: {row}");
    }
    let row = assets.iter().find(|row| row["asset"] == ASSET);
    match row {
        Some(row) => Ok(row["debitsPosted"]
            .as_str()
            .context("debitsPosted")?
            .parse()?),
        None => Ok(0),
    }
}

/// Minor units.
fn balance(client: &mut Client, shape: Shape, number: u64) -> anyhow::Result<i128> {
    let mut path = b"/api/v1/ledger/accounts/".to_vec();
    match shape {
        Shape::Wallet => {
            path.extend_from_slice(b"florin:wallet:");
            put_wallet(number, &mut path);
        }
        Shape::Ledger => put_account(number, &mut path),
    }
    path.extend_from_slice(b"/balance");
    let shown = client.get(&String::from_utf8(path)?)?;
    let text = shown["balance"].as_str().context("a balance")?;
    Ok(text.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_asset_that_does_not_balance_is_an_error() {
        let row = |difference: &str| json!({"asset": ASSET, "debitsPosted": "70", "difference": difference});
        assert_eq!(moved(&json!({"assets": [row("0")]})).expect("balanced"), 70);
        assert!(moved(&json!({"assets": [row("-1")]})).is_err());
        assert_eq!(moved(&json!({"assets": []})).expect("empty"), 0);
    }
}
