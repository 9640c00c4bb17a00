//! Measures the embedded engine in process, without HTTP: durable transfers through
//! `Ledger::submit`, one caller task per call under way.
//!
//! `engine_bench DIR [--accounts N] [--transfers N] [--batch N] [--callers N] [--hot] [--wallets]
//! [--json]`: `--batch` items per call (1 with `--wallets`, which moves money between wallets),
//! `--hot` uses two accounts only. Ends with a check that every asset's debits equal its
//! credits; prints one line.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use florin_base::{Decimal, SystemClock};
use florin_ledger::{
    Answer, Call, Ledger, OpenOptions, Outcome, Policy, Query, ResultCode, View,
    call::{
        CreateAccount, CreateWallet, ImportCall, ImportLine, Item, Reference, TransfersCall,
        WalletAmount, WalletMove,
    },
    model::{AccountId, AccountKind, Floor, Metadata, Mode, WalletType},
};

/// Any error ends the measurement.
type Outcomes<T> = Result<T, Box<dyn std::error::Error>>;

/// Items of one call, at most.
const CALL_MAX: u64 = 8_190;
/// Minor units that every account starts with.
const FUNDS: u128 = 1_000_000_000;
const TREASURY: &str = "bench-treasury";

#[derive(Debug, Clone)]
struct Plan {
    dir: PathBuf,
    accounts: u64,
    transfers: u64,
    batch: u64,
    callers: u64,
    hot: bool,
    wallets: bool,
    json: bool,
}

impl Plan {
    fn from_args() -> Outcomes<Self> {
        let mut plan = Self {
            dir: PathBuf::from("engine-bench"),
            accounts: 1_000_000,
            transfers: 4_000_000,
            batch: CALL_MAX,
            callers: 4,
            hot: false,
            wallets: false,
            json: false,
        };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            let mut number = || -> Outcomes<u64> {
                let text = args.next().ok_or("a number is missing")?;
                Ok(text.parse()?)
            };
            match &*arg {
                "--accounts" => plan.accounts = number()?.max(2),
                "--transfers" => plan.transfers = number()?,
                "--batch" => plan.batch = number()?.clamp(1, CALL_MAX),
                "--callers" => plan.callers = number()?.max(1),
                "--hot" => plan.hot = true,
                "--wallets" => plan.wallets = true,
                "--json" => plan.json = true,
                dir => plan.dir = PathBuf::from(dir),
            }
        }
        if plan.wallets {
            plan.batch = 1;
        }
        Ok(plan)
    }

    fn account(&self, number: u64) -> AccountId {
        match self.wallets {
            true => AccountId::Wallet(wallet(number)),
            false => AccountId::parse(&format!("acct-{number:08}")).expect("within the grammar"),
        }
    }
}

/// Id of a wallet: spread like random ones, the same in every run.
fn wallet(number: u64) -> u128 {
    let uuid = u128::from(mix(number)) << 64 | u128::from(mix(!number));
    uuid & !(0xf << 76 | 0x3 << 62) | 7 << 76 | 2 << 62
}

fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number ^ (number >> 32)
}

