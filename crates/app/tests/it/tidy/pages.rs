//! What the pages point to exists: relative links, and the paths in the code map.

use super::{File, files, none, root};

/// Text between `open` and `close`, wherever they stand in `text`.
fn between<'a>(text: &'a str, open: &str, close: char) -> Vec<&'a str> {
    text.split(open)
        .skip(1)
        .filter_map(|rest| rest.split(close).next())
        .collect()
}

fn is_outside(link: &str) -> bool {
    link.starts_with("https://") || link.starts_with("http://") || link.starts_with('#')
}

/// The links of a page that lead nowhere.
fn broken_links(page: &File) -> Vec<String> {
    let here = root().join(&page.path);
    let folder = here.parent().expect("a page stands in a folder");
    between(&page.text, "](", ')')
        .into_iter()
        .filter(|link| !is_outside(link))
        .filter(|link| !folder.join(link.split('#').next().unwrap_or(link)).exists())
        .map(|link| format!("{}: {link}", page.path))
        .collect()
}

#[test]
fn relative_links_lead_somewhere() {
    let wrong = files()
        .iter()
        .filter(|file| file.path.ends_with(".md"))
        .flat_map(broken_links)
        .collect();
    none("links to nowhere", wrong);
}

#[test]
fn the_code_map_names_what_exists() {
    let map = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let paths: Vec<&str> = between(&map, "`crates/", '`');
    assert!(paths.len() > 20, "the map names {} paths", paths.len());
    let wrong = paths
        .into_iter()
        .filter(|path| !root().join("crates").join(path).exists())
        .map(|path| format!("crates/{path}"))
        .collect();
    none("ARCHITECTURE.md names what is not there", wrong);
}

#[test]
fn every_crate_is_on_the_map() {
    let map = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(root().join("crates")).expect("crates") {
        let name = entry.expect("entry").file_name();
        let heading = format!("### `crates/{}`", name.to_string_lossy());
        if !map.contains(&heading) {
            wrong.push(heading);
        }
    }
    none("missing headings in ARCHITECTURE.md", wrong);
}

#[test]
fn a_broken_link_is_found() {
    let page = |text: &str| File {
        path: "docs/README.md".into(),
        text: text.into(),
    };
    assert_eq!(
        broken_links(&page(
            "[a](nowhere.md) and [b](../README.md#top) [c](https://x.y)"
        )),
        ["docs/README.md: nowhere.md"]
    );
}
