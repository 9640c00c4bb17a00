//! Ticket types and pools: stock, sale windows, what the public is told of them (contract A4).

use super::org::words;

/// Most tickets of one order.
pub const PER_ORDER_MAX: i64 = 100;
/// Largest quantity of a type or pool.
pub const QUANTITY_MAX: i64 = 10_000_000;
/// Most pools of one type, beside that of the whole event.
pub const POOLS_PER_TYPE: usize = 4;

/// What a buyer tells of each attendee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttendeeFields {
    /// Nothing.
    None,
    /// A name.
    Name,
    /// A name and an e-mail address.
    NameEmail,
}

words!(AttendeeFields { None => "none", Name => "name", NameEmail => "name_email" });

/// How a question is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuestionKind {
    /// Freely.
    Text,
    /// By one of `choices`.
    Choice,
    /// Yes or no.
    Checkbox,
}

/// A question to each attendee.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Question {
    /// Names the answer.
    pub key: String,
    /// For people.
    pub label: String,
    /// How it is answered.
    pub kind: QuestionKind,
    /// It must be answered.
    #[serde(default)]
    pub required: bool,
    /// For [`QuestionKind::Choice`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
}

/// A ticket type. Instants are microseconds, prices minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketType {
    /// Its id.
    pub id: String,
    /// Of which event.
    pub event_id: String,
    /// Its number in tokens, 1 to 65535.
    pub type_no: i64,
    /// Shown name.
    pub name: String,
    /// More about it.
    pub description: String,
    /// Order among the types.
    pub position: i64,
    /// Listed and sold only with an access code.
    pub hidden: bool,
    /// List price; 0 = free.
    pub price: i64,
    /// Units; `None`: a pool limits it.
    pub quantity: Option<i64>,
    /// Sale begins; `None`: at publish.
    pub sale_starts_at: Option<i64>,
    /// Sale ends; `None`: at the event's start.
    pub sale_ends_at: Option<i64>,
    /// Fewest per order.
    pub min_per_order: i64,
    /// Most per order.
    pub max_per_order: i64,
    /// Most per buyer.
    pub max_per_buyer: Option<i64>,
    /// Its tickets may be handed on.
    pub transferable: bool,
    /// Buyers may refund alone before then; `None`: not at all.
    pub refundable_until: Option<i64>,
    /// Tax in basis points.
    pub tax_rate_bp: i64,
    /// The price has the tax in it.
    pub price_includes_tax: bool,
    /// Entry window; `None`: doors open.
    pub valid_from: Option<i64>,
    /// Entry window; `None`: doors close.
    pub valid_until: Option<i64>,
    /// Areas that its tickets open, a bit each; `None`: all.
    pub areas: Option<i64>,
    /// What is asked of attendees.
    pub attendee_fields: AttendeeFields,
    /// More questions to them.
    pub questions: Vec<Question>,
    /// Pools of which each ticket takes a unit, with that of the whole event.
    pub pool_ids: Vec<String>,
    /// Units that tickets hold.
    pub sold: i64,
    /// Units that holds hold.
    pub held: i64,
    /// Units held ever: held + converted + released.
    pub held_ever: i64,
    /// Units whose hold became a ticket.
    pub converted: i64,
    /// Units whose hold ended.
    pub released: i64,
    /// Counts changes by people.
    pub version: i64,
    /// When it was made.
    pub created_at: i64,
    /// When it last changed.
    pub updated_at: i64,
}

/// A pool of units that several types share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Its id.
    pub id: String,
    /// Of which event.
    pub event_id: String,
    /// Shown to members.
    pub name: String,
    /// Units.
    pub capacity: i64,
    /// The hard limit of the event: every type is in it.
    pub whole_event: bool,
    /// Units that tickets hold.
    pub sold: i64,
    /// Units that holds hold.
    pub held: i64,
}

impl Pool {
    /// Units nobody has.
    pub const fn rest(&self) -> i64 {
        self.capacity - self.sold - self.held
    }
}

