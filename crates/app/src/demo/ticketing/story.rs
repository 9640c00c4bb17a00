//! The story itself, chapter by chapter. The amounts are those of two sales in EUR, 7 % tax
//! included, fees borne by the buyer: 2 × 50.00 less 10 % cost 92.91, one at 50.00 costs 51.75.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use florin_base::Timestamp;
use serde_json::{Value, json};

use super::figures::{minor, recount};
use super::teller::{Person, Teller};

const HOUR: i64 = 3_600 * 1_000_000;
/// The event completes by itself, at most 60 s after its end.
const COMPLETE_MAX: Duration = Duration::from_secs(90);
/// What is paid back or out arrives by then.
const SETTLE_MAX: Duration = Duration::from_secs(30);

/// Everybody in the story.
pub struct Cast {
    /// Runs the platform.
    pub admin: Person,
    /// Pays money into wallets.
    pub service: Person,
    /// Organises.
    pub olga: Person,
    /// Buys two tickets.
    pub ana: Person,
    /// Buys one, and gives it away.
    pub bob: Person,
    /// Gets it.
    pub cleo: Person,
}

/// Everything that was made on the way.
struct Sale {
    org: String,
    event: String,
    kind: String,
    /// Its clock when the story began.
    began: i64,
}

/// The tickets as they come to the door.
struct Codes {
    ana: String,
    bob_before: String,
    cleo: String,
}

fn text(value: &Value, member: &str) -> anyhow::Result<String> {
    let found = value[member].as_str();
    Ok(found
        .with_context(|| format!("no {member} in {value}"))?
        .to_owned())
}

fn equal(what: &str, found: &Value, wanted: &str) -> anyhow::Result<()> {
    ensure!(found == wanted, "{what} is {found} and not {wanted}");
    Ok(())
}

/// Tells it. `false`: the clock of this server cannot be moved, so that the end is left out.
///
/// # Errors
/// Something did not happen as it should.
pub async fn tell(t: &mut Teller, cast: &mut Cast) -> anyhow::Result<bool> {
    let (purse, ana_wallet) = wallets(t, cast).await?;
    let sale = open_the_sale(t, cast).await?;
    let order = ana_buys(t, cast, &sale, &ana_wallet).await?;
    let bob_order = bob_buys(t, cast, &sale).await?;
    let kept = refund_one(t, cast, &order).await?;
    let codes = hand_one_on(t, cast, &kept, &bob_order).await?;
    the_door(t, cast, &sale, &codes).await?;
    let paid = pay_out(t, cast, &sale, &purse).await?;
    report(t, cast, &sale).await?;
    Ok(paid)
}

async fn wallets(t: &mut Teller, cast: &Cast) -> anyhow::Result<(String, String)> {
    let mut ids = Vec::new();
    for (person, title) in [
        (&cast.olga, "Olga has a wallet for what she earns"),
        (&cast.ana, "Ana has a wallet"),
    ] {
        let body = json!({
            "userId": person.name, "currency": "EUR", "label": "everyday",
            "referenceId": format!("demo-{}-wallet-{}", t.run, person.name),
        });
        let ask = cast.service.post("wallets", body);
        ids.push(text(
            &t.tell(title, ask.shows(&["walletId"])).await?,
            "walletId",
        )?);
    }
    let body = json!({"amount": "200.00", "referenceId": format!("demo-{}-salary", t.run)});
    let path = format!("wallets/{}/deposit", ids[1]);
    let ask = cast.service.post(path, body).shows(&["amount"]);
    t.tell("and 200.00 in it", ask).await?;
    Ok((ids.swap_remove(0), ids.swap_remove(0)))
}

