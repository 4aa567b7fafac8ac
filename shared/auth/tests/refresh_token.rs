//! Refresh tokens: one is good, a lost answer is told from a copy, an invention ends nobody's session.
#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

mod common;

use chrono::Duration;
use common::{KID, key_pair, now, session};
use halyard_auth::{
    AuthnFailure::{Malformed, Missing, WrongKind},
    SigningKeys,
    encoding::{from_base64url, to_base64url},
    keys::generate,
    token::{
        RefreshToken, RefreshTokens,
        RefreshVerdict::{Repeat, Replayed, Rotate, Unknown},
        refresh::{PREFIX, REPEAT_GRACE},
    },
};
use halyard_domain::{Entropy, SessionId, UserId, session::Session};
use proptest::prelude::*;
use serde_json::json;

fn tokens() -> RefreshTokens {
    RefreshTokens::new(&key_pair(KID, 1).0)
}

fn fresh() -> (RefreshToken, Session) {
    let mut session = session();
    let token = tokens().first(session.id, session.user_id, &Entropy::seeded(3));
    session.refresh_hash = token.hash();
    (token, session)
}

fn rotate(token: &RefreshToken, session: &mut Session) -> RefreshToken {
    let Rotate(next) = tokens().judge(token, session, now()) else { panic!("not the good token") };
    session.refresh_counter = next.counter;
    session.refresh_hash = next.hash();
    session.last_used_at = now();
    next
}

#[test]
fn the_good_token_rotates_to_the_next() {
    let (first, mut session) = fresh();
    let second = rotate(&first, &mut session);
    assert_eq!(second.counter, 1);
    assert_ne!(first.to_text(), second.to_text());
    let third = rotate(&second, &mut session);
    assert_eq!(third.counter, 2);
}

#[test]
fn a_lost_answer_gets_the_same_token_again_for_a_while() {
    let (first, mut session) = fresh();
    let second = rotate(&first, &mut session);
    let after = |delay| tokens().judge(&first, &session, now() + delay);
    assert_eq!(after(Duration::zero()), Repeat(second.clone()));
    assert_eq!(after(REPEAT_GRACE), Repeat(second));
    assert_eq!(after(REPEAT_GRACE + Duration::seconds(1)), Replayed);
}

#[test]
fn an_older_token_is_a_replay_even_at_once() {
    let (first, mut session) = fresh();
    let second = rotate(&first, &mut session);
    rotate(&second, &mut session);
    assert_eq!(tokens().judge(&first, &session, now()), Replayed);
}

#[test]
fn an_invented_token_is_unknown_and_ends_nothing() {
    let (first, mut session) = fresh();
    rotate(&first, &mut session);
    let stranger = RefreshTokens::new(&key_pair(KID, 2).0);
    let invented = stranger.first(session.id, session.user_id, &Entropy::seeded(4));
    assert_eq!(tokens().judge(&invented, &session, now()), Unknown);
    // Of another session, of another user.
    let other = tokens().first(SessionId(uuid::Uuid::from_u128(9)), session.user_id, &Entropy::seeded(3));
    assert_eq!(tokens().judge(&other, &session, now()), Unknown);
    let other = tokens().first(session.id, UserId(43), &Entropy::seeded(3));
    assert_eq!(tokens().judge(&other, &session, now()), Unknown);
}

#[test]
fn any_flipped_bit_makes_it_unknown() {
    let (first, mut session) = fresh();
    rotate(&first, &mut session);
    let bytes = from_base64url(&first.to_text()[PREFIX.len()..]).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let token = RefreshToken::parse(&format!("{PREFIX}{}", to_base64url(changed))).unwrap();
        assert_eq!(tokens().judge(&token, &session, now()), Unknown, "bit {bit}");
    }
}

#[test]
fn the_present_token_outlives_a_change_of_the_signing_key() {
    let (first, session) = fresh();
    let later = RefreshTokens::new(&key_pair("next", 2).0);
    assert!(matches!(later.judge(&first, &session, now()), Rotate(_)));
}

fn both(first: u8, second: u8) -> RefreshTokens {
    let private = |n: u8| generate(&format!("k{n}"), [n; 32]).unwrap().0;
    let keys = SigningKeys::from_json(&json!({"keys": [private(first), private(second)]}).to_string()).unwrap();
    RefreshTokens::of(&keys).unwrap()
}

/// Issuers that hold the same keys agree, whichever they put first: two tabs that ask two of them at once get one chain.
#[test]
fn a_family_stays_with_its_secret_while_any_issuer_holds_it() {
    let (first, mut session) = fresh();
    let second = rotate(&first, &mut session);
    for issuer in [both(1, 2), both(2, 1)] {
        assert_eq!(issuer.judge(&first, &session, now()), Repeat(second.clone()));
        let Rotate(third) = issuer.judge(&second, &session, now()) else { panic!("the good token") };
        assert_eq!(tokens().judge(&second, &session, now()), Rotate(third));
    }
    let without = RefreshTokens::new(&key_pair("k2", 2).0);
    assert_eq!(without.judge(&first, &session, now()), Unknown, "known by its tag alone");
    assert!(matches!(without.judge(&second, &session, now()), Rotate(_)), "known by its hash");
}

#[test]
fn a_copy_is_still_recognised_after_the_secret_is_no_longer_the_first() {
    let (first, mut session) = fresh();
    let second = rotate(&first, &mut session);
    rotate(&second, &mut session);
    assert_eq!(both(2, 1).judge(&first, &session, now()), Replayed);
}

#[test]
fn other_texts_are_told_apart() {
    let (first, _) = fresh();
    let text = first.to_text();
    assert_eq!(RefreshToken::parse(""), Err(Missing));
    assert_eq!(RefreshToken::parse("eyJhbGciOiJFZERTQSJ9.e30.AAAA"), Err(WrongKind));
    for bad in
        ["hr_", "hr_AAAA", "secret", &text[1..], &text[..text.len() - 1], &format!("{text}A"), &text.to_uppercase()]
    {
        assert_eq!(RefreshToken::parse(bad), Err(Malformed), "{bad}");
    }
    assert!(!format!("{first:?}").contains(&text[40..60]));
}

proptest! {
    #[test]
    fn the_text_survives_the_trip(user in any::<i64>(), session in any::<u128>(), seed in any::<u64>()) {
        let token = tokens().first(SessionId(uuid::Uuid::from_u128(session)), UserId(user), &Entropy::seeded(seed));
        let back = RefreshToken::parse(&token.to_text()).unwrap();
        prop_assert_eq!(&back, &token);
        prop_assert_eq!(back.user_id, UserId(user));
        prop_assert_eq!(back.hash(), token.hash());
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>()) {
        let _ = RefreshToken::parse(&text);
        let _ = RefreshToken::parse(&format!("{PREFIX}{text}"));
    }
}
