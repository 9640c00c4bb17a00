//! Buying in tests: wallets with money, carts, counters and balances to compare.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use florin_base::Decimal;
use florin_ledger::call::{
    Call, CreateWallet, Outcome, Query, Reference, View, WalletAmount, WalletMove,
};
use florin_ledger::model::{AccountId, WalletType};
use florin_platform::sql::query;
use florin_ticketing::money::projector;
use serde_json::{Value, json};

use crate::stage::{Gig, Reply, Stage};

/// Tests of cases, `async fn`s without arguments: each on SQLite, and all of them on one
/// PostgreSQL, where it is installed.
macro_rules! cases {
    ($($case:ident),+ $(,)?) => {
        mod on_sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    Box::pin(super::$case()).await;
                }
            )+
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn on_postgres() {
            use florin_platform::testing::postgres::TestPostgres;
            let Some(server) = TestPostgres::start().await else {
                return;
            };
            $(
                eprintln!("case {}", stringify!($case));
                florin_platform::testing::on(&server, Box::pin($case())).await;
            )+
        }
    };
}
pub(crate) use cases;

/// Settings with which nobody is too fast.
pub fn no_limits() -> florin_ticketing::Settings {
    let limits = florin_ticketing::limits::ALL
        .into_iter()
        .map(|limit| (limit.name, 0))
        .collect();
    florin_ticketing::Settings {
        limits,
        ..Default::default()
    }
}

/// A stage on which nobody is too fast.
pub async fn unlimited() -> Stage {
    Stage::with(no_limits()).await
}

static REFERENCES: AtomicU32 = AtomicU32::new(0);

fn reference() -> Reference {
    let n = REFERENCES.fetch_add(1, Ordering::Relaxed);
    Reference {
        id: format!("test-{n}").into(),
        generated: false,
    }
}

fn amount(text: &str) -> WalletAmount {
    WalletAmount {
        decimal: Decimal::parse(text).expect("a decimal"),
        is_number: false,
    }
}

impl Stage {
    /// A wallet of a user with money in it.
    pub async fn wallet(&self, user: &str, currency: &str, money: &str) -> String {
        let id = self.ledger.new_id();
        let call = CreateWallet {
            actor: Some("test".into()),
            id: id.as_u128(),
            user_id: user.into(),
            currency: currency.into(),
            tier: "standard".into(),
            label: None,
            metadata: Default::default(),
            reference: reference(),
        };
        let answer = self
            .ledger
            .submit(Call::CreateWallet(call))
            .await
            .expect("open");
        assert!(matches!(answer.outcome, Outcome::Done(_)), "{answer:?}");
        if money != "0" {
            self.move_money(&id.to_string(), WalletType::Deposit, money)
                .await;
        }
        id.to_string()
    }

    /// A deposit or withdrawal.
    pub async fn move_money(&self, wallet: &str, op: WalletType, money: &str) {
        let call = WalletMove {
            actor: Some("test".into()),
            owner: None,
            op,
            wallet: uuid::Uuid::parse_str(wallet).expect("an id").as_u128(),
            transfer_id: self.ledger.new_id().to_string().into(),
            amount: amount(money),
            currency: None,
            destination: None,
            counter_account: None,
            rate: None,
            expires_in_seconds: None,
            reference: reference(),
            description: None,
            metadata: Default::default(),
            effective_at: None,
            module: "wallets".into(),
        };
        let answer = self
            .ledger
            .submit(Call::WalletMove(Box::new(call)))
            .await
            .expect("open");
        assert!(matches!(answer.outcome, Outcome::Done(_)), "{answer:?}");
    }

    /// What a wallet has and what of it is free, minor units.
    pub async fn wallet_has(&self, wallet: &str) -> (i128, i128) {
        let id = uuid::Uuid::parse_str(wallet).expect("an id").as_u128();
        let ask = Query::Wallet { id, owner: None };
        match self.ledger.query(ask).await.expect("open") {
            View::Wallet(Some(view)) => {
                let side = florin_ledger::model::Side::Credit;
                (
                    view.totals.balance(side).to_i128().expect("small"),
                    view.totals.available(side).to_i128().expect("small"),
                )
            }
            other => panic!("no wallet: {other:?}"),
        }
    }

