//! The life of keys: what may happen when, and that nobody is refused whatever the order of lawful steps.
#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

mod common;

use chrono::{DateTime, Duration, Utc};
use common::{key_pair, key_set, now};
use halyard_auth::{
    KeySet, Keys, SigningKeys,
    keys::{KeyState, Roster, RosterError, Timing, generate},
};
use proptest::prelude::*;
use serde_json::{Value, json};

const TTL: Duration = Duration::minutes(60);

fn timing() -> Timing {
    Timing::of(TTL)
}

fn public(n: u8) -> Value {
    key_pair(&format!("k{n}"), n).1
}

fn states(roster: &Roster) -> Vec<(String, KeyState)> {
    roster.entries().iter().map(|entry| (entry.kid.clone(), entry.state)).collect()
}

fn named(pairs: &[(&str, KeyState)]) -> Vec<(String, KeyState)> {
    pairs.iter().map(|(kid, state)| ((*kid).to_owned(), *state)).collect()
}

/// As verifiers read what is stored.
fn stored(roster: &Roster) -> KeySet {
    KeySet::from_jwks(&json!({"keys": roster.to_stored()}).to_string()).unwrap()
}

#[test]
fn a_key_goes_from_standby_to_current_to_previous_to_nothing() {
    use KeyState::{Current, Previous, Revoked, Standby};
    let mut roster = Roster::of(&key_set(&[public(1)]), now());
    assert_eq!(roster.promote(now(), &timing()), Err(RosterError::NoStandby));
    assert_eq!(roster.publish(&key_set(&[public(1), public(2)]), now()), ["k2"]);
    assert_eq!(states(&roster), named(&[("k1", Current), ("k2", Standby)]));

    let ahead = now() + timing().ahead;
    let early = roster.promote(ahead - Duration::seconds(1), &timing());
    assert_eq!(early, Err(RosterError::TooEarly("k2".into(), ahead)));
    assert_eq!(roster.promote(ahead, &timing()), Ok("k2".into()));
    assert_eq!(states(&roster), named(&[("k1", Previous), ("k2", Current)]));

    let after = ahead + timing().after;
    let early = roster.retire("k1", after - Duration::seconds(1), &timing());
    assert_eq!(early, Err(RosterError::TooEarly("k1".into(), after)));
    assert_eq!(roster.retire("k2", after, &timing()), Err(RosterError::Signs("k2".into())));
    assert_eq!(roster.retire("k1", after, &timing()), Ok(()));
    assert_eq!(states(&roster), named(&[("k1", Revoked), ("k2", Current)]));
    assert!(stored(&roster).find("k1").is_none());
    // It does not come back with a configuration that still has it, and is forgotten with one that does not.
    assert!(roster.publish(&key_set(&[public(1), public(2)]), after).is_empty());
    assert!(roster.publish(&key_set(&[public(2)]), after).is_empty());
    assert_eq!(states(&roster), named(&[("k2", Current)]));
}

#[test]
fn a_revoked_key_ends_at_once_and_another_one_signs() {
    use KeyState::{Current, Revoked};
    let mut roster = Roster::of(&key_set(&[public(1)]), now());
    assert_eq!(roster.revoke("k1", now()), Err(RosterError::NoStandby), "nobody would sign");
    assert_eq!(roster.revoke("nobody", now()), Err(RosterError::NoSuchKey("nobody".into())));
    roster.publish(&key_set(&[public(1), public(2)]), now());
    assert_eq!(roster.revoke("k1", now()), Ok(Some("k2".into())));
    assert_eq!(states(&roster), named(&[("k1", Revoked), ("k2", Current)]));
    assert_eq!(roster.revoke("k1", now()), Err(RosterError::NoSuchKey("k1".into())));
}

#[test]
fn a_set_of_keys_without_states_gives_one_current_key() {
    use KeyState::{Current, Previous};
    let roster = Roster::of(&key_set(&[public(1), public(2)]), now());
    assert_eq!(states(&roster), named(&[("k1", Current), ("k2", Previous)]));
    assert_eq!(Roster::from_stored(&roster.to_stored()).unwrap(), roster);
    assert!(Roster::from_stored(&json!("keys")).is_err());
}

