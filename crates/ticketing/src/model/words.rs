//! Text as it is searched and as it stands in URLs: case and accents ignored.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// Longest word that is kept, in characters.
const WORD_MAX: usize = 64;
/// Longest slug.
const SLUG_MAX: usize = 60;

/// Without case and accents.
pub fn fold(text: &str) -> String {
    text.nfkd()
        .filter(|c| !is_combining_mark(*c))
        .flat_map(char::to_lowercase)
        .map(|c| match c {
            'ß' => 's',
            'ø' => 'o',
            'ł' => 'l',
            'đ' => 'd',
            'ı' => 'i',
            other => other,
        })
        .collect()
}

/// The folded words of a text, in order.
pub fn words(text: &str) -> Vec<String> {
    fold(text)
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| word.chars().take(WORD_MAX).collect())
        .collect()
}

/// A text for URLs: `a-z`, `0-9` and hyphens.
pub fn slug(text: &str, fallback: &str) -> String {
    let plain: Vec<String> = words(text)
        .into_iter()
        .map(|word| word.chars().filter(char::is_ascii_alphanumeric).collect())
        .filter(|word: &String| !word.is_empty())
        .collect();
    let joined: String = plain.join("-").chars().take(SLUG_MAX).collect();
    match joined.trim_matches('-') {
        "" => fallback.to_owned(),
        slug => slug.to_owned(),
    }
}

/// Text without HTML tags and comments. Everything else stays, a lone `<` too.
pub fn without_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        out.push_str(before);
        let begins = tag[1..].chars().next();
        let is_tag = begins.is_some_and(|c| c.is_ascii_alphabetic() || "/!?".contains(c));
        if !is_tag {
            out.push('<');
            rest = &tag[1..];
            continue;
        }
        let end = match tag.strip_prefix("<!--") {
            Some(comment) => comment.find("-->").map(|end| end + 7),
            None => tag.find('>').map(|end| end + 1),
        };
        // A tag that never ends takes the rest with it, as it would in a browser.
        rest = end.map_or("", |end| &tag[end..]);
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_accents_are_ignored() {
        assert_eq!(
            words("São-Paulo, Żółć & Straße 7"),
            ["sao", "paulo", "zolc", "strase", "7"]
        );
        assert_eq!(slug("Été à Paris!", "event"), "ete-a-paris");
        assert_eq!(slug("東京", "event"), "event");
    }

    #[test]
    fn html_is_taken_out_and_text_stays() {
        assert_eq!(without_html("a <b>bold</b> c"), "a bold c");
        assert_eq!(without_html("1 < 2 and 3 > 2"), "1 < 2 and 3 > 2");
        assert_eq!(without_html("x<!-- <b> -->y"), "xy");
        assert_eq!(without_html("x<script src=\"a\""), "x");
        assert_eq!(
            without_html("**bold** [l](https://a.example)"),
            "**bold** [l](https://a.example)"
        );
    }
}
