//! Consumer groups: each message has its effect once, whoever handles it.

use parking_lot::Mutex;
use tokio::task::JoinHandle;

use super::super::group::{self, Group};
use super::*;
use crate::bus::MIGRATIONS;
use crate::bus::consume::{Handler, Handling, Rejected};
use crate::http::shutdown::{self, ShutdownTrigger};
use crate::sql::{Db, Migration, Migrations, Tx, query};

const EFFECTS: Migrations = Migrations {
    room: "effects",
    steps: &[Migration {
        version: 1,
        name: "effects",
        sqlite: "CREATE TABLE effects (place INTEGER PRIMARY KEY, member TEXT NOT NULL, seq BIGINT NOT NULL)",
        postgres: "CREATE TABLE effects (place BIGSERIAL PRIMARY KEY, member TEXT NOT NULL, seq BIGINT NOT NULL)",
    }],
};

const IN: &str = "transactions.events";

/// Writes down who handled what; a value with an `x` is poison.
pub struct Keeper(pub &'static str);

impl Handler for Keeper {
    fn handle<'a>(&'a self, message: &'a Received, tx: &'a mut Tx) -> Handling<'a> {
        Box::pin(async move {
            let seq: i64 = message
                .header(HEADER_SEQ)
                .and_then(|s| s.parse().ok())
                .unwrap_or(-1);
            let insert = query("INSERT INTO effects (member, seq) VALUES ($1, $2)");
            tx.execute(insert.bind(self.0).bind(seq)).await?;
            match message.value.contains(&b'x') {
                true => Err(Rejected::poison("invalid_type", "an x in it")),
                false => Ok(()),
            }
        })
    }
}

pub async fn tables() -> Db {
    let db = Db::open_memory().await.expect("opens");
    db.migrate(&MIGRATIONS, 0).await.expect("migrates");
    db.migrate(&EFFECTS, 0).await.expect("migrates");
    db
}

pub struct Running {
    trigger: ShutdownTrigger,
    working: JoinHandle<()>,
}

impl Running {
    pub fn start(cluster: &Cluster, db: &Db, handler: Keeper) -> Self {
        let (trigger, shutdown) = shutdown::pair();
        let group = Group {
            name: "keepers".to_owned(),
            topics: vec![IN.to_owned()],
            handler: Arc::new(handler),
        };
        let working = tokio::spawn(group::run(cluster.bus(), db.clone(), group, shutdown));
        Self { trigger, working }
    }

    pub async fn stop(self) {
        self.trigger.advance();
        let ended = tokio::time::timeout(LONG, self.working).await;
        ended.expect("in time").expect("ends in order");
    }
}

/// Effects in their order: member and number.
pub async fn effects(db: &Db) -> Vec<(String, u64)> {
    let select = query("SELECT member, seq FROM effects ORDER BY place");
    let rows = db.fetch_all(select).await.expect("reads");
    let effect = |row: &crate::sql::Row| {
        let seq: i64 = row.get("seq").expect("seq");
        (row.get("member").expect("member"), seq.unsigned_abs())
    };
    rows.iter().map(effect).collect()
}

