//! Intake inside a write transaction: known ids are told apart, the rest is decided per book and
//! recorded in the order of arrival (contract A1, A2, A4).

use std::collections::BTreeMap;

use florin_platform::sql::query;
use hashbrown::HashMap;

pub use super::doors::{Also, Intake, IntakeReply, Item, KeyUse, Outcome};
use super::error::WriteError;
use super::record::{Actor, NewRecord, kind};
use super::session::{Entering, Session};
use super::stored::Stored;
use crate::model::decide::{self, Arrival};
use crate::model::{BookId, Event, Key, Reason, State};

/// What is known of an id while a commit is put together.
#[derive(Debug, Clone)]
struct Known {
    event: Event,
    recorded_at: i64,
    /// `None`: accepted in this commit, decided at its end.
    state: Option<State>,
}

/// Where an item stands before anything is decided.
enum Plan {
    Accept,
    Told(Outcome),
    /// Repeats an item of this commit.
    Again {
        first: (usize, usize),
        difference: Option<&'static str>,
    },
}

/// Takes all intakes of a group into one transaction.
///
/// # Errors
/// [`WriteError`] for what goes wrong with the store; then nothing is done.
pub(super) async fn take_all(
    session: &mut Session,
    mut intakes: Vec<Intake>,
) -> Result<Vec<IntakeReply>, WriteError> {
    let mut replies: Vec<Option<IntakeReply>> = Vec::with_capacity(intakes.len());
    for intake in &intakes {
        replies.push(replay(session, intake).await?);
    }
    let mut known = known_events(session, &intakes).await?;
    let books = intakes.iter().flat_map(|intake| &intake.items);
    let books: Vec<BookId> = books.map(|item| item.event.book()).collect();
    session.load(books.into_iter()).await?;
    bring(session, &intakes).await?;
    let mut first_of: HashMap<String, (usize, usize)> = HashMap::new();
    let mut plans: Vec<Vec<Plan>> = Vec::with_capacity(intakes.len());
    let mut sizes: HashMap<BookId, i128> = HashMap::new();
    for (at, intake) in intakes.iter().enumerate() {
        if replies[at].is_some() {
            plans.push(Vec::new());
            continue;
        }
        let plan = plan(session, at, intake, &known, &first_of, &mut sizes);
        if intake.atomic && plan.iter().any(|plan| !plan.is_harmless()) {
            let now = session.now();
            let told = plan.into_iter().map(|plan| plan.told(now));
            replies[at] = Some(IntakeReply::Nothing(told.collect()));
            plans.push(Vec::new());
            continue;
        }
        for (n, (item, plan)) in intake.items.iter().zip(&plan).enumerate() {
            if matches!(plan, Plan::Accept) {
                let id = &item.event.event_id;
                first_of.insert(id.clone(), (at, n));
                let entry = Known {
                    event: item.event.clone(),
                    recorded_at: session.now(),
                    state: None,
                };
                known.insert(id.clone(), entry);
            }
        }
        plans.push(plan);
    }
    let states = decide_all(session, &intakes, &plans)?;
    for (at, intake) in intakes.iter_mut().enumerate() {
        let outcomes = outcomes(session, at, intake, &plans, &known, &states);
        if replies[at].is_none() {
            keep_key(session, intake, &outcomes).await?;
            replies[at] = Some(IntakeReply::Done(outcomes));
        }
        if let Some(also) = intake.also.take() {
            also(session).await?;
        }
    }
    Ok(replies.into_iter().flatten().collect())
}

/// Brings the parts of large books into memory that the events will stand in.
async fn bring(session: &mut Session, intakes: &[Intake]) -> Result<(), WriteError> {
    let mut keys: HashMap<BookId, Vec<Key>> = HashMap::new();
    for item in intakes.iter().flat_map(|intake| &intake.items) {
        let id = item.event.book();
        let cached = session.core.books.get(&id);
        if cached.is_some_and(|cached| cached.book.present() < cached.book.len()) {
            keys.entry(id).or_default().push(item.event.key());
        }
    }
    for (id, keys) in keys {
        session.bring(&id, keys.iter()).await?;
    }
    Ok(())
}

impl Plan {
    /// Does not stand against an atomic batch.
    fn is_harmless(&self) -> bool {
        matches!(
            self,
            Self::Accept
                | Self::Told(Outcome::Duplicate { .. })
                | Self::Again {
                    difference: None,
                    ..
                }
        )
    }

    /// The outcome where nothing is stored.
    fn told(self, now: i64) -> Outcome {
        match self {
            Self::Told(outcome) => outcome,
            Self::Accept => Outcome::Accepted {
                state: State::Held,
                reason: None,
                log_seq: 0,
            },
            Self::Again {
                difference: None, ..
            } => Outcome::Duplicate {
                recorded_at: now,
                state: State::Held,
            },
            Self::Again {
                difference: Some(first_difference),
                ..
            } => Outcome::Conflict {
                recorded_at: now,
                state: State::Held,
                first_difference,
                incident: None,
            },
        }
    }
}

