//! The load itself: many connections on one thread, because the generator shares its machine
//! with what it measures.
//!
//! Closed loop: each connection sends its next request when the last was answered. Open loop:
//! requests fall due at random times (Poisson) of a fixed mean rate, whatever the server does,
//! and a time is measured from when its request fell due, so a server that stalls cannot hide
//! it. The generator's own timer is 1 ms coarse, which open-loop times include.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::time::{Duration, Instant};

use anyhow::bail;
use indicatif::ProgressBar;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::client::Target;
use super::histogram::Histogram;
use super::wire::{self, Body};
use super::work::{Expected, Maker, Outcome, Request, outcome};

/// Longest wait for answers after the last request.
const DRAIN: Duration = Duration::from_secs(20);
/// Bytes read at once.
const READ: usize = 128 << 10;
/// Requests that may be due and unsent before a run is given up, in seconds of its rate.
const BEHIND_MAX_SECONDS: f64 = 5.0;

/// How hard, how long.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Connections.
    pub connections: usize,
    /// Requests per second (open loop); closed loop when absent.
    pub rate: Option<f64>,
    /// Not measured at the beginning.
    pub warm_up: Duration,
    /// Measured.
    pub measure: Duration,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// Times of requests that move money.
    pub writes: Histogram,
    /// Times of reads.
    pub reads: Histogram,
    /// Transfers done while it was measured.
    pub transfers: u64,
    /// Due and never sent.
    pub unsent: u64,
    /// What was measured, as it came to be.
    pub seconds: f64,
}

/// What was answered in one interval of a watched run.
#[derive(Debug)]
pub struct Window {
    /// Since the start of the measurement, at its end.
    pub until: Duration,
    /// How long it was.
    pub length: Duration,
    /// Times of the requests that were answered as wished.
    pub times: Histogram,
}

/// Somebody who looks at each interval.
struct Watcher<'a> {
    every: Duration,
    since: Option<Instant>,
    times: Histogram,
    look: Box<dyn FnMut(Window) + 'a>,
}

struct Connection {
    stream: TcpStream,
    request: Request,
    sent: usize,
    input: Vec<u8>,
    /// Where the head found in `input` ends its message.
    head: Option<wire::Head>,
    /// Since when the request is under way or due; `None`: idle.
    since: Option<Instant>,
}

/// One run.
pub struct Load<'a> {
    target: &'a Target,
    maker: &'a mut Maker,
    expected: &'a mut Expected,
    pace: Pace,
    poll: Poll,
    connections: Vec<Connection>,
    idle: Vec<usize>,
    due: VecDeque<Instant>,
    next_due: Instant,
    measured_from: Instant,
    end: Instant,
    seen: Seen,
    scratch: Vec<u8>,
    watcher: Option<Watcher<'a>>,
}

impl<'a> Load<'a> {
    /// Opens the connections.
    pub fn new(
        target: &'a Target,
        maker: &'a mut Maker,
        expected: &'a mut Expected,
        pace: Pace,
    ) -> anyhow::Result<Self> {
        let poll = Poll::new()?;
        let now = Instant::now();
        let mut load = Self {
            target,
            maker,
            expected,
            pace,
            poll,
            connections: Vec::with_capacity(pace.connections),
            idle: (0..pace.connections).rev().collect(),
            due: VecDeque::new(),
            next_due: now,
            measured_from: now + pace.warm_up,
            end: now + pace.warm_up + pace.measure,
            seen: Seen::default(),
            scratch: vec![0; READ],
            watcher: None,
        };
        for number in 0..pace.connections {
            let connection = load.connect(number)?;
            load.connections.push(connection);
        }
        Ok(load)
    }