async fn open_the_sale(t: &mut Teller, cast: &Cast) -> anyhow::Result<Sale> {
    let olga = &cast.olga;
    let body = json!({
        "name": format!("Night Shift {}", t.run), "legalName": "Night Shift Ltd",
        "country": "DE", "defaultCurrency": "EUR", "contactEmail": "olga@example.org",
        "payoutDelayDays": 0,
    });
    let ask = olga.post("orgs", body).once("org").shows(&["id", "name"]);
    let made = t.tell("Olga founds an organisation", ask).await?;
    let org = text(&made, "id")?;
    // The server's clock decides what lies ahead; the first answer is kept, and so is the time.
    let began = Timestamp::parse(&text(&made, "createdAt")?)?.micros();
    let body = json!({
        "orgId": org, "title": format!("Night Shift live {}", t.run), "category": "music",
        "startsAt": Timestamp(began + 2 * HOUR).to_string(),
        "endsAt": Timestamp(began + 5 * HOUR).to_string(),
        "timeZone": "Europe/Berlin", "currency": "EUR",
        "venue": {"name": "Halle 5", "address": "Kai 5", "city": "Bremen", "country": "DE",
                  "lat": 53.08, "lng": 8.8},
    });
    let ask = olga.post("events", body).once("event");
    let ask = ask.shows(&["id", "status", "startsAtLocal"]);
    let event = text(
        &t.tell("She drafts a concert for tonight", ask).await?,
        "id",
    )?;
    let body = json!({
        "name": "Standing", "price": "50.00", "quantity": 100, "taxRateBp": 700,
        "priceIncludesTax": true,
    });
    let path = format!("events/{event}/ticket-types");
    let ask = olga
        .post(path, body)
        .once("type")
        .shows(&["id", "price", "quantity"]);
    let kind = text(
        &t.tell("A hundred tickets at 50.00, tax included", ask)
            .await?,
        "id",
    )?;
    let body = json!({"code": "TENOFF", "kind": "percent", "bp": 1_000});
    let ask = olga.post(format!("events/{event}/promo-codes"), body);
    let ask = ask.once("promo").shows(&["code", "bp"]);
    t.tell("and a code for ten per cent off", ask).await?;
    let shown = t.must(&olga.get(format!("events/{event}"))).await?;
    if shown["status"] == "draft" {
        let ask = olga.post(format!("events/{event}/publish"), json!({}));
        t.tell("The sale begins", ask.shows(&["status"])).await?;
    }
    Ok(Sale {
        org,
        event,
        kind,
        began,
    })
}

async fn ana_buys(
    t: &mut Teller,
    cast: &Cast,
    sale: &Sale,
    wallet: &str,
) -> anyhow::Result<String> {
    let body = json!({
        "eventId": sale.event, "promoCode": "TENOFF",
        "items": [{"ticketTypeId": sale.kind, "quantity": 2}],
        "buyer": {"email": "ana@example.org", "name": "Ana"},
    });
    let ask = cast.ana.post("orders", body).once("ana-order");
    let ask = ask.shows(&[
        "number",
        "amounts.tickets",
        "amounts.platformFee",
        "amounts.total",
    ]);
    let order = t.tell("Ana reserves two, with the code", ask).await?;
    equal("her total", &order["amounts"]["total"], "92.91")?;
    let id = text(&order, "id")?;
    let body = json!({"method": "wallet", "walletId": wallet});
    let ask = cast.ana.post(format!("orders/{id}/checkout"), body);
    let ask = ask.once("ana-pays").shows(&["status", "payment.method"]);
    let paid = t.tell("and pays from her wallet", ask).await?;
    equal("her order", &paid["status"], "confirmed")?;
    Ok(id)
}

async fn bob_buys(t: &mut Teller, cast: &Cast, sale: &Sale) -> anyhow::Result<String> {
    let body = json!({
        "eventId": sale.event, "items": [{"ticketTypeId": sale.kind, "quantity": 1}],
        "buyer": {"email": "bob@example.org", "name": "Bob"},
    });
    let ask = cast.bob.post("orders", body).once("bob-order");
    let order = t
        .tell("Bob reserves one", ask.shows(&["number", "amounts.total"]))
        .await?;
    equal("his total", &order["amounts"]["total"], "51.75")?;
    let id = text(&order, "id")?;
    let body = json!({"method": "card", "paymentMethodId": "pm_card_visa"});
    let ask = cast.bob.post(format!("orders/{id}/checkout"), body);
    let ask = ask.once("bob-pays").shows(&["status", "payment.status"]);
    t.tell("and pays by card", ask).await?;
    let path = format!("orders/{id}");
    let paid = until(t, &cast.bob, &path, SETTLE_MAX, |order| {
        order["status"] == "confirmed"
    });
    paid.await?;
    Ok(id)
}

