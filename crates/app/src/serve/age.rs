//! A process that has grown old ends in order, so that the next one reads its secrets anew
//! (`server.max_lifetime`).
//!
//! Users of stores take turns: what a process read at its start stays good until the second change
//! after it (DEP-095 of the deployment contract).

use std::time::Duration;

use florin_base::IdSource;
use florin_platform::http::shutdown::ShutdownTrigger;
use tokio::task::JoinSet;

/// Drains at that age; the watch ends with what is returned.
pub fn watch(max_lifetime: Duration, trigger: ShutdownTrigger) -> JoinSet<()> {
    let mut watch = JoinSet::new();
    if !max_lifetime.is_zero() {
        let age = max_lifetime.saturating_add(chance(max_lifetime / 4));
        watch.spawn(async move {
            tokio::time::sleep(age).await;
            tracing::info!(seconds = age.as_secs(), "server.max_lifetime is reached");
            trigger.drain();
        });
    }
    watch
}

/// Any time up to this one.
fn chance(most: Duration) -> Duration {
    let random = IdSource::random_32();
    let word = u32::from_be_bytes([random[0], random[1], random[2], random[3]]);
    most.mul_f64(f64::from(word) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use florin_platform::http::shutdown;
    use tokio::time::Instant;

    use super::*;

    const SHORT: Duration = Duration::from_millis(40);

    #[tokio::test]
    async fn it_drains_at_its_age_and_not_before() {
        let (trigger, shutdown) = shutdown::pair();
        let begun = Instant::now();
        let _watch = watch(SHORT, trigger);
        shutdown.drain().await;
        assert!(begun.elapsed() >= SHORT, "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn without_an_age_nothing_is_watched() {
        let (trigger, shutdown) = shutdown::pair();
        assert!(watch(Duration::ZERO, trigger).is_empty());
        assert!(!shutdown.is_draining());
    }

    #[tokio::test]
    async fn one_that_drains_already_is_not_hurried() {
        let (trigger, shutdown) = shutdown::pair();
        let mut watch = watch(SHORT, trigger.clone());
        trigger.advance();
        watch.join_next().await.expect("watched").expect("ended");
        tokio::select! {
            biased;
            () = shutdown.stop() => panic!("cut off"),
            () = std::future::ready(()) => {}
        }
    }

    #[test]
    fn what_is_added_is_at_most_what_may_be() {
        let most = Duration::from_secs(3_600);
        let some: Vec<Duration> = (0..100).map(|_| chance(most)).collect();
        assert!(some.iter().all(|added| *added <= most), "{some:?}");
        assert!(some.iter().any(|added| *added != some[0]));
    }
}
