//! Everything that a sale has written, read over HTTP and compared with itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::clients::{PURSE, Sale};
use super::provider::Provider;
use super::{reports, text};
use crate::server::{Server, Who};

/// What was read.
pub struct Books {
    orders: Vec<Value>,
    tickets: Vec<Value>,
    postings: Vec<Value>,
    refunds: Vec<Value>,
    capacity: Value,
    /// Balance and held of all wallets, minor units.
    purses: (i64, i64),
    /// Nothing else was sold on this server.
    is_only: bool,
}

/// Minor units of a decimal with two places.
pub fn minor(shown: &Value) -> i64 {
    let shown = shown
        .as_str()
        .unwrap_or_else(|| panic!("no money: {shown}"));
    let digits: String = shown.chars().filter(|one| *one != '.').collect();
    assert_eq!(shown.len(), digits.len() + 1, "{shown}");
    digits.parse().expect("digits")
}

/// An answer; a store that waits for somebody who was killed is asked again.
pub fn get(server: &Server, who: Who, path: &str) -> Value {
    for _ in 0..100 {
        let reply = server.get(who, path);
        if reply.status != 503 {
            return reply.ok(200).body;
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
    panic!("no answer to {path}")
}

/// All items of a list.
fn pages(server: &Server, path: &str) -> Vec<Value> {
    let mut items = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = get(server, Who::Ana, &format!("{path}?limit=500{cursor}"));
        items.extend(page["items"].as_array().expect("items").iter().cloned());
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
}

pub fn was_confirmed(order: &Value) -> bool {
    ["confirmed", "partially_refunded", "refunded"].contains(&text(order, "status"))
}

/// The id in the name of an account, such as that of an order in `florin:tk:clearing:{id}:EUR`.
fn named<'a>(account: &'a str, name: &str) -> Option<&'a str> {
    let rest = account.strip_prefix("florin:tk:")?.strip_prefix(name)?;
    rest.strip_prefix(':')?.strip_suffix(":EUR")
}

