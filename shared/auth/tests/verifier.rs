//! The verifier: a good token of a live session, or a reason why not.
#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

mod common;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::Duration;
use common::{KID, TTL, grant, key_pair, key_set, now, rules, session};
use halyard_auth::{
    AuthnError,
    AuthnFailure::{self, Expired, Invalid, Malformed, Missing, Revoked},
    Principal, Verifier, token,
    verifier::{SessionSource, bearer_token},
};
use halyard_domain::{Entropy, ManualClock, SessionId, UserId, session::Session};

#[derive(Debug)]
enum Store {
    Holds(Box<Session>, i64),
    Empty,
    Down,
}

#[async_trait]
impl SessionSource for Store {
    async fn lookup(&self, _: UserId, _: SessionId) -> Result<Option<(Session, i64)>, AuthnError> {
        match self {
            Self::Holds(session, epoch) => Ok(Some((session.as_ref().clone(), *epoch))),
            Self::Empty => Ok(None),
            Self::Down => Err(AuthnError::Unavailable("down".into())),
        }
    }
}

fn bearer() -> String {
    let session = session();
    let (token, _) = token::issue(&key_pair(KID, 1).0, &rules(), TTL, &grant(&session), now(), &Entropy::seeded(1));
    format!("Bearer {token}")
}

async fn verify_at(store: Store, header: &str, later: Duration) -> Result<Principal, AuthnError> {
    let clock = Arc::new(ManualClock::new(now() + later));
    Verifier::new(key_set(&[key_pair(KID, 1).1]), rules(), Arc::new(store), clock).verify_bearer(header).await
}

async fn failure(store: Store, header: &str) -> AuthnFailure {
    match verify_at(store, header, Duration::zero()).await {
        Err(AuthnError::Failure(failure)) => failure,
        other => panic!("{other:?}"),
    }
}

fn holds(change: impl FnOnce(&mut Session), epoch: i64) -> Store {
    let mut session = session();
    change(&mut session);
    Store::Holds(Box::new(session), epoch)
}

#[tokio::test]
async fn a_good_token_of_a_live_session_names_the_caller() {
    let principal = verify_at(holds(|_| {}, 0), &bearer(), Duration::zero()).await.unwrap();
    assert_eq!(principal.user_id, UserId(42));
    assert_eq!(principal.permissions, session().permissions);
    assert_eq!(principal.expires_at, now() + Duration::hours(1));
}

#[tokio::test]
async fn a_session_that_ended_takes_its_tokens_along() {
    assert_eq!(failure(Store::Empty, &bearer()).await, Revoked);
    assert_eq!(failure(holds(|s| s.revoked_at = Some(now()), 0), &bearer()).await, Revoked);
    assert_eq!(failure(holds(|s| s.expires_at = now(), 0), &bearer()).await, Revoked);
    assert_eq!(failure(holds(|_| {}, 1), &bearer()).await, Revoked, "the user's epoch has moved on");
    assert_eq!(failure(holds(|s| s.user_id = UserId(1), 0), &bearer()).await, Revoked, "another user's session");
}

#[tokio::test]
async fn a_store_that_is_down_is_no_open_door_and_no_401() {
    let answer = verify_at(Store::Down, &bearer(), Duration::zero()).await;
    assert!(matches!(answer, Err(AuthnError::Unavailable(_))), "{answer:?}");
    // What the token alone gives away is told all the same.
    assert_eq!(failure(Store::Down, "Bearer nonsense").await, Malformed);
}

#[tokio::test]
async fn an_expired_token_is_refused_before_the_store_is_asked() {
    let answer = verify_at(Store::Down, &bearer(), Duration::hours(2)).await;
    assert!(matches!(answer, Err(AuthnError::Failure(Expired))), "{answer:?}");
    let answer = verify_at(Store::Down, &bearer(), Duration::hours(-2)).await;
    assert!(matches!(answer, Err(AuthnError::Failure(Invalid))), "{answer:?}");
}

#[test]
fn the_header_is_read_as_rfc_6750_writes_it() {
    assert_eq!(bearer_token("Bearer abc"), Ok("abc"));
    assert_eq!(bearer_token("bearer   abc "), Ok("abc"));
    assert_eq!(bearer_token("BEARER abc"), Ok("abc"));
    for empty in ["", "  "] {
        assert_eq!(bearer_token(empty), Err(Missing));
    }
    for bad in ["Bearer", "Bearer ", "abc", "Basic YTpi", "Bearer a b", "Bearer\tabc", "Bearerabc"] {
        assert_eq!(bearer_token(bad), Err(Malformed), "{bad:?}");
    }
}
