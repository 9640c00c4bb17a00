//! `florin roles`.

use clap::Args;
use serde::Serialize;

use crate::out::{Output, table};
use crate::roles::{ROLES, Role, start_order};

/// List the roles: what each initialises, serves and runs, in start order
#[derive(Debug, Args)]
pub struct Roles {}

/// A role as it is shown.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    name: &'static str,
    port: u16,
    about: &'static str,
    parts: Vec<&'static str>,
    routes: usize,
    workers: Vec<&'static str>,
}

impl From<&'static Role> for Row {
    fn from(role: &'static Role) -> Self {
        Self {
            name: role.name,
            port: role.port,
            about: role.about,
            parts: start_order(&[role]).iter().map(|row| row.name).collect(),
            routes: (role.describe)().rows.len(),
            workers: role.workers.iter().map(|worker| worker.name).collect(),
        }
    }
}

impl Roles {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        let rows: Vec<Row> = ROLES.iter().map(Row::from).collect();
        output.print(&rows, || {
            let cells: Vec<Vec<String>> = rows
                .iter()
                .map(|row| {
                    let workers = match row.workers.is_empty() {
                        true => "-".to_owned(),
                        false => row.workers.join(", "),
                    };
                    vec![
                        row.name.to_owned(),
                        row.port.to_string(),
                        row.routes.to_string(),
                        row.parts.join(", "),
                        workers,
                        row.about.to_owned(),
                    ]
                })
                .collect();
            table(
                &[
                    "ROLE",
                    "PORT",
                    "ROUTES",
                    "PARTS, IN START ORDER",
                    "WORKERS",
                    "FOR",
                ],
                &cells,
            )
        })?;
        Ok(0)
    }
}
