//! Many callers on one thread, each with a connection and a request of its own under way: the
//! generator shares its machine with what it measures.
//!
//! Closed loop: a caller asks again when it was answered; a time runs from the first byte written
//! to the last read. Open loop: requests fall due at equal distances, whatever the server does,
//! and a time runs from then.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::time::{Duration, Instant};

use anyhow::bail;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::bench::client::Target;
use crate::bench::histogram::Histogram;
use crate::bench::wire::{self, Body};

/// Bytes read at once.
const READ: usize = 64 << 10;
/// Longest wait for answers after the end.
const DRAIN: Duration = Duration::from_secs(30);

/// What a request was answered.
pub struct Answer<'a> {
    /// Its status.
    pub status: u16,
    /// Its head, as it came.
    pub head: &'a [u8],
    /// Its body.
    pub body: &'a [u8],
}

impl Answer<'_> {
    /// The text behind the first `"member":"` of the body.
    pub fn member(&self, name: &str) -> Option<&str> {
        let mark = format!("\"{name}\":\"");
        let start = wire::find(self.body, mark.as_bytes())? + mark.len();
        let length = self.body[start..].iter().position(|byte| *byte == b'"')?;
        std::str::from_utf8(&self.body[start..start + length]).ok()
    }

    /// The last part of the path in `Location`.
    pub fn location(&self) -> Option<&str> {
        let line = self.head.split(|byte| *byte == b'\n').find(|line| {
            line.get(..9)
                .is_some_and(|name| name.eq_ignore_ascii_case(b"location:"))
        })?;
        let line = std::str::from_utf8(line).ok()?;
        line.trim().rsplit('/').next()
    }

    /// For an error: what was answered, in short.
    pub fn words(&self) -> String {
        let text = String::from_utf8_lossy(self.body);
        let text: String = text.chars().take(300).collect();
        format!("{} {text}", self.status)
    }
}

/// Somebody who asks one thing after the other.
pub trait Act {
    /// Writes the next request; false: there is nothing more to ask.
    fn next(&mut self, out: &mut Vec<u8>) -> bool;

    /// Takes the answer; number of the histogram that its time belongs to.
    ///
    /// # Errors
    /// The answer ends the measurement.
    fn answer(&mut self, answer: &Answer<'_>) -> anyhow::Result<usize>;
}

/// How long, how fast.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Nothing is begun after it.
    pub most: Duration,
    /// Requests a second (open loop); closed loop without.
    pub rate: Option<f64>,
    /// Number of histograms.
    pub kinds: usize,
}

/// What was seen.
#[derive(Debug)]
pub struct Seen {
    /// Times in microseconds, by kind.
    pub times: Vec<Histogram>,
    /// From the first request to the last answer.
    pub took: Duration,
}

struct Line {
    stream: TcpStream,
    out: Vec<u8>,
    sent: usize,
    input: Vec<u8>,
    since: Option<Instant>,
    over: bool,
}

struct Run<'a, A> {
    target: &'a Target,
    acts: &'a mut [A],
    lines: Vec<Line>,
    poll: Poll,
    idle: Vec<usize>,
    due: VecDeque<Instant>,
    begun: Instant,
    end: Instant,
    pace: Pace,
    asked: u64,
    seen: Seen,
    scratch: Vec<u8>,
}

/// Lets everybody act until they have nothing more to ask, or the time is over.
///
/// # Errors
/// An answer that [`Act::answer`] does not take; a connection that breaks; a server that does not
/// keep up with an open loop.
pub fn drive<A: Act>(target: &Target, acts: &mut [A], pace: Pace) -> anyhow::Result<Seen> {
    let poll = Poll::new()?;
    let mut lines = Vec::with_capacity(acts.len());
    for number in 0..acts.len() {
        lines.push(connect(target, &poll, number)?);
    }
    let begun = Instant::now();
    let mut run = Run {
        idle: (0..acts.len()).rev().collect(),
        target,
        acts,
        lines,
        poll,
        due: VecDeque::new(),
        begun,
        end: begun + pace.most,
        asked: 0,
        seen: Seen {
            times: vec![Histogram::default(); pace.kinds],
            took: Duration::ZERO,
        },
        pace,
        scratch: vec![0; READ],
    };
    run.go()?;
    Ok(run.seen)
}

fn connect(target: &Target, poll: &Poll, number: usize) -> anyhow::Result<Line> {
    let stream = target.connect()?;
    stream.set_nonblocking(true)?;
    let mut stream = TcpStream::from_std(stream);
    let both = Interest::READABLE | Interest::WRITABLE;
    poll.registry().register(&mut stream, Token(number), both)?;
    Ok(Line {
        stream,
        out: Vec::new(),
        sent: 0,
        input: Vec::new(),
        since: None,
        over: false,
    })
}