/// Asks again and again until it is so.
async fn until(
    t: &Teller,
    who: &Person,
    path: &str,
    most: Duration,
    so: impl Fn(&Value) -> bool,
) -> anyhow::Result<Value> {
    let begun = Instant::now();
    loop {
        let shown = t.must(&who.get(path)).await?;
        if so(&shown) {
            return Ok(shown);
        }
        if begun.elapsed() > most {
            bail!("{path} did not become what it should in {most:?}: {shown}");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn tickets(t: &Teller, who: &Person, order: &str) -> anyhow::Result<Vec<Value>> {
    let shown = t.must(&who.get(format!("tickets?orderId={order}"))).await?;
    let items = shown["items"].as_array().cloned();
    items.with_context(|| format!("no tickets in {shown}"))
}

/// Ana's first ticket is refunded; the other one.
async fn refund_one(t: &mut Teller, cast: &Cast, order: &str) -> anyhow::Result<Value> {
    let mut bought = tickets(t, &cast.ana, order).await?;
    ensure!(bought.len() == 2, "Ana has {} tickets", bought.len());
    let body = json!({"ticketIds": [bought[0]["id"]], "reason": "A friend is ill"});
    let ask = cast.olga.post(format!("orders/{order}/refunds"), body);
    let ask = ask.once("refund").shows(&["items.0.amount", "items.0.id"]);
    let refund = t
        .tell("A friend is ill: Olga refunds one of Ana's tickets", ask)
        .await?;
    equal("the refund", &refund["items"][0]["amount"], "46.46")?;
    let path = format!("refunds/{}", text(&refund["items"][0], "id")?);
    let done = until(t, &cast.olga, &path, SETTLE_MAX, |refund| {
        refund["status"] == "succeeded"
    });
    done.await?;
    Ok(bought.swap_remove(1))
}

/// Bob's ticket goes to Cleo.
async fn hand_one_on(
    t: &mut Teller,
    cast: &Cast,
    kept: &Value,
    bob_order: &str,
) -> anyhow::Result<Codes> {
    let order = cast.olga.get(format!("orders/{bob_order}"));
    let of_event = text(&t.must(&order).await?, "eventId")?;
    let own = tickets(t, &cast.bob, bob_order).await?;
    let theirs = t
        .must(&cast.cleo.get(format!("tickets?eventId={of_event}")))
        .await?;
    let (ticket, before) = match (own.first(), theirs["items"].as_array()) {
        (Some(ticket), _) => (ticket.clone(), Some(text(ticket, "token")?)),
        (None, Some(items)) if !items.is_empty() => (items[0].clone(), None),
        _ => bail!("neither Bob nor Cleo has the ticket"),
    };
    let id = text(&ticket, "id")?;
    let Some(bob_before) = before else {
        // It was handed on by an earlier telling: the code that Bob had is not known any more.
        let cleo = text(&ticket, "token")?;
        return Ok(Codes {
            ana: text(kept, "token")?,
            bob_before: String::new(),
            cleo,
        });
    };
    let body = json!({"recipientEmail": "cleo@example.org", "message": "Have fun!"});
    let ask = cast.bob.post(format!("tickets/{id}/transfers"), body);
    let ask = ask.once("transfer").shows(&["status", "expiresAt"]);
    let offer = t.tell("Bob gives his ticket to Cleo", ask).await?;
    let path = format!("transfers/{}/accept", text(&offer, "token")?);
    let body = json!({"name": "Cleo", "email": "cleo@example.org"});
    let answer = t.must(&cast.cleo.post(path, body)).await?;
    let shown = cast.cleo.get(format!("tickets/{id}"));
    let shown = shown.shows(&["number", "holder.name", "generation"]);
    t.tell("She accepts: a new code, and his opens no door", shown)
        .await?;
    Ok(Codes {
        ana: text(kept, "token")?,
        bob_before,
        cleo: text(&answer, "token")?,
    })
}

/// The same code with one letter of its signature changed.
fn forged(code: &str) -> String {
    let at = code.len() - 20;
    let letter = if code.as_bytes()[at] == b'A' {
        "B"
    } else {
        "A"
    };
    format!("{}{letter}{}", &code[..at], &code[at + 1..])
}

async fn the_door(t: &mut Teller, cast: &Cast, sale: &Sale, codes: &Codes) -> anyhow::Result<()> {
    let scans = [
        (
            "Ana's ticket at the door",
            codes.ana.clone(),
            "admitted",
            "ok",
        ),
        (
            "The same ticket again",
            codes.ana.clone(),
            "denied",
            "already_used",
        ),
        (
            "The code that Bob had",
            codes.bob_before.clone(),
            "denied",
            "revoked",
        ),
        ("Cleo's ticket", codes.cleo.clone(), "admitted", "ok"),
        (
            "A forged ticket",
            forged(&codes.cleo),
            "denied",
            "bad_signature",
        ),
    ];
    for (nonce, (title, code, result, reason)) in scans.into_iter().enumerate() {
        if code.is_empty() {
            continue;
        }
        // A scan has an id of its own: told again, it is the same scan.
        let body = json!({
            "token": code, "nonce": format!("00000000-0000-4000-8000-{:012}", nonce + 1),
            "deviceId": "north-1", "gate": "north", "direction": "in",
            "scannedAt": Timestamp(sale.began).to_string(),
        });
        let ask = cast
            .olga
            .post(format!("events/{}/check-ins", sale.event), body);
        let answer = t.tell(title, ask.shows(&["result", "reason"])).await?;
        equal(title, &answer["result"], result)?;
        equal(title, &answer["reason"], reason)?;
    }
    Ok(())
}

async fn pay_out(
    t: &mut Teller,
    cast: &mut Cast,
    sale: &Sale,
    purse: &str,
) -> anyhow::Result<bool> {
    let event = format!("events/{}", sale.event);
    let shown = t.must(&cast.olga.get(&*event)).await?;
    if shown["status"] != "completed" {
        let hours = json!({"advanceSeconds": 6 * 3_600});
        let moved = t.ask(&cast.admin.put("dev/clock", hours)).await?;
        if moved.status == 404 {
            return Ok(false);
        }
        ensure!(moved.status == 200, "the clock: {}", moved.body);
        // Six hours later her token has expired.
        let signed_in = super::person(t, &cast.admin, "olga").await?;
        cast.olga = signed_in;
        let over = until(t, &cast.olga, &event, COMPLETE_MAX, |event| {
            event["status"] == "completed"
        });
        over.await?;
    }
    let ask = cast.olga.get(&*event).shows(&["status"]);
    t.tell("Six hours later the concert is over", ask).await?;
    let org = format!("orgs/{}", sale.org);
    let ask = cast.admin.patch(&*org, json!({"verified": true}));
    t.tell("The platform knows who Olga is", ask.shows(&["verified"]))
        .await?;
    let body = json!({"payoutMethod": {"kind": "wallet", "walletId": purse}});
    t.must(&cast.olga.patch(&*org, body)).await?;
    let ask = cast.olga.get(format!("{org}/balance"));
    t.tell(
        "What she may have",
        ask.shows(&["items.0.available", "items.0.pending"]),
    )
    .await?;
    let ask = cast
        .olga
        .post(format!("{org}/payouts"), json!({"currency": "EUR"}));
    let asked = t.ask(&ask.once("payout")).await?;
    // On a server whose clock passes six in the morning, the daily payout may be first.
    ensure!(
        asked.status < 300 || asked.code() == "payout_unavailable",
        "the payout: {}",
        asked.body
    );
    let ask = cast.olga.get(format!("{org}/payouts"));
    let ask = ask.shows(&["items.0.amount", "items.0.status", "items.0.id"]);
    let payouts = t.tell("She is paid out: net and tax", ask).await?;
    equal("the payout", &payouts["items"][0]["amount"], "95.00")?;
    equal("the payout", &payouts["items"][0]["status"], "paid")?;
    let ask = cast.service.get(format!("wallets/{purse}/balance"));
    t.tell("The money is in her wallet", ask.shows(&["balance"]))
        .await?;
    Ok(true)
}

/// All transfers of a list of the ledger.
async fn transfers(t: &Teller, who: &Person, list: &str) -> anyhow::Result<Vec<Value>> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let mut page = t.must(&who.get(format!("{list}limit=500{cursor}"))).await?;
        match page["items"].take() {
            Value::Array(items) => found.extend(items),
            other => bail!("no items in {other}"),
        }
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(found),
        }
    }
}

