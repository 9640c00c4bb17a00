//! A ticket type as it is sent and as it is shown (contract A4).

use florin_base::Timestamp;
use florin_platform::http::problem::Problem;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::given::Given;
use super::super::{check, money};
use crate::Ticketing;
use crate::model::event::Event;
use crate::model::ticket_type::{
    AttendeeFields, PER_ORDER_MAX, Pool, QUANTITY_MAX, Question, QuestionKind, TicketType,
};

/// Most questions to an attendee.
const QUESTIONS_MAX: usize = 20;

/// A question to each attendee.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = AttendeeQuestion)]
pub(super) struct QuestionBody {
    /// `[a-zA-Z0-9_-]`, at most 40 characters; names the answer.
    key: String,
    label: String,
    /// `text`, `choice`, `checkbox`.
    kind: String,
    #[serde(default)]
    required: bool,
    /// 2 to 50 of a `choice`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    choices: Vec<String>,
}

/// Fields of a ticket type. At creation `name` and `price` are needed.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[schema(as = TicketTypeRequest)]
pub(super) struct TypeBody {
    /// 1 to 80 characters.
    pub(super) name: Option<String>,
    /// At most 1000 characters.
    #[schema(value_type = Option<String>)]
    pub(super) description: Given<String>,
    /// Order among the types.
    pub(super) position: Option<i64>,
    /// Listed and sold only with an access code.
    pub(super) hidden: Option<bool>,
    /// Decimal in the event's currency; `"0"` = free.
    pub(super) price: Option<String>,
    /// 1 to 10 000 000; null when a pool limits it.
    #[schema(value_type = Option<i64>)]
    pub(super) quantity: Given<i64>,
    #[schema(value_type = Option<String>)]
    pub(super) sale_starts_at: Given<String>,
    /// Not on sale from then on.
    #[schema(value_type = Option<String>)]
    pub(super) sale_ends_at: Given<String>,
    /// Default 1.
    #[schema(value_type = Option<i64>)]
    pub(super) min_per_order: Given<i64>,
    /// Default 10, at most 100.
    #[schema(value_type = Option<i64>)]
    pub(super) max_per_order: Given<i64>,
    #[schema(value_type = Option<i64>)]
    pub(super) max_per_buyer: Given<i64>,
    /// Default true.
    pub(super) transferable: Option<bool>,
    /// Buyers may refund alone before then.
    #[schema(value_type = Option<String>)]
    pub(super) refundable_until: Given<String>,
    /// Basis points, 0 to 5000.
    #[schema(value_type = Option<i64>)]
    pub(super) tax_rate_bp: Given<i64>,
    /// Default true.
    pub(super) price_includes_tax: Option<bool>,
    #[schema(value_type = Option<String>)]
    pub(super) valid_from: Given<String>,
    #[schema(value_type = Option<String>)]
    pub(super) valid_until: Given<String>,
    /// Numbers 0 to 15; null: all areas.
    #[schema(value_type = Option<Vec<i64>>)]
    pub(super) areas: Given<Vec<i64>>,
    /// `none` (default), `name`, `name_email`.
    pub(super) attendee_fields: Option<String>,
    /// At most 20.
    #[schema(value_type = Option<Vec<QuestionBody>>)]
    pub(super) questions: Given<Vec<QuestionBody>>,
    /// At most 4 pools of the event.
    #[schema(value_type = Option<Vec<String>>)]
    pub(super) pool_ids: Given<Vec<String>>,
}

