//! What a start finds: a commit cut short by a power loss is gone and nothing else, damage stops
//! the start and names its place, and the installation keeps its id (contract F2, INV-S1,
//! INV-S11).

use std::path::Path;
use std::sync::Arc;

use florin_base::clock::ManualClock;
use florin_platform::sql::{Db, query};
use florin_shadow::store::rebuild::{Request, verify};
use florin_shadow::store::{OpenError, Settings, Shadow};

use crate::permutations::Chance;
use crate::support::{Known, NOW, bench_on, event, take};

const TIME: i64 = 1_735_561_800_000;
const COMMITS: usize = 40;

async fn file(dir: &Path) -> Db {
    let db = Db::open_sqlite(&dir.join("shadow.db")).await;
    db.expect("opens")
}

async fn open(db: &Db) -> Result<Shadow, OpenError> {
    let clock = Arc::new(ManualClock::new(NOW));
    Shadow::open(db.clone(), clock, Arc::new(Known), Settings::default()).await
}

/// A record that was half written when the power went: whatever part of the write-ahead log the
/// disk still has, the start finds the commits that are whole and nothing of the others.
#[tokio::test]
async fn a_torn_last_record_is_cut_and_nothing_acknowledged_with_it() {
    let live = tempfile::tempdir().expect("a folder");
    let db = file(live.path()).await;
    let bench = bench_on(db.clone(), Settings::default()).await;
    let wal = live.path().join("shadow.db-wal");
    // How long the write-ahead log was when each commit was acknowledged.
    let mut acked = Vec::new();
    for n in 0..COMMITS {
        let id = format!("E{n}");
        take(&bench.shadow, vec![event(&id, "A1", 100, TIME + n as i64)]).await;
        acked.push(std::fs::metadata(&wal).expect("a write-ahead log").len());
    }
    assert!(acked.windows(2).all(|pair| pair[0] < pair[1]), "{acked:?}");
    let (base, log) = (
        std::fs::read(live.path().join("shadow.db")).expect("reads"),
        std::fs::read(&wal).expect("reads"),
    );
    let mut chance = Chance::fresh();
    for turn in 0..12 {
        let from = usize::try_from(acked[0]).expect("small");
        let at = from + chance.next((log.len() - from) as u64) as usize;
        let mut torn = log[..at].to_vec();
        if turn % 2 == 1 {
            // Some disks leave whatever stood there before.
            torn.extend((0..5_000).map(|_| chance.next(256) as u8));
        }
        let whole = acked.iter().filter(|len| **len <= at as u64).count();
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("shadow.db"), &base).expect("writes");
        std::fs::write(dir.path().join("shadow.db-wal"), &torn).expect("writes");
        let again = file(dir.path()).await;
        let bench = bench_on(again.clone(), Settings::default()).await;
        let rows = "SELECT COUNT(*) AS n FROM shadow_log WHERE kind = 'event'";
        let rows = again.fetch_all(query(rows)).await.expect("reads");
        let found: i64 = rows[0].get("n").expect("a number");
        assert_eq!(found, whole as i64, "cut at {at} of {}", log.len());
        let report = verify(&again, &Request::default(), &|_| {}).await;
        assert!(report.expect("runs").is_good(), "cut at {at}");
        // What was lost was never acknowledged here, and the same request brings it again.
        let id = format!("E{whole}");
        take(&bench.shadow, vec![event(&id, "A1", 100, TIME + found)]).await;
        assert_eq!(bench.shadow.installation(), {
            let first = open(&db).await.expect("opens");
            first.installation().to_owned()
        });
    }
}

async fn broken_at(db: &Db) -> i64 {
    match open(db).await {
        Err(OpenError::Chain { broken_at }) => broken_at,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("a damaged log opens"),
    }
}

/// INV-S11: an edited, missing or surplus record at the end stops the start; so does one further
/// back that a checkpoint covers.
#[tokio::test]
async fn inv_s11_damage_stops_the_start_and_names_its_place() {
    let cases: [(&[&'static str], i64); 4] = [
        (
            &["UPDATE shadow_log SET body = replace(body, '100', '900') WHERE log_seq = 7"],
            7,
        ),
        (&["DELETE FROM shadow_log WHERE log_seq = 10"], 10),
        (&["UPDATE shadow_head SET log_seq = 9"], 10),
        (
            &[
                "INSERT INTO shadow_checkpoints (log_seq, hash, recorded_at, note)
                 SELECT log_seq, hash, recorded_at, 'n' FROM shadow_log WHERE log_seq = 4",
                "UPDATE shadow_checkpoints SET hash = X'00' WHERE log_seq = 4",
            ],
            4,
        ),
    ];
    for (edits, place) in cases {
        let dir = tempfile::tempdir().expect("a folder");
        let db = file(dir.path()).await;
        let bench = bench_on(db.clone(), Settings::default()).await;
        for n in 0..10 {
            let id = format!("E{n}");
            take(&bench.shadow, vec![event(&id, "A1", 100, TIME + n)]).await;
        }
        open(&db).await.expect("nothing is wrong yet");
        // Whoever edits the file also takes the triggers away.
        for drop in [
            "DROP TRIGGER shadow_log_no_update",
            "DROP TRIGGER shadow_log_no_delete",
        ] {
            db.execute(query(drop)).await.expect("dropped");
        }
        for edit in edits {
            db.execute(query(edit)).await.expect("edited");
        }
        assert_eq!(broken_at(&db).await, place, "{edits:?}");
    }
}

#[tokio::test]
pub async fn an_installation_has_an_id_of_its_own_for_ever() {
    let (one, other) = (
        crate::postgres_rooms::tables().await,
        crate::postgres_rooms::tables().await,
    );
    // Two processes that start at once agree.
    let (first, second) = tokio::join!(open(&one), open(&one));
    let id = first.expect("opens").installation().to_owned();
    assert_eq!(second.expect("opens").installation(), id);
    assert_eq!(open(&one).await.expect("opens").installation(), id);
    assert_ne!(open(&other).await.expect("opens").installation(), id);
    assert_eq!(id.len(), 36);
}
