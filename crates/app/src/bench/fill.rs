//! A ledger of a given size, made in process: for what is measured about a server that has one.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use florin_base::SystemClock;
use florin_ledger::call::{
    CreateAccount, CreateWallet, ImportCall, ImportLine, Item, Reference, TransfersCall,
};
use florin_ledger::model::{AccountId, AccountKind, Floor, Metadata, Mode};
use florin_ledger::{Answer, Call, Ledger, OpenOptions, Outcome, Policy, ResultCode};
use indicatif::ProgressBar;

use super::names::{ASSET, FUNDS_MINOR, TREASURY, wallet};
use super::pick::{Picker, Spread};
use crate::serve::parts::LEDGER_FOLDER;

/// Items of a call.
const CALL: u64 = 8_190;

/// Makes a ledger with so many wallets in a data directory, and closes it.
pub fn wallets(data_dir: &Path, count: u64, bar: &ProgressBar) -> anyhow::Result<()> {
    with_ledger(data_dir, async |ledger| {
        make_wallets(ledger, count, bar).await
    })
}

/// Adds transfers: first each of the [`wallets`] is funded, then they pay each other. Answers
/// how long that took.
pub fn transfers(
    data_dir: &Path,
    wallets: u64,
    count: u64,
    bar: &ProgressBar,
) -> anyhow::Result<Duration> {
    with_ledger(data_dir, async |ledger| {
        let begun = Instant::now();
        move_money(ledger, wallets, count, bar).await?;
        Ok(begun.elapsed())
    })
}

fn with_ledger<T>(
    data_dir: &Path,
    work: impl AsyncFnOnce(&Ledger) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let options = OpenOptions {
        // The server that serves it afterwards judges the disk, by its configuration.
        disk_free_min_per_mille: 0,
        ..OpenOptions::new(data_dir.join(LEDGER_FOLDER))
    };
    let ledger = Ledger::open(options, Policy::default(), Arc::new(SystemClock))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let done = runtime.block_on(work(&ledger));
    ledger.close();
    done
}

fn account(id: AccountId, kind: AccountKind, floor: Floor) -> ImportLine {
    ImportLine::Account(CreateAccount {
        actor: Some("bench".into()),
        id,
        asset: ASSET.into(),
        kind,
        normal: None,
        floor,
        metadata: Metadata::default(),
        key: None,
    })
}

async fn make_wallets(ledger: &Ledger, wallets: u64, bar: &ProgressBar) -> anyhow::Result<()> {
    let treasury = AccountId::parse(TREASURY).context("an account id")?;
    let mut lines = vec![account(treasury, AccountKind::Asset, Floor::None)];
    for number in 0..wallets {
        let id = wallet(number);
        let kind = AccountKind::Liability;
        lines.push(account(AccountId::Wallet(id), kind, Floor::Zero));
        lines.push(ImportLine::Wallet {
            wallet: CreateWallet {
                actor: Some("bench".into()),
                id,
                user_id: format!("bench-{number:08}").into(),
                currency: ASSET.into(),
                tier: "standard".into(),
                label: None,
                metadata: Metadata::default(),
                reference: Reference {
                    id: Box::default(),
                    generated: true,
                },
            },
        });
        if lines.len() as u64 + 2 > CALL || number + 1 == wallets {
            let call = ImportCall {
                actor: Some("bench".into()),
                lines: std::mem::take(&mut lines),
                skip_floors: false,
            };
            recorded(&ledger.submit(Call::Import(call)).await?)?;
            bar.set_position(number + 1);
        }
    }
    Ok(())
}

async fn move_money(
    ledger: &Ledger,
    wallets: u64,
    transfers: u64,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    let treasury = AccountId::parse(TREASURY).context("an account id")?;
    let mut picker = Picker::new(Spread::Uniform, wallets, 1);
    let mut under_way = None;
    let mut first = 0;
    while first < transfers {
        let end = (first + CALL).min(transfers);
        let items = (first..end)
            .map(|number| match number < wallets {
                true => item(number, treasury.clone(), number, FUNDS_MINOR),
                false => {
                    let (from, to) = picker.pair();
                    item(number, AccountId::Wallet(wallet(from)), to, 1)
                }
            })
            .collect();
        let call = Call::Transfers(TransfersCall {
            actor: Some("bench".into()),
            items,
            key: None,
        });
        let ledger = ledger.clone();
        let next = tokio::spawn(async move { ledger.submit(call).await });
        tokio::task::yield_now().await;
        if let Some(before) = under_way.replace(next) {
            recorded(&before.await??)?;
        }
        first = end;
        bar.set_position(wallets + end);
    }
    if let Some(last) = under_way {
        recorded(&last.await??)?;
    }
    Ok(())
}

fn item(number: u64, from: AccountId, to: u64, minor: u64) -> Item {
    Item {
        id: format!("fill-{number:010}").into(),
        mode: Mode::Single,
        debit: Some(from),
        credit: Some(AccountId::Wallet(wallet(to))),
        amount: Some(u128::from(minor)),
        asset: Some(ASSET.into()),
        code: Some("payment".into()),
        pending_id: None,
        timeout_seconds: None,
        effective_at: None,
        linked: false,
        description: None,
        metadata: Metadata::default(),
        invalid: None,
    }
}

/// Everything was recorded now.
fn recorded(answer: &Answer) -> anyhow::Result<()> {
    let good = match &answer.outcome {
        Outcome::Items(results) => results.iter().all(|r| r.code == ResultCode::Created),
        Outcome::Lines(lines, _) => lines.iter().all(|line| line.code == "created"),
        _ => false,
    };
    match good {
        true => Ok(()),
        false => bail!("the ledger could not be filled; it must be empty at first"),
    }
}
