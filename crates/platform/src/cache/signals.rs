//! News among processes: that something happened, never what. Whoever hears it looks into the
//! store; whoever misses it looks there anyway, a little later.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::Notify;

use super::link::Link;

/// Time between two proofs that the connection still stands, and before it is made anew.
const PROOF: Duration = Duration::from_secs(5);
const AGAIN: Duration = Duration::from_millis(500);

/// Tells and hears news on one topic; cheap to clone.
#[derive(Clone, Default)]
pub struct Signals {
    over: Option<(Arc<Link>, &'static str)>,
    heard: Arc<Notify>,
}

impl Signals {
    /// Nobody to tell and nobody to hear.
    pub fn none() -> Self {
        Self::default()
    }

    pub(super) fn over(link: Arc<Link>, topic: &'static str) -> Self {
        Self {
            over: Some((link, topic)),
            heard: Arc::default(),
        }
    }

    /// Tells the other processes; does not wait for it.
    pub fn tell(&self) {
        let Some((link, topic)) = &self.over else {
            return;
        };
        let (link, topic) = (Arc::clone(link), *topic);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { link.publish(topic).await });
        }
    }

    /// Waits for news; for ever, when there is nobody to hear. Something may have been told
    /// while the connection was being made, so that counts as news too.
    pub async fn heard(&self) {
        self.heard.notified().await;
    }

    /// Listens for ever; the caller drops the future to stop.
    pub async fn listen(&self) {
        let Some((link, topic)) = &self.over else {
            return std::future::pending().await;
        };
        loop {
            if let Ok(pubsub) = link.listen(topic).await {
                self.heard.notify_one();
                let (mut sink, mut stream) = pubsub.split();
                loop {
                    match tokio::time::timeout(PROOF, stream.next()).await {
                        Ok(Some(_)) => self.heard.notify_one(),
                        Ok(None) => break,
                        Err(_) => {
                            let proof = sink.ping::<redis::Value>();
                            if !matches!(tokio::time::timeout(PROOF, proof).await, Ok(Ok(_))) {
                                break;
                            }
                        }
                    }
                }
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}
