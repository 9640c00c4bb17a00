//! `cli.md`: the help of every command.

use clap::Command;

/// The page.
pub fn render() -> String {
    let mut text = String::from(
        "# Command line\n\nMade from the program by `./dev gen`. \
         Results go to stdout, logs and progress to stderr; `--output json` makes every result \
         JSON; `NO_COLOR` is honoured.\n",
    );
    let mut root = crate::cli::command().term_width(96);
    root.build();
    page(&mut text, &root, "florin");
    text
}

fn page(text: &mut String, command: &Command, path: &str) {
    let help = command
        .clone()
        .bin_name(path)
        .render_long_help()
        .to_string();
    let lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    text.push_str(&format!(
        "\n## `{path}`\n\n```text\n{}\n```\n",
        lines.join("\n")
    ));
    for inner in command.get_subcommands() {
        page(text, inner, &format!("{path} {}", inner.get_name()));
    }
}
