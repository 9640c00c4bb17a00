//! Contrast of both colour schemes, computed from the style sheet itself (WCAG 2.1, 1.4.3 and
//! 1.4.11): every pair of colours that the sheets put on each other.

use std::collections::BTreeMap;
use std::fs;

use crate::tidy::root;

/// Ink, ground, least contrast. Text needs 4.5; marks, borders of fields and the focus need 3.
const PAIRS: &[(&str, &str, f64)] = &[
    ("ink", "bg", 4.5),
    ("ink", "panel", 4.5),
    ("ink", "plain-bg", 4.5),
    ("ink", "accent-soft", 4.5),
    ("ink", "good-bg", 4.5),
    ("ink", "care-bg", 4.5),
    ("ink", "bad-bg", 4.5),
    ("soft", "bg", 4.5),
    ("soft", "panel", 4.5),
    ("accent", "bg", 4.5),
    ("accent", "panel", 4.5),
    ("accent-ink", "accent", 4.5),
    ("good", "good-bg", 4.5),
    ("care", "care-bg", 4.5),
    ("bad", "bad-bg", 4.5),
    ("bad", "panel", 4.5),
    ("bad", "bg", 4.5),
    ("bg", "bad", 4.5),
    ("focus", "bg", 3.0),
    ("focus", "panel", 3.0),
    ("soft", "panel", 3.0),
    ("s0", "panel", 3.0),
    ("s1", "panel", 3.0),
    ("s2", "panel", 3.0),
    ("s3", "panel", 3.0),
    ("care", "panel", 3.0),
];

type Scheme = BTreeMap<String, [f64; 3]>;

/// The custom properties with a colour in `#rrggbb` of one block.
fn scheme(block: &str) -> Scheme {
    let declarations = block.split(';').filter_map(|one| one.split_once(':'));
    let colours = declarations.filter_map(|(name, value)| {
        let name = name.trim().strip_prefix("--")?;
        let digits = value.trim().strip_prefix('#')?;
        let part = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
        let parts = [part(0)?, part(2)?, part(4)?];
        Some((name.to_owned(), parts.map(|part| f64::from(part) / 255.0)))
    });
    colours.collect()
}

/// Relative luminance.
fn light(colour: [f64; 3]) -> f64 {
    let linear = |part: f64| match part <= 0.040_45 {
        true => part / 12.92,
        false => ((part + 0.055) / 1.055).powf(2.4),
    };
    let [red, green, blue] = colour.map(linear);
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
    let (a, b) = (light(a), light(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// The blocks of `base.css` that say colours: light, dark by the system, dark by choice.
fn schemes() -> Vec<(&'static str, Scheme)> {
    let file = root().join("crates/console/src/assets/base.css");
    let sheet = fs::read_to_string(file).expect("the style sheet");
    let block = |selector: &str| {
        let at = sheet
            .find(selector)
            .unwrap_or_else(|| panic!("no {selector}"));
        let rest = &sheet[at + selector.len()..];
        scheme(&rest[..rest.find('}').expect("its end")])
    };
    vec![
        ("light", block(":root {")),
        (
            "dark, as the system has it",
            block(":root:not([data-theme=\"light\"]) {"),
        ),
        ("dark, as chosen", block(":root[data-theme=\"dark\"] {")),
    ]
}

#[test]
fn every_pair_of_colours_can_be_told_apart() {
    let mut wrong = Vec::new();
    for (name, scheme) in schemes() {
        for (ink, ground, least) in PAIRS {
            let of = |colour: &str| {
                let found = scheme.get(colour);
                *found.unwrap_or_else(|| panic!("{name} has no --{colour}"))
            };
            let ratio = contrast(of(ink), of(ground));
            if ratio < *least {
                wrong.push(format!(
                    "{name}: --{ink} on --{ground} is {ratio:.2}, needs {least}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn both_dark_schemes_are_one() {
    let all = schemes();
    assert_eq!(all[1].1, all[2].1);
    assert_eq!(
        all[0].1.keys().collect::<Vec<_>>(),
        all[1].1.keys().collect::<Vec<_>>(),
        "what has a colour in one scheme has one in the other"
    );
    assert!((contrast([0.0; 3], [1.0; 3]) - 21.0).abs() < 1e-9);
}
