//! Doorbells on the wire.

use std::time::Duration;

use halyard_domain::Lane;
use halyard_jobs::doorbell::{Doorbell, LaneQueues, TraceIds, at_least, decode, message, messages};

#[test]
fn a_doorbell_names_its_lane_and_carries_the_ids() {
    let ids = TraceIds { request_id: Some("req_1".to_owned()), traceparent: None };
    let bell = message(Lane::High, Duration::from_millis(1_200), &ids);
    assert_eq!(bell.body, r#"{"v":1,"lane":"high"}"#);
    assert_eq!(bell.delay, Duration::from_secs(2), "whole seconds, never early");
    assert_eq!(bell.attributes, [("request_id".to_owned(), "req_1".to_owned())]);
    assert_eq!(decode(&bell.body).unwrap(), Doorbell { lane: Lane::High, count: 1 });
    assert_eq!(message(Lane::Low, Duration::from_hours(1), &ids).delay, Duration::from_mins(15), "SQS' limit");
}

#[test]
fn many_tasks_share_doorbells_and_none_is_left_out() {
    for count in [0, 1, 10, 11, 49, 50, 51, 1_234, 10_000] {
        let bells = messages(Lane::Default, Duration::ZERO, count, &TraceIds::default());
        assert!(bells.len() <= 50, "{count}");
        let heard: Vec<_> = bells.iter().map(|bell| decode(&bell.body).unwrap().count).collect();
        assert_eq!(heard.iter().sum::<usize>(), count);
        assert!(heard.iter().max().copied().unwrap_or(0) - heard.iter().min().copied().unwrap_or(0) <= 1, "{heard:?}");
    }
}

#[test]
fn what_was_not_counted_to_its_end_is_rung_for_to_its_end() {
    assert_eq!((at_least(-1), at_least(0), at_least(9_999)), (0, 0, 9_999));
    let bells = messages(Lane::Default, Duration::ZERO, at_least(10_000), &TraceIds::default());
    assert_eq!(bells.len(), 50);
    assert!(bells.iter().all(|bell| decode(&bell.body).unwrap().count > 100_000));
}

#[test]
fn anything_else_is_no_doorbell() {
    for body in [
        "",
        "{}",
        "null",
        r#"{"v":2,"lane":"high"}"#,
        r#"{"v":1,"lane":"high","count":0}"#,
        r#"{"v":1,"lane":"high","count":-1}"#,
        r#"{"v":1,"lane":"attic"}"#,
    ] {
        assert!(decode(body).is_err(), "{body}");
    }
}

#[test]
fn a_queue_is_named_by_the_end_of_its_url() {
    let queues = LaneQueues::from_urls([(Lane::Low, "http://localhost:4566/000000000000/halyard-low/")]);
    assert_eq!(queues.get(Lane::Low).unwrap().0, "halyard-low");
    assert!(queues.get(Lane::High).is_none());
}
