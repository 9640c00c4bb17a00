//! Single scans of an event that wait while a commit is under way become the next commit
//! together: many gates of one event are one queue, and each scan is answered for itself.
//!
//! **Invariants.** One task writes the waiting scans of an event; it ends when none waits, and
//! whatever ends it, nobody waits on: who was not answered hears 503 and may send the same scan
//! again. When scans cannot be written together, each is tried alone.

use std::collections::BTreeMap;

use florin_platform::http::problem::{Problem, Status};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::record::{CHUNK, Delivery, record};
use super::scan::{Answer, Prepared};
use crate::Ticketing;

/// Scans of one event that may wait; then 503 `overloaded`.
const WAITING_MAX: usize = 4_096;

struct Waiting {
    prepared: Prepared,
    reply: oneshot::Sender<Result<Answer, Problem>>,
}

/// Scans that wait, by event; an event stands here as long as a task writes its scans.
#[derive(Default)]
pub struct Turnstiles(Mutex<BTreeMap<String, Vec<Waiting>>>);

impl Turnstiles {
    /// Whether nobody writes the event's scans yet.
    fn put(&self, event_id: &str, waiting: Waiting) -> Result<bool, Problem> {
        let mut events = self.0.lock();
        match events.get_mut(event_id) {
            Some(others) if others.len() >= WAITING_MAX => Err(Problem::overloaded()),
            Some(others) => {
                others.push(waiting);
                Ok(false)
            }
            None => {
                events.insert(event_id.to_owned(), vec![waiting]);
                Ok(true)
            }
        }
    }

    /// The next scans of an event; `None` when none waits, and the event is gone.
    fn take(&self, event_id: &str) -> Option<Vec<Waiting>> {
        let mut events = self.0.lock();
        let waiting = events.get_mut(event_id)?;
        if waiting.is_empty() {
            events.remove(event_id);
            return None;
        }
        let count = waiting.len().min(CHUNK);
        Some(waiting.drain(..count).collect())
    }
}

/// Takes the event away when its task breaks off.
struct Turn<'a> {
    stiles: &'a Turnstiles,
    event_id: &'a str,
    /// [`Turnstiles::take`] has done it; another task may have the place by now.
    over: bool,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.stiles.0.lock().remove(self.event_id);
        }
    }
}

/// Judges and records a scan that is made at this moment; the answer comes after the commit.
///
/// # Errors
/// As [`record`]; 503 `overloaded` when too many wait.
pub async fn one(room: &Ticketing, event_id: &str, prepared: Prepared) -> Result<Answer, Problem> {
    let (reply, answer) = oneshot::channel();
    let waiting = Waiting { prepared, reply };
    if room.turnstiles.put(event_id, waiting)? {
        tokio::spawn(serve(room.clone(), event_id.to_owned()));
    }
    let stopped = |_| Problem::unavailable("store_unavailable", "The server is stopping.");
    answer.await.map_err(stopped)?
}

async fn serve(room: Ticketing, event_id: String) {
    let mut turn = Turn {
        stiles: &room.turnstiles,
        event_id: &event_id,
        over: false,
    };
    while let Some(waiting) = room.turnstiles.take(&event_id) {
        let (scans, replies): (Vec<_>, Vec<_>) =
            waiting.into_iter().map(|w| (w.prepared, w.reply)).unzip();
        for (reply, answer) in replies
            .into_iter()
            .zip(write(&room, &event_id, &scans).await)
        {
            // Whoever asked may have gone.
            let _ = reply.send(answer);
        }
    }
    turn.over = true;
}

async fn write(
    room: &Ticketing,
    event_id: &str,
    scans: &[Prepared],
) -> Vec<Result<Answer, Problem>> {
    let delivery = Delivery {
        event_id,
        device_now: None,
        offline: false,
    };
    let problem = match record(room, &delivery, scans).await {
        Ok(answers) => return answers.into_iter().map(Ok).collect(),
        Err(problem) => problem,
    };
    // A store that is away is not asked once for each scan.
    if scans.len() == 1 || problem.status() == Status::ServiceUnavailable {
        return scans.iter().map(|_| Err(problem.clone())).collect();
    }
    let mut answers = Vec::with_capacity(scans.len());
    for scan in scans {
        let alone = record(room, &delivery, std::slice::from_ref(scan)).await;
        let missing = || Problem::internal("a scan without an answer");
        answers.push(alone.and_then(|mut answers| answers.pop().ok_or_else(missing)));
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::scan::{Code, Scan};
    use crate::model::scan::Direction;

    fn waiting() -> Waiting {
        let scan = Scan {
            code: Code::Number("X".to_owned()),
            nonce: uuid::Uuid::nil(),
            device_id: "d".to_owned(),
            gate: None,
            area: None,
            direction: Direction::In,
            scanned_at: 0,
            stale_bundle: false,
            refused: None,
            actor: "sub:olga".to_owned(),
        };
        let prepared = Prepared {
            scan,
            claims: Ok(None),
        };
        let reply = oneshot::channel().0;
        Waiting { prepared, reply }
    }

    #[test]
    fn one_task_serves_an_event_and_what_waits_is_bounded() {
        let stiles = Turnstiles::default();
        assert!(stiles.put("a", waiting()).expect("room"));
        assert!(stiles.put("b", waiting()).expect("room"), "of its own");
        for _ in 1..WAITING_MAX {
            assert!(!stiles.put("a", waiting()).expect("room"));
        }
        let full = stiles.put("a", waiting()).expect_err("full");
        assert_eq!(full.code(), "overloaded");
        let mut taken = 0;
        while let Some(some) = stiles.take("a") {
            assert!((1..=CHUNK).contains(&some.len()));
            taken += some.len();
        }
        assert_eq!(taken, WAITING_MAX);
        assert!(stiles.put("a", waiting()).expect("room"), "nobody serves");
        drop(Turn {
            stiles: &stiles,
            event_id: "a",
            over: false,
        });
        assert!(stiles.take("a").is_none(), "gone with its task");
    }
}
