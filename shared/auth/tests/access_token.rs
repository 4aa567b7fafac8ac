//! Access tokens: what is issued verifies, and nothing else does.
#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

mod common;

use chrono::Duration;
use common::{KID, TTL, forge, good_claims, good_header, grant, key_pair, key_set, now, rules, session};
use halyard_auth::{
    AuthnFailure::{self, Expired, Invalid, Malformed, Missing, WrongKind},
    KeySet,
    encoding::to_base64url,
    token::{self, AccessClaims, RefreshTokens},
};
use halyard_domain::{Entropy, SessionId, UserId, authz::Grants, user::Role};
use proptest::prelude::*;
use serde_json::{Value, json};

fn verify(token: &str) -> Result<AccessClaims, AuthnFailure> {
    token::verify(token, &keys(), &rules(), now())
}

fn keys() -> KeySet {
    key_set(&[key_pair(KID, 1).1])
}

fn signed(header: &Value, claims: &Value) -> String {
    forge(&key_pair(KID, 1).0, &header.to_string(), &claims.to_string())
}

fn with(mut object: Value, member: &str, value: Value) -> Value {
    object[member] = value;
    object
}

fn without(mut object: Value, member: &str) -> Value {
    object.as_object_mut().unwrap().remove(member);
    object
}

#[test]
fn an_issued_token_verifies() {
    let session = session();
    let (token, end) = token::issue(&key_pair(KID, 1).0, &rules(), TTL, &grant(&session), now(), &Entropy::seeded(1));
    assert!(token.len() < 1000, "{} characters", token.len());
    assert_eq!(end, now() + Duration::hours(1));
    let claims = verify(&token).unwrap();
    assert_eq!(claims.user_id(), Some(session.user_id));
    assert_eq!((claims.sid, claims.role, claims.username.as_str()), (session.id, session.role, "ada"));
    assert_eq!(claims.scope, session.permissions.0.join(" "));
    assert_eq!(verify(&signed(&good_header(), &good_claims())).map(|c| c.sid), Ok(session.id));
}

#[test]
fn two_tokens_of_one_moment_differ() {
    let (session, entropy) = (session(), Entropy::seeded(1));
    let issue = || token::issue(&key_pair(KID, 1).0, &rules(), TTL, &grant(&session), now(), &entropy).0;
    assert_ne!(issue(), issue());
}

#[test]
fn the_algorithm_is_the_keys_and_not_the_headers() {
    let claims = to_base64url(good_claims().to_string());
    for alg in ["none", "None", "NONE", ""] {
        let header = to_base64url(json!({"typ": "at+jwt", "alg": alg, "kid": KID}).to_string());
        assert_eq!(verify(&format!("{header}.{claims}.")), Err(Invalid), "alg {alg:?}, no signature");
    }
    // The public key as an HMAC secret, in each form in which one could hand it to a careless verifier.
    let public = key_pair(KID, 1).1;
    let x = public["x"].as_str().unwrap();
    let raw = halyard_auth::encoding::from_base64url(x).unwrap();
    for secret in [x.as_bytes().to_vec(), raw, public.to_string().into_bytes()] {
        let header = to_base64url(json!({"typ": "at+jwt", "alg": "HS256", "kid": KID}).to_string());
        let input = format!("{header}.{claims}");
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &secret);
        let tag = to_base64url(aws_lc_rs::hmac::sign(&key, input.as_bytes()));
        assert_eq!(verify(&format!("{input}.{tag}")), Err(Invalid));
    }
    for alg in ["HS256", "RS256", "ES256", "eddsa", "Ed448", "none"] {
        assert_eq!(verify(&signed(&with(good_header(), "alg", json!(alg)), &good_claims())), Err(Invalid), "{alg}");
    }
}

