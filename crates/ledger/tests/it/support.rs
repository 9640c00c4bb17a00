//! A ledger in a temporary directory with a clock that the test moves.

use std::{path::Path, sync::Arc, time::Duration};

use florin_base::{Decimal, clock::ManualClock};
use florin_ledger::{
    Answer, Call, Ledger, OpenError, OpenOptions, Outcome, Policy, PostgresOptions, Query,
    ReadView, Unavailable, View,
    call::{
        CreateWallet, Reference, Refusal, RefusalCode, TransfersCall, WalletAmount, WalletMove,
        WalletView,
    },
    model::{Record, WalletType},
    rules::prepare::{RawItem, prepare},
};

/// 2026-01-15T12:00:00Z.
pub const START: i64 = 1_768_478_400_000_000;

/// Tries of a call on a database that is too slow, 200 ms apart.
const TRIES: usize = 50;

pub struct Bank {
    pub ledger: Ledger,
    pub clock: Arc<ManualClock>,
    pub runtime: tokio::runtime::Runtime,
}

impl Bank {
    pub fn open(dir: &Path) -> Self {
        Self::open_with(dir, Policy::default(), |_| {})
    }

    pub fn open_with(dir: &Path, policy: Policy, change: impl FnOnce(&mut OpenOptions)) -> Self {
        let clock = Arc::new(ManualClock::new(START));
        Self::try_open(dir, policy, clock, change).expect("the ledger opens")
    }

    /// Opens with a clock that may have run before.
    pub fn try_open(
        dir: &Path,
        policy: Policy,
        clock: Arc<ManualClock>,
        change: impl FnOnce(&mut OpenOptions),
    ) -> Result<Self, OpenError> {
        let mut options = OpenOptions::new(dir);
        options.segment_bytes = 4 << 20;
        options.disk_free_min_per_mille = 0;
        change(&mut options);
        let ledger = Ledger::open(options, policy, clock.clone())?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        Ok(Self {
            ledger,
            clock,
            runtime,
        })
    }

    /// Opens a ledger in a schema of a database, as one of its replicas.
    pub fn open_postgres(
        options: PostgresOptions,
        policy: Policy,
        clock: Arc<ManualClock>,
    ) -> Result<Self, OpenError> {
        // What the engine says about a database in trouble; set once for the process.
        let log = tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
            .with_test_writer();
        drop(log.try_init());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        // Reads here have nobody to try them again.
        let options = PostgresOptions {
            read_patience: Duration::from_secs(20),
            ..options
        };
        let opened = Ledger::open_postgres(options, policy, clock.clone());
        let ledger = runtime.block_on(opened)?;
        Ok(Self {
            ledger,
            clock,
            runtime,
        })
    }

    /// A view of everything durable.
    pub fn read(&self) -> ReadView {
        self.runtime
            .block_on(self.ledger.read_view())
            .expect("the index catches up")
    }

    pub fn submit(&self, call: Call) -> Answer {
        self.clock.advance(1_000);
        for _ in 0..TRIES {
            match self.runtime.block_on(self.ledger.submit(call.clone())) {
                // A machine under load may be slower than a database may take; the answer
                // promises that nothing was done.
                Err(Unavailable::StoreUnavailable) if self.ledger.is_shared() => {
                    std::thread::park_timeout(Duration::from_millis(200));
                }
                answer => return answer.expect("the ledger answers"),
            }
        }
        panic!("the database does not come back");
    }

    pub fn wallet(&self, user: &str, currency: &str) -> u128 {
        let id = self.ledger.new_id().as_u128();
        let answer = self.submit(Call::CreateWallet(CreateWallet {
            actor: Some("tester".into()),
            id,
            user_id: user.into(),
            currency: currency.into(),
            tier: "standard".into(),
            label: None,
            metadata: Default::default(),
            reference: Reference {
                id: format!("{id:032x}").into(),
                generated: false,
            },
        }));
        assert!(matches!(answer.outcome, Outcome::Done(_)), "{answer:?}");
        id
    }

    pub fn movement(
        &self,
        op: WalletType,
        wallet: u128,
        amount: &str,
        reference: &str,
    ) -> WalletMove {
        WalletMove {
            actor: Some("tester".into()),
            owner: None,
            op,
            wallet,
            transfer_id: self.ledger.new_id().to_string().into(),
            amount: WalletAmount {
                decimal: Decimal::parse(amount).expect("a decimal"),
                is_number: false,
            },
            currency: None,
            destination: None,
            counter_account: None,
            rate: None,
            expires_in_seconds: (op == WalletType::Hold).then_some(604_800),
            reference: Reference {
                id: reference.into(),
                generated: false,
            },
            description: None,
            metadata: Default::default(),
            effective_at: None,
            module: "wallets".into(),
        }
    }

    pub fn run(&self, movement: WalletMove) -> Answer {
        self.submit(Call::WalletMove(Box::new(movement)))
    }

    pub fn view(&self, id: u128) -> WalletView {
        match self
            .runtime
            .block_on(self.ledger.query(Query::Wallet { id, owner: None }))
        {
            Ok(View::Wallet(Some(view))) => *view,
            other => panic!("no wallet: {other:?}"),
        }
    }

    /// (balance, available) in minor units.
    pub fn balance(&self, id: u128) -> (u128, u128) {
        let view = self.view(id);
        let normal = florin_ledger::model::Side::Credit;
        (
            view.totals.balance(normal).magnitude,
            view.totals.available(normal).magnitude,
        )
    }

    pub fn transfers(&self, json: &str) -> Answer {
        let raw: Vec<RawItem<'_>> = serde_json::from_str(json).expect("items");
        let items = raw
            .into_iter()
            .map(|r| prepare(r, || "made".into()))
            .collect();
        self.submit(Call::Transfers(TransfersCall {
            actor: Some("tester".into()),
            items,
            key: None,
        }))
    }
}

pub fn records(answer: &Answer) -> &[Record] {
    match &answer.outcome {
        Outcome::Done(records) => records,
        other => panic!("not done: {other:?}"),
    }
}

pub fn refusal(answer: &Answer) -> &Refusal {
    match &answer.outcome {
        Outcome::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

pub fn refused(answer: &Answer) -> RefusalCode {
    refusal(answer).code
}

/// Codes of a transfers answer.
pub fn codes(answer: &Answer) -> Vec<&'static str> {
    match &answer.outcome {
        Outcome::Items(results) => results.iter().map(|r| r.code.word()).collect(),
        other => panic!("no items: {other:?}"),
    }
}

/// The generator "splitmix64": the same seed gives the same run.
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.word() % end.max(1) as u64) as usize
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// A number from the environment, to widen or repeat a run.
pub fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|v| v.parse().ok())
        .unwrap_or(default)
}
