//! What most tests do: wallets with money, ledger accounts, transfers, and the comparison of
//! the books at the end.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use super::{Reply, Server, Who};

/// Names are taken from one counter, so that no two cases share one.
static COUNTER: AtomicU64 = AtomicU64::new(0);

/// `/api/v1/wallets/{wallet}/{rest}`.
pub fn path(wallet: &str, rest: &str) -> String {
    format!("/api/v1/wallets/{wallet}/{rest}")
}

/// A name not used before in this process.
pub fn fresh(prefix: &str) -> String {
    format!("{prefix}-{}", COUNTER.fetch_add(1, Ordering::Relaxed))
}

impl Server {
    /// A new wallet's id.
    #[track_caller]
    pub fn wallet(&self, user: &str, currency: &str) -> String {
        let body = json!({"userId": user, "currency": currency});
        self.post(Who::Service, "/api/v1/wallets", body)
            .ok(201)
            .id()
    }

    /// A new wallet with money in it, of a user of its own.
    #[track_caller]
    pub fn funded(&self, currency: &str, amount: &str) -> String {
        let wallet = self.wallet(&fresh("user"), currency);
        self.deposit(&wallet, amount).ok(200);
        wallet
    }

    /// A new empty wallet of a user of its own.
    #[track_caller]
    pub fn empty(&self, currency: &str) -> String {
        self.wallet(&fresh("user"), currency)
    }

    #[track_caller]
    pub fn deposit(&self, wallet: &str, amount: &str) -> Reply {
        let body = json!({"amount": amount, "referenceId": fresh("ref")});
        self.post(Who::Service, &path(wallet, "deposit"), body)
    }

    #[track_caller]
    pub fn withdraw(&self, wallet: &str, amount: &str) -> Reply {
        let body = json!({"amount": amount, "referenceId": fresh("ref")});
        self.post(Who::Service, &path(wallet, "withdraw"), body)
    }

    #[track_caller]
    pub fn transfer(&self, from: &str, to: &str, amount: &str) -> Reply {
        let body =
            json!({"amount": amount, "destinationWalletId": to, "referenceId": fresh("ref")});
        self.post(Who::Service, &path(from, "transfer"), body)
    }

    #[track_caller]
    pub fn hold(&self, wallet: &str, amount: &str) -> Reply {
        let body = json!({"amount": amount, "referenceId": fresh("ref")});
        self.post(Who::Service, &path(wallet, "holds"), body)
    }

    #[track_caller]
    pub fn capture(&self, hold: &str, body: Value) -> Reply {
        self.post(Who::Service, &format!("/api/v1/holds/{hold}/capture"), body)
    }

    #[track_caller]
    pub fn void(&self, hold: &str) -> Reply {
        self.post(
            Who::Service,
            &format!("/api/v1/holds/{hold}/void"),
            json!({}),
        )
    }

    /// `freeze`, `unfreeze` or `close`.
    #[track_caller]
    pub fn status(&self, wallet: &str, verb: &str) -> Reply {
        self.post(
            Who::Operator,
            &path(wallet, verb),
            json!({"reason": "test"}),
        )
    }

    #[track_caller]
    pub fn reverse(&self, transaction: &str, reason: &str) -> Reply {
        let path = format!("/api/v1/transactions/{transaction}/reverse");
        self.post(Who::Operator, &path, json!({"reason": reason}))
    }

    #[track_caller]
    pub fn limits(&self, wallet: &str, body: Value) -> Reply {
        self.put(Who::Operator, &path(wallet, "limits"), body)
    }

    /// `balance`, `held` and `available`.
    #[track_caller]
    pub fn figures(&self, wallet: &str) -> (String, String, String) {
        let reply = self.get(Who::Service, &path(wallet, "balance")).ok(200);
        let text = |member| reply.text_of(member).to_owned();
        (text("balance"), text("held"), text("available"))
    }

    #[track_caller]
    pub fn balance(&self, wallet: &str) -> String {
        self.figures(wallet).0
    }

    /// Ids of a wallet's transactions, newest first.
    #[track_caller]
    pub fn transactions(&self, wallet: &str) -> Vec<Value> {
        let reply = self
            .get(Who::Service, &path(wallet, "transactions?limit=500"))
            .ok(200);
        reply.body["items"].as_array().expect("items").clone()
    }

    /// Moves wall and boot-time clock.
    #[track_caller]
    pub fn advance(&self, seconds: i64) {
        self.put(
            Who::Admin,
            "/api/v1/dev/clock",
            json!({"advanceSeconds": seconds}),
        )
        .ok(200);
    }