#[test]
fn the_key_is_found_by_name_and_by_nothing_else() {
    for kid in ["", "unknown", "../../etc/passwd", "/dev/null", "' or 1=1 --", "2026-11\0", "2026-11 "] {
        assert_eq!(verify(&signed(&with(good_header(), "kid", json!(kid)), &good_claims())), Err(Invalid), "{kid:?}");
    }
    assert_eq!(verify(&signed(&without(good_header(), "kid"), &good_claims())), Err(Invalid));
    assert_eq!(verify(&signed(&with(good_header(), "kid", json!(["2026-11"])), &good_claims())), Err(Invalid));
    // Another key under the right name.
    let stranger = forge(&key_pair(KID, 9).0, &good_header().to_string(), &good_claims().to_string());
    assert_eq!(verify(&stranger), Err(Invalid));
}

#[test]
fn a_header_that_brings_a_key_or_asks_for_extensions_is_refused() {
    let public = key_pair(KID, 1).1;
    let additions = [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("crit", Value::Null),
        ("b64", json!(false)),
        ("jwk", public),
        ("jku", json!("https://attacker.test/jwks.json")),
        ("x5u", json!("https://attacker.test/cert.pem")),
        ("zip", json!("DEF")),
        ("cty", json!("JWT")),
    ];
    for (member, value) in additions {
        assert_eq!(verify(&signed(&with(good_header(), member, value), &good_claims())), Err(Invalid), "{member}");
    }
}

#[test]
fn another_type_of_token_is_of_the_wrong_kind() {
    for typ in [json!("JWT"), json!("at+JWT"), json!("refresh+jwt"), json!("application/at+jwt"), Value::Null] {
        assert_eq!(verify(&signed(&with(good_header(), "typ", typ.clone()), &good_claims())), Err(WrongKind), "{typ}");
    }
    assert_eq!(verify(&signed(&without(good_header(), "typ"), &good_claims())), Err(WrongKind));
    let refresh = RefreshTokens::new(&key_pair(KID, 1).0).first(session().id, UserId(42), &Entropy::seeded(1));
    assert_eq!(verify(&refresh.to_text()), Err(WrongKind));
}

#[test]
fn issuer_audience_and_subject_are_checked() {
    let changes = [
        ("iss", json!("https://halyard.test/")),
        ("iss", json!("https://attacker.test")),
        ("aud", json!("other")),
        ("aud", json!(["halyard", "other"])),
        ("sub", json!("root")),
        ("sub", json!("")),
        ("sub", json!(42)),
        ("sid", json!("sess_short")),
        ("role", json!("root")),
        ("exp", json!("never")),
        ("exp", json!(1.5e300)),
        ("exp", Value::Null),
    ];
    for (claim, value) in changes {
        let token = signed(&good_header(), &with(good_claims(), claim, value.clone()));
        assert_eq!(verify(&token), Err(Invalid), "{claim}: {value}");
    }
    for claim in ["iss", "aud", "sub", "exp", "nbf", "iat", "jti", "sid", "role", "scope", "username", "auth_time"] {
        assert_eq!(verify(&signed(&good_header(), &without(good_claims(), claim))), Err(Invalid), "no {claim}");
    }
}

#[test]
fn times_are_checked_with_five_seconds_of_leeway() {
    let at = |claim: &str, offset: i64| {
        verify(&signed(&good_header(), &with(good_claims(), claim, json!(now().timestamp() + offset)))).map(|_| ())
    };
    assert_eq!(at("exp", 1), Ok(()));
    assert_eq!(at("exp", -4), Ok(()));
    assert_eq!(at("exp", -5), Err(Expired));
    assert_eq!(at("exp", -100_000), Err(Expired));
    assert_eq!(at("nbf", 5), Ok(()));
    assert_eq!(at("nbf", 6), Err(Invalid));
    assert_eq!(at("iat", 5), Ok(()));
    assert_eq!(at("iat", 6), Err(Invalid));
    let forever = signed(&good_header(), &with(good_claims(), "exp", json!(i64::MAX)));
    assert!(verify(&forever).is_ok(), "the sum with the leeway must not overflow");
}