/// Whether a type can be bought now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaleState {
    /// Its sale begins later.
    Scheduled,
    /// It is on sale.
    Open,
    /// Its sale is over.
    Closed,
    /// The organiser pauses all sales.
    Paused,
    /// Nothing is left.
    SoldOut,
}

/// How much the public is told of what is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// More than a few.
    Many,
    /// At most max(10, 5 % of the quantity).
    Few,
    /// Nothing.
    None,
}

words!(SaleState {
    Scheduled => "scheduled",
    Open => "open",
    Closed => "closed",
    Paused => "paused",
    SoldOut => "sold_out",
});
words!(Availability { Many => "many", Few => "few", None => "none" });

impl TicketType {
    /// When its sale begins: set, or at publish.
    pub fn sale_opens(&self, event: &super::event::Event) -> Option<i64> {
        self.sale_starts_at.or(event.published_at)
    }

    /// When its sale ends: set, or at the event's start. The window is half-open.
    pub fn sale_closes(&self, event: &super::event::Event) -> Option<i64> {
        self.sale_ends_at.or(event.starts_at)
    }

    /// Its sale is over.
    pub fn sale_is_over(&self, event: &super::event::Event, now: i64) -> bool {
        self.sale_closes(event).is_some_and(|closes| now >= closes)
    }

    /// `min(quantity − sold − held, each pool's rest)`.
    pub fn available(&self, pools: &[Pool]) -> i64 {
        let own = self
            .quantity
            .map(|quantity| quantity - self.sold - self.held);
        let rests = self.own_pools(pools).map(Pool::rest);
        own.into_iter().chain(rests).min().unwrap_or(0)
    }

    /// Tickets hold every unit, of it or of one of its pools. Holds do not count: they may lapse.
    pub fn is_fully_sold(&self, pools: &[Pool]) -> bool {
        let own = self.quantity.is_some_and(|quantity| self.sold >= quantity);
        own || self.own_pools(pools).any(|pool| pool.sold >= pool.capacity)
    }

    /// The most that could ever be sold: its quantity or its smallest pool.
    pub fn ceiling(&self, pools: &[Pool]) -> Option<i64> {
        let capacities = self.own_pools(pools).map(|pool| pool.capacity);
        self.quantity.into_iter().chain(capacities).min()
    }

    fn own_pools<'a>(&'a self, pools: &'a [Pool]) -> impl Iterator<Item = &'a Pool> {
        pools.iter().filter(|pool| self.pool_ids.contains(&pool.id))
    }

    /// Whether it can be bought now.
    pub fn sale_state(&self, event: &super::event::Event, pools: &[Pool], now: i64) -> SaleState {
        let closed = self.sale_is_over(event, now) || !event.status.sells();
        if closed && event.status != super::event::Status::Draft {
            return SaleState::Closed;
        }
        if self.sale_opens(event).is_none_or(|opens| now < opens) {
            return SaleState::Scheduled;
        }
        match (event.sales_paused, self.available(pools) <= 0) {
            (true, _) => SaleState::Paused,
            (false, true) => SaleState::SoldOut,
            (false, false) => SaleState::Open,
        }
    }

    /// What the public is told.
    pub fn availability(&self, pools: &[Pool]) -> Availability {
        let left = self.available(pools);
        let few = (self.ceiling(pools).unwrap_or(0) / 20).max(10);
        match left {
            i64::MIN..=0 => Availability::None,
            left if left <= few => Availability::Few,
            _ => Availability::Many,
        }
    }
}

/// Whether an event is sold out: every visible type whose sale is not over is fully sold, or the
/// pool of the whole event is.
pub fn is_sold_out(
    event: &super::event::Event,
    types: &[TicketType],
    pools: &[Pool],
    now: i64,
) -> bool {
    let whole = pools.iter().find(|pool| pool.whole_event);
    if whole.is_some_and(|pool| pool.sold >= pool.capacity) {
        return true;
    }
    let mut open = types
        .iter()
        .filter(|kind| !kind.hidden && !kind.sale_is_over(event, now))
        .peekable();
    open.peek().is_some() && open.all(|kind| kind.is_fully_sold(pools))
}
