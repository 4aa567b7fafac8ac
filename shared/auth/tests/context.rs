//! The authorizer's context: what goes in comes out, and nothing else makes a caller.
#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

use chrono::DateTime;
use halyard_auth::{
    AuthnFailure, Credential, Principal,
    context::{Authn, from_context, to_context},
};
use halyard_domain::{ApiKeyId, SessionId, UserId, authz::Grants, user::Role};
use proptest::prelude::*;
use serde_json::{Value, json};

fn principals() -> impl Strategy<Value = Principal> {
    let role = prop::sample::select(vec![Role::Admin, Role::Operator, Role::User]);
    let permissions = prop::collection::vec("[a-z]{1,8}:[a-z_*]{1,12}", 0..5);
    let time = 0..4_000_000_000_i64;
    (any::<i64>(), "[a-zA-Z0-9._-]{3,80}", role, permissions, credentials(), time.clone(), time).prop_map(
        |(user, username, role, permissions, credential, auth_time, exp)| Principal {
            user_id: UserId(user),
            username,
            role,
            permissions: Grants(permissions),
            credential,
            authenticated_at: DateTime::from_timestamp(auth_time, 0).unwrap(),
            expires_at: DateTime::from_timestamp(exp, 0).unwrap(),
        },
    )
}

fn credentials() -> impl Strategy<Value = Credential> {
    let methods = prop::collection::vec("[a-z]{1,5}", 0..3);
    prop_oneof![
        (any::<u128>(), methods)
            .prop_map(|(id, methods)| Credential::Session { id: SessionId(uuid::Uuid::from_u128(id)), methods }),
        any::<u128>().prop_map(|id| Credential::ApiKey { id: ApiKeyId(uuid::Uuid::from_u128(id)) }),
    ]
}

proptest! {
    #[test]
    fn a_caller_survives_the_trip(principal in principals()) {
        let context = to_context(&principal);
        prop_assert!(context.as_object().unwrap().values().all(Value::is_string));
        prop_assert_eq!(from_context(&context), Some(principal.clone()));
        prop_assert_eq!(Authn::from_context(&context), Some(Authn::Ok(Box::new(principal))));
    }

    #[test]
    fn a_context_that_lacks_anything_names_nobody(principal in principals(), at in 0..8_usize) {
        let mut context = to_context(&principal);
        let key = context.as_object().unwrap().keys().nth(at).unwrap().clone();
        context.as_object_mut().unwrap().remove(&key);
        prop_assert_eq!(from_context(&context), None);
        prop_assert_eq!(Authn::from_context(&context), None);
    }
}

#[test]
fn a_context_with_a_session_and_a_key_names_nobody() {
    let id = uuid::Uuid::from_u128(7);
    let credential = Credential::Session { id: SessionId(id), methods: vec!["pwd".into(), "otp".into()] };
    let principal = Principal {
        user_id: UserId(1),
        username: "ada".into(),
        role: Role::User,
        permissions: Grants::default(),
        credential,
        authenticated_at: DateTime::UNIX_EPOCH,
        expires_at: DateTime::UNIX_EPOCH,
    };
    let mut context = to_context(&principal);
    assert_eq!(context["amr"], "pwd otp");
    context["api_key_id"] = ApiKeyId(id).to_string().into();
    assert_eq!(from_context(&context), None);
}

#[test]
fn what_is_not_ok_names_nobody() {
    for authn in [Authn::Anonymous, Authn::Unavailable, Authn::Invalid(AuthnFailure::Revoked)] {
        let context = authn.to_context();
        assert_eq!(from_context(&context), None);
        assert_eq!(Authn::from_context(&context), Some(authn));
    }
    assert_eq!(Authn::from_context(&json!({})), None);
    assert_eq!(Authn::from_context(&Value::Null), None);
    assert_eq!(Authn::from_context(&json!({"authn": "root"})), None);
    let unknown_reason = json!({"authn": "invalid", "reason": "new"});
    assert_eq!(Authn::from_context(&unknown_reason), Some(Authn::Invalid(AuthnFailure::Invalid)));
}