#[test]
fn claims_that_come_twice_are_refused() {
    let key = key_pair(KID, 1).0;
    let claims = good_claims().to_string();
    let twice = format!("{},\"sub\":\"1\"}}", claims.strip_suffix('}').unwrap());
    assert_eq!(verify(&forge(&key, &good_header().to_string(), &twice)), Err(Invalid));
    let header = format!(r#"{{"typ":"at+jwt","alg":"none","alg":"EdDSA","kid":"{KID}"}}"#);
    assert_eq!(verify(&forge(&key, &header, &claims)), Err(Invalid));
}

#[test]
fn what_is_no_token_is_malformed() {
    assert_eq!(verify(""), Err(Missing));
    let good = signed(&good_header(), &good_claims());
    let padded = format!("{good}=");
    let four = format!("{good}.e30");
    for text in ["x", "a.b", "..", "a.b.c.d", "é.é.é", "%00.%00.%00", padded.as_str(), four.as_str()] {
        assert_eq!(verify(text).map_err(|e| e != Expired && e != WrongKind), Err(true), "{text}");
    }
    assert_eq!(verify(&padded), Err(Malformed));
    assert_eq!(verify(&four), Err(Malformed));
    assert_eq!(verify(&"a".repeat(1 << 20)), Err(Malformed));
    let huge = signed(&good_header(), &with(good_claims(), "username", json!("x".repeat(5000))));
    assert_eq!(verify(&huge), Err(Malformed), "a token above 4 KiB is not even read");
}

#[test]
fn a_signature_of_other_bytes_does_not_verify() {
    let good = signed(&good_header(), &good_claims());
    let (input, _) = good.rsplit_once('.').unwrap();
    for signature in ["", "AA", &"A".repeat(86), &"_".repeat(86)] {
        assert!(verify(&format!("{input}.{signature}")).is_err(), "{signature}");
    }
    let (header, rest) = good.split_once('.').unwrap();
    let (_, signature) = rest.split_once('.').unwrap();
    let promoted = to_base64url(with(good_claims(), "role", json!("admin")).to_string());
    assert_eq!(verify(&format!("{header}.{promoted}.{signature}")), Err(Invalid));
}

proptest! {
    #[test]
    fn any_grant_survives_the_trip(
        user in any::<i64>(),
        name in "[a-zA-Z0-9._-]{3,80}",
        session_id in any::<u128>(),
        role in prop::sample::select(vec![Role::Admin, Role::Operator, Role::User]),
        personal in prop::collection::vec("[a-z]{1,8}:[a-z_]{1,12}", 0..5),
    ) {
        let mut record = session();
        record.user_id = UserId(user);
        record.username = name;
        record.id = SessionId(uuid::Uuid::from_u128(session_id));
        record.role = role;
        record.permissions = Grants(personal);
        let (token, _) = token::issue(&key_pair(KID, 1).0, &rules(), TTL, &grant(&record), now(), &Entropy::seeded(1));
        let claims = verify(&token).unwrap();
        prop_assert_eq!(claims.user_id(), Some(record.user_id));
        prop_assert_eq!(claims.username, record.username);
        prop_assert_eq!(claims.sid, record.id);
        prop_assert_eq!(claims.role, record.role);
        prop_assert_eq!(claims.scope, record.permissions.0.join(" "));
    }

    #[test]
    fn one_changed_character_anywhere_spoils_a_token(at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let good = signed(&good_header(), &good_claims());
        let mut bytes = good.clone().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = to & 0x7f;
        let changed = String::from_utf8(bytes).unwrap();
        prop_assume!(changed != good);
        prop_assert!(verify(&changed).is_err());
    }

    #[test]
    fn no_text_makes_the_verifier_panic(text in any::<String>()) {
        prop_assert!(verify(&text).is_err());
    }
}