/// What postings did to the accounts of one kind, by id: balance on the credit side, and how
/// often each posting touched it.
type Fold<'a> = BTreeMap<&'a str, (i64, BTreeMap<&'a str, u64>)>;

impl Books {
    pub fn read(server: &Server, sale: &Sale) -> Self {
        let list = |what: &str| pages(server, &format!("/api/v1/events/{}/{what}", sale.event));
        let orders = list("orders");
        let mut refunds = Vec::new();
        for order in orders.iter().filter(|order| was_confirmed(order)) {
            if text(order, "status") != "confirmed" {
                let path = format!("/api/v1/orders/{}/refunds", text(order, "id"));
                let page = get(server, Who::Ana, &path);
                refunds.extend(page["items"].as_array().expect("items").iter().cloned());
            }
        }
        let mut purses = (0, 0);
        for wallet in &sale.wallets {
            let path = format!("/api/v1/wallets/{wallet}/balance");
            let shown = get(server, Who::Service, &path);
            purses.0 += minor(&shown["balance"]);
            purses.1 += minor(&shown["held"]);
        }
        let path = format!("/api/v1/events/{}/capacity", sale.event);
        Self {
            tickets: list("attendees"),
            postings: list("postings"),
            capacity: get(server, Who::Ana, &path),
            orders,
            refunds,
            purses,
            is_only: sale.is_only,
        }
    }

    /// Ids of all orders, and of those that were confirmed.
    pub fn orders(&self) -> (Vec<String>, Vec<String>) {
        let ids = |orders: Vec<&Value>| {
            orders
                .iter()
                .map(|one| text(one, "id").to_owned())
                .collect()
        };
        let confirmed = self.orders.iter().filter(|order| was_confirmed(order));
        (ids(self.orders.iter().collect()), ids(confirmed.collect()))
    }

    /// Everything that does not agree; with the provider also what it must agree about once all
    /// payments are decided.
    pub fn disagreements(
        &self,
        server: &Server,
        sale: &Sale,
        provider: Option<&Provider>,
    ) -> Vec<String> {
        let mut found = Vec::new();
        self.stock(&mut found);
        self.tickets(&mut found);
        self.money(&mut found, provider.is_some());
        self.refunded(&mut found);
        self.wallets(&mut found, sale);
        self.promises(&mut found, sale);
        if let Some(provider) = provider {
            self.provider(&mut found, server, &provider.state());
            found.extend(reports::disagreements(server, sale));
        }
        found
    }

    fn units(&self, kind: &str, state: &str) -> i64 {
        let holds = self
            .orders
            .iter()
            .flat_map(|order| order["holds"].as_array().expect("holds"));
        let of = holds.filter(|hold| {
            (kind.is_empty() || text(hold, "ticketTypeId") == kind) && text(hold, "state") == state
        });
        of.map(|hold| hold["quantity"].as_i64().expect("a number"))
            .sum()
    }

    /// INV-T1, INV-T2, INV-T3.
    fn stock(&self, found: &mut Vec<String>) {
        for kind in self.capacity["types"].as_array().expect("types") {
            let id = text(kind, "ticketTypeId");
            let n = |name: &str| kind[name].as_i64().expect("a number");
            let alive = self.tickets.iter().filter(|ticket| {
                text(ticket, "ticketTypeId") == id
                    && ["valid", "used", "suspended"].contains(&text(ticket, "status"))
            });
            let alive = i64::try_from(alive.count()).expect("small");
            if n("held") + n("sold") > n("quantity") {
                found.push(format!("INV-T1: {kind}"));
            }
            if alive != n("sold") || self.units(id, "held") != n("held") {
                let held = self.units(id, "held");
                found.push(format!("INV-T2: {alive} tickets, {held} held: {kind}"));
            }
        }
        for state in ["held", "converted", "released"] {
            let (rows, counted) = (self.units("", state), &self.capacity["holds"][state]);
            if counted.as_i64() != Some(rows) {
                found.push(format!("INV-T3: {rows} {state}, counted {counted}"));
            }
        }
    }

    /// INV-T4.
    fn tickets(&self, found: &mut Vec<String>) {
        let mut numbers = BTreeSet::new();
        let mut issued: BTreeMap<&str, i64> = BTreeMap::new();
        for ticket in &self.tickets {
            *issued.entry(text(ticket, "orderId")).or_default() += 1;
            if !numbers.insert(text(ticket, "number")) {
                found.push(format!("INV-T4: twice {}", text(ticket, "number")));
            }
        }
        for order in &self.orders {
            let items = order["items"].as_array().expect("items").iter();
            let ordered: i64 = items
                .map(|item| item["quantity"].as_i64().expect("n"))
                .sum();
            let wanted = if was_confirmed(order) { ordered } else { 0 };
            let has = issued.get(text(order, "id")).copied().unwrap_or(0);
            if has != wanted {
                found.push(format!("INV-T4: {has} tickets, wanted {wanted}: {order}"));
            }
        }
    }

    fn fold(&self, name: &str, transfers: &mut BTreeSet<String>) -> (Fold<'_>, Vec<String>) {
        let mut fold: Fold = BTreeMap::new();
        let mut twice = Vec::new();
        for posting in &self.postings {
            let mut touched = BTreeSet::new();
            for leg in posting["transfers"].as_array().expect("transfers") {
                let id = text(leg, "id");
                if !transfers.insert(id.to_owned()) {
                    twice.push(format!("INV-T6: twice {id}"));
                }
                let amount = minor(&leg["amount"]);
                let sides = [("creditAccountId", amount), ("debitAccountId", -amount)];
                for (side, moved) in sides {
                    if let Some(id) = named(text(leg, side), name) {
                        fold.entry(id).or_default().0 += moved;
                        touched.insert(id);
                    }
                }
            }
            for id in touched {
                let times = fold.entry(id).or_default();
                *times.1.entry(text(posting, "posting")).or_default() += 1;
            }
        }
        (fold, twice)
    }

    /// INV-T6, INV-T7 of orders.
    fn money(&self, found: &mut Vec<String>, decided: bool) {
        let (clearing, twice) = self.fold("clearing", &mut BTreeSet::new());
        found.extend(twice);
        let known: BTreeSet<&str> = self.orders.iter().map(|order| text(order, "id")).collect();
        for order in &self.orders {
            let none = (0, BTreeMap::new());
            let (balance, postings) = clearing.get(text(order, "id")).unwrap_or(&none);
            let n = |name: &str| postings.get(name).copied().unwrap_or(0);
            let method = text(&order["payment"], "method");
            let sold = u64::from(was_confirmed(order));
            let by_wallet = u64::from(method == "wallet") * sold;
            let by_card = u64::from(method == "card") * sold;
            let right = n("P2") == sold && n("P3") == by_wallet && n("P1") >= by_card;
            // Money by card may be there before it is decided what it buys.
            let clear = *balance == 0 || (!decided && method != "wallet" && *balance > 0);
            if !right || !clear {
                found.push(format!("INV-T6, INV-T7: {balance} {postings:?} {order}"));
            }
        }
        for id in clearing.keys().filter(|id| !known.contains(*id)) {
            found.push(format!("postings of an unknown order {id}"));
        }
    }

    /// INV-T6 and INV-T9 of refunds.
    fn refunded(&self, found: &mut Vec<String>) {
        let (accounts, _) = self.fold("refunds", &mut BTreeSet::new());
        let mut of_order: BTreeMap<&str, i64> = BTreeMap::new();
        for refund in &self.refunds {
            *of_order.entry(text(refund, "orderId")).or_default() += minor(&refund["amount"]);
            let none = (0, BTreeMap::new());
            let (balance, postings) = accounts.get(text(refund, "id")).unwrap_or(&none);
            let n = |name: &str| postings.get(name).copied().unwrap_or(0);
            let done = text(refund, "status") == "succeeded";
            let right = n("P5") == 1 && n("P6") == u64::from(done) && (*balance == 0) == done;
            // A refund by card takes its time, one into a wallet the time of recovery.
            let may_wait = text(refund, "method") == "card";
            if !right || !(done || may_wait) {
                found.push(format!("INV-T6: {balance} {postings:?} {refund}"));
            }
        }
        for order in self.orders.iter().filter(|order| was_confirmed(order)) {
            let sum = of_order.get(text(order, "id")).copied().unwrap_or(0);
            let shown = minor(&order["refundedAmount"]);
            if sum != shown || sum > minor(&order["amounts"]["total"]) {
                found.push(format!("INV-T9: {sum} of {order}"));
            }
        }
    }

    /// What left the wallets is what wallet orders cost less what came back.
    fn wallets(&self, found: &mut Vec<String>, sale: &Sale) {
        let by_wallet =
            |order: &&Value| was_confirmed(order) && text(&order["payment"], "method") == "wallet";
        let paid: i64 = self
            .orders
            .iter()
            .filter(by_wallet)
            .map(|order| minor(&order["amounts"]["total"]))
            .sum();
        let back: i64 = self
            .refunds
            .iter()
            .filter(|refund| {
                text(refund, "method") == "wallet" && text(refund, "status") == "succeeded"
            })
            .map(|refund| minor(&refund["amount"]))
            .sum();
        let purses = i64::try_from(sale.wallets.len()).expect("small") * minor(&PURSE.into());
        if self.purses != (purses - paid + back, 0) {
            let wanted = purses - paid + back;
            found.push(format!("wallets have {:?} and not {wanted}", self.purses));
        }
    }

    /// What was answered is so.
    fn promises(&self, found: &mut Vec<String>, sale: &Sale) {
        let orders: BTreeMap<&str, &Value> = self
            .orders
            .iter()
            .map(|order| (text(order, "id"), order))
            .collect();
        for id in &sale.journal.orders {
            if !orders.contains_key(&**id) {
                found.push(format!("an answered 201 is lost: {id}"));
            }
        }
        for id in &sale.journal.confirmed {
            if !orders.get(&**id).is_some_and(|order| was_confirmed(order)) {
                found.push(format!("a confirmation is lost: {:?}", orders.get(&**id)));
            }
        }
        for id in &sale.journal.cancelled {
            if !orders
                .get(&**id)
                .is_some_and(|order| order["status"] == "cancelled")
            {
                found.push(format!("a cancellation is lost: {:?}", orders.get(&**id)));
            }
        }
        let refunds: BTreeSet<&str> = self.refunds.iter().map(|one| text(one, "id")).collect();
        for id in &sale.journal.refunds {
            if !refunds.contains(&**id) {
                found.push(format!("an answered refund is lost: {id}"));
            }
        }
    }

    /// INV-T5, INV-T10, INV-T12: what the provider took has its tickets or went back, and both
    /// sides agree about the balance.
    fn provider(&self, found: &mut Vec<String>, server: &Server, state: &Value) {
        let path = "/api/v1/ledger/accounts/florin:tk:psp:stripe:EUR/balance";
        let ours = get(server, Who::Service, path)["balance"].clone();
        let theirs = state["balance"]["eur"].as_i64().unwrap_or(0).to_string();
        if ours != theirs {
            found.push(format!("INV-T10: {ours} here, {theirs} there"));
        }
        let list = |name: &str| state[name].as_array().expect("a list").iter();
        for intent in list("paymentIntents").filter(|one| one["status"] == "succeeded") {
            let order = text(&intent["metadata"], "order_id");
            let shown = self.orders.iter().find(|shown| text(shown, "id") == order);
            // Of another sale.
            if shown.is_none() && !self.is_only {
                continue;
            }
            let back: i64 = list("refunds")
                .filter(|refund| refund["payment_intent"] == intent["id"])
                .filter(|refund| refund["status"] == "succeeded")
                .map(|refund| refund["amount"].as_i64().expect("a number"))
                .sum();
            let whole = intent["amount_received"].as_i64() == Some(back);
            let kept = shown.is_some_and(|shown| {
                was_confirmed(shown) && text(&shown["payment"], "method") == "card"
            });
            if !kept && !whole {
                found.push(format!("INV-T5: {intent} {shown:?}"));
            }
        }
        for refund in self
            .refunds
            .iter()
            .filter(|one| one["status"] != "succeeded")
        {
            found.push(format!("a refund waits: {refund}"));
        }
    }
}
