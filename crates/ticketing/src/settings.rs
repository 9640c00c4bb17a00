//! What an installation decides about its ticketing (`ticketing.*`).

use std::collections::BTreeMap;

/// Settings of the room. Limits are calls in a time; 0 = no limit.
#[derive(Debug, Clone)]
pub struct Settings {
    /// URL under which callers reach the server, without a trailing slash.
    pub public_url: String,
    /// `--unsafe-dev`: the routes under `/api/v1/dev` are mounted.
    pub dev: bool,
    /// Registered currencies and their decimals.
    pub currencies: BTreeMap<Box<str>, u8>,
    /// `ticketing.limits.<name>` (contract G), calls per the name's own period.
    pub limits: BTreeMap<&'static str, u32>,
    /// Sender of mails.
    pub mail_from: String,
}

impl Default for Settings {
    fn default() -> Self {
        let currencies = [
            ("BRL", 2),
            ("CHF", 2),
            ("EUR", 2),
            ("GBP", 2),
            ("JPY", 0),
            ("KWD", 3),
            ("USD", 2),
        ];
        Self {
            public_url: "http://127.0.0.1:8080".to_owned(),
            dev: false,
            currencies: currencies
                .into_iter()
                .map(|(code, scale)| (code.into(), scale))
                .collect(),
            limits: BTreeMap::new(),
            mail_from: "tickets@localhost".to_owned(),
        }
    }
}

impl Settings {
    /// Decimals of a registered currency.
    pub fn scale(&self, currency: &str) -> Option<u8> {
        self.currencies.get(currency).copied()
    }
}
