//! What the batcher does with calls of a link that its other side ended.

use uuid::Uuid;

use super::{
    super::{batcher::Batcher, queue::Message},
    table,
};

impl Batcher {
    /// Leaves out the calls of links whose other side ended them: it decides them itself, or did.
    pub(in super::super) async fn drop_ended(&mut self, batch: &mut Vec<Message>) {
        let link_of = |message: &Message| match message {
            Message::Call(_, reply) => reply.link().map(|(link, _)| link),
            Message::Time(_) | Message::AcceptClock(_) => None,
        };
        let mut links: Vec<Uuid> = batch.iter().filter_map(link_of).collect();
        links.sort_unstable();
        links.dedup();
        let Some(session) = &mut self.session else {
            return;
        };
        match table::open_links(&mut session.connection, links).await {
            Ok(open) => {
                let before = batch.len();
                batch.retain(|message| link_of(message).is_none_or(|link| open.contains(&link)));
                let calls = before - batch.len();
                tracing::info!(calls, "calls of links that were ended are left out");
            }
            Err(error) => self.lost(&error),
        }
    }
}
