//! Processes that hand their calls over to one of them: the same answers, whoever decides and
//! whatever happens to the link between them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use florin_ledger::{
    Call, Ledger, Outcome, Part, PostgresOptions, Query, ResultCode, Sequencing, Unavailable, View,
    call::{CreateWallet, Reference, WalletAmount, WalletMove},
    model::{AccountId, Asset, AssetKind, WalletType},
};
use tokio::time::timeout;

use super::{
    postgres_proxy::{Action, Proxy},
    postgres_server,
    postgres_site::{Site, account, accounts, balance, check, codes, runtime, transfer, transfers},
    support::{Random, records, refused, setting},
};

pub const LONG: Duration = Duration::from_secs(20);

fn sequencing(candidate: bool) -> Sequencing {
    Sequencing {
        candidate,
        listen: ([127, 0, 0, 1], 0).into(),
        advertise: None,
    }
}

async fn open(site: &Site, name: &str, settings: Sequencing) -> Ledger {
    open_with(site, site.options(name), settings).await
}

async fn open_with(site: &Site, options: PostgresOptions, settings: Sequencing) -> Ledger {
    let options = PostgresOptions {
        sequencing: Some(settings),
        ..options
    };
    site.open_with(options).await
}

/// Waits until a process plays a part.
pub async fn plays(ledger: &Ledger, what: fn(&Part) -> bool) -> Part {
    let look = async {
        loop {
            let part = ledger.part();
            if what(&part) {
                return part;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let part = timeout(LONG, look).await;
    part.unwrap_or_else(|_| panic!("it stays {:?}", ledger.part()))
}

fn is_sequencer(part: &Part) -> bool {
    matches!(part, Part::Sequencer { .. })
}

pub fn is_linked(part: &Part) -> bool {
    matches!(part, Part::Linked { .. })
}

/// A sequencer that others reach only through a proxy.
pub async fn behind_a_proxy(site: &Site) -> (Ledger, Proxy) {
    let port = postgres_server::free_port();
    let proxy = Proxy::start(port).await;
    let first = Sequencing {
        candidate: true,
        listen: ([127, 0, 0, 1], port).into(),
        advertise: Some(format!("127.0.0.1:{}", proxy.port)),
    };
    let first = open(site, "first", first).await;
    plays(&first, is_sequencer).await;
    (first, proxy)
}

/// One that hands its calls over.
pub async fn linked(site: &Site, options: PostgresOptions) -> Ledger {
    let second = open_with(site, options, sequencing(false)).await;
    plays(&second, is_linked).await;
    second
}

/// Both.
pub async fn pair(site: &Site) -> (Ledger, Ledger, Proxy) {
    let (first, proxy) = behind_a_proxy(site).await;
    let second = linked(site, site.options("second")).await;
    (first, second, proxy)
}

pub fn wallet(ledger: &Ledger, reference: &str) -> CreateWallet {
    CreateWallet {
        actor: Some("tester".into()),
        id: ledger.new_id().as_u128(),
        user_id: reference.into(),
        currency: "BRL".into(),
        tier: "standard".into(),
        label: None,
        metadata: Default::default(),
        reference: Reference {
            id: reference.into(),
            generated: false,
        },
    }
}

pub fn deposit(ledger: &Ledger, wallet: u128, cents: u128, reference: Option<&str>) -> Call {
    let id = ledger.new_id().to_string();
    Call::WalletMove(Box::new(WalletMove {
        actor: Some("tester".into()),
        owner: None,
        op: WalletType::Deposit,
        wallet,
        amount: WalletAmount {
            decimal: florin_base::Decimal {
                negative: false,
                digits: cents,
                decimals: 2,
            },
            is_number: false,
        },
        currency: None,
        destination: None,
        counter_account: None,
        rate: None,
        expires_in_seconds: None,
        reference: Reference {
            id: reference.unwrap_or(&id).into(),
            generated: reference.is_none(),
        },
        transfer_id: id.into(),
        description: None,
        metadata: Default::default(),
        effective_at: None,
        module: "wallets".into(),
    }))
}

pub async fn posted(ledger: &Ledger, id: u128) -> u128 {
    let query = Query::Wallet { id, owner: None };
    match ledger.query(query).await.expect("a read") {
        View::Wallet(Some(wallet)) => wallet.totals.credits_posted,
        other => panic!("no wallet: {other:?}"),
    }
}

#[test]
fn one_of_three_decides_for_all_and_every_answer_is_whole() {
    let Some(server) = postgres_server::shared("one_of_three_decides_for_all") else {
        return;
    };
    let site = Site::new(server);
    runtime().block_on(async {
        let first = open(&site, "a", sequencing(true)).await;
        let Part::Sequencer { term, address } = plays(&first, is_sequencer).await else {
            unreachable!("waited for");
        };
        let others = [
            open(&site, "b", sequencing(true)).await,
            open(&site, "c", sequencing(true)).await,
        ];
        for other in &others {
            let linked = plays(other, is_linked).await;
            let expected = Part::Linked {
                term,
                address: address.clone(),
            };
            assert_eq!(linked, expected);
        }
        let [b, c] = &others;
        // An asset that b never met by itself, made through c.
        let asset = Asset {
            code: "GBP".into(),
            scale: 2,
            kind: AssetKind::Fiat,
            name: None,
            metadata: Default::default(),
        };
        let made = Call::CreateAsset { actor: None, asset };
        c.submit(made).await.expect("an asset");
        let new = CreateWallet {
            currency: "GBP".into(),
            ..wallet(b, "ana")
        };
        let id = new.id;
        let answer = b.submit(Call::CreateWallet(new)).await.expect("a wallet");
        let shown = answer.wallet.as_ref().expect("a wallet");
        assert_eq!((shown.id, &*shown.user_id), (id, "ana"));
        assert_eq!(&*b.asset(shown.asset).code, "GBP");
        assert_eq!(b.facts(shown.slot).id, AccountId::Wallet(id));
        assert_eq!(b.wallet_owner(shown.slot).as_deref(), Some("ana"));
        assert!(b.durable_seq() >= answer.seq);
        // The same identity once more through another process: the first outcome.
        let call = deposit(c, id, 1_250, Some("salary"));
        let paid = c.submit(call.clone()).await.expect("a deposit");
        let again = b.submit(call).await.expect("a deposit");
        assert_eq!((paid.replayed, again.replayed), (false, true));
        assert_eq!(records(&paid), records(&again));
        assert_eq!(posted(b, id).await, 1_250);
        let debit = records(&paid)[0].transfer().expect("a transfer").debit;
        assert_eq!(c.facts(debit).id.to_string(), "florin:external:GBP");
        // Refusals come back with their words.
        let mut more = deposit(c, id, 1_251, Some("salary"));
        let answer = c.submit(more.clone()).await.expect("an answer");
        assert_eq!(refused(&answer).word(), "idempotency_conflict");
        if let Outcome::Refused(refusal) = &answer.outcome {
            assert_eq!(refusal.field.as_deref(), Some("amount"));
        }
        if let Call::WalletMove(call) = &mut more {
            call.op = WalletType::Withdrawal;
            call.reference.id = "rent".into();
        }
        let answer = c.submit(more).await.expect("an answer");
        assert_eq!(refused(&answer).word(), "insufficient_funds");
        // Time promised through the link is a promise of the whole ledger.
        let settled = b.settled_time().await.expect("a time");
        let later = first
            .submit(deposit(&first, id, 1, None))
            .await
            .expect("a deposit");
        assert!(
            later.recorded_at > settled,
            "{settled} {}",
            later.recorded_at
        );
        // It was the sequencer who decided: a commit of b or c would have its own row.
        let mut sql = site.sql().await;
        let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM writers WHERE attempt > 0")
            .fetch_one(&mut sql)
            .await
            .expect("a count");
        assert_eq!(rows, 3, "the sequencer and its two links");
        check(&site).await;
    });
}

#[test]
fn a_link_cut_at_any_moment_loses_and_doubles_nothing() {
    let Some(server) = postgres_server::shared("a_link_cut_at_any_moment") else {
        return;
    };
    let seed = setting("FLORIN_SEED", 7);
    println!("seed {seed} (FLORIN_SEED)");
    let site = Site::new(server);
    runtime().block_on(async {
        let (first, second, proxy) = pair(&site).await;
        accounts(&first, 0).await;
        let new = wallet(&second, "bob");
        let id = new.id;
        second
            .submit(Call::CreateWallet(new))
            .await
            .expect("a wallet");
        let (stop, cents) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let unknown = Arc::new(AtomicU64::new(0));
        let mut tasks = Vec::new();
        for caller in 0..16u64 {
            let (ledger, stop) = (second.clone(), stop.clone());
            let (cents, unknown) = (cents.clone(), unknown.clone());
            tasks.push(tokio::spawn(async move {
                let mut sent = 0i64;
                while !stop.load(Ordering::SeqCst) {
                    sent += 1;
                    let call = transfers(vec![transfer(&format!("c{caller}-{sent}"), "x", "y", 1)]);
                    let answer = ledger.submit(call).await.expect("an identity settles it");
                    let code = codes(&answer)[0];
                    assert!(
                        matches!(code, ResultCode::Created | ResultCode::Exists),
                        "{code:?}"
                    );
                    // Without an identity of the caller's the outcome may stay open.
                    match ledger.submit(deposit(&ledger, id, 1, None)).await {
                        Ok(_) => cents.fetch_add(1, Ordering::SeqCst),
                        Err(Unavailable::CommitUnknown) => unknown.fetch_add(1, Ordering::SeqCst),
                        Err(other) => panic!("{other:?}"),
                    };
                }
                sent
            }));
        }
        let mut random = Random(seed);
        for round in 0..25 {
            // The proxy cuts a connection when it next passes something of the link's.
            tokio::time::sleep(Duration::from_millis(random.below(60) as u64)).await;
            let action = *random.pick(&[Action::CutBefore, Action::CutAfter]);
            proxy.trap("", action);
            let sprung = async {
                while !proxy.is_sprung() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            let sprung = timeout(LONG, sprung).await;
            assert!(sprung.is_ok(), "nothing passed in round {round}");
            plays(&second, is_linked).await;
        }
        stop.store(true, Ordering::SeqCst);
        let mut sent = 0;
        for task in tasks {
            sent += task.await.expect("a caller ends");
        }
        assert_eq!(balance(&site, "y").await, sent, "each id once");
        let (known, open) = (cents.load(Ordering::SeqCst), unknown.load(Ordering::SeqCst));
        let paid = posted(&first, id).await;
        println!("{sent} transfers; deposits: {known} known, {open} open, {paid} paid");
        assert!(paid >= u128::from(known), "what was acknowledged is there");
        assert!(paid <= u128::from(known + open), "nothing is there twice");
        check(&site).await;
    });
}

#[test]
fn a_sequencer_that_leaves_answers_everybody_and_another_one_takes_over() {
    let Some(server) = postgres_server::shared("a_sequencer_that_leaves") else {
        return;
    };
    let site = Site::new(server);
    runtime().block_on(async {
        let mut ledgers = BTreeMap::new();
        for name in ["a", "b", "c"] {
            ledgers.insert(name, open(&site, name, sequencing(true)).await);
        }
        accounts(&ledgers["a"], 0).await;
        let stop = Arc::new(AtomicBool::new(false));
        let mut sent = 0;
        let mut terms = Vec::new();
        for round in 0..4 {
            let look = async {
                loop {
                    let parts = ledgers.iter().map(|(name, ledger)| (*name, ledger.part()));
                    for (name, part) in parts {
                        if let Part::Sequencer { term, .. } = part {
                            return (name, term);
                        }
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            let (name, term) = timeout(LONG, look).await.expect("somebody is elected");
            terms.push(term);
            for (other, ledger) in &ledgers {
                if *other != name {
                    plays(ledger, is_linked).await;
                }
            }
            stop.store(false, Ordering::SeqCst);
            let tasks: Vec<_> = ledgers
                .iter()
                .filter(|(other, _)| **other != name)
                .flat_map(|(other, ledger)| (0..6).map(move |n| (*other, n, ledger.clone())))
                .map(|(other, n, ledger)| {
                    let stop = stop.clone();
                    tokio::spawn(async move {
                        let mut count = 0;
                        while !stop.load(Ordering::SeqCst) {
                            count += 1;
                            let id = format!("{other}{n}-{round}-{count}");
                            let call = transfers(vec![transfer(&id, "x", "y", 1)]);
                            let answer = ledger.submit(call).await.expect("an answer");
                            // Whoever leaves in peace answers what it decided.
                            assert_eq!(codes(&answer), [ResultCode::Created], "{id}");
                        }
                        count
                    })
                })
                .collect();
            tokio::time::sleep(Duration::from_millis(100)).await;
            let leaving = ledgers.remove(name).expect("there");
            tokio::task::spawn_blocking(move || leaving.close())
                .await
                .expect("it closes");
            stop.store(true, Ordering::SeqCst);
            for task in tasks {
                sent += task.await.expect("a caller ends");
            }
            ledgers.insert(name, open(&site, name, sequencing(true)).await);
        }
        assert!(terms.is_sorted_by(|a, b| a < b), "{terms:?}");
        assert_eq!(balance(&site, "y").await, sent);
        check(&site).await;
    });
}

#[test]
fn a_process_without_a_sequencer_in_reach_decides_by_itself() {
    let Some(server) = postgres_server::shared("a_process_without_a_sequencer") else {
        return;
    };
    let site = Site::new(server);
    runtime().block_on(async {
        let nowhere = Sequencing {
            candidate: true,
            listen: ([127, 0, 0, 1], 0).into(),
            advertise: Some(format!("127.0.0.1:{}", postgres_server::free_port())),
        };
        let first = open(&site, "first", nowhere).await;
        plays(&first, is_sequencer).await;
        let second = open(&site, "second", sequencing(true)).await;
        for ledger in [&first, &second] {
            let made = ledger.submit(account(if ledger.part() == Part::Alone {
                "b"
            } else {
                "a"
            }));
            assert!(matches!(
                made.await.expect("an answer").outcome,
                Outcome::Done(_)
            ));
        }
        assert_eq!(second.part(), Part::Alone);
        check(&site).await;
    });
}
