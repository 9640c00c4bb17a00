//! The default configuration file: every setting with its meaning, as `florin config default`
//! prints it and the reference keeps it.

use super::keys::{KEYS, Key, SECTIONS};

const WIDTH: usize = 96;

const HEAD: &str = "\
# Florin's settings with their defaults. A setting that is commented out has no default.
# The same in the environment: FLORIN__SERVER__PORT=8090 is `port` of the section `server`.
# Later wins: this file, the environment, the command line.
# Any text may say where the real value is: \"env:NAME\", \"file:/path\",
# \"aws-secretsmanager://name#json-key?version\" or \"vault://mount/path#key\".
";

/// The file.
pub fn render() -> String {
    let mut text = HEAD.to_owned();
    for key in KEYS.iter().filter(|key| !key.name.contains('.')) {
        entry(&mut text, key, key.name);
    }
    for (section, about) in SECTIONS {
        text.push_str(&format!("\n# {about}\n[{section}]\n"));
        let prefix = format!("{section}.");
        for key in KEYS {
            if let Some(name) = key.name.strip_prefix(&prefix) {
                entry(&mut text, key, name);
            }
        }
    }
    text
}

fn entry(text: &mut String, key: &Key, name: &str) {
    text.push('\n');
    for line in wrapped(key.about) {
        text.push_str(&format!("# {line}\n"));
    }
    match key.default {
        Some(default) => text.push_str(&format!("{name} = {default}\n")),
        None => text.push_str(&format!("# {name} = {}\n", key.example)),
    }
}

fn wrapped(about: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in about.split(' ') {
        let line = lines.last_mut().expect("starts with one line");
        if !line.is_empty() && line.len() + 1 + word.len() > WIDTH {
            lines.push(word.to_owned());
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines
}
