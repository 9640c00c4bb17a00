//! What the commands say in a program without Kafka.

use florin_platform::bus::BusSettings;
use florin_platform::bus::access::Grant;

use super::{DeadLetters, MockBroker, Topics};
use crate::fail::failure;
use crate::out::Output;

fn missing() -> anyhow::Error {
    failure(
        "this program was built without Kafka",
        "build it with the feature: cargo build --release --features kafka",
    )
}

pub fn topics(_: Topics, _: Output) -> anyhow::Result<u8> {
    Err(missing())
}

pub fn dead_letters(_: DeadLetters, _: Output) -> anyhow::Result<u8> {
    Err(missing())
}

pub fn add_lists(
    _: &BusSettings,
    _: Vec<(String, Vec<Grant>)>,
) -> anyhow::Result<Vec<(String, Vec<Grant>)>> {
    Err(missing())
}

pub fn mock_broker(_: MockBroker, _: Output) -> anyhow::Result<u8> {
    Err(missing())
}
