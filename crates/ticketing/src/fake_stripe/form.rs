//! Form-encoded parameters with Stripe's bracket names (`metadata[order]`, `expand[]`).

use std::collections::BTreeMap;

use super::answer::Refusal;

/// Parameters of a call, by their full name; a name that ends in `[]` may come often.
#[derive(Debug, Clone, Default)]
pub struct Form {
    pairs: Vec<(String, String)>,
}

impl Form {
    /// Parses a body or a query string.
    pub fn parse(text: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(text);
        Self {
            pairs: pairs
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
        }
    }

    /// The value of a name; an empty value counts as absent, as at Stripe.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.pairs.iter().rev().find(|(known, _)| known == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// As [`Form::get`], refused when absent.
    pub fn need(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| {
            Refusal::invalid(name, format!("Missing required param: {name}."))
                .with("code", "parameter_missing")
        })
    }

    /// A whole number.
    pub fn int(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let parse = |text: &str| {
            text.parse().map_err(|_| {
                Refusal::invalid(name, format!("Invalid integer: {text}"))
                    .with("code", "parameter_invalid_integer")
            })
        };
        self.get(name).map(parse).transpose()
    }

    /// `true` or `false`.
    pub fn flag(&self, name: &str) -> Result<bool, Refusal> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(other) => Err(Refusal::invalid(name, format!("Invalid boolean: {other}"))),
        }
    }

    /// Members of a map such as `metadata[…]`.
    pub fn map(&self, name: &str) -> BTreeMap<String, String> {
        let inside = |full: &str| {
            let rest = full.strip_prefix(name)?.strip_prefix('[')?;
            rest.strip_suffix(']').map(str::to_owned)
        };
        let members = self.pairs.iter();
        members
            .filter_map(|(full, value)| Some((inside(full)?, value.clone())))
            .collect()
    }

    /// Values of a list such as `expand[]` or `expand[0]`.
    pub fn list(&self, name: &str) -> Vec<String> {
        self.map(name)
            .into_keys()
            .next()
            .map_or_else(Vec::new, |_| {
                let is_member = |full: &str| {
                    full.strip_prefix(name).is_some_and(|rest| {
                        let index = rest
                            .strip_prefix('[')
                            .and_then(|rest| rest.strip_suffix(']'));
                        index.is_some_and(|index| index.bytes().all(|byte| byte.is_ascii_digit()))
                    })
                };
                let values = self.pairs.iter().filter(|(full, _)| is_member(full));
                values.map(|(_, value)| value.clone()).collect()
            })
    }

    /// Refuses parameters that the call does not have, and raw card data anywhere.
    pub fn only(&self, known: &[&str]) -> Result<(), Refusal> {
        for (full, _) in &self.pairs {
            if full.contains("[number]") || full.contains("[cvc]") || full.starts_with("card") {
                let message = "Sending credit card numbers directly to this API is refused; \
                    use a payment method.";
                return Err(Refusal::invalid(full, message));
            }
            let name = full.split('[').next().unwrap_or(full);
            if !known.contains(&name) {
                let message = format!("Received unknown parameter: {name}");
                return Err(Refusal::invalid(name, message).with("code", "parameter_unknown"));
            }
        }
        Ok(())
    }

    /// The same for the same parameters in any order.
    pub fn fingerprint(&self) -> String {
        let mut pairs = self.pairs.clone();
        pairs.sort();
        format!("{pairs:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bracket_names_are_maps_and_lists() {
        let form =
            Form::parse(b"metadata[order]=7&metadata[x]=y&expand[]=a.b&expand[]=c&amount=12");
        assert_eq!(form.map("metadata")["order"], "7");
        assert_eq!(form.list("expand"), ["a.b", "c"]);
        assert_eq!(form.int("amount").expect("number"), Some(12));
        assert!(form.only(&["metadata", "expand", "amount"]).is_ok());
        let refused = form.only(&["metadata", "expand"]).expect_err("amount");
        assert_eq!(refused.error["code"], "parameter_unknown");
    }

    #[test]
    fn raw_card_fields_are_refused() {
        let form = Form::parse(b"payment_method_data[card][number]=4");
        assert!(form.only(&["payment_method_data"]).is_err());
    }
}
