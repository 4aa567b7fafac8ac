//! The transition table and the verdict at the end of an attempt.

#![allow(clippy::unwrap_used, reason = "tests")]

use chrono::{DateTime, Duration, Utc};
use halyard_domain::{
    Lane, Priority,
    retry::RetryPolicy,
    task::{
        AGING_STEP, AttemptEnd, AttemptHistory, LOST_LEASE_SPREAD, MAX_LOST_LEASES, TaskState, UNKNOWN_TYPE_DELAY,
        Verdict, claim_order, verdict,
    },
};
use proptest::prelude::*;

const FRESH: AttemptHistory = AttemptHistory { failures: 1, lost_leases: 0, cancel_requested: false };

fn any_end() -> impl Strategy<Value = AttemptEnd> {
    prop_oneof![
        Just(AttemptEnd::Succeeded),
        Just(AttemptEnd::Failed),
        Just(AttemptEnd::Panicked),
        Just(AttemptEnd::FailedForGood),
        Just(AttemptEnd::Cancelled),
        Just(AttemptEnd::Expired),
        Just(AttemptEnd::UnknownType),
        Just(AttemptEnd::Undecodable),
        Just(AttemptEnd::LeaseLost),
    ]
}

fn any_state() -> impl Strategy<Value = TaskState> {
    prop::sample::select(TaskState::ALL.to_vec())
}

#[test]
fn names_of_states_read_back() {
    for state in TaskState::ALL {
        assert_eq!(state.as_str().parse(), Ok(state));
    }
    assert!("done".parse::<TaskState>().is_err());
}

#[test]
fn a_failed_attempt_is_tried_again_until_the_retries_are_used_up() {
    let policy = RetryPolicy { max_retries: 2, retry_delay: 10, exponential_backoff: true };
    let at = |failures| verdict(AttemptEnd::Failed, AttemptHistory { failures, ..FRESH }, &policy, 1.0);
    assert_eq!(at(1), Verdict::RetryAfter(Duration::seconds(10)));
    assert_eq!(at(2), Verdict::RetryAfter(Duration::seconds(20)));
    assert_eq!(at(3), Verdict::End(TaskState::Failed));
}

#[test]
fn a_panic_is_tried_again_like_a_failure_and_then_given_up() {
    let policy = RetryPolicy { max_retries: 1, retry_delay: 10, exponential_backoff: true };
    let at = |failures| verdict(AttemptEnd::Panicked, AttemptHistory { failures, ..FRESH }, &policy, 1.0);
    assert_eq!(at(1), Verdict::RetryAfter(Duration::seconds(10)));
    assert_eq!(at(2), Verdict::End(TaskState::Dead));
}

#[test]
fn an_unknown_type_is_waited_for_a_quarter_of_an_hour_whatever_the_retries() {
    let policy = RetryPolicy { max_retries: 0, ..RetryPolicy::default() };
    let at = |lost_leases, jitter| {
        verdict(AttemptEnd::UnknownType, AttemptHistory { lost_leases, ..FRESH }, &policy, jitter)
    };
    for (lost_leases, times) in [(1, 1), (2, 2), (3, 4), (4, 8)] {
        assert_eq!(at(lost_leases, 0.0), Verdict::RetryAfter(UNKNOWN_TYPE_DELAY * times));
        let Verdict::RetryAfter(delay) = at(lost_leases, 1.0) else { panic!("it is given up") };
        assert_eq!(delay, UNKNOWN_TYPE_DELAY * times * 11 / 10, "a tenth more at most");
    }
    assert_eq!(at(MAX_LOST_LEASES, 0.0), Verdict::End(TaskState::Dead));
    let undecodable = verdict(AttemptEnd::Undecodable, FRESH, &RetryPolicy::default(), 0.0);
    assert_eq!(undecodable, Verdict::End(TaskState::Dead), "it is the same input the next time");
}