async fn replay(session: &mut Session, intake: &Intake) -> Result<Option<IntakeReply>, WriteError> {
    let Some(key) = &intake.key else {
        return Ok(None);
    };
    let text = "SELECT body_digest, status, answer FROM shadow_keys WHERE scope = $1";
    let row = session
        .tx()
        .fetch_optional(query(text).bind(&key.scope))
        .await?;
    let Some(row) = row else { return Ok(None) };
    let status = u16::try_from(row.get::<i64>("status")?).unwrap_or(202);
    let answer: String = row.get("answer")?;
    if row.get::<Vec<u8>>("body_digest")? != key.body_digest
        && let Some(differs) = difference(session, intake, &answer).await?
    {
        return Ok(Some(IntakeReply::KeyConflict(differs)));
    }
    Ok(Some(IntakeReply::Replay { status, answer }))
}

/// The first member in which a request differs from the one that was answered under its key; of
/// a single event, other spellings of the same content are no difference.
async fn difference(
    session: &mut Session,
    intake: &Intake,
    answer: &str,
) -> Result<Option<&'static str>, WriteError> {
    let answer: serde_json::Value = serde_json::from_str(answer).unwrap_or_default();
    let (Some(first), [item]) = (answer["eventId"].as_str(), intake.items.as_slice()) else {
        return Ok(Some("body"));
    };
    match session.find_event(first).await? {
        Some(stored) => Ok(stored.event.first_difference(&item.event)),
        None => Ok(Some("eventId")),
    }
}

async fn keep_key(
    session: &mut Session,
    intake: &mut Intake,
    outcomes: &[Outcome],
) -> Result<(), WriteError> {
    let Some(key) = intake.key.take() else {
        return Ok(());
    };
    let Some((status, answer)) = (key.answer)(outcomes) else {
        return Ok(());
    };
    let text = "INSERT INTO shadow_keys (scope, body_digest, status, answer, recorded_at)
        VALUES ($1, $2, $3, $4, $5)";
    let now = session.now();
    let row = query(text)
        .bind(key.scope)
        .bind(key.body_digest)
        .bind(i64::from(status))
        .bind(answer)
        .bind(now);
    session.tx().execute(row).await?;
    Ok(())
}

async fn known_events(
    session: &mut Session,
    intakes: &[Intake],
) -> Result<HashMap<String, Known>, WriteError> {
    let items = intakes.iter().flat_map(|intake| &intake.items);
    let ids: Vec<&str> = items.map(|item| item.event.event_id.as_str()).collect();
    let stored = session.find_events(&ids).await?;
    let known = |stored: Stored| {
        let known = Known {
            recorded_at: stored.recorded_at,
            state: Some(stored.state),
            event: stored.event,
        };
        (known.event.event_id.clone(), known)
    };
    Ok(stored.into_iter().map(known).collect())
}

fn plan(
    session: &Session,
    at: usize,
    intake: &Intake,
    known: &HashMap<String, Known>,
    first_of: &HashMap<String, (usize, usize)>,
    sizes: &mut HashMap<BookId, i128>,
) -> Vec<Plan> {
    let mut inside: HashMap<&str, usize> = HashMap::new();
    let mut plans = Vec::with_capacity(intake.items.len());
    for (n, item) in intake.items.iter().enumerate() {
        let id = item.event.event_id.as_str();
        let plan = if let Some(first) = inside.get(id) {
            let difference = intake.items[*first].event.first_difference(&item.event);
            Plan::Again {
                first: (at, *first),
                difference,
            }
        } else if let Some(known) = known.get(id) {
            again_or_told(known, first_of.get(id).copied(), &item.event)
        } else {
            let plan = admit(session, item, sizes);
            if matches!(plan, Plan::Accept) {
                inside.insert(id, n);
            }
            plan
        };
        plans.push(plan);
    }
    plans
}

fn again_or_told(known: &Known, first: Option<(usize, usize)>, event: &Event) -> Plan {
    let difference = known.event.first_difference(event);
    match (known.state, first) {
        (None, Some(first)) => Plan::Again { first, difference },
        (state, _) => {
            let (recorded_at, state) = (known.recorded_at, state.unwrap_or(State::Held));
            Plan::Told(match difference {
                None => Outcome::Duplicate { recorded_at, state },
                Some(first_difference) => Outcome::Conflict {
                    recorded_at,
                    state,
                    first_difference,
                    incident: None,
                },
            })
        }
    }
}

/// Whether the book takes the event at all.
fn admit(session: &Session, item: &Item, sizes: &mut HashMap<BookId, i128>) -> Plan {
    let id = item.event.book();
    let Some(cached) = session.core.books.get(&id) else {
        return Plan::Accept;
    };
    if cached.book.linked && item.entrance != "feed" {
        return Plan::Told(Outcome::Linked);
    }
    let size = sizes.entry(id).or_default();
    match size
        .checked_add(item.event.amount)
        .filter(|size| cached.book.has_room(*size))
    {
        Some(grown) => {
            *size = grown;
            Plan::Accept
        }
        None => Plan::Told(Outcome::Overflow),
    }
}