/// Every figure of the report beside what the ledger says.
async fn report(t: &mut Teller, cast: &Cast, sale: &Sale) -> anyhow::Result<()> {
    let path = format!("analytics/events/{}/overview", sale.event);
    let ask = cast.olga.get(path);
    let ask = ask.shows(&["ticketsSold", "attended", "attendance", "ledgerPosition"]);
    let shown = t.tell("The report", ask).await?;
    let (org, event) = (&sale.org, &sale.event);
    let lists = [
        format!("ledger/transfers?metadata.eventId={event}&"),
        format!("ledger/accounts/florin:tk:payable:{org}:{event}:EUR/transfers?"),
        format!("ledger/accounts/florin:tk:tax:{org}:{event}:EUR/transfers?"),
    ];
    let mut all = Vec::new();
    for list in &lists {
        all.extend(transfers(t, &cast.admin, list).await?);
    }
    let mut rows = Vec::new();
    for (name, counted) in recount(&all) {
        let figure = minor(&shown[name]).with_context(|| format!("no {name} in {shown}"))?;
        let sign = if counted < 0 { "-" } else { "" };
        let (whole, cents) = (counted.abs() / 100, counted.abs() % 100);
        let ledger = format!("{sign}{whole}.{cents:02}");
        rows.push((name.to_owned(), text(&shown, name)?, ledger));
        ensure!(
            figure == counted,
            "{name}: the report says {figure}, the ledger {counted} (minor units)"
        );
    }
    t.figures(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forged_code_differs_in_one_letter() {
        for letter in ["A", "Q"] {
            let code = letter.repeat(147);
            let other = forged(&code);
            let differ = code.bytes().zip(other.bytes()).filter(|(a, b)| a != b);
            assert_eq!((other.len(), differ.count()), (147, 1));
        }
    }
}
