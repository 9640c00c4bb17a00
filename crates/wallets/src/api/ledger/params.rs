//! Query parameters of lists: read once each, unknown names refused, and remembered as the
//! filters that a cursor is bound to.

use std::str::FromStr;

use axum::extract::FromRequestParts;
use florin_base::Timestamp;
use florin_platform::http::{
    json::parse_query,
    page::{FilterDigest, PageLimits},
    problem::Problem,
};
use http::request::Parts;

/// Parameters not read yet.
#[derive(Debug, Default)]
pub struct Params {
    pairs: Vec<(String, String)>,
    filters: Vec<(String, String)>,
}

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        Self::parse(parts.uri.query().unwrap_or_default())
    }
}

impl Params {
    /// Reads a query string; a name given twice is refused.
    pub fn parse(query: &str) -> Result<Self, Problem> {
        let pairs: Vec<(String, String)> = parse_query(query)?;
        let mut filters: Vec<(String, String)> = pairs
            .iter()
            .filter(|(name, _)| name != "limit" && name != "cursor")
            .cloned()
            .collect();
        filters.sort_unstable();
        if let Some(twice) = filters.windows(2).find(|w| w[0].0 == w[1].0) {
            let message = "This parameter is given more than once.";
            return Err(Problem::validation(twice[0].0.clone(), message));
        }
        Ok(Self { pairs, filters })
    }

    /// A parameter as text.
    pub fn text(&mut self, name: &str) -> Option<String> {
        let index = self.pairs.iter().position(|(known, _)| known == name)?;
        Some(self.pairs.swap_remove(index).1)
    }

    /// A time with a zone.
    pub fn time(&mut self, name: &str) -> Result<Option<Timestamp>, Problem> {
        self.text(name)
            .map(|text| Timestamp::parse(&text))
            .transpose()
            .map_err(|error| Problem::validation(name, format!("The time {error}.")))
    }

    /// A number or another parsed value.
    pub fn parsed<T: FromStr>(&mut self, name: &str, expected: &str) -> Result<Option<T>, Problem> {
        self.with(name, expected, |text| text.parse().ok())
    }

    /// A value read by a function.
    pub fn with<T>(
        &mut self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let value = read(&text);
        value
            .map(Some)
            .ok_or_else(|| Problem::validation(name, format!("Must be {expected}.")))
    }

    /// `true` or `false`.
    pub fn flag(&mut self, name: &str) -> Result<bool, Problem> {
        Ok(self.parsed(name, "true or false")?.unwrap_or(false))
    }

    /// All `metadata.<key>` filters.
    pub fn metadata(&mut self) -> Vec<(Box<str>, Box<str>)> {
        let mut found = Vec::new();
        self.pairs.retain(|(name, value)| {
            let Some(key) = name.strip_prefix("metadata.") else {
                return true;
            };
            found.push((Box::from(key), Box::from(value.as_str())));
            false
        });
        found
    }

    /// `limit` within the bounds of lists, and `cursor`.
    pub fn page(&mut self) -> Result<(usize, Option<String>), Problem> {
        let limit = self.parsed("limit", "a whole number")?;
        Ok((PageLimits::default().resolve(limit)?, self.text("cursor")))
    }

    /// Digest of the list's name and the filters as sent.
    pub fn digest(&self, list: &str) -> FilterDigest {
        let filters = self.filters.iter();
        FilterDigest::new(
            list,
            filters.map(|(name, value)| (name.as_str(), value.as_str())),
        )
    }

    /// Refuses what is left: 400 `unknown_field`.
    pub fn end(self) -> Result<(), Problem> {
        match self.pairs.into_iter().next() {
            Some((name, _)) => Err(Problem::unknown_field(name)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_parameter_is_read_once_and_unknown_ones_are_named() {
        let mut params = Params::parse("asset=BRL&metadata.a=1&limit=7&nope=1").expect("parses");
        assert_eq!(params.text("asset").as_deref(), Some("BRL"));
        assert_eq!(params.page().expect("in bounds"), (7, None));
        assert_eq!(params.metadata(), [("a".into(), "1".into())]);
        let problem = params.end().expect_err("one left");
        assert_eq!(
            (problem.code(), problem.errors()[0].field.as_str()),
            ("unknown_field", "nope")
        );
        assert!(Params::parse("asset=A&asset=B").is_err());
    }

    #[test]
    fn the_digest_covers_filters_only() {
        let digest = |query: &str| Params::parse(query).expect("parses").digest("l");
        assert_eq!(digest("asset=A&limit=5"), digest("cursor=x&asset=A"));
        assert_ne!(digest("asset=A"), digest("asset=B"));
    }
}