    fn connect(&self, number: usize) -> anyhow::Result<Connection> {
        let stream = self.target.connect()?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut stream, Token(number), interest)?;
        Ok(Connection {
            stream,
            request: Request::default(),
            sent: 0,
            input: Vec::new(),
            head: None,
            since: None,
        })
    }

    /// Shows each interval of the measurement to `look`, when it is over.
    pub fn watched(mut self, every: Duration, look: impl FnMut(Window) + 'a) -> Self {
        self.watcher = Some(Watcher {
            every,
            since: None,
            times: Histogram::default(),
            look: Box::new(look),
        });
        self
    }

    /// Ends an interval that is over.
    fn watch(&mut self, now: Instant) {
        let (from, Some(watcher)) = (self.measured_from, &mut self.watcher) else {
            return;
        };
        let since = *watcher.since.get_or_insert(from);
        if now.saturating_duration_since(since) >= watcher.every {
            watcher.since = Some(now);
            (watcher.look)(Window {
                until: now - from,
                length: now - since,
                times: std::mem::take(&mut watcher.times),
            });
        }
    }

    /// Runs; `at_measure` is called when the warm-up is over.
    pub fn run(mut self, bar: &ProgressBar, mut at_measure: impl FnMut()) -> anyhow::Result<Seen> {
        let begun = Instant::now();
        self.measured_from = begun + self.pace.warm_up;
        self.end = self.measured_from + self.pace.measure;
        self.next_due = begun;
        let mut events = Events::with_capacity(1024);
        let mut warm = false;
        loop {
            let now = Instant::now();
            if !warm && now >= self.measured_from {
                warm = true;
                self.measured_from = now;
                self.end = now + self.pace.measure;
                at_measure();
            }
            if now >= self.end {
                break;
            }
            bar.set_position((now - begun).as_secs());
            if warm {
                self.watch(now);
            }
            self.send_due(now)?;
            self.turn(&mut events, now)?;
        }
        self.seen.seconds = self.measured_from.elapsed().as_secs_f64();
        self.drain(&mut events)?;
        Ok(self.seen)
    }

    fn turn(&mut self, events: &mut Events, now: Instant) -> anyhow::Result<()> {
        let until = match self.pace.rate {
            Some(_) => self.next_due.min(self.end),
            None => self.end,
        };
        let wait = until.saturating_duration_since(now);
        self.wait(events, wait.min(Duration::from_millis(200)))
    }

    /// Waits for sockets and serves them.
    fn wait(&mut self, events: &mut Events, most: Duration) -> anyhow::Result<()> {
        match self.poll.poll(events, Some(most)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            polled => polled?,
        }
        for event in &*events {
            let number = event.token().0;
            if event.is_writable() {
                self.write(number)?;
            }
            if event.is_readable() {
                self.read(number)?;
            }
        }
        Ok(())
    }

    /// Sends what should be under way now.
    fn send_due(&mut self, now: Instant) -> anyhow::Result<()> {
        let Some(rate) = self.pace.rate else {
            while let Some(number) = self.idle.pop() {
                self.send(number, now)?;
            }
            return Ok(());
        };
        while self.next_due <= now {
            self.due.push_back(self.next_due);
            let gap = -(1.0 - self.maker.random_unit()).ln() / rate;
            self.next_due += Duration::from_secs_f64(gap);
        }
        if self.due.len() as f64 > rate * BEHIND_MAX_SECONDS + 1_000.0 {
            bail!(
                "the server does not keep up with {rate} requests/s: {} are due",
                self.due.len()
            );
        }
        while let (Some(since), false) = (self.due.front().copied(), self.idle.is_empty()) {
            self.due.pop_front();
            if let Some(number) = self.idle.pop() {
                self.send(number, since)?;
            }
        }
        Ok(())
    }

    fn send(&mut self, number: usize, since: Instant) -> anyhow::Result<()> {
        let connection = &mut self.connections[number];
        self.maker.make(&mut connection.request);
        connection.sent = 0;
        connection.since = Some(since);
        self.write(number)
    }

    fn write(&mut self, number: usize) -> anyhow::Result<()> {
        let connection = &mut self.connections[number];
        if connection.since.is_none() {
            return Ok(());
        }
        while connection.sent < connection.request.bytes.len() {
            match connection
                .stream
                .write(&connection.request.bytes[connection.sent..])
            {
                Ok(0) => return self.lost(number, "closed"),
                Ok(written) => connection.sent += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.lost(number, &error.kind().to_string()),
            }
        }
        Ok(())
    }

    fn read(&mut self, number: usize) -> anyhow::Result<()> {
        loop {
            let connection = &mut self.connections[number];
            match connection.stream.read(&mut self.scratch) {
                Ok(0) => return self.lost(number, "closed"),
                Ok(read) => {
                    connection.input.extend_from_slice(&self.scratch[..read]);
                    self.answered(number)?;
                    // Less than asked for: the socket is empty, and more will be an event.
                    if read < self.scratch.len() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.lost(number, &error.kind().to_string()),
            }
        }
    }

    /// Takes an answer if it is whole, and sends the next request.
    fn answered(&mut self, number: usize) -> anyhow::Result<()> {
        let connection = &mut self.connections[number];
        if connection.head.is_none() {
            connection.head = wire::head(&connection.input)?;
        }
        let Some(head) = connection.head else {
            return Ok(());
        };
        let Body::Length(length) = head.body else {
            bail!("an answer of unknown length");
        };
        if connection.input.len() < head.bytes + length {
            return Ok(());
        }
        let Some(since) = connection.since.take() else {
            bail!("an answer to nothing");
        };
        let body = &connection.input[head.bytes..head.bytes + length];
        let outcome = outcome(&connection.request, head.status, body);
        let done = self.expected.take(&connection.request, outcome);
        let transfers = connection.request.moves.len() as u64;
        connection.input.drain(..head.bytes + length);
        connection.head = None;
        let now = Instant::now();
        self.count(since, now, done, transfers);
        if head.closes {
            self.connections[number] = self.connect(number)?;
        }
        self.next(number, now)
    }

    fn count(&mut self, since: Instant, now: Instant, done: bool, transfers: u64) {
        let within = |at: Instant| at >= self.measured_from && at < self.end;
        // An open-loop time belongs to the moment its request fell due.
        let counts = match self.pace.rate {
            Some(_) => within(since),
            None => within(now),
        };
        if !counts {
            return;
        }
        let micros = (now - since).as_micros() as u64;
        if let (true, Some(watcher)) = (done, &mut self.watcher) {
            watcher.times.record(micros);
        }
        match transfers {
            0 => self.seen.reads.record(micros),
            _ => self.seen.writes.record(micros),
        }
        if done {
            self.seen.transfers += transfers;
        }
    }

    fn next(&mut self, number: usize, now: Instant) -> anyhow::Result<()> {
        match self.due.pop_front() {
            Some(since) => self.send(number, since),
            None if self.pace.rate.is_none() && now < self.end => self.send(number, now),
            None => {
                self.idle.push(number);
                Ok(())
            }
        }
    }

    /// A connection broke: what was under way may have been done.
    fn lost(&mut self, number: usize, why: &str) -> anyhow::Result<()> {
        let connection = self.connect(number)?;
        let broken = std::mem::replace(&mut self.connections[number], connection);
        let outcome = Outcome::Unknown(format!("connection {why}"));
        if broken.since.is_some() {
            self.expected.take(&broken.request, outcome);
            self.next(number, Instant::now())?;
        }
        Ok(())
    }

    /// Waits for what is under way.
    fn drain(&mut self, events: &mut Events) -> anyhow::Result<()> {
        let until = Instant::now() + DRAIN;
        loop {
            let busy = self.connections.iter().any(|c| c.since.is_some());
            let now = Instant::now();
            if !busy {
                break;
            }
            if now >= until {
                bail!(
                    "answers are missing {} s after the last request",
                    DRAIN.as_secs()
                );
            }
            self.wait(events, Duration::from_millis(50))?;
        }
        self.seen.unsent = self.due.len() as u64;
        Ok(())
    }
}
