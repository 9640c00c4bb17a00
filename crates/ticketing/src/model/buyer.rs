//! Who buys: the key under which orders, limits and personal fields of one person are found.

use unicode_normalization::UnicodeNormalization as _;

/// `sub:<subject>` of a signed-in caller, else `mail:<e-mail>` (contract, "buyer key").
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BuyerKey(String);

impl BuyerKey {
    /// A signed-in caller.
    pub fn of_subject(subject: &str) -> Self {
        Self(format!("sub:{subject}"))
    }

    /// A person without account: trimmed, NFC, lower case; no dot or plus folding.
    pub fn of_mail(mail: &str) -> Self {
        Self(format!("mail:{}", fold_mail(mail)))
    }

    /// How members of organisations are named: the subject or the address, and whether it is an
    /// address.
    pub fn member(&self) -> (&str, bool) {
        match self.0.strip_prefix("mail:") {
            Some(mail) => (mail, true),
            None => (self.0.strip_prefix("sub:").unwrap_or(&self.0), false),
        }
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An e-mail address as it is compared: trimmed, NFC, lower case.
pub fn fold_mail(mail: &str) -> String {
    mail.trim().nfc().collect::<String>().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_28_case_and_blanks_do_not_make_a_new_buyer() {
        assert_eq!(
            BuyerKey::of_mail("Ana@X.org"),
            BuyerKey::of_mail("ana@x.org ")
        );
        assert_ne!(
            BuyerKey::of_mail("a.na@x.org"),
            BuyerKey::of_mail("ana@x.org")
        );
        assert_eq!(BuyerKey::of_subject("ana").as_str(), "sub:ana");
        assert_eq!(BuyerKey::of_subject("ana").member(), ("ana", false));
        assert_eq!(BuyerKey::of_mail("A@x.org").member(), ("a@x.org", true));
    }
}
