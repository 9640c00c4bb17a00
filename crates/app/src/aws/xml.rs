//! Just enough XML for the answers of the older AWS services: values by the name of their
//! element. Their answers carry no attributes and no mixed content where we look.

/// The text inside each `<name>…</name>`, in order; elements of the same name inside are not
/// told apart, so ask for leaves or for members that do not nest.
pub fn all<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(&open) {
        let inside = &rest[start + open.len()..];
        let Some(end) = inside.find(&close) else {
            break;
        };
        found.push(&inside[..end]);
        rest = &inside[end + close.len()..];
    }
    found
}

/// The first of them.
pub fn first<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    all(text, name).into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_name_and_half_an_element_is_none() {
        let text = "<R><Id>a</Id><Ids>x</Ids><Id>b</Id><Id>c</R>";
        assert_eq!(all(text, "Id"), ["a", "b"]);
        assert_eq!(first(text, "Ids"), Some("x"));
        assert_eq!(first(text, "None"), None);
    }
}
