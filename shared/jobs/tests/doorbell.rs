//! Doorbells on the wire.

use std::time::Duration;

use halyard_domain::Lane;
use halyard_jobs::doorbell::{LaneQueues, TraceIds, decode, message};

#[test]
fn a_doorbell_names_its_lane_and_carries_the_ids() {
    let ids = TraceIds { request_id: Some("req_1".to_owned()), traceparent: None };
    let bell = message(Lane::High, Duration::from_millis(1_200), &ids);
    assert_eq!(bell.body, r#"{"v":1,"lane":"high"}"#);
    assert_eq!(bell.delay, Duration::from_secs(2), "whole seconds, never early");
    assert_eq!(bell.attributes, [("request_id".to_owned(), "req_1".to_owned())]);
    assert_eq!(decode(&bell.body).unwrap(), Lane::High);
    assert_eq!(message(Lane::Low, Duration::from_hours(1), &ids).delay, Duration::from_mins(15), "SQS' limit");
}

#[test]
fn anything_else_is_no_doorbell() {
    for body in ["", "{}", "null", r#"{"v":2,"lane":"high"}"#, r#"{"v":1,"lane":"attic"}"#] {
        assert!(decode(body).is_err(), "{body}");
    }
}

#[test]
fn a_queue_is_named_by_the_end_of_its_url() {
    let queues = LaneQueues::from_urls([(Lane::Low, "http://localhost:4566/000000000000/halyard-low/")]);
    assert_eq!(queues.get(Lane::Low).unwrap().0, "halyard-low");
    assert!(queues.get(Lane::High).is_none());
}