impl TypeBody {
    pub(super) fn apply(
        self,
        kind: &mut TicketType,
        scale: u8,
        pools: &[Pool],
    ) -> Result<(), Problem> {
        if let Some(name) = &self.name {
            kind.name = check::line("name", name, 1, 80)?;
        }
        self.description
            .try_map(|text| check::text("description", &text, 1_000))?
            .over(&mut kind.description, String::new());
        if let Some(position) = self.position {
            kind.position = check::range("position", position, 0, 10_000)?;
        }
        if let Some(price) = &self.price {
            kind.price = money::minor("price", price, scale)?;
        }
        kind.hidden = self.hidden.unwrap_or(kind.hidden);
        kind.transferable = self.transferable.unwrap_or(kind.transferable);
        kind.price_includes_tax = self.price_includes_tax.unwrap_or(kind.price_includes_tax);
        let count = |name: &'static str, max| move |n| check::range(name, n, 1, max);
        self.quantity
            .try_map(count("quantity", QUANTITY_MAX))?
            .over_option(&mut kind.quantity);
        self.min_per_order
            .try_map(count("minPerOrder", PER_ORDER_MAX))?
            .over(&mut kind.min_per_order, 1);
        self.max_per_order
            .try_map(count("maxPerOrder", PER_ORDER_MAX))?
            .over(&mut kind.max_per_order, 10);
        self.max_per_buyer
            .try_map(count("maxPerBuyer", QUANTITY_MAX))?
            .over_option(&mut kind.max_per_buyer);
        self.tax_rate_bp
            .try_map(|bp| check::range("taxRateBp", bp, 0, 5_000))?
            .over(&mut kind.tax_rate_bp, 0);
        let instants = [
            (
                "saleStartsAt",
                self.sale_starts_at,
                &mut kind.sale_starts_at,
            ),
            ("saleEndsAt", self.sale_ends_at, &mut kind.sale_ends_at),
            (
                "refundableUntil",
                self.refundable_until,
                &mut kind.refundable_until,
            ),
            ("validFrom", self.valid_from, &mut kind.valid_from),
            ("validUntil", self.valid_until, &mut kind.valid_until),
        ];
        for (name, given, place) in instants {
            given
                .try_map(|text| check::instant(name, &text))?
                .over_option(place);
        }
        self.areas.try_map(areas)?.over_option(&mut kind.areas);
        if let Some(word) = &self.attendee_fields {
            let all = AttendeeFields::ALL;
            kind.attendee_fields = check::word("attendeeFields", word, all, AttendeeFields::word)?;
        }
        self.questions
            .try_map(questions)?
            .over(&mut kind.questions, Vec::new());
        if self.pool_ids != Given::Left {
            let mut chosen = match self.pool_ids {
                Given::Value(ids) => ids,
                _ => Vec::new(),
            };
            // The hard limit of the event is no choice.
            let whole = |pool: &&Pool| pool.whole_event;
            chosen.retain(|id| !pools.iter().any(|pool| pool.whole_event && pool.id == *id));
            chosen.extend(pools.iter().filter(whole).map(|pool| pool.id.clone()));
            kind.pool_ids = chosen;
        }
        Ok(())
    }
}

/// A bit for each area.
fn areas(numbers: Vec<i64>) -> Result<i64, Problem> {
    let mut bits = 0;
    for (index, number) in numbers.iter().enumerate() {
        bits |= 1 << check::range(&format!("areas[{index}]"), *number, 0, 15)?;
    }
    match bits {
        0 => Err(Problem::validation("areas", "At least one area, or null.")),
        bits => Ok(bits),
    }
}

fn questions(bodies: Vec<QuestionBody>) -> Result<Vec<Question>, Problem> {
    if bodies.len() > QUESTIONS_MAX {
        return Err(Problem::validation("questions", "At most 20 questions."));
    }
    let mut kept: Vec<Question> = Vec::new();
    for (index, body) in bodies.into_iter().enumerate() {
        let name = |member: &str| format!("questions[{index}].{member}");
        let key = check::line(&name("key"), &body.key, 1, 40)?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if !key.bytes().all(plain) || kept.iter().any(|question| question.key == key) {
            let message = "Letters, digits, hyphen and underscore, each key once.";
            return Err(Problem::validation(name("key"), message));
        }
        let kind = match &*body.kind {
            "text" => QuestionKind::Text,
            "choice" => QuestionKind::Choice,
            "checkbox" => QuestionKind::Checkbox,
            _ => {
                let message = "One of text, choice, checkbox.";
                return Err(Problem::validation(name("kind"), message));
            }
        };
        let needs_choices = kind == QuestionKind::Choice;
        if needs_choices != (2..=50).contains(&body.choices.len()) {
            let message = "2 to 50 of a `choice`, none of others.";
            return Err(Problem::validation(name("choices"), message));
        }
        let choices = body.choices.iter().enumerate();
        let choices = choices
            .map(|(n, text)| check::line(&format!("questions[{index}].choices[{n}]"), text, 1, 80));
        kept.push(Question {
            label: check::line(&name("label"), &body.label, 1, 200)?,
            choices: choices.collect::<Result<_, _>>()?,
            key,
            kind,
            required: body.required,
        });
    }
    Ok(kept)
}

