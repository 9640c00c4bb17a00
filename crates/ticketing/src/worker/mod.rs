//! What runs for as long as the room does: statuses, outbox, mails.
