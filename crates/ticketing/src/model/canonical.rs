//! Canonical JSON (RFC 8785) of the values this room signs or hashes: objects, arrays, strings,
//! whole numbers, truth values and null. Other numbers are refused, so that no float is printed.

use serde_json::Value;

/// The value holds a number that is no whole number of at most 2⁵³ − 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("only whole numbers have a canonical form here")]
pub struct NotWhole;

const SAFE: u64 = (1 << 53) - 1;

/// The canonical text of a value.
///
/// # Errors
/// [`NotWhole`].
pub fn canonical(value: &Value) -> Result<String, NotWhole> {
    let mut text = String::new();
    write(value, &mut text)?;
    Ok(text)
}

fn write(value: &Value, out: &mut String) -> Result<(), NotWhole> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => {
            let safe = match (number.as_u64(), number.as_i64()) {
                (Some(value), _) => value <= SAFE,
                (None, Some(value)) => value.unsigned_abs() <= SAFE,
                (None, None) => false,
            };
            if !safe {
                return Err(NotWhole);
            }
            out.push_str(&number.to_string());
        }
        Value::String(text) => string(text, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, out)?;
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut names: Vec<&String> = map.keys().collect();
            // RFC 8785, 3.2.3: by UTF-16 code units.
            names.sort_by(|a, b| a.encode_utf16().cmp(b.encode_utf16()));
            out.push('{');
            for (index, name) in names.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                string(name, out);
                out.push(':');
                write(&map[name], out)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

/// RFC 8785, 3.2.2.2: the short escapes where there are some, `\u00xx` for other controls, all
/// else as it is.
fn string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_are_sorted_and_nothing_is_escaped_without_need() {
        let value =
            json!({"b": [1, null, true, -7], "a": "é\"\\\n\u{1f}/", "\u{e000}": 1, "😀": 2});
        assert_eq!(
            canonical(&value).unwrap(),
            "{\"a\":\"é\\\"\\\\\\n\\u001f/\",\"b\":[1,null,true,-7],\"😀\":2,\"\u{e000}\":1}"
        );
    }

    #[test]
    fn only_whole_numbers_have_a_form() {
        assert_eq!(
            canonical(&json!(9_007_199_254_740_991u64)).unwrap(),
            "9007199254740991"
        );
        assert_eq!(canonical(&json!(9_007_199_254_740_992u64)), Err(NotWhole));
        assert_eq!(canonical(&json!([1.5])), Err(NotWhole));
    }
}
