//! Endpoints, events and their deliveries.

use super::sign::SigningSecret;

/// How the body of an event begins that wants a running number: each endpoint gets `1, 2, 3 …` in
/// the place of `null`, without gaps (ticketing contract, section F).
pub const NUMBERED: &str = "{\"sequence\":null,";

/// Something that happened, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The same on every delivery; receivers drop known ones.
    pub id: Box<str>,
    /// Its name, such as `FundsDeposited`.
    pub event_type: Box<str>,
    /// Events of one key are delivered in order: a wallet's id.
    pub key: Box<str>,
    /// The record it comes from.
    pub seq: u64,
    /// When it was recorded, wall clock in microseconds, for a log of its own whose `seq` says
    /// nothing about the ledger's: an endpoint that was added after it does not get it.
    pub recorded_at: Option<i64>,
    /// The JSON that is sent.
    pub body: Box<str>,
}

/// Who is told.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its id.
    pub id: Box<str>,
    /// Where to POST.
    pub url: Box<str>,
    /// Names of events wanted; `None` = all.
    pub events: Option<Vec<Box<str>>>,
    /// Only events of this key.
    pub key: Option<Box<str>>,
    /// Signs.
    pub secret: SigningSecret,
    /// Signs beside it until a time (microseconds), after a rotation.
    pub previous: Option<(SigningSecret, i64)>,
    /// Why nothing is sent; `None` = enabled.
    pub disabled: Option<Box<str>>,
    /// Events up to this `seq` are older than the endpoint.
    pub since_seq: u64,
    /// Wall clock, microseconds.
    pub created_at: i64,
}

impl Endpoint {
    /// The event is to be delivered here.
    pub fn wants(&self, event: &Event) -> bool {
        let is_newer = match event.recorded_at {
            Some(at) => at >= self.created_at,
            None => event.seq > self.since_seq,
        };
        self.disabled.is_none()
            && is_newer
            && self.key.as_ref().is_none_or(|key| *key == event.key)
            && self
                .events
                .as_ref()
                .is_none_or(|events| events.contains(&event.event_type))
    }

    /// The value of `webhook-signature`: one signature for each secret in force.
    pub fn signatures(&self, id: &str, now_micros: i64, body: &[u8]) -> String {
        let timestamp = now_micros.div_euclid(1_000_000);
        let mut text = self.secret.sign(id, timestamp, body);
        if let Some((previous, until)) = &self.previous
            && now_micros < *until
        {
            text.push(' ');
            text.push_str(&previous.sign(id, timestamp, body));
        }
        text
    }
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Next of its key; sent when its time comes.
    Ready,
    /// Behind another of its key.
    Waiting,
    /// The receiver answered 2xx.
    Accepted,
    /// Given up; kept, and replayable.
    Parked,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Ready, Self::Waiting, Self::Accepted, Self::Parked];

    /// The word in tables and JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Waiting => "waiting",
            Self::Accepted => "accepted",
            Self::Parked => "parked",
        }
    }

    /// The state of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

/// One event on its way to one endpoint.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Its id.
    pub id: Box<str>,
    /// The event's id.
    pub event_id: Box<str>,
    /// The event's name.
    pub event_type: Box<str>,
    /// The event's key.
    pub key: Box<str>,
    /// Rises in the order in which events came.
    pub place: i64,
    /// What is sent.
    pub body: Box<str>,
    /// Where it stands.
    pub state: State,
    /// Tries of the running round.
    pub tries: u32,
    /// Tries of all rounds.
    pub tries_total: u32,
    /// Earliest next try, microseconds; while one is under way, when it counts as lost.
    pub next_at: i64,
    /// Microseconds.
    pub created_at: i64,
    /// When it was accepted or parked, microseconds.
    pub finished_at: Option<i64>,
}

/// One try in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Try {
    /// From 1, over all rounds.
    pub number: u32,
    /// Microseconds.
    pub at: i64,
    /// HTTP status; `None` when no answer came.
    pub status: Option<u16>,
    /// Why no answer came.
    pub error: Option<Box<str>>,
    /// Milliseconds until the answer or the failure.
    pub duration_ms: u64,
}

impl Try {
    /// The receiver took it.
    pub fn is_accepted(&self) -> bool {
        self.status
            .is_some_and(|status| (200..300).contains(&status))
    }

    /// The receiver wants nothing any more.
    pub fn is_gone(&self) -> bool {
        self.status == Some(410)
    }
}
