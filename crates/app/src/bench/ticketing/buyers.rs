//! Buyers: guests, each with an address of his own, who reserve one to four tickets and, in a sale,
//! pay for them at once.

use std::cell::Cell;
use std::rc::Rc;

use anyhow::bail;

use super::drive::{Act, Answer};
use super::place::{Gig, count, put};
use crate::bench::names::put_wallet;

/// Times of reserves.
pub const RESERVES: usize = 0;
/// Times of checkouts.
pub const CHECKOUTS: usize = 1;
/// Times of reserves that were refused because nothing is left.
pub const REFUSED: usize = 2;

/// How buyers pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pays {
    /// Not at all: they only reserve.
    Never,
    /// Tickets cost nothing.
    Free,
    /// From one of so many wallets.
    Wallet(u64),
}

/// What all buyers share.
pub struct Crowd {
    /// What they buy.
    pub gig: Gig,
    /// Where.
    pub host: String,
    /// Lines in the head of a checkout: who may take money out of wallets.
    pub payer: String,
    /// How they pay.
    pub pays: Pays,
    /// They come again under the same address after so many others; 0: never.
    pub buyers: u64,
    /// Makes the addresses and keys of this run its own.
    pub tag: String,
    /// Orders begun.
    pub begun: Cell<u64>,
    /// Units reserved.
    pub reserved: Cell<u64>,
    /// Units paid.
    pub sold: Cell<u64>,
}

impl Crowd {
    fn add(cell: &Cell<u64>, by: u64) -> u64 {
        let before = cell.get();
        cell.set(before + by);
        before
    }
}

enum Step {
    Reserve {
        units: u64,
    },
    Pay {
        order: String,
        token: String,
        units: u64,
    },
    Over,
}

/// One of the connections that buyers come over.
pub struct Buyer {
    crowd: Rc<Crowd>,
    step: Step,
    number: u64,
    body: String,
    /// He goes home after one order of one ticket.
    once: bool,
}

impl Buyer {
    /// Somebody of a crowd.
    pub fn new(crowd: &Rc<Crowd>) -> Self {
        let mut buyer = Self {
            crowd: Rc::clone(crowd),
            step: Step::Over,
            number: 0,
            body: String::new(),
            once: false,
        };
        buyer.another();
        buyer
    }

    /// Somebody who buys one ticket and goes home.
    pub fn single(crowd: &Rc<Crowd>) -> Self {
        let mut buyer = Self::new(crowd);
        buyer.once = true;
        buyer.step = Step::Reserve { units: 1 };
        buyer
    }

    /// The next buyer.
    fn another(&mut self) {
        self.number = Crowd::add(&self.crowd.begun, 1);
        // One to four, without a pattern.
        let units = 1 + (crate::bench::pick::mix(self.number) >> 7) % 4;
        self.step = Step::Reserve { units };
    }

    fn reserved(&mut self, answer: &Answer<'_>, units: u64) -> anyhow::Result<usize> {
        let crowd = &self.crowd;
        if answer.status == 409 {
            let left = match answer.member("code") {
                Some("sold_out") => 0,
                Some("not_enough") => count(answer.body, "available").unwrap_or(0),
                _ => bail!("a reserve was answered {}", answer.words()),
            };
            // What others hold they pay in the next moment: it does not come back.
            self.step = match left {
                0 => Step::Over,
                left => Step::Reserve { units: left.min(4) },
            };
            self.number = Crowd::add(&crowd.begun, 1);
            return Ok(REFUSED);
        }
        if answer.status != 201 {
            bail!("a reserve was answered {}", answer.words());
        }
        Crowd::add(&crowd.reserved, units);
        if crowd.pays == Pays::Never {
            self.another();
            return Ok(RESERVES);
        }
        let (Some(order), Some(token)) = (answer.location(), answer.member("accessToken")) else {
            bail!("an order without id or token: {}", answer.words());
        };
        self.step = Step::Pay {
            order: order.to_owned(),
            token: token.to_owned(),
            units,
        };
        Ok(RESERVES)
    }
}

impl Act for Buyer {
    fn next(&mut self, out: &mut Vec<u8>) -> bool {
        let crowd = &self.crowd;
        self.body.clear();
        match &self.step {
            Step::Over => false,
            Step::Reserve { units } => {
                let who = match crowd.buyers {
                    0 => self.number,
                    buyers => self.number % buyers,
                };
                let (gig, tag) = (&crowd.gig, &crowd.tag);
                self.body = format!(
                    "{{\"eventId\":\"{}\",\"items\":[{{\"ticketTypeId\":\"{}\",\"quantity\":{units}}}],\
                     \"buyer\":{{\"email\":\"{tag}-{who}@example.org\",\"name\":\"Buyer {who}\"}}}}",
                    gig.event, gig.kind
                );
                let key = format!("{tag}-r{}", self.number);
                put(out, "POST", "orders", &crowd.host, "", &key, &self.body);
                true
            }
            Step::Pay { order, token, .. } => {
                match crowd.pays {
                    Pays::Wallet(wallets) => {
                        let mut id = Vec::with_capacity(36);
                        put_wallet(self.number % wallets, &mut id);
                        let id = String::from_utf8_lossy(&id);
                        self.body = format!("{{\"method\":\"wallet\",\"walletId\":\"{id}\"}}");
                    }
                    Pays::Free | Pays::Never => self.body.push_str("{\"method\":\"free\"}"),
                }
                let headers = format!("{}x-access-token: {token}\r\n", crowd.payer);
                let path = format!("orders/{order}/checkout");
                let key = format!("{}-c{}", crowd.tag, self.number);
                put(out, "POST", &path, &crowd.host, &headers, &key, &self.body);
                true
            }
        }
    }

    fn answer(&mut self, answer: &Answer<'_>) -> anyhow::Result<usize> {
        match std::mem::replace(&mut self.step, Step::Over) {
            Step::Reserve { units } => self.reserved(answer, units),
            Step::Pay { units, .. } => {
                if answer.status != 200 || answer.member("status").is_none() {
                    bail!("a checkout was answered {}", answer.words());
                }
                Crowd::add(&self.crowd.sold, units);
                if !self.once {
                    self.another();
                }
                Ok(CHECKOUTS)
            }
            Step::Over => bail!("an answer to nothing"),
        }
    }
}
