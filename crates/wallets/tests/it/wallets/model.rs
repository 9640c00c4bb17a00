//! Random calls against a naive model of wallets: every answer and every balance must agree,
//! and the books must balance at the end (INV-L1, INV-L12, INV-L18).

use serde_json::{Value, json};

use crate::support::{Reply, SECOND, SERVICE, Server, path};

const STEPS: usize = 400;
const SEEDS: [u64; 3] = [1, 7, 2_026];

/// A small generator of its own, so that a seed means the same for ever (SplitMix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

#[derive(Clone, Default)]
struct Purse {
    id: String,
    balance: i64,
    held: i64,
    frozen: bool,
}

struct Hold {
    id: String,
    wallet: usize,
    amount: i64,
    /// Seconds after the start.
    expires: i64,
}

struct Model {
    purses: Vec<Purse>,
    holds: Vec<Hold>,
    /// Id, wallet paid from, wallet paid to, amount.
    reversible: Vec<(String, Option<usize>, Option<usize>, i64)>,
    now: i64,
}

fn decimal(minor: i64) -> String {
    format!("{}.{:02}", minor / 100, minor % 100)
}

impl Model {
    fn available(&self, wallet: usize) -> i64 {
        self.purses[wallet].balance - self.purses[wallet].held
    }

    /// What a payment of a wallet must answer.
    fn expected(&self, wallet: usize, amount: i64) -> (u16, &'static str) {
        if self.purses[wallet].frozen {
            (409, "wallet_frozen")
        } else if self.available(wallet) < amount {
            (400, "insufficient_funds")
        } else {
            (200, "")
        }
    }

    fn expire(&mut self) {
        let now = self.now;
        for hold in self.holds.extract_if(.., |hold| hold.expires <= now) {
            self.purses[hold.wallet].held -= hold.amount;
        }
    }
}

#[track_caller]
fn agrees(reply: &Reply, expected: (u16, &str), step: &str) -> bool {
    let (status, code) = expected;
    let got = if reply.status == 201 {
        200
    } else {
        reply.status
    };
    assert_eq!(
        (got, reply.code().1),
        (status, code),
        "{step}: {}",
        reply.text
    );
    status == 200
}

async fn step(server: &Server, model: &mut Model, chance: &mut Chance, step: &str) {
    let wallet = chance.below(model.purses.len() as u64) as usize;
    let amount = 1 + chance.below(3_000) as i64;
    let id = model.purses[wallet].id.clone();
    match chance.below(9) {
        0 | 1 => {
            let reply = server.deposit(&id, &decimal(amount)).await;
            assert!(agrees(&reply, (200, ""), step));
            model.purses[wallet].balance += amount;
            let deposit = (reply.text_of("id").to_owned(), None, Some(wallet), amount);
            model.reversible.push(deposit);
        }
        2 => {
            let reply = server.withdraw(&id, &decimal(amount)).await;
            if agrees(&reply, model.expected(wallet, amount), step) {
                model.purses[wallet].balance -= amount;
                let withdrawal = (reply.text_of("id").to_owned(), Some(wallet), None, amount);
                model.reversible.push(withdrawal);
            }
        }
        3 | 4 => transfer(server, model, chance, (wallet, amount), step).await,
        5 => place(server, model, chance, (wallet, amount), step).await,
        6 => resolve(server, model, chance, step).await,
        7 => reverse(server, model, chance, step).await,
        _ => {
            let verb = if model.purses[wallet].frozen {
                "unfreeze"
            } else {
                "freeze"
            };
            server.status(&id, verb).await.ok(200);
            model.purses[wallet].frozen ^= true;
        }
    }
}

async fn transfer(
    server: &Server,
    model: &mut Model,
    chance: &mut Chance,
    (from, amount): (usize, i64),
    step: &str,
) {
    let to = (from + 1 + chance.below(model.purses.len() as u64 - 1) as usize) % model.purses.len();
    let (payer, payee) = (model.purses[from].id.clone(), model.purses[to].id.clone());
    let reply = server.transfer(&payer, &payee, &decimal(amount)).await;
    if agrees(&reply, model.expected(from, amount), step) {
        model.purses[from].balance -= amount;
        model.purses[to].balance += amount;
        assert_eq!(
            reply.text_of("newBalance"),
            decimal(model.purses[from].balance),
            "{step}"
        );
        let transfer = (reply.text_of("id").to_owned(), Some(from), Some(to), amount);
        model.reversible.push(transfer);
    }
}