type States = HashMap<(usize, usize), (State, Option<Reason>, i64)>;

/// Decides what is accepted, book by book, and records it in the order of arrival.
fn decide_all(
    session: &mut Session,
    intakes: &[Intake],
    plans: &[Vec<Plan>],
) -> Result<States, WriteError> {
    let mut order: Vec<(usize, usize)> = Vec::new();
    let mut by_book: BTreeMap<BookId, Vec<(usize, usize)>> = BTreeMap::new();
    for (at, plan) in plans.iter().enumerate() {
        for (n, _) in plan
            .iter()
            .enumerate()
            .filter(|(_, plan)| matches!(plan, Plan::Accept))
        {
            order.push((at, n));
            let book = intakes[at].items[n].event.book();
            by_book.entry(book).or_default().push((at, n));
        }
    }
    // Deadlines that have passed are worked first: they belong to the time before.
    for id in by_book.keys() {
        session.expire(id);
    }
    let first_seq = session.head().log_seq + 1;
    let numbered = order.iter().enumerate();
    let seq_of: HashMap<(usize, usize), i64> = numbered
        .map(|(offset, place)| (*place, first_seq + offset as i64))
        .collect();
    let recorded_at = session.now();
    let mut changes = Vec::new();
    for (id, places) in &by_book {
        let arrivals: Vec<(&Event, Arrival)> = places
            .iter()
            .map(|place| {
                let arrival = Arrival {
                    recorded_at,
                    log_seq: seq_of[place],
                };
                (&intakes[place.0].items[place.1].event, arrival)
            })
            .collect();
        let changed = decide::take(session.change(id), &arrivals)
            .map_err(|_| WriteError::Damaged("sums of a book"))?;
        changes.push((id, changed));
    }
    for (at, n) in &order {
        let item = &intakes[*at].items[*n];
        let entering = Entering {
            entrance: item.entrance,
            actor: &item.actor,
            correction: false,
            cause: None,
        };
        session.record_event(&item.event, &entering);
    }
    for (id, changed) in changes {
        session.note(id, changed, &Actor::system("policy"), None);
    }
    // With a grace of zero the deadline is now.
    for id in by_book.keys() {
        session.expire(id);
    }
    Ok(states(session, intakes, &seq_of))
}

fn states(session: &Session, intakes: &[Intake], seq_of: &HashMap<(usize, usize), i64>) -> States {
    let mut states = States::with_capacity(seq_of.len());
    for (place, log_seq) in seq_of {
        let event = &intakes[place.0].items[place.1].event;
        let found = session.core.books.get(&event.book());
        let key = Key::new(event.timestamp, &event.event_id);
        if let Some(slot) = found.and_then(|cached| cached.book.slot(&key)) {
            states.insert(*place, (slot.state, slot.reason, *log_seq));
        }
    }
    states
}

/// What became of each item; conflicts are logged as incidents.
fn outcomes(
    session: &mut Session,
    at: usize,
    intake: &Intake,
    plans: &[Vec<Plan>],
    known: &HashMap<String, Known>,
    states: &States,
) -> Vec<Outcome> {
    let mut outcomes = Vec::with_capacity(plans[at].len());
    for (n, plan) in plans[at].iter().enumerate() {
        let mut outcome = match plan {
            Plan::Accept => {
                let (state, reason, log_seq) = states[&(at, n)];
                Outcome::Accepted {
                    state,
                    reason,
                    log_seq,
                }
            }
            Plan::Told(outcome) => outcome.clone(),
            Plan::Again { first, difference } => {
                let state = states.get(first).map_or(State::Held, |(state, ..)| *state);
                let recorded_at = session.now();
                match difference {
                    None => Outcome::Duplicate { recorded_at, state },
                    Some(first_difference) => Outcome::Conflict {
                        recorded_at,
                        state,
                        first_difference,
                        incident: None,
                    },
                }
            }
        };
        if let Outcome::Conflict {
            incident,
            first_difference,
            ..
        } = &mut outcome
        {
            let item = &intake.items[n];
            let stored = &known[&item.event.event_id].event;
            *incident = Some(log_conflict(session, item, stored, first_difference));
        }
        outcomes.push(outcome);
    }
    outcomes
}

/// A silent drop would lose money: the incident keeps both contents' digests and who sent it.
fn log_conflict(session: &mut Session, item: &Item, stored: &Event, difference: &str) -> String {
    use crate::model::digest::content;
    let incident = format!("INC-{}", session.head().log_seq + 1);
    let body = serde_json::json!({
        "incidentId": incident,
        "code": "event_conflict",
        "eventId": item.event.event_id,
        "firstDifference": difference,
        "stored": hex::encode(content(stored)),
        "sent": hex::encode(content(&item.event)),
        "entrance": item.entrance,
    });
    let record = NewRecord::new(kind::INCIDENT, item.actor.clone(), &body)
        .about(&stored.book())
        .subject(&item.event.event_id)
        .emits("shadow.event.conflict");
    session.append(record);
    incident
}
