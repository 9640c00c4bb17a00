//! One total order of all calls that respects real time, seen by callers and by a reader who
//! follows the feed at its tip.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use florin_ledger::{
    Ledger, Outcome, Policy, Query, ReadView, View,
    model::{AccountId, Body, Mode},
};

use super::{
    concurrency::runtime,
    generate::Step,
    model::{Item, Mode as ItemMode},
    property_calls::call as call_of,
    support::{Bank, Random},
};

/// One caller's call as an outside observer sees it.
struct Observed {
    sent: u64,
    answered: u64,
    seqs: Vec<u64>,
}

fn item(id: String, random: &mut Random, pendings: &[String]) -> Item {
    let account = |n: usize| {
        format!(
            "florin:{}:BRL",
            ["external", "suspense", "fx", "opening"][n]
        )
    };
    let from = random.below(4);
    if !pendings.is_empty() && random.one_in(3) {
        return Item {
            id,
            mode: Some(if random.one_in(2) {
                ItemMode::Post
            } else {
                ItemMode::Void
            }),
            pending: Some(random.pick(pendings).clone()),
            ..Item::default()
        };
    }
    Item {
        id,
        mode: random.one_in(3).then_some(ItemMode::Pending),
        debit: Some(account(from)),
        credit: Some(account((from + 1 + random.below(3)) % 4)),
        amount: Some((1 + random.below(100)).to_string()),
        asset: Some("BRL".into()),
        code: Some("t".into()),
        ..Item::default()
    }
}

async fn caller(ledger: Ledger, number: u64, ticks: Arc<AtomicU64>) -> Vec<Observed> {
    let mut random = Random(number);
    let mut observed = Vec::new();
    // All callers resolve the same reservations.
    let shared: Vec<String> = (0..40).map(|n| format!("shared-{n}")).collect();
    for n in 0..120 {
        let mut items: Vec<Item> = (0..1 + random.below(4))
            .map(|i| item(format!("c{number}-{n}-{i}"), &mut random, &shared))
            .collect();
        if items.len() > 2 {
            items[0].linked = true;
        }
        if random.one_in(8) {
            let id = random.pick(&shared).clone();
            items[0] = Item {
                mode: Some(ItemMode::Pending),
                debit: Some("florin:external:BRL".into()),
                credit: Some("florin:suspense:BRL".into()),
                amount: Some("10".into()),
                asset: Some("BRL".into()),
                code: Some("t".into()),
                id,
                ..Item::default()
            };
        }
        let call = call_of(&Step::Transfers(items, None));
        let sent = ticks.fetch_add(1, Ordering::SeqCst);
        let answer = ledger.submit(call).await.expect("an answer");
        let answered = ticks.fetch_add(1, Ordering::SeqCst);
        let Outcome::Items(results) = &answer.outcome else {
            panic!("{answer:?}");
        };
        let created = results.iter().filter(|r| r.code.word() == "created");
        let seqs: Vec<u64> = created.filter_map(|r| r.seq).collect();
        if random.one_in(10) && !seqs.is_empty() {
            let id = AccountId::parse("florin:external:BRL").expect("an id");
            let Ok(View::Account(Some(view))) = ledger.query(Query::Account(id)).await else {
                panic!("the account exists");
            };
            assert!(
                view.as_of_seq >= seqs[0],
                "reads show what was acknowledged"
            );
        }
        observed.push(Observed {
            sent,
            answered,
            seqs,
        });
    }
    observed
}

/// What a reader of the feed knows after each line.
#[derive(Default)]
struct Follower {
    seen: u64,
    at: i64,
    posted: [u128; 2],
    open: BTreeMap<String, u128>,
    chain: Option<(Box<str>, u32, u64)>,
}