#[test]
fn the_platform_gives_up_after_five_lost_leases() {
    let policy = RetryPolicy::default();
    let at = |lost_leases| verdict(AttemptEnd::LeaseLost, AttemptHistory { lost_leases, ..FRESH }, &policy, 0.5);
    assert_eq!(at(1), Verdict::RetryAfter(Duration::zero()), "a worker is replaced");
    assert_eq!(at(2), Verdict::RetryAfter(LOST_LEASE_SPREAD / 2), "each at its own time");
    assert_eq!(at(MAX_LOST_LEASES - 1), Verdict::RetryAfter(LOST_LEASE_SPREAD * 2));
    assert_eq!(at(MAX_LOST_LEASES), Verdict::End(TaskState::Dead));
}

#[test]
fn a_result_wins_over_a_cancellation_that_came_too_late() {
    let cancelled = AttemptHistory { cancel_requested: true, ..FRESH };
    let of = |end| verdict(end, cancelled, &RetryPolicy::default(), 0.0);
    assert_eq!(of(AttemptEnd::Succeeded), Verdict::End(TaskState::Completed));
    assert_eq!(of(AttemptEnd::Failed), Verdict::End(TaskState::Cancelled));
    for end in [AttemptEnd::LeaseLost, AttemptEnd::Panicked, AttemptEnd::UnknownType] {
        assert_eq!(of(end), Verdict::End(TaskState::Cancelled));
    }
}

proptest! {
    #[test]
    fn a_terminal_state_never_changes(from in any_state(), to in any_state()) {
        prop_assert!(!(from.is_terminal() && from.may_become(to)));
    }

    #[test]
    fn every_verdict_is_a_transition_that_a_running_task_may_make(
        end in any_end(), failures in 0_i16..15, lost_leases in 0_i16..15, cancel_requested: bool,
        max_retries in 0_i16..=10, retry_delay in 0_i32..=86_400, exponential_backoff: bool, jitter in 0.0..1.0_f64,
    ) {
        let policy = RetryPolicy { max_retries, retry_delay, exponential_backoff };
        match verdict(end, AttemptHistory { failures, lost_leases, cancel_requested }, &policy, jitter) {
            Verdict::End(state) => {
                prop_assert!(state.is_terminal());
                prop_assert!(TaskState::Running.may_become(state));
            }
            Verdict::RetryAfter(delay) => {
                prop_assert!(!cancel_requested);
                prop_assert!(delay >= Duration::zero() && delay <= RetryPolicy::MAX_DELAY);
            }
        }
    }

    #[test]
    fn a_delay_lies_between_half_and_all_of_its_nominal_value(
        retry in 1_i16..=10, retry_delay in 0_i32..=86_400, exponential_backoff: bool, jitter in 0.0..1.0_f64,
    ) {
        let policy = RetryPolicy { max_retries: 10, retry_delay, exponential_backoff };
        let factor = if exponential_backoff { 1_i64 << (retry - 1) } else { 1 };
        let nominal = Duration::seconds(i64::from(retry_delay) * factor).min(RetryPolicy::MAX_DELAY);
        let delay = policy.delay(retry, jitter).unwrap();
        prop_assert!(delay * 2 >= nominal && delay <= nominal);
        prop_assert_eq!(policy.delay(11, jitter), None);
    }

    #[test]
    fn waiting_makes_up_for_a_lower_priority(
        a in 1_i16..=10, b in 1_i16..=10, due in 0_i64..4_000_000_000, later_s in 0_i64..1_000,
    ) {
        let first: DateTime<Utc> = DateTime::from_timestamp(due, 0).unwrap();
        let second = first + Duration::seconds(later_s);
        let (a, b) = (Priority::try_from(a).unwrap(), Priority::try_from(b).unwrap());
        let overtakes = claim_order(second, b) < claim_order(first, a);
        let steps = i32::from(a.get()) - i32::from(b.get());
        prop_assert_eq!(overtakes, Duration::seconds(later_s) < AGING_STEP * steps);
    }
}

#[test]
fn priorities_map_to_lanes() {
    let lane = |n| Priority::try_from(n).map(Lane::for_priority);
    assert_eq!([lane(1), lane(3)], [Ok(Lane::High); 2]);
    assert_eq!([lane(4), lane(7)], [Ok(Lane::Default); 2]);
    assert_eq!([lane(8), lane(10)], [Ok(Lane::Low); 2]);
    assert!(lane(0).is_err() && lane(11).is_err());
}