/// A ticket type. `sold`, `held` and `available` are shown to members.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TicketType)]
pub(super) struct TypeShown {
    id: String,
    event_id: String,
    type_no: i64,
    name: String,
    description: String,
    position: i64,
    hidden: bool,
    price: String,
    currency: String,
    quantity: Option<i64>,
    #[schema(value_type = Option<String>)]
    sale_starts_at: Option<Timestamp>,
    #[schema(value_type = Option<String>)]
    sale_ends_at: Option<Timestamp>,
    min_per_order: i64,
    max_per_order: i64,
    max_per_buyer: Option<i64>,
    transferable: bool,
    #[schema(value_type = Option<String>)]
    refundable_until: Option<Timestamp>,
    tax_rate_bp: i64,
    price_includes_tax: bool,
    #[schema(value_type = Option<String>)]
    valid_from: Option<Timestamp>,
    #[schema(value_type = Option<String>)]
    valid_until: Option<Timestamp>,
    areas: Option<Vec<i64>>,
    attendee_fields: &'static str,
    #[schema(value_type = Vec<QuestionBody>)]
    questions: Vec<Question>,
    pool_ids: Vec<String>,
    sale_state: &'static str,
    availability: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sold: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    available: Option<i64>,
    version: i64,
}

pub(super) fn show(
    room: &Ticketing,
    event: &Event,
    kind: &TicketType,
    pools: &[Pool],
    member: bool,
) -> TypeShown {
    let scale = room.settings.scale(&event.currency).unwrap_or(2);
    let whole = |id: &&String| pools.iter().any(|pool| pool.whole_event && pool.id == **id);
    let areas = |bits: i64| (0..16).filter(|n| bits & (1 << n) != 0).collect();
    TypeShown {
        id: kind.id.clone(),
        event_id: kind.event_id.clone(),
        type_no: kind.type_no,
        name: kind.name.clone(),
        description: kind.description.clone(),
        position: kind.position,
        hidden: kind.hidden,
        price: money::print(kind.price, scale),
        currency: event.currency.clone(),
        quantity: kind.quantity,
        sale_starts_at: kind.sale_opens(event).map(Timestamp),
        sale_ends_at: kind.sale_closes(event).map(Timestamp),
        min_per_order: kind.min_per_order,
        max_per_order: kind.max_per_order,
        max_per_buyer: kind.max_per_buyer,
        transferable: kind.transferable,
        refundable_until: kind.refundable_until.map(Timestamp),
        tax_rate_bp: kind.tax_rate_bp,
        price_includes_tax: kind.price_includes_tax,
        valid_from: kind.valid_from.or(event.doors_open()).map(Timestamp),
        valid_until: kind.valid_until.or(event.doors_close()).map(Timestamp),
        areas: kind.areas.map(areas),
        attendee_fields: kind.attendee_fields.word(),
        questions: kind.questions.clone(),
        pool_ids: kind
            .pool_ids
            .iter()
            .filter(|id| !whole(id))
            .cloned()
            .collect(),
        sale_state: kind.sale_state(event, pools, room.now()).word(),
        availability: kind.availability(pools).word(),
        sold: member.then_some(kind.sold),
        held: member.then_some(kind.held),
        available: member.then(|| kind.available(pools)),
        version: kind.version,
    }
}
