//! The command line: one file per command, here only the list and the way to them.

mod config;
mod demo;
mod doctor;
mod fake_stripe;
mod generate;
mod kafka;
mod key;
mod migrate;
mod openapi;
mod roles;
mod serve;
mod user;

use std::io::ErrorKind;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::aws;
use crate::bench;
use crate::dr;
use crate::ledger;
use crate::out::Output;
use crate::probe;
use crate::shadow;
use crate::ticket;

/// The money back end of a digital-asset business in one binary: a durable double-entry ledger,
/// and wallets on top of it, over HTTP.
#[derive(Debug, Parser)]
#[command(
    name = "florin",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Form of the result; logs and progress go to stderr either way
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORM")]
    output: Output,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Roles(roles::Roles),
    #[command(subcommand)]
    Config(config::ConfigCommand),
    Doctor(doctor::Doctor),
    Migrate(migrate::Migrate),
    Demo(demo::Demo),
    #[command(subcommand)]
    User(user::UserCommand),
    #[command(subcommand)]
    Key(key::KeyCommand),
    #[command(subcommand)]
    Ledger(ledger::LedgerCommand),
    #[command(subcommand)]
    Kafka(kafka::KafkaCommand),
    #[command(subcommand)]
    Shadow(shadow::ShadowCommand),
    #[command(subcommand)]
    Ticket(ticket::TicketCommand),
    Bench(bench::Bench),
    Probe(probe::Probe),
    #[command(subcommand)]
    Aws(aws::AwsCommand),
    #[command(subcommand)]
    Dr(dr::DrCommand),
    #[command(subcommand)]
    Dev(fake_stripe::DevCommand),
    FakeStripe(fake_stripe::FakeStripe),
    Openapi(openapi::Openapi),
    Gen(generate::Gen),
}

/// Runs the command of this process and answers its exit code.
pub fn run() -> anyhow::Result<u8> {
    let cli = Cli::parse();
    let output = cli.output;
    let done = match cli.command {
        Command::Serve(command) => command.run(output),
        Command::Roles(command) => command.run(output),
        Command::Config(command) => command.run(output),
        Command::Doctor(command) => command.run(output),
        Command::Migrate(command) => command.run(output),
        Command::Demo(command) => command.run(output),
        Command::User(command) => command.run(output),
        Command::Key(command) => command.run(output),
        Command::Ledger(command) => command.run(output),
        Command::Kafka(command) => command.run(output),
        Command::Shadow(command) => command.run(output),
        Command::Ticket(command) => command.run(output),
        Command::Bench(command) => command.run(output),
        Command::Probe(command) => command.run(output),
        Command::Aws(command) => command.run(output),
        Command::Dr(command) => command.run(output),
        Command::Dev(command) => command.run(output),
        Command::FakeStripe(command) => command.run(output),
        Command::Openapi(command) => command.run(),
        Command::Gen(command) => command.run(output),
    };
    match done {
        Err(error) if is_broken_pipe(&error) => Ok(0),
        done => done,
    }
}

/// The reader of our output went away (`florin config default | head`): that is his right.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == ErrorKind::BrokenPipe)
}

/// The whole command line, for the reference page.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs a future on a runtime with all cores.
pub fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(work);
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed_and_explained() {
        command().debug_assert();
        fn explained(command: &clap::Command) {
            assert!(
                command.get_about().is_some(),
                "{} has no words",
                command.get_name()
            );
            for argument in command.get_arguments() {
                let known = ["help", "version"].contains(&argument.get_id().as_str());
                assert!(
                    known || argument.get_help().is_some(),
                    "{}: {}",
                    command.get_name(),
                    argument.get_id()
                );
            }
            command.get_subcommands().for_each(explained);
        }
        explained(&command());
    }
}