impl Follower {
    fn read(&mut self, view: &ReadView) {
        let mut next = std::mem::take(self);
        let from = next.seen;
        let last = view
            .records(from, usize::MAX, |r| {
                assert_eq!(r.seq, next.seen + 1, "INV-L7: no gap at the tip");
                assert!(r.recorded_at.0 >= next.at, "INV-L7: time never falls");
                (next.seen, next.at) = (r.seq, r.recorded_at.0);
                let Body::Transfer(t) = &r.body else { return };
                match t.mode {
                    Mode::Single | Mode::Post => {
                        let touched = [r.touches.first, r.touches.second].map(|x| x.expect("two"));
                        assert_ne!(touched[0].slot, touched[1].slot);
                        next.posted = next.posted.map(|p| p + t.amount);
                    }
                    Mode::Pending => drop(next.open.insert(t.id.to_string(), t.amount)),
                    Mode::Void => {}
                }
                if let Some(pending) = &t.pending_id {
                    let reserved = next.open.remove(&**pending);
                    assert!(
                        reserved.is_some_and(|r| t.amount <= r),
                        "INV-L8: resolved once"
                    );
                }
                let chain = t.chain.as_ref().map(|(c, i)| (c.clone(), *i, r.batch));
                if let Some((id, place, batch)) = chain.as_ref().filter(|c| c.1 > 0) {
                    let before = Some((id.clone(), place - 1, *batch));
                    assert_eq!(next.chain, before, "INV-L9");
                }
                next.chain = chain;
            })
            .expect("readable");
        assert_eq!(last, next.seen.max(from));
        *self = next;
    }
}

#[test]
fn inv_l13_one_order_that_respects_real_time_and_a_feed_without_gaps() {
    let dir = tempfile::tempdir().expect("a directory");
    let bank = Bank::open_with(dir.path(), Policy::default(), |o| {
        o.snapshot_bytes = 200 << 10
    });
    let runtime = runtime();
    let ticks = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let reader = {
        let (ledger, stop) = (bank.ledger.clone(), stop.clone());
        runtime.spawn(async move {
            let mut follower = Follower::default();
            let mut watch = ledger.watch();
            loop {
                let last = stop.load(Ordering::SeqCst);
                let view = ledger.read_view().await.expect("the index follows");
                follower.read(&view);
                if last {
                    return follower;
                }
                let wait = tokio::time::Duration::from_millis(20);
                // Stopping is noticed after a while without news.
                drop(tokio::time::timeout(wait, watch.changed()).await);
            }
        })
    };
    let clock = bank.clock.clone();
    let observed: Vec<Observed> = runtime.block_on(async {
        let tasks: Vec<_> = (0..16)
            .map(|n| tokio::spawn(caller(bank.ledger.clone(), n, ticks.clone())))
            .collect();
        let mut all = Vec::new();
        for task in tasks {
            clock.advance(1_000);
            all.extend(task.await.expect("a caller ends"));
        }
        all
    });
    stop.store(true, Ordering::SeqCst);
    let follower = runtime.block_on(reader).expect("the reader ends");
    let mut by_sent: Vec<&Observed> = observed.iter().filter(|o| !o.seqs.is_empty()).collect();
    let mut by_answer = by_sent.clone();
    by_sent.sort_by_key(|o| o.sent);
    by_answer.sort_by_key(|o| o.answered);
    let mut answered = by_answer.into_iter().peekable();
    let mut highest = 0;
    for o in by_sent {
        while let Some(before) = answered.next_if(|b| b.answered < o.sent) {
            highest = highest.max(*before.seqs.last().expect("not empty"));
        }
        assert!(
            o.seqs[0] > highest,
            "INV-L13: {} after {highest}",
            o.seqs[0]
        );
    }
    let query = bank
        .runtime
        .block_on(bank.ledger.query(Query::TrialBalance));
    let Ok(View::TrialBalance(sums, head)) = query else {
        panic!("no trial balance");
    };
    let brl = &sums[0].totals;
    assert_eq!(follower.seen, head.seq);
    assert_eq!(
        [brl.debits_posted, brl.credits_posted],
        follower.posted,
        "INV-L1"
    );
    let open: u128 = follower.open.values().sum();
    assert_eq!(
        [brl.debits_pending, brl.credits_pending],
        [open, open],
        "INV-L2"
    );
    assert!(follower.seen > 1_500, "{}", follower.seen);
}
