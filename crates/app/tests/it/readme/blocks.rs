//! The commands of a page, and what the page says they show.
//!
//! A block of `sh` stands under a comment: `<!-- test: NAME; shows: TEXT; shows: TEXT -->`.
//! Its output must hold each text, without regard to case and to spaces after `:` and `,`.

/// A tested block of commands.
#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    pub name: String,
    pub commands: String,
    pub shows: Vec<String>,
}

/// All blocks of `page` in order; an error names the first `sh` block without a test comment.
pub fn blocks(page: &str) -> Result<Vec<Block>, String> {
    let mut found = Vec::new();
    let mut lines = page.lines();
    let mut before = "";
    while let Some(line) = lines.next() {
        if line == "```sh" {
            let commands: Vec<&str> = lines.by_ref().take_while(|l| *l != "```").collect();
            let block = block(before, commands.join("\n"))
                .ok_or_else(|| format!("no test comment above: {}", commands.join("\n")))?;
            found.push(block);
        }
        before = line;
    }
    Ok(found)
}

fn block(comment: &str, commands: String) -> Option<Block> {
    let inside = comment.strip_prefix("<!-- ")?.strip_suffix(" -->")?;
    let mut parts = inside.split("; ");
    let name = parts.next()?.strip_prefix("test: ")?.to_owned();
    let shows = parts
        .map(|part| part.strip_prefix("shows: ").map(str::to_owned))
        .collect::<Option<Vec<_>>>()?;
    Some(Block {
        name,
        commands,
        shows,
    })
}

/// Output and expectation in one spelling.
fn plain(text: &str) -> String {
    text.to_lowercase().replace(": ", ":").replace(", ", ",")
}

impl Block {
    /// The expected texts that `output` does not hold.
    pub fn missing_in(&self, output: &str) -> Vec<&str> {
        let output = plain(output);
        self.shows
            .iter()
            .filter(|text| !output.contains(&plain(text)))
            .map(String::as_str)
            .collect()
    }
}

#[test]
fn blocks_carry_their_expectations() {
    let page = "# x\n<!-- test: a; shows: \"n\":1; shows: X-Y: true -->\n```sh\nls\npwd\n```\n```json\n{}\n```\n";
    let found = blocks(page).expect("well formed");
    assert_eq!(
        found,
        [Block {
            name: "a".into(),
            commands: "ls\npwd".into(),
            shows: vec!["\"n\":1".into(), "X-Y: true".into()],
        }]
    );
    assert_eq!(found[0].missing_in("x-y: TRUE"), ["\"n\":1"]);
    assert_eq!(found[0].missing_in("{\"n\": 1}\nx-y: true"), [""; 0]);
}

#[test]
fn an_untested_block_is_an_error() {
    assert!(blocks("text\n```sh\nrm x\n```\n").is_err());
    assert!(blocks("<!-- test: a; show: x -->\n```sh\nls\n```\n").is_err());
}