#[test]
fn the_signer_is_the_current_key_or_a_previous_one_and_never_a_stranger_of_its_name() {
    let private = |n: u8| generate(&format!("k{n}"), [n; 32]).unwrap().0;
    let both = SigningKeys::from_json(&json!({"keys": [private(1), private(2)]}).to_string()).unwrap();
    let old = SigningKeys::from_json(&private(1).to_string()).unwrap();
    let mut roster = Roster::of(&key_set(&[public(1)]), now());
    roster.publish(&key_set(&[public(2)]), now());
    let signer = |keys: &SigningKeys, roster: &Roster| keys.signer(&stored(roster)).map(|key| key.kid().to_owned());
    assert_eq!(signer(&both, &roster).as_deref(), Some("k1"));
    roster.promote(now() + timing().ahead, &timing()).unwrap();
    assert_eq!(signer(&both, &roster).as_deref(), Some("k2"));
    assert_eq!(signer(&old, &roster).as_deref(), Some("k1"), "an issuer that was not told yet");
    roster.revoke("k1", now()).unwrap();
    assert_eq!(signer(&old, &roster), None);
    let mut stranger = generate("k2", [9; 32]).unwrap().0;
    stranger["kid"] = json!("k2");
    assert_eq!(signer(&SigningKeys::from_json(&stranger.to_string()).unwrap(), &roster), None);
    assert!(SigningKeys::from_json(r#"{"keys":[]}"#).is_err());
    assert!(SigningKeys::from_json(&json!({"keys": [private(1), private(1)]}).to_string()).is_err());
}

#[derive(Debug, Clone)]
enum Step {
    Publish,
    Promote,
    Retire(usize),
    Wait(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        Just(Step::Publish),
        Just(Step::Promote),
        (0..6_usize).prop_map(Step::Retire),
        (1..5_000_i64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..60)
}

/// What the set was when: the state that a copy read at that moment has.
fn at(history: &[(DateTime<Utc>, Roster)], time: DateTime<Utc>) -> &Roster {
    let found = history.iter().rev().find(|(from, _)| *from <= time);
    &found.unwrap_or(&history[0]).1
}

proptest! {
    /// Whatever steps are taken: a token that somebody signed by a copy as old as copies get is good at everybody who
    /// verifies by a copy as old as copies get, for as long as it lives.
    #[test]
    fn lawful_steps_refuse_nobody(
        steps in steps(),
        sign_lag in 0..=300_i64, verify_lag in 0..=300_i64, signed in 0..100_000_i64, used in 0..3_605_i64,
    ) {
        let (mut time, mut roster) = (now(), Roster::of(&key_set(&[public(1)]), now()));
        let mut history = vec![(time, roster.clone())];
        let mut configured = vec![public(1)];
        for step in steps {
            match step {
                Step::Publish => {
                    let next = u8::try_from(configured.len() + 1).unwrap();
                    configured.push(public(next));
                    roster.publish(&key_set(&configured), time);
                }
                Step::Promote => drop(roster.promote(time, &timing())),
                Step::Retire(n) => {
                    let kid = roster.entries().get(n).map(|entry| entry.kid.clone());
                    if let Some(kid) = kid { drop(roster.retire(&kid, time, &timing())); }
                }
                Step::Wait(seconds) => time += Duration::seconds(seconds),
            }
            history.push((time, roster.clone()));
            let current = roster.entries().iter().filter(|e| e.state == KeyState::Current).count();
            prop_assert_eq!(current, 1);
        }
        prop_assert!(sign_lag <= Keys::MAX_AGE.num_seconds());
        let signed = now() + Duration::seconds(signed);
        let signer = at(&history, signed - Duration::seconds(sign_lag));
        let kid = &signer.entries().iter().find(|e| e.state == KeyState::Current).unwrap().kid;
        let verifier = at(&history, signed + Duration::seconds(used - verify_lag));
        prop_assert!(stored(verifier).find(kid).is_some(), "{} {:?}", kid, verifier);
    }
}