    /// Sets the wall clock.
    #[track_caller]
    pub fn set_wall(&self, now: &str) -> Reply {
        self.put(Who::Admin, "/api/v1/dev/clock", json!({"now": now}))
            .ok(200)
    }

    /// A new ledger account's id: a liability unless `more` says otherwise.
    #[track_caller]
    pub fn account(&self, asset: &str, more: Value) -> String {
        let mut body = json!({"id": fresh("acc"), "asset": asset, "kind": "liability"});
        let members = body.as_object_mut().expect("object");
        members.extend(more.as_object().expect("object").clone());
        self.post(Who::Service, "/api/v1/ledger/accounts", body)
            .ok(201)
            .id()
    }

    /// A ledger account that may be lowered without end.
    #[track_caller]
    pub fn source(&self, asset: &str) -> String {
        self.account(asset, json!({"mayOverdraw": true}))
    }

    /// One ledger transfer in the single form.
    #[track_caller]
    pub fn single(&self, item: Value) -> Reply {
        self.post(Who::Service, "/api/v1/ledger/transfers", item)
    }

    /// A call of ledger transfers in the batch form.
    #[track_caller]
    pub fn batch(&self, items: &[Value]) -> Reply {
        self.post(
            Who::Service,
            "/api/v1/ledger/transfers",
            json!({"transfers": items}),
        )
    }

    /// `balance` and `available` of a ledger account in minor units.
    #[track_caller]
    pub fn minor(&self, account: &str) -> (String, String) {
        let reply = self
            .get(
                Who::Service,
                &format!("/api/v1/ledger/accounts/{account}/balance"),
            )
            .ok(200);
        (
            reply.text_of("balance").to_owned(),
            reply.text_of("available").to_owned(),
        )
    }

    /// The last `seq`.
    #[track_caller]
    pub fn last_seq(&self) -> u64 {
        let reply = self.get(Who::Service, "/api/v1/ledger").ok(200);
        reply.body["lastSeq"].as_u64().expect("lastSeq")
    }

    /// Records after this `seq`.
    #[track_caller]
    pub fn changes(&self, after: u64) -> Vec<Value> {
        let path = format!("/api/v1/ledger/changes?after={after}&limit=100000");
        self.get(Who::Service, &path).ok(200).json_lines()
    }

    /// INV-L1, INV-L2: debits and credits are equal, posted and pending, for every asset.
    #[track_caller]
    pub fn books_are_balanced(&self) {
        let reply = self
            .get(Who::Service, "/api/v1/ledger/trial-balance")
            .ok(200);
        for asset in reply.body["assets"].as_array().expect("assets") {
            assert_eq!(asset["difference"], "0", "{asset}");
            assert_eq!(asset["debitsPosted"], asset["creditsPosted"], "{asset}");
            assert_eq!(asset["debitsPending"], asset["creditsPending"], "{asset}");
        }
    }
}

/// An item of a ledger call.
pub fn item(id: &str, debit: &str, credit: &str, amount: &str, asset: &str) -> Value {
    json!({
        "id": id, "debitAccountId": debit, "creditAccountId": credit,
        "amountMinor": amount, "asset": asset, "code": "test",
    })
}

/// The same with further members.
pub fn item_with(
    id: &str,
    debit: &str,
    credit: &str,
    amount: &str,
    asset: &str,
    more: Value,
) -> Value {
    let mut item = item(id, debit, credit, amount, asset);
    let members = item.as_object_mut().expect("object");
    members.extend(more.as_object().expect("object").clone());
    item
}

/// The codes of a batch answer.
#[track_caller]
pub fn codes(reply: &Reply) -> Vec<&str> {
    let results = reply.body["results"].as_array();
    let results = results.unwrap_or_else(|| panic!("{}: {}", reply.status, reply.text));
    results
        .iter()
        .map(|result| result["code"].as_str().unwrap_or("?"))
        .collect()
}

/// Runs the function this often at the same time and answers all results.
pub fn race<T: Send>(times: usize, call: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let gate = std::sync::Barrier::new(times);
    std::thread::scope(|scope| {
        let start = |index| {
            let (gate, call) = (&gate, &call);
            scope.spawn(move || {
                gate.wait();
                call(index)
            })
        };
        let running: Vec<_> = (0..times).map(start).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, T>| match thread.join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        running.into_iter().map(join).collect()
    })
}
