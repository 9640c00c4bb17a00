//! `roles.md`: the table of roles.

use crate::roles::{PARTS, ROLES, SHARED_PORT, start_order};

/// The page.
pub fn render() -> String {
    let mut text = format!(
        "# Roles\n\nMade from the program by `./dev gen`. One process may have any of them; \
         `florin serve` has all, behind one listener on port {SHARED_PORT}. The embedded ledger \
         belongs to one process: roles that need it go together.\n\n\
         | role | port alone | for | initialises, in this order | workers | routes |\n|---|---|---|---|---|---|\n"
    );
    for role in ROLES {
        let parts: Vec<&str> = start_order(&[role]).iter().map(|row| row.name).collect();
        let workers: Vec<String> = role
            .workers
            .iter()
            .map(|worker| format!("{}: {}", worker.name, worker.about))
            .collect();
        text.push_str(&format!(
            "| `{}` | {} | {} | {} | {} | {} |\n",
            role.name,
            role.port,
            role.about,
            parts.join(", "),
            if workers.is_empty() {
                "–".to_owned()
            } else {
                workers.join("; ")
            },
            (role.describe)().rows.len(),
        ));
    }
    text.push_str("\n## Parts\n\nThey start in this order and stop in the reverse one.\n\n| part | what it is | needs |\n|---|---|---|\n");
    for row in PARTS {
        let needs: Vec<&str> = PARTS
            .iter()
            .filter(|other| row.needs.contains(&other.part))
            .map(|other| other.name)
            .collect();
        let needs = if needs.is_empty() {
            "–".to_owned()
        } else {
            needs.join(", ")
        };
        text.push_str(&format!("| {} | {} | {needs} |\n", row.name, row.about));
    }
    text
}
