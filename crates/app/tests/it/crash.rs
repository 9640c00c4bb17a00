//! kill -9 at random moments under load, again and again on one data directory (contract D,
//! "crash"; cases 62 and 63; INV-L6, L7, L9, L10, L11, L13).
//!
//! Each round: clients post and write down what they intend and what is acknowledged; after a
//! random number of acknowledgements the process gets SIGKILL; it is started again (now and
//! then killed once more while it starts); everything unacknowledged is sent again, and so is a
//! part of what was acknowledged; then every balance is compared with a model, and the change
//! feed, read to its end, with the clients' journals and with what a reader at its tip had seen.
//!
//! `FLORIN_CRASH_ROUNDS` (default 200) and `FLORIN_CRASH_SEED` widen or repeat a run.

mod feed;
mod intent;
pub mod load;
pub mod world;

use std::path::Path;
use std::time::{Duration, Instant};

use crate::server::launch::florin;
use crate::server::{Launch, Rng, Server};
use world::World;

/// Rounds between two verifications of the stopped ledger.
const VERIFY_EVERY: u64 = 25;
/// Most acknowledgements before the kill.
const ACKS_MAX: u64 = 150;
/// One in so many rounds is killed again while it starts.
const START_KILLS: u64 = 8;
/// Latest kill of a process that is starting.
const START_KILL_MAX: Duration = Duration::from_millis(400);

/// Snapshots and checkpoints are frequent, so that kills meet them.
const CONFIG: &str = "[ledger]\nsnapshot_mib = 1\ncheckpoint_interval = \"1s\"\n";

fn launch(dir: &Path) -> Launch {
    Launch::new().config(CONFIG).dir(dir)
}

pub fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable)
        .ok()
        .map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn kill_at_random_moments_loses_nothing_and_repeats_nothing() {
    let (rounds, seed) = (
        number("FLORIN_CRASH_ROUNDS", 200),
        number("FLORIN_CRASH_SEED", 1),
    );
    println!("rounds {rounds}, seed {seed}");
    let home = tempfile::tempdir().expect("temporary folder");
    let launch = || launch(home.path());
    let mut server = launch().start();
    let mut world = World::new(&server);
    let mut rng = Rng::new(seed);
    for round in 1..=rounds {
        let acks = 1 + rng.below(ACKS_MAX);
        let what = format!("seed {seed}, round {round}, killed after {acks} acknowledgements");
        let journals = load::run(&server, &world, acks, rng.next());
        server.kill();
        if rng.below(START_KILLS) == 0 {
            kill_while_starting(home.path(), &mut rng);
        }
        server = launch()
            .try_start()
            .unwrap_or_else(|| panic!("does not start again: {what}"));
        world.settle(&server, journals, &what);
        world.compare(&server, &what);
        if round % VERIFY_EVERY == 0 || round == rounds {
            server = verified(server, launch(), &what);
        }
    }
    println!("{}", world.counts);
    // Case 63: some were committed and not answered.
    assert!(
        rounds < 50 || world.counts.committed_unanswered > 0,
        "{}",
        world.counts
    );
}

/// Stops cleanly, verifies the files with the command, and starts again.
fn verified(server: Server, launch: Launch, what: &str) -> Server {
    let data = server.data_dir().to_str().expect("plain path").to_owned();
    let (status, _) = server.stop();
    assert!(status.success(), "clean stop: {status}; {what}");
    let (code, out, err) = florin(&["ledger", "verify", "--data-dir", &data]);
    assert_eq!(code, Some(0), "{what}: {out} {err}");
    launch.start()
}

/// Starts a process and kills it before or after it is ready, whatever it is doing then.
fn kill_while_starting(dir: &Path, rng: &mut Rng) {
    let mut child = launch(dir).spawn(dir);
    let micros = rng.below(u64::try_from(START_KILL_MAX.as_micros()).expect("small"));
    let until = Instant::now() + Duration::from_micros(micros);
    // The moment is meant to be random: there is no event to wait for.
    while Instant::now() < until {
        std::thread::park_timeout(Duration::from_millis(5));
    }
    child.kill().expect("killed");
    child.wait().expect("ends");
}