pub async fn until(db: &Db, what: impl Fn(&[(String, u64)]) -> bool) -> Vec<(String, u64)> {
    let waiting = async {
        loop {
            let all = effects(db).await;
            if what(&all) {
                return all;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LONG, waiting).await.expect("in time")
}

fn numbers(all: &[(String, u64)]) -> Vec<u64> {
    let mut numbers: Vec<u64> = all.iter().map(|(_, seq)| *seq).collect();
    numbers.sort_unstable();
    numbers
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_handles_each_message_once_across_rebalances() {
    let cluster = Cluster::any();
    cluster.topic(IN).await;
    let bus = cluster.bus();
    let db = tables().await;
    bus.publish(IN, messages(0, 200)).await.expect("accepted");
    let a = Running::start(&cluster, &db, Keeper("a"));
    until(&db, |all| all.len() >= 200).await;
    // A second member takes some partitions over while messages keep coming.
    let b = Running::start(&cluster, &db, Keeper("b"));
    let mut next = 200;
    let shared = async {
        loop {
            bus.publish(IN, messages(next, 20)).await.expect("accepted");
            next += 20;
            let all = until(&db, |all| all.len() as u64 >= next).await;
            if all.iter().any(|(member, _)| member == "b") {
                return;
            }
        }
    };
    tokio::time::timeout(LONG, shared)
        .await
        .expect("b takes part");
    a.stop().await;
    bus.publish(IN, messages(next, 50)).await.expect("accepted");
    let all = until(&db, |all| all.len() as u64 >= next + 50).await;
    b.stop().await;
    assert_eq!(
        numbers(&all),
        (0..next + 50).collect::<Vec<_>>(),
        "each once"
    );
    let mut by_key: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for (_, seq) in &all {
        by_key.entry(seq % KEYS).or_default().push(*seq);
    }
    assert!(
        by_key.values().all(|seqs| seqs.is_sorted()),
        "in order for each key"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_goes_on_at_the_position_in_sql() {
    let cluster = Cluster::any();
    cluster.topic(IN).await;
    let bus = cluster.bus();
    bus.publish(IN, messages(0, 30)).await.expect("accepted");
    let db = tables().await;
    let first = Running::start(&cluster, &db, Keeper("a"));
    until(&db, |all| all.len() == 30).await;
    first.stop().await;
    // Tables that know nothing: what the brokers remember must not count.
    let other = tables().await;
    let insert = "INSERT INTO bus_positions (group_name, topic, part, next_offset, updated_at)
        VALUES ($1, $2, $3, 0, 0)";
    let name = format!("{}{IN}", cluster.settings.prefix);
    let group = format!("{}keepers", cluster.settings.prefix);
    for partition in 0..4_i64 {
        let row = query(insert).bind(&group).bind(&name).bind(partition);
        other.execute(row).await.expect("stored");
    }
    let second = Running::start(&cluster, &other, Keeper("b"));
    let all = until(&other, |all| all.len() == 30).await;
    second.stop().await;
    assert_eq!(numbers(&all), (0..30).collect::<Vec<_>>());
}

/// Takes whole batches, and may take them twice.
struct Taker(Arc<Mutex<Vec<u64>>>);

impl Handler for Taker {
    fn prepare<'a>(&'a self, messages: &'a [Received]) -> Handling<'a> {
        let seq = |m: &Received| m.header(HEADER_SEQ)?.parse::<u64>().ok();
        self.0.lock().extend(messages.iter().filter_map(seq));
        Box::pin(std::future::ready(Ok(())))
    }

    fn handle<'a>(&'a self, _: &'a Received, _: &'a mut Tx) -> Handling<'a> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn prepares_all(&self) -> bool {
        true
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_made_anew_is_read_from_its_beginning() {
    let cluster = Cluster::any();
    cluster.topic(IN).await;
    let bus = cluster.bus();
    let db = tables().await;
    // The former topic was longer: 1,000 messages of each partition were taken.
    let insert = "INSERT INTO bus_positions (group_name, topic, part, next_offset, updated_at)
        VALUES ($1, $2, $3, 1000, 0)";
    let name = format!("{}{IN}", cluster.settings.prefix);
    let group = format!("{}takers", cluster.settings.prefix);
    for partition in 0..4_i64 {
        let row = query(insert).bind(&group).bind(&name).bind(partition);
        db.execute(row).await.expect("stored");
    }
    bus.publish(IN, messages(0, 40)).await.expect("accepted");
    let got: Arc<Mutex<Vec<u64>>> = Arc::default();
    for round in 0..2_u64 {
        let (trigger, shutdown) = shutdown::pair();
        let group = Group {
            name: "takers".to_owned(),
            topics: vec![IN.to_owned()],
            handler: Arc::new(Taker(Arc::clone(&got))),
        };
        let working = tokio::spawn(group::run(cluster.bus(), db.clone(), group, shutdown));
        let all = async {
            while (got.lock().len() as u64) < 40 + round * 10 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LONG, all).await.expect("in time");
        trigger.advance();
        let ended = tokio::time::timeout(LONG, working).await;
        ended.expect("in time").expect("ends in order");
        if round == 0 {
            // Behind the position that was set back, and far before the former one.
            bus.publish(IN, messages(40, 10)).await.expect("accepted");
        }
    }
    let mut all = got.lock().clone();
    all.sort_unstable();
    assert_eq!(all, (0..50).collect::<Vec<_>>(), "each once");
}