async fn place(
    server: &Server,
    model: &mut Model,
    chance: &mut Chance,
    (wallet, amount): (usize, i64),
    step: &str,
) {
    let life = 1 + chance.below(20) as i64;
    let body = json!({
        "amount": decimal(amount), "expiresInSeconds": life, "referenceId": server.reference(),
    });
    let reply = server
        .post(SERVICE, &path(&model.purses[wallet].id, "holds"), body)
        .await;
    if agrees(&reply, model.expected(wallet, amount), step) {
        model.purses[wallet].held += amount;
        model.holds.push(Hold {
            id: reply.text_of("id").to_owned(),
            wallet,
            amount,
            expires: model.now + life,
        });
    }
}

async fn resolve(server: &Server, model: &mut Model, chance: &mut Chance, step: &str) {
    if model.holds.is_empty() {
        return;
    }
    let index = chance.below(model.holds.len() as u64) as usize;
    let Hold {
        id, wallet, amount, ..
    } = &model.holds[index];
    let (id, wallet, amount) = (id.clone(), *wallet, *amount);
    if chance.below(2) == 0 {
        assert!(agrees(&server.void(&id).await, (200, ""), step));
    } else {
        let part = 1 + chance.below(amount as u64 + 1) as i64;
        let expected = match part {
            _ if part > amount => (422, "exceeds_hold_amount"),
            _ if model.purses[wallet].frozen => (409, "wallet_frozen"),
            _ => (200, ""),
        };
        let reply = server.capture(&id, json!({"amount": decimal(part)})).await;
        if !agrees(&reply, expected, step) {
            return;
        }
        model.purses[wallet].balance -= part;
        let capture = (reply.text_of("id").to_owned(), Some(wallet), None, part);
        model.reversible.push(capture);
    }
    model.purses[wallet].held -= amount;
    model.holds.swap_remove(index);
}

async fn reverse(server: &Server, model: &mut Model, chance: &mut Chance, step: &str) {
    if model.reversible.is_empty() {
        return;
    }
    let index = chance.below(model.reversible.len() as u64) as usize;
    let (id, from, to, amount) = model.reversible[index].clone();
    let lacks_funds = to.is_some_and(|to| model.available(to) < amount);
    let expected = if lacks_funds {
        (400, "insufficient_funds")
    } else {
        (200, "")
    };
    if agrees(&server.reverse(&id, "undo").await, expected, step) {
        model.reversible.swap_remove(index);
        if let Some(from) = from {
            model.purses[from].balance += amount;
        }
        if let Some(to) = to {
            model.purses[to].balance -= amount;
        }
    }
}

async fn books_balance(server: &Server) {
    let trial = server
        .get("admin:root", "/api/v1/ledger/trial-balance")
        .await
        .ok(200);
    let assets = trial.body["assets"].as_array().expect("assets").clone();
    assert!(!assets.is_empty());
    for asset in assets {
        assert_eq!(asset["difference"], "0", "{asset}");
        assert_eq!(asset["debitsPosted"], asset["creditsPosted"], "{asset}");
        assert_eq!(asset["debitsPending"], asset["creditsPending"], "{asset}");
    }
}

#[tokio::test]
async fn random_calls_agree_with_a_naive_model() {
    for seed in SEEDS {
        let server = Server::start();
        let mut chance = Chance(seed);
        let mut model = Model {
            purses: Vec::new(),
            holds: Vec::new(),
            reversible: Vec::new(),
            now: 0,
        };
        for user in ["maria", "joao", "ana", "rui"] {
            let id = server.wallet(user, "BRL").await;
            model.purses.push(Purse {
                id,
                ..Purse::default()
            });
        }
        for count in 0..STEPS {
            let name = format!("seed {seed}, step {count}");
            if chance.below(4) == 0 {
                // While the clock rests, ledger time runs on by a microsecond for each commit: a
                // hold is over as soon as its whole seconds have passed.
                server.clock.advance(SECOND);
                model.now += 1;
                model.expire();
            }
            step(&server, &mut model, &mut chance, &name).await;
            let purse = &model.purses[chance.below(4) as usize];
            let (balance, held, available) = server.figures(&purse.id).await;
            let expected = (purse.balance, purse.held, purse.balance - purse.held);
            let minor = |text: String| text.replace('.', "").parse::<i64>().expect("a decimal");
            let got = (minor(balance), minor(held), minor(available));
            assert_eq!(got, expected, "{name}");
        }
        books_balance(&server).await;
        for purse in &model.purses {
            let query = "statement?from=2026-03-01T00:00:00Z&to=2027-01-01T00:00:00Z&limit=1";
            let body: Value = server
                .get(SERVICE, &path(&purse.id, query))
                .await
                .ok(200)
                .body;
            assert_eq!(body["closing"], decimal(purse.balance), "seed {seed}");
        }
    }
}