    /// Balance of an account of this room on its own side, minor units; 0 if it was never used.
    pub async fn balance(&self, name: &str) -> i128 {
        let id = AccountId::parse(&format!("florin:tk:{name}:EUR")).expect("an id");
        match self.ledger.query(Query::Account(id)).await.expect("open") {
            View::Account(Some(view)) => view
                .totals
                .balance(view.facts.normal)
                .to_i128()
                .expect("small"),
            _ => 0,
        }
    }

    /// Reserves units of the gig's type.
    pub async fn reserve(&self, who: &str, gig: &Gig, quantity: i64) -> Reply {
        let items = json!([{"ticketTypeId": gig.kind, "quantity": quantity}]);
        self.cart(who, &gig.event, items, json!({})).await
    }

    /// Reserves a cart; `more` is laid over the body.
    pub async fn cart(&self, who: &str, event: &str, items: Value, more: Value) -> Reply {
        let mut body = json!({"eventId": event, "items": items});
        if who.is_empty() {
            body["buyer"] = json!({"email": "guest@example.org"});
        }
        crate::stage::lay_over(&mut body, &more);
        self.post(who, "/api/v1/orders", body).await
    }

    pub async fn checkout(&self, who: &str, order: &str, body: Value) -> Reply {
        self.post(who, &format!("/api/v1/orders/{order}/checkout"), body)
            .await
    }

    /// Reserves and pays from a wallet; the order.
    pub async fn buy(&self, who: &str, gig: &Gig, quantity: i64, wallet: &str) -> String {
        let order = self.reserve(who, gig, quantity).await.ok(201).id();
        let body = json!({"method": "wallet", "walletId": wallet});
        self.checkout(who, &order, body).await.ok(200);
        order
    }

    pub async fn refund(&self, who: &str, order: &str, body: Value) -> Reply {
        self.post(who, &format!("/api/v1/orders/{order}/refunds"), body)
            .await
    }

    /// Ids of an order's tickets, 01 first, with their status.
    pub async fn tickets(&self, order: &str) -> Vec<(String, String)> {
        let text = "SELECT id, status FROM tk_tickets WHERE order_id = $1 ORDER BY position";
        let rows = self
            .room
            .store
            .db
            .fetch_all(query(text).bind(order))
            .await
            .expect("reads");
        rows.iter()
            .map(|row| {
                (
                    row.get("id").expect("id"),
                    row.get("status").expect("status"),
                )
            })
            .collect()
    }

    /// One number of the tables.
    pub async fn count(&self, sql: &'static str, id: &str) -> i64 {
        let row = self
            .room
            .store
            .db
            .fetch_optional(query(sql).bind(id))
            .await
            .expect("reads");
        row.expect("a row").get("n").expect("n")
    }

    /// INV-T1, INV-T2, INV-T3, INV-T4 and INV-T8 of an event, counted row by row.
    pub async fn check_stock(&self, event: &str) {
        let text = "SELECT id, quantity, sold, held, held_ever, converted, released
            FROM tk_types WHERE event_id = $1";
        let rows = self
            .room
            .store
            .db
            .fetch_all(query(text).bind(event))
            .await
            .expect("reads");
        for row in &rows {
            let id: String = row.get("id").expect("id");
            let n = |name: &str| row.get::<i64>(name).expect("a number");
            let quantity: Option<i64> = row.get("quantity").expect("quantity");
            if let Some(quantity) = quantity {
                assert!(n("held") + n("sold") <= quantity, "INV-T1");
            }
            let held = "SELECT COALESCE(CAST(SUM(quantity) AS BIGINT), 0) AS n FROM tk_holds
                WHERE type_id = $1 AND state = 'held'";
            assert_eq!(self.count(held, &id).await, n("held"), "INV-T2 held");
            // A used ticket keeps its unit when it dies (contract D1, row 33).
            let sold = "SELECT COUNT(*) AS n FROM tk_tickets t WHERE type_id = $1
                AND (status IN ('valid', 'used', 'suspended', 'listed') OR
                (SELECT kind FROM tk_leaves l WHERE l.ticket_id = t.id
                AND kind IN ('used', 'undone') ORDER BY n DESC LIMIT 1) = 'used')";
            assert_eq!(self.count(sold, &id).await, n("sold"), "INV-T2 sold");
            assert_eq!(
                n("held_ever"),
                n("held") + n("converted") + n("released"),
                "INV-T3"
            );
            let ever = "SELECT COALESCE(CAST(SUM(quantity) AS BIGINT), 0) AS n FROM tk_holds
                WHERE type_id = $1";
            assert_eq!(self.count(ever, &id).await, n("held_ever"), "INV-T3 ever");
        }
        let wrong = "SELECT COUNT(*) AS n FROM tk_orders o WHERE o.event_id = $1
            AND (SELECT COUNT(*) FROM tk_tickets t WHERE t.order_id = o.id) <>
                CASE WHEN o.status IN ('confirmed', 'partially_refunded', 'refunded')
                THEN o.units ELSE 0 END";
        assert_eq!(self.count(wrong, event).await, 0, "INV-T4");
        self.check_parts(event).await;
    }

