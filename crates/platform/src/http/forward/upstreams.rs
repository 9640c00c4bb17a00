//! All processes of a role: names looked up, readiness watched, the least busy one picked.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::RwLock;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::target::{Origin, Target};
use super::{ForwardConfig, ForwardError};
use crate::http::shutdown::Shutdown;

/// A process that does not answer a look by then is not ready.
const LOOK_TIMEOUT: Duration = Duration::from_secs(1);

/// The processes of a role.
#[derive(Debug)]
pub(super) struct Upstreams {
    config: ForwardConfig,
    origins: Vec<Origin>,
    targets: RwLock<Arc<[Arc<Target>]>>,
    turn: AtomicUsize,
}

impl Upstreams {
    pub(super) fn new(config: ForwardConfig) -> Result<Self, ForwardError> {
        let origins = config.upstreams.iter();
        let origins = origins.map(|text| Origin::parse(text));
        let origins = origins.collect::<Result<Vec<_>, _>>()?;
        if origins.is_empty() {
            return Err(ForwardError::Empty(config.role));
        }
        Ok(Self {
            config,
            origins,
            targets: RwLock::new(Arc::new([])),
            turn: AtomicUsize::new(0),
        })
    }

    pub(super) fn config(&self) -> &ForwardConfig {
        &self.config
    }

    fn targets(&self) -> Arc<[Arc<Target>]> {
        Arc::clone(&self.targets.read())
    }

    pub(super) fn ready(&self) -> (usize, usize) {
        let targets = self.targets();
        let ready = targets.iter().filter(|target| target.is_ready()).count();
        (ready, targets.len())
    }

    /// The least busy process that is ready and was not tried; one that is not ready only when
    /// there is no other, since a look may be out of date.
    pub(super) fn pick(&self, tried: &[Arc<Target>]) -> Option<Arc<Target>> {
        let targets = self.targets();
        if targets.is_empty() {
            return None;
        }
        let first = self.turn.fetch_add(1, Ordering::Relaxed) % targets.len();
        let (after, before) = targets.split_at(first);
        before
            .iter()
            .chain(after)
            .filter(|target| !tried.iter().any(|other| Arc::ptr_eq(other, target)))
            .min_by_key(|target| (!target.is_ready(), target.busy()))
            .cloned()
    }

    /// Looks at every process, and names up, until the process ends.
    pub(super) async fn watch(self: Arc<Self>, shutdown: Shutdown) {
        let mut ticks = interval(self.config.probe_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looked_up = Instant::now();
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                // Requests go on while this process drains; looks end with it.
                () = shutdown.stop() => return,
            }
            if looked_up.elapsed() >= self.config.lookup_interval {
                self.look_up().await;
                looked_up = Instant::now();
            }
            let targets = self.targets();
            join_all(targets.iter().map(look)).await;
            let (ready, known) = self.ready();
            let role = self.config.role;
            metrics::gauge!("gateway_upstreams", "role" => role, "state" => "ready")
                .set(ready as f64);
            metrics::gauge!("gateway_upstreams", "role" => role, "state" => "away")
                .set((known - ready) as f64);
        }
    }

    /// Takes over the addresses of names. A name that cannot be looked up keeps its addresses.
    pub(super) async fn look_up(&self) {
        let mut next = Vec::new();
        let old = self.targets();
        for origin in &self.origins {
            let found = tokio::net::lookup_host((origin.host.as_str(), origin.port));
            let mut addresses: Vec<SocketAddr> = match timeout(LOOK_TIMEOUT, found).await {
                Ok(Ok(found)) => found.collect(),
                _ => {
                    next.extend(
                        old.iter()
                            .filter(|target| target.origin == *origin)
                            .cloned(),
                    );
                    continue;
                }
            };
            addresses.sort();
            addresses.dedup();
            for address in addresses {
                let same =
                    |target: &&Arc<Target>| target.origin == *origin && target.address == address;
                match old.iter().find(same) {
                    Some(target) => next.push(Arc::clone(target)),
                    None => match Target::new(&self.config, origin.clone(), address) {
                        Ok(target) => next.push(Arc::new(target)),
                        Err(error) => tracing::warn!(%error, %address, "an upstream is left out"),
                    },
                }
            }
        }
        *self.targets.write() = next.into();
    }
}

async fn look(target: &Arc<Target>) {
    let Some(url) = target.url("/ready") else {
        return;
    };
    let answer = timeout(LOOK_TIMEOUT, target.client().get(url).send()).await;
    let ready = matches!(&answer, Ok(Ok(answer)) if answer.status().is_success());
    target.set_ready(ready);
}
