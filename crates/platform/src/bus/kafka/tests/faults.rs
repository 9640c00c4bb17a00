//! Brokers that refuse, vanish and come back: nothing is lost, and keys stay in order.

use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn refusals_that_pass_are_retried_by_the_client_without_copies() {
    let cluster = Cluster::mock();
    let bus = cluster.bus();
    let mock = cluster.mock.as_ref().expect("mock").cluster();
    mock.request_errors(
        RDKafkaApiKey::Produce,
        &[
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        ],
    );
    bus.publish(TOPIC, messages(0, 100))
        .await
        .expect("accepted");
    let got = cluster.read(TOPIC, 100).await;
    assert_eq!(first_ids(&got), expected(0, 100));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_goes_away_and_comes_back_loses_nothing() {
    for transactions in [true, false] {
        let mut cluster = Cluster::mock();
        cluster.settings.transactions = transactions;
        let bus = cluster.bus();
        bus.take_over(TOPIC).await.expect("taken over");
        bus.publish(TOPIC, messages(0, 50)).await.expect("accepted");
        let mock = cluster.mock.as_ref().expect("mock").cluster();
        mock.broker_down(-1).expect("down");
        let sending = {
            let bus = Arc::clone(&bus);
            tokio::spawn(async move { publish(&bus, TOPIC, messages(50, 50)).await })
        };
        let down = async {
            while bus.probe().await.is_ok() {
                tokio::time::sleep(PROBE_KEEPS).await;
            }
        };
        tokio::time::timeout(LONG, down).await.expect("told");
        assert!(!sending.is_finished(), "nothing can be accepted");
        mock.broker_up(-1).expect("up");
        sending.await.expect("publishes");
        bus.publish(TOPIC, messages(100, 50))
            .await
            .expect("accepted");
        let got = cluster.read(TOPIC, 150).await;
        assert_eq!(
            first_ids(&got),
            expected(0, 150),
            "transactions {transactions}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_given_up_throws_away_what_it_had_under_way() {
    let cluster = Cluster::mock();
    let bus = cluster.bus();
    bus.take_over(TOPIC).await.expect("taken over");
    bus.publish(TOPIC, messages(0, 10)).await.expect("accepted");
    let mock = cluster.mock.as_ref().expect("mock").cluster();
    mock.broker_down(-1).expect("down");
    let giving = bus.publish(TOPIC, messages(10, 10));
    let waited = tokio::time::timeout(Duration::from_millis(300), giving).await;
    waited.expect_err("nobody accepts it");
    assert!(bus.lanes.lock().is_empty(), "its producer is gone");
    mock.broker_up(-1).expect("up");
    publish(&bus, TOPIC, messages(20, 10)).await;
    let got = cluster.read(TOPIC, 20).await;
    let mut both = expected(0, 10);
    for (key, seqs) in expected(20, 10) {
        both.entry(key).or_default().extend(seqs);
    }
    assert_eq!(first_ids(&got), both, "10 to 19 were never accepted");
}

/// The mock hands out producer ids and never refuses one by itself: the refusal of a former
/// publisher is put into its mouth.
#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_that_was_shut_out_publishes_nothing_and_says_why() {
    let cluster = Cluster::mock();
    let bus = cluster.bus();
    bus.take_over(TOPIC).await.expect("taken over");
    bus.publish(TOPIC, messages(0, 10)).await.expect("accepted");
    let mock = cluster.mock.as_ref().expect("mock").cluster();
    // Partitions of a new transaction are announced before anything is sent to them.
    let fenced = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH; 4];
    mock.request_errors(RDKafkaApiKey::AddPartitionsToTxn, &fenced);
    let late = bus.publish(TOPIC, messages(10, 10)).await;
    let error = late.expect_err("shut out").0.to_lowercase();
    assert!(
        error.contains("fenced") || error.contains("epoch"),
        "{error}"
    );
    assert!(bus.lanes.lock().is_empty(), "its producer is gone");
    let told = bus.probe().await.expect_err("told");
    assert_eq!(told.0.to_lowercase(), error);
    mock.clear_request_errors(RDKafkaApiKey::AddPartitionsToTxn);
    bus.take_over(TOPIC).await.expect("taken over");
    bus.publish(TOPIC, messages(20, 10))
        .await
        .expect("accepted");
    let got = cluster.read(TOPIC, 20).await;
    assert!(
        got.iter()
            .all(|message| message.header(HEADER_SEQ) != Some("10"))
    );
}
