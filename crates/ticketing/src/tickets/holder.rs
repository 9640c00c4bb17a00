//! Who is printed on a ticket.

use florin_platform::http::problem::Problem;
use florin_platform::sql::{Db, Tx, query};

use super::row::Ticket;
use crate::Ticketing;
use crate::api::given::Given;
use crate::api::problem::conflict;
use crate::gate::sequence;
use crate::model::buyer::{BuyerKey, fold_mail};
use crate::model::ticket_status::TicketStatus;
use crate::privacy::Person;

/// The holder as he is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holder {
    /// Name.
    pub name: Option<String>,
    /// E-mail, in lower case.
    pub email: Option<String>,
    /// Answers to the type's questions, as JSON.
    pub answers: Option<String>,
    /// The person was erased; nothing is known any more.
    pub erased: bool,
}

impl Holder {
    /// Opens a ticket's fields.
    pub fn of(ticket: &Ticket, person: Option<&Person>) -> Self {
        let Some(person) = person.filter(|person| !person.is_erased()) else {
            return Self {
                erased: true,
                ..Self::default()
            };
        };
        let open = |field: &str, sealed: &Option<Vec<u8>>| {
            sealed
                .as_deref()
                .and_then(|sealed| person.open(field, sealed))
        };
        Self {
            name: open("ticket.name", &ticket.holder_name),
            email: open("ticket.email", &ticket.holder_email),
            answers: open("ticket.answers", &ticket.answers),
            erased: false,
        }
    }
}

/// The holders of tickets, in their order.
///
/// # Errors
/// The store's.
pub async fn holders(
    room: &Ticketing,
    db: &Db,
    tickets: &[Ticket],
) -> Result<Vec<Holder>, Problem> {
    let mut ids: Vec<String> = tickets.iter().map(|t| t.holder_person.clone()).collect();
    ids.sort_unstable();
    ids.dedup();
    let persons = room.vault.load(db, &ids).await?;
    let holder = |ticket: &Ticket| Holder::of(ticket, persons.get(&ticket.holder_person));
    Ok(tickets.iter().map(holder).collect())
}

/// A change of the holder.
#[derive(Debug, Clone, Default)]
pub struct HolderChange {
    /// Name.
    pub name: Given<String>,
    /// E-mail.
    pub email: Given<String>,
}

/// Prints somebody else on a ticket. Touches neither stock nor code.
///
/// # Errors
/// 409 `ticket_state` once it was used or is dead, the store's.
pub async fn change_holder(
    room: &Ticketing,
    tx: &mut Tx,
    ticket: &mut Ticket,
    change: HolderChange,
) -> Result<Holder, Problem> {
    if ticket.status != TicketStatus::Valid || ticket.used_at.is_some() {
        let detail = "Only a valid ticket that was not used gets another holder.";
        return Err(conflict("ticket_state", detail));
    }
    let persons = [ticket.holder_person.clone(), ticket.owner_person.clone()];
    let persons = room.vault.load_in(tx, &persons).await?;
    let mut holder = Holder::of(ticket, persons.get(&ticket.holder_person));
    change.name.over_option(&mut holder.name);
    let before = holder.email.clone();
    change.email.over_option(&mut holder.email);
    holder.email = holder.email.as_deref().map(fold_mail);
    holder.erased = false;
    let person = match &holder.email {
        Some(email) if holder.email != before => {
            let key = BuyerKey::of_mail(email);
            room.vault.person(&room.store, tx, &key).await?
        }
        // Nobody else's any more: with the owner's fields.
        None => owner(&persons, &ticket.owner_person)?,
        Some(_) => owner(&persons, &ticket.holder_person)?,
    };
    put(ticket, &person, &holder);
    ticket.changed = sequence::next(tx, &ticket.event_id).await?;
    ticket.updated_at = room.now();
    let text = "UPDATE tk_tickets SET holder_person = $2, holder_name = $3, holder_email = $4,
        answers = $5, changed = $6, updated_at = $7 WHERE id = $1";
    let statement = query(text)
        .bind(&ticket.id)
        .bind(&ticket.holder_person)
        .bind(ticket.holder_name.clone())
        .bind(ticket.holder_email.clone())
        .bind(ticket.answers.clone())
        .bind(ticket.changed)
        .bind(ticket.updated_at);
    tx.execute(statement).await?;
    Ok(holder)
}

fn owner(
    persons: &std::collections::BTreeMap<String, Person>,
    id: &str,
) -> Result<Person, Problem> {
    let person = persons.get(id).cloned();
    person.ok_or_else(|| Problem::internal("a ticket of nobody"))
}

/// Seals a holder's fields under a person's key.
pub(super) fn put(ticket: &mut Ticket, person: &Person, holder: &Holder) {
    let seal = |field: &str, text: &Option<String>| -> Option<Vec<u8>> {
        text.as_ref().map(|text| person.seal(field, text))
    };
    ticket.holder_person = person.id.clone();
    ticket.holder_name = seal("ticket.name", &holder.name);
    ticket.holder_email = seal("ticket.email", &holder.email);
    ticket.answers = seal("ticket.answers", &holder.answers);
}