fn item(id: String, debit: AccountId, credit: AccountId, amount: u128) -> Item {
    Item {
        id: id.into(),
        mode: Mode::Single,
        debit: Some(debit),
        credit: Some(credit),
        amount: Some(amount),
        asset: Some("BRL".into()),
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

fn account_line(id: AccountId, kind: AccountKind, floor: Floor) -> ImportLine {
    ImportLine::Account(CreateAccount {
        actor: Some("bench".into()),
        id,
        asset: "BRL".into(),
        kind,
        normal: None,
        floor,
        metadata: Metadata::default(),
        key: None,
    })
}

fn wallet_line(number: u64) -> ImportLine {
    ImportLine::Wallet {
        wallet: CreateWallet {
            actor: Some("bench".into()),
            id: wallet(number),
            user_id: format!("user-{number}").into(),
            currency: "BRL".into(),
            tier: "standard".into(),
            label: None,
            metadata: Metadata::default(),
            reference: Reference {
                id: Box::default(),
                generated: true,
            },
        },
    }
}

async fn set_up(ledger: &Ledger, plan: &Plan) -> Outcomes<()> {
    let treasury = AccountId::parse(TREASURY).expect("within the grammar");
    let mut lines = vec![account_line(
        treasury.clone(),
        AccountKind::Asset,
        Floor::None,
    )];
    for number in 0..plan.accounts {
        if plan.wallets {
            let id = plan.account(number);
            lines.push(account_line(id, AccountKind::Liability, Floor::Zero));
            lines.push(wallet_line(number));
        } else {
            let id = plan.account(number);
            lines.push(account_line(id, AccountKind::Liability, Floor::Zero));
        }
        if lines.len() as u64 >= CALL_MAX - 2 || number + 1 == plan.accounts {
            let call = ImportCall {
                actor: Some("bench".into()),
                lines: std::mem::take(&mut lines),
                skip_floors: false,
            };
            check(&ledger.submit(Call::Import(call)).await?)?;
        }
    }
    let mut items = Vec::new();
    for number in 0..plan.accounts {
        let id = format!("fund-{number}");
        items.push(item(id, treasury.clone(), plan.account(number), FUNDS));
        if items.len() as u64 == CALL_MAX || number + 1 == plan.accounts {
            check(&ledger.submit(transfers(std::mem::take(&mut items))).await?)?;
        }
    }
    Ok(())
}

fn transfers(items: Vec<Item>) -> Call {
    Call::Transfers(TransfersCall {
        actor: Some("bench".into()),
        items,
        key: None,
    })
}

/// Every item was recorded now.
fn check(answer: &Answer) -> Outcomes<()> {
    let bad = match &answer.outcome {
        Outcome::Items(results) => results
            .iter()
            .find(|r| r.code != ResultCode::Created)
            .map(|r| format!("{r:?}")),
        Outcome::Done(_) => None,
        Outcome::Lines(lines, _) => lines
            .iter()
            .find(|line| line.code != "created")
            .map(|line| format!("{line:?}")),
        Outcome::Refused(refusal) => Some(format!("{refusal:?}")),
    };
    match bad {
        Some(bad) => Err(format!("not recorded: {bad}").into()),
        None => Ok(()),
    }
}

fn pair(plan: &Plan, seed: u64) -> (u64, u64) {
    let random = mix(seed);
    if plan.hot {
        return (random & 1, (random & 1) ^ 1);
    }
    let from = random % plan.accounts;
    let to = (from + 1 + (random >> 32) % (plan.accounts - 1)) % plan.accounts;
    (from, to)
}

fn wallet_move(ledger: &Ledger, from: u64, to: u64, number: u64) -> Call {
    Call::WalletMove(Box::new(WalletMove {
        actor: Some("bench".into()),
        owner: None,
        op: WalletType::Transfer,
        wallet: wallet(from),
        transfer_id: ledger.new_id().to_string().into(),
        amount: WalletAmount {
            decimal: Decimal::parse("0.01").expect("a decimal"),
            is_number: false,
        },
        currency: None,
        destination: Some(wallet(to)),
        counter_account: None,
        rate: None,
        expires_in_seconds: None,
        reference: Reference {
            id: format!("run-{number}").into(),
            generated: false,
        },
        description: None,
        metadata: Metadata::default(),
        effective_at: None,
        module: "wallets".into(),
    }))
}

async fn caller(ledger: Ledger, plan: Plan, next: Arc<AtomicU64>) -> Result<Vec<u64>, String> {
    let mut micros = Vec::new();
    loop {
        let first = next.fetch_add(plan.batch, Ordering::Relaxed);
        if first >= plan.transfers {
            return Ok(micros);
        }
        let call = if plan.wallets {
            let (from, to) = pair(&plan, first);
            wallet_move(&ledger, from, to, first)
        } else {
            let items = (first..(first + plan.batch).min(plan.transfers)).map(|number| {
                let (from, to) = pair(&plan, number);
                let id = format!("run-{number}");
                item(id, plan.account(from), plan.account(to), 1)
            });
            transfers(items.collect())
        };
        let begun = Instant::now();
        let answer = ledger.submit(call).await.map_err(|e| format!("{e:?}"))?;
        micros.push(begun.elapsed().as_micros() as u64);
        check(&answer).map_err(|e| e.to_string())?;
    }
}

async fn measure(ledger: &Ledger, plan: &Plan) -> Outcomes<(f64, Vec<u64>)> {
    let next = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let callers: Vec<_> = (0..plan.callers)
        .map(|_| tokio::spawn(caller(ledger.clone(), plan.clone(), next.clone())))
        .collect();
    let mut micros = Vec::new();
    for caller in callers {
        micros.extend(caller.await??);
    }
    let seconds = begun.elapsed().as_secs_f64();
    micros.sort_unstable();
    Ok((seconds, micros))
}

async fn conserved(ledger: &Ledger) -> Outcomes<bool> {
    match ledger.query(Query::TrialBalance).await? {
        View::TrialBalance(assets, _) => Ok(assets
            .iter()
            .all(|row| row.totals.debits_posted == row.totals.credits_posted)),
        other => Err(format!("no trial balance: {other:?}").into()),
    }
}

fn bytes_in(dir: &std::path::Path) -> std::io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        bytes += match meta.is_dir() {
            true => bytes_in(&entry.path())?,
            false => meta.blocks() * 512,
        };
    }
    Ok(bytes)
}

