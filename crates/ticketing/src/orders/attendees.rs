//! Attendee data: what a type asks of those who will come (contract A4, B2).

use florin_platform::http::problem::{Problem, Status};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::row::Attendee;

/// What a type asks.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The type.
    pub type_id: String,
    /// `none`, `name` or `name_email`.
    pub fields: String,
    /// Its questions.
    pub questions: Vec<Question>,
}

/// A question of a type.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Question {
    /// Its key.
    pub key: String,
    /// `text`, `choice` or `checkbox`.
    #[serde(default)]
    pub kind: String,
    /// It must be answered.
    #[serde(default)]
    pub required: bool,
    /// What may be chosen.
    #[serde(default)]
    pub choices: Vec<String>,
}

/// Longest name or e-mail, in characters.
const TEXT_MAX: usize = 254;
/// Longest answer, in characters.
const ANSWER_MAX: usize = 1_000;

/// Whether what was said of attendees has a good shape and belongs to the order.
///
/// # Errors
/// 400 `validation_failed` naming the member.
pub fn shape(attendees: &[Attendee], units: &[(String, i64)]) -> Result<(), Problem> {
    for (index, one) in attendees.iter().enumerate() {
        let at = |member: &str| format!("attendees[{index}].{member}");
        let count = |id: &str| attendees.iter().filter(|a| a.ticket_type_id == id).count();
        let of = units.iter().find(|(id, _)| *id == one.ticket_type_id);
        let room = of.map_or(0, |(_, units)| usize::try_from(*units).unwrap_or(0));
        if count(&one.ticket_type_id) > room {
            return Err(Problem::validation(
                at("ticketTypeId"),
                "There are more attendees than tickets of this type.",
            ));
        }
        for (member, value) in [("name", &one.name), ("email", &one.email)] {
            if value
                .as_ref()
                .is_some_and(|v| v.trim().is_empty() || long(v, TEXT_MAX))
            {
                return Err(Problem::validation(
                    at(member),
                    "Must be 1 to 254 characters.",
                ));
            }
        }
        if one.email.as_ref().is_some_and(|mail| !is_mail(mail)) {
            return Err(Problem::validation(
                at("email"),
                "Must be an e-mail address.",
            ));
        }
        for (key, answer) in &one.answers {
            let good = match answer {
                Value::String(text) => !long(text, ANSWER_MAX),
                Value::Bool(_) => true,
                _ => false,
            };
            if !good {
                return Err(Problem::validation(
                    at(&format!("answers.{key}")),
                    "Must be a text of at most 1000 characters or a truth value.",
                ));
            }
        }
    }
    Ok(())
}

/// Looks like an address: something, one `@`, something with a dot, no blanks.
pub fn is_mail(text: &str) -> bool {
    let text = text.trim();
    let Some((name, host)) = text.split_once('@') else {
        return false;
    };
    let plain = !text.chars().any(|c| c.is_whitespace() || c.is_control());
    plain && text.len() <= 254 && !name.is_empty() && host.contains('.') && !host.contains('@')
}

fn long(text: &str, most: usize) -> bool {
    text.len() > most && text.chars().count() > most
}

/// Whether everything that the types ask was said.
///
/// # Errors
/// 400 `attendee_required` naming what is missing.
pub fn complete(
    attendees: &[Attendee],
    units: &[(String, i64)],
    asked: &[Asked],
) -> Result<(), Problem> {
    for (type_id, units) in units {
        let Some(asked) = asked.iter().find(|asked| asked.type_id == *type_id) else {
            continue;
        };
        let required: Vec<&Question> = asked.questions.iter().filter(|q| q.required).collect();
        if asked.fields == "none" && required.is_empty() {
            continue;
        }
        let named: Vec<&Attendee> = attendees
            .iter()
            .filter(|one| one.ticket_type_id == *type_id)
            .collect();
        if (named.len() as i64) < *units {
            return Err(missing(type_id, "attendees"));
        }
        for one in named {
            if asked.fields != "none" && one.name.is_none() {
                return Err(missing(type_id, "name"));
            }
            if asked.fields == "name_email" && one.email.is_none() {
                return Err(missing(type_id, "email"));
            }
            if let Some(question) = required.iter().find(|q| !is_answered(q, &one.answers)) {
                return Err(missing(type_id, &format!("answers.{}", question.key)));
            }
        }
    }
    Ok(())
}

fn is_answered(question: &Question, answers: &Map<String, Value>) -> bool {
    match answers.get(&question.key) {
        Some(Value::String(text)) if question.kind == "choice" => question.choices.contains(text),
        Some(Value::String(text)) => !text.trim().is_empty(),
        Some(Value::Bool(checked)) => *checked,
        _ => false,
    }
}

fn missing(type_id: &str, member: &str) -> Problem {
    let message = "The ticket type asks this of everybody who comes.";
    Problem::field(
        Status::BadRequest,
        "attendee_required",
        member.to_owned(),
        message,
    )
    .with("ticketTypeId", type_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attendee(name: Option<&str>) -> Attendee {
        Attendee {
            ticket_type_id: "t".into(),
            name: name.map(Into::into),
            email: None,
            answers: Map::new(),
        }
    }

    #[test]
    fn what_a_type_asks_must_be_said_for_each_ticket() {
        let asked = [Asked {
            type_id: "t".into(),
            fields: "name".into(),
            questions: vec![],
        }];
        let units = [("t".to_owned(), 2)];
        let one = [attendee(Some("Ana"))];
        let problem = complete(&one, &units, &asked).expect_err("one is missing");
        assert_eq!(problem.code(), "attendee_required");
        let nameless = [attendee(Some("Ana")), attendee(None)];
        assert!(complete(&nameless, &units, &asked).is_err());
        let both = [attendee(Some("Ana")), attendee(Some("Bo"))];
        assert!(complete(&both, &units, &asked).is_ok());
        let three = [attendee(None), attendee(None), attendee(None)];
        assert!(shape(&three, &units).is_err());
    }

    #[test]
    fn addresses_are_looked_at_and_not_judged() {
        assert!(is_mail("ana@example.org") && is_mail(" Ana.B+x@mail.example.org "));
        for bad in [
            "ana",
            "ana@",
            "@example.org",
            "a b@example.org",
            "a@b@c.de",
            "a@host",
        ] {
            assert!(!is_mail(bad), "{bad}");
        }
    }
}