impl<A: Act> Run<'_, A> {
    fn go(&mut self) -> anyhow::Result<()> {
        let mut events = Events::with_capacity(1_024);
        loop {
            let now = Instant::now();
            if now < self.end {
                self.begin(now)?;
            }
            let busy = self.lines.iter().any(|line| line.since.is_some());
            let over = now >= self.end || self.lines.iter().all(|line| line.over);
            if over && !busy {
                self.seen.took = self.begun.elapsed();
                return Ok(());
            }
            if now > self.end + DRAIN {
                bail!("answers are missing {} s after the end", DRAIN.as_secs());
            }
            self.wait(&mut events, now)?;
        }
    }

    /// Begins what should be under way now.
    fn begin(&mut self, now: Instant) -> anyhow::Result<()> {
        if let Some(rate) = self.pace.rate {
            loop {
                let at = self.begun + Duration::from_secs_f64(self.asked as f64 / rate);
                if at > now || at >= self.end {
                    break;
                }
                self.due.push_back(at);
                self.asked += 1;
            }
            if self.due.len() as f64 > 5.0 * rate + 1_000.0 {
                bail!("the server does not keep up with {rate} requests a second");
            }
        }
        while !self.idle.is_empty() {
            let since = match self.pace.rate {
                None => now,
                Some(_) => match self.due.pop_front() {
                    Some(since) => since,
                    None => return Ok(()),
                },
            };
            if let Some(number) = self.idle.pop() {
                self.send(number, since)?;
            }
        }
        Ok(())
    }

    fn wait(&mut self, events: &mut Events, now: Instant) -> anyhow::Result<()> {
        let mut most = Duration::from_millis(100);
        if let Some(rate) = self.pace.rate {
            let next = self.begun + Duration::from_secs_f64(self.asked as f64 / rate);
            most = most.min(next.saturating_duration_since(now));
        }
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

    fn send(&mut self, number: usize, since: Instant) -> anyhow::Result<()> {
        let line = &mut self.lines[number];
        line.out.clear();
        line.sent = 0;
        if !self.acts[number].next(&mut line.out) {
            line.over = true;
            return Ok(());
        }
        line.since = Some(since);
        self.write(number)
    }

    fn write(&mut self, number: usize) -> anyhow::Result<()> {
        let line = &mut self.lines[number];
        while line.since.is_some() && line.sent < line.out.len() {
            match line.stream.write(&line.out[line.sent..]) {
                Ok(0) => bail!("the server closed a connection"),
                Ok(written) => line.sent += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn read(&mut self, number: usize) -> anyhow::Result<()> {
        loop {
            let line = &mut self.lines[number];
            match line.stream.read(&mut self.scratch) {
                Ok(0) => bail!("the server closed a connection"),
                Ok(read) => {
                    line.input.extend_from_slice(&self.scratch[..read]);
                    self.answered(number)?;
                    if read < self.scratch.len() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes an answer if it is whole, and asks the next thing.
    fn answered(&mut self, number: usize) -> anyhow::Result<()> {
        let line = &mut self.lines[number];
        let Some(head) = wire::head(&line.input)? else {
            return Ok(());
        };
        let Body::Length(length) = head.body else {
            bail!("an answer of unknown length");
        };
        let whole = head.bytes + length;
        if line.input.len() < whole {
            return Ok(());
        }
        let Some(since) = line.since.take() else {
            bail!("an answer to nothing");
        };
        let now = Instant::now();
        let kind = self.acts[number].answer(&Answer {
            status: head.status,
            head: &line.input[..head.bytes],
            body: &line.input[head.bytes..whole],
        })?;
        line.input.drain(..whole);
        let micros = u64::try_from((now - since).as_micros()).unwrap_or(u64::MAX);
        self.seen.times[kind].record(micros);
        if head.closes {
            self.lines[number] = connect(self.target, &self.poll, number)?;
        }
        match self.pace.rate {
            None if now < self.end => self.send(number, now),
            _ => {
                self.idle.push(number);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_as_far_as_needed() {
        let answer = Answer {
            status: 201,
            head: b"HTTP/1.1 201 Created\r\nLocation: /api/v1/orders/o-1\r\n\r\n",
            body: br#"{"accessToken":"t","id":"o-1"}"#,
        };
        assert_eq!(answer.location(), Some("o-1"));
        assert_eq!(answer.member("accessToken"), Some("t"));
        assert_eq!(answer.member("code"), None);
        assert_eq!(answer.words(), r#"201 {"accessToken":"t","id":"o-1"}"#);
    }
}
