//! The bus inside the process: bounded queues, one for each subscriber.

use std::collections::BTreeMap;

use parking_lot::RwLock;
use tokio::sync::mpsc;

use super::{Bus, Message, Publishing};

/// Messages that may wait for one subscriber; a full queue holds the publisher back.
pub const QUEUE_MAX: usize = 1_024;

/// Delivers to the subscribers of the moment. A slow one holds back the topic; one that was
/// dropped is forgotten.
#[derive(Debug, Default)]
pub struct LocalBus {
    topics: RwLock<BTreeMap<String, Vec<mpsc::Sender<Message>>>>,
}

/// Receives the messages of a topic published after it was made.
#[derive(Debug)]
pub struct Subscription(mpsc::Receiver<Message>);

impl Subscription {
    /// The next message; waits for it. `None` when the bus is gone.
    pub async fn next(&mut self) -> Option<Message> {
        self.0.recv().await
    }
}

impl LocalBus {
    /// A bus without subscribers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Listens to a topic from now on.
    pub fn subscribe(&self, topic: &str) -> Subscription {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let mut topics = self.topics.write();
        topics.entry(topic.to_owned()).or_default().push(sender);
        Subscription(receiver)
    }

    fn listeners(&self, topic: &str) -> Vec<mpsc::Sender<Message>> {
        let topics = self.topics.read();
        let all = topics.get(topic).into_iter().flatten();
        all.filter(|sender| !sender.is_closed()).cloned().collect()
    }
}

impl Bus for LocalBus {
    fn wants(&self, topic: &str) -> bool {
        let topics = self.topics.read();
        let mut all = topics.get(topic).into_iter().flatten();
        all.any(|sender| !sender.is_closed())
    }

    fn publish<'a>(&'a self, topic: &'a str, messages: Vec<Message>) -> Publishing<'a> {
        Box::pin(async move {
            for listener in self.listeners(topic) {
                for message in &messages {
                    if listener.send(message.clone()).await.is_err() {
                        break;
                    }
                }
            }
            let mut topics = self.topics.write();
            if let Some(all) = topics.get_mut(topic) {
                all.retain(|sender| !sender.is_closed());
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(seq: u64) -> Message {
        Message {
            key: "k".into(),
            value: seq.to_string().into(),
            seq,
            id: seq.to_string().into(),
            headers: Vec::new(),
        }
    }

    #[tokio::test]
    async fn every_subscriber_gets_every_message_in_order() {
        let bus = LocalBus::new();
        assert!(!bus.wants("t"));
        let (mut a, mut b) = (bus.subscribe("t"), bus.subscribe("t"));
        assert!(bus.wants("t") && !bus.wants("u"));
        let sent = vec![message(1), message(2)];
        bus.publish("t", sent).await.expect("accepted");
        for subscriber in [&mut a, &mut b] {
            assert_eq!(subscriber.next().await, Some(message(1)));
            assert_eq!(subscriber.next().await, Some(message(2)));
        }
    }

    #[tokio::test]
    async fn a_full_queue_holds_the_publisher_back() {
        let bus = LocalBus::new();
        let mut subscriber = bus.subscribe("t");
        let many = (0..=QUEUE_MAX as u64).map(message).collect();
        let mut publishing = bus.publish("t", many);
        let waits = futures_util::FutureExt::now_or_never(publishing.as_mut()).is_none();
        assert!(waits, "one message more than the queue holds");
        assert_eq!(subscriber.next().await, Some(message(0)));
        publishing.await.expect("accepted");
    }

    #[tokio::test]
    async fn a_dropped_subscriber_is_forgotten() {
        let bus = LocalBus::new();
        drop(bus.subscribe("t"));
        bus.publish("t", vec![message(1)]).await.expect("accepted");
        assert!(!bus.wants("t"));
    }
}
