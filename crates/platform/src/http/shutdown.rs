//! Orderly end: the first request to stop drains, the second ends at once.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};

/// How far the end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Running,
    Draining,
    Stopping,
}

/// Starts the end.
#[derive(Debug, Clone)]
pub struct ShutdownTrigger(watch::Sender<Phase>);

/// Hears of the end.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<Phase>);

/// A trigger and what hears of it.
pub fn pair() -> (ShutdownTrigger, Shutdown) {
    let (sender, receiver) = watch::channel(Phase::Running);
    (ShutdownTrigger(sender), Shutdown(receiver))
}

impl ShutdownTrigger {
    /// The first call drains, every later one stops.
    pub fn advance(&self) {
        self.0.send_modify(|phase| {
            *phase = match phase {
                Phase::Running => Phase::Draining,
                Phase::Draining | Phase::Stopping => Phase::Stopping,
            }
        });
    }

    /// Drains, and hurries nothing that drains already.
    pub fn drain(&self) {
        self.0.send_if_modified(|phase| {
            let runs = *phase == Phase::Running;
            if runs {
                *phase = Phase::Draining;
            }
            runs
        });
    }
}

impl Shutdown {
    /// True once draining has begun.
    pub fn is_draining(&self) -> bool {
        *self.0.borrow() >= Phase::Draining
    }

    /// Returns when draining begins.
    pub async fn drain(&self) {
        self.reached(Phase::Draining).await;
    }

    /// Returns when everything should end at once.
    pub async fn stop(&self) {
        self.reached(Phase::Stopping).await;
    }

    /// Turns of a worker, the first at once and then so far apart, until draining begins. One that
    /// takes longer puts those after it off.
    pub fn turns(self, every: Duration) -> Turns {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Turns {
            ticks,
            shutdown: self,
        }
    }

    async fn reached(&self, wanted: Phase) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|phase| *phase >= wanted).await.is_err() {
            // Without a trigger nobody can ask for the end.
            std::future::pending::<()>().await;
        }
    }
}

/// What [`Shutdown::turns`] gives.
#[derive(Debug)]
pub struct Turns {
    ticks: Interval,
    shutdown: Shutdown,
}

impl Turns {
    /// Waits for the next turn; false once draining has begun.
    pub async fn next(&mut self) -> bool {
        tokio::select! {
            biased;
            () = self.shutdown.drain() => false,
            _ = self.ticks.tick() => true,
        }
    }
}

/// Ties SIGINT and SIGTERM to a new pair: the first signal drains, the second stops. Must run
/// inside a tokio runtime; fails when the signals cannot be caught.
pub fn on_signals() -> std::io::Result<(ShutdownTrigger, Shutdown)> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (trigger, shutdown) = pair();
    let advance = trigger.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            advance.advance();
        }
    });
    Ok((trigger, shutdown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_call_drains_and_the_second_stops() {
        let (trigger, shutdown) = pair();
        assert!(!shutdown.is_draining());
        trigger.advance();
        shutdown.drain().await;
        assert!(shutdown.is_draining());
        let waiting = shutdown.clone();
        let stopped = tokio::spawn(async move { waiting.stop().await });
        trigger.advance();
        stopped.await.expect("stopped");
    }

    #[tokio::test]
    async fn a_worker_has_its_first_turn_at_once_and_none_once_draining_has_begun() {
        let (trigger, shutdown) = pair();
        let every = Duration::from_millis(5);
        let begin = tokio::time::Instant::now();
        let mut turns = shutdown.turns(every);
        assert!(turns.next().await);
        assert!(turns.next().await);
        assert!(begin.elapsed() >= every);
        trigger.advance();
        assert!(!turns.next().await);
        assert!(!turns.next().await);
    }
}