    /// INV-T8 of an event: the parts of the tickets of each order sum to the order's.
    async fn check_parts(&self, event: &str) {
        let wrong = "SELECT COUNT(*) AS n FROM tk_orders o JOIN (
            SELECT order_id, SUM(paid_net) AS net, SUM(paid_tax) AS tax,
                SUM(paid_platform) AS platform, SUM(paid_processing) AS processing
            FROM tk_tickets GROUP BY order_id) t ON t.order_id = o.id
            WHERE o.event_id = $1 AND (o.tickets <> t.net + t.tax OR o.tax <> t.tax
                OR o.total <> o.tickets + t.platform + t.processing
                OR (o.fee_payer = 'buyer' AND (o.platform_fee <> t.platform
                    OR o.processing_fee <> t.processing))
                OR (o.fee_payer <> 'buyer' AND t.platform + t.processing <> 0))";
        assert_eq!(self.count(wrong, event).await, 0, "INV-T8");
    }

    /// Postings of an order, name and amounts by component.
    pub async fn postings(&self, order: &str) -> Vec<(String, Vec<(String, i64)>)> {
        projector::catch_up(&self.room)
            .await
            .expect("reads the feed");
        let text = "SELECT posting, component, amount FROM tk_posting_lines
            WHERE order_id = $1 ORDER BY seq";
        let rows = self
            .room
            .store
            .db
            .fetch_all(query(text).bind(order))
            .await
            .expect("reads");
        let mut found: Vec<(String, Vec<(String, i64)>)> = Vec::new();
        for row in &rows {
            let posting: String = row.get("posting").expect("posting");
            let line = (
                row.get("component").expect("c"),
                row.get("amount").expect("a"),
            );
            match found.last_mut().filter(|(name, _)| *name == posting) {
                Some((_, lines)) => lines.push(line),
                None => found.push((posting, vec![line])),
            }
        }
        found
    }

    /// INV-T7: the fold of all postings is 0 for every order's clearing, once those that are due
    /// are posted.
    pub async fn check_clearing(&self) {
        let text = "SELECT COUNT(*) AS n FROM (SELECT account, SUM(amount) AS balance FROM (
            SELECT credit AS account, amount FROM tk_posting_lines
            UNION ALL SELECT debit AS account, -amount FROM tk_posting_lines) AS lines
            WHERE account LIKE $1 GROUP BY account HAVING SUM(amount) <> 0) AS open";
        let due = "SELECT COUNT(*) AS n FROM tk_due WHERE state = $1";
        let started = Instant::now();
        loop {
            let waiting = self.count(due, "due").await;
            projector::catch_up(&self.room)
                .await
                .expect("reads the feed");
            let open = self.count(text, "florin:tk:clearing:%").await;
            if open == 0 {
                return;
            }
            assert!(
                waiting > 0 && started.elapsed() < Duration::from_secs(10),
                "INV-T7: {open} open, {waiting} postings due"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