fn main() -> Outcomes<()> {
    let plan = Plan::from_args()?;
    let mut options = OpenOptions::new(&plan.dir);
    options.disk_free_min_per_mille = 0;
    let ledger = Ledger::open(options, Policy::default(), Arc::new(SystemClock))?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let begun = Instant::now();
    runtime.block_on(set_up(&ledger, &plan))?;
    eprintln!("set up in {:.1} s", begun.elapsed().as_secs_f64());
    let before = bytes_in(&plan.dir)?;
    let (seconds, micros) = runtime.block_on(measure(&ledger, &plan))?;
    let good = runtime.block_on(conserved(&ledger))?;
    let lag = ledger.index_lag();
    let begun = Instant::now();
    ledger.close();
    let closing = begun.elapsed().as_secs_f64();
    let per_transfer = (bytes_in(&plan.dir)?.saturating_sub(before)) / plan.transfers.max(1);
    let rate = plan.transfers as f64 / seconds;
    let at = |share: f64| micros[((micros.len() - 1) as f64 * share) as usize];
    let (p50, p95, p99, max) = (at(0.5), at(0.95), at(0.99), at(1.0));
    if plan.json {
        println!(
            "{{\"transfersPerSecond\":{rate:.0},\"batch\":{},\"callers\":{},\"hot\":{},\
             \"wallets\":{},\"p50Micros\":{p50},\"p95Micros\":{p95},\"p99Micros\":{p99},\
             \"maxMicros\":{max},\"diskBytesPerTransfer\":{per_transfer},\"conserved\":{good}}}",
            plan.batch, plan.callers, plan.hot, plan.wallets
        );
    } else {
        println!(
            "{rate:.0} transfers/s (batch {}, {} callers), p50 {p50} us, p95 {p95} us, p99 {p99} us, \
             max {max} us; index behind {lag}, close {closing:.1} s, disk {per_transfer} B/transfer, \
             conserved: {good}",
            plan.batch, plan.callers
        );
    }
    match good {
        true => Ok(()),
        false => Err("the trial balance does not balance".into()),
    }
}
