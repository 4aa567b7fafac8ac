//! HS256: off unless configured, and then for tokens of the shared secret alone.
#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

mod common;

use aws_lc_rs::hmac;
use common::{KID, forge, good_claims, good_header, key_pair, key_set, now, rules, session};
use halyard_auth::{
    AuthnFailure::{self, Invalid},
    KeySet,
    encoding::{from_base64url, to_base64url},
    keys::{KeyError, SharedSecret, generate},
    token,
};
use serde_json::{Value, json};

const SECRET: &str = "b6tWq0v3nT8xKc1LrZ5hPq7sYd2fGj4m";

fn keys(secret: Option<&str>) -> KeySet {
    key_set(&[key_pair(KID, 1).1]).with_shared(secret.map(|s| SharedSecret::new(s).unwrap())).unwrap()
}

fn tagged(secret: &[u8], header: &Value) -> String {
    let input = format!("{}.{}", to_base64url(header.to_string()), to_base64url(good_claims().to_string()));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), input.as_bytes());
    format!("{input}.{}", to_base64url(tag))
}

fn verify(token: &str, keys: &KeySet) -> Result<(), AuthnFailure> {
    token::verify(token, keys, &rules(), now()).map(|claims| assert_eq!(claims.sid, session().id))
}

#[test]
fn a_token_of_the_shared_secret_is_accepted_where_it_is_configured() {
    for header in [json!({"typ": "at+jwt", "alg": "HS256"}), json!({"typ": "at+jwt", "alg": "HS256", "kid": "hs256"})] {
        let token = tagged(SECRET.as_bytes(), &header);
        assert_eq!(verify(&token, &keys(Some(SECRET))), Ok(()), "{header}");
        assert_eq!(verify(&token, &keys(None)), Err(Invalid), "{header}");
        assert_eq!(verify(&tagged(b"another secret of thirty-two byte", &header), &keys(Some(SECRET))), Err(Invalid));
    }
}

#[test]
fn the_algorithm_and_the_name_belong_together() {
    let keys = keys(Some(SECRET));
    let public = key_pair(KID, 1).1;
    let x = public["x"].as_str().unwrap();
    let secrets =
        [SECRET.as_bytes().to_vec(), x.as_bytes().to_vec(), from_base64url(x).unwrap(), public.to_string().into()];
    for secret in &secrets {
        // With a public key's name, whatever the secret.
        let header = json!({"typ": "at+jwt", "alg": "HS256", "kid": KID});
        assert_eq!(verify(&tagged(secret, &header), &keys), Err(Invalid));
        for alg in ["EdDSA", "HS384", "HS512", "hs256", "none", ""] {
            for header in [json!({"typ": "at+jwt", "alg": alg}), json!({"typ": "at+jwt", "alg": alg, "kid": "hs256"})] {
                assert_eq!(verify(&tagged(secret, &header), &keys), Err(Invalid), "{header}");
            }
        }
    }
    for secret in &secrets[1..] {
        // Without a name, but with what everybody can read.
        let header = json!({"typ": "at+jwt", "alg": "HS256"});
        assert_eq!(verify(&tagged(secret, &header), &keys), Err(Invalid));
    }
    // A good signature of the public key without its name.
    let mut header = good_header();
    header.as_object_mut().unwrap().remove("kid");
    let nameless = forge(&key_pair(KID, 1).0, &header.to_string(), &good_claims().to_string());
    assert_eq!(verify(&nameless, &keys), Err(Invalid));
}

#[test]
fn a_secret_that_is_short_known_or_public_is_refused() {
    let weak = [
        "",
        "short",
        "0123456789abcdef0123456789abcde",
        "your-256-bit-secret-your-256-bit-secret",
        "changeme-changeme-changeme-changeme",
        "Secret-secret-secret-secret-secret",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA",
        r#"{"kty":"OKP","crv":"Ed25519","x":"AAAAAAAAAAAA"}"#,
    ];
    for secret in weak {
        assert!(matches!(SharedSecret::new(secret), Err(KeyError::Shared(_))), "{secret}");
    }
    let public = key_pair(KID, 1).1;
    let secret = SharedSecret::new(public["x"].as_str().unwrap()).unwrap();
    assert!(key_set(&[public]).with_shared(Some(secret)).is_err());
}

#[test]
fn no_public_key_takes_the_name_of_the_shared_secret() {
    let set = json!({"keys": [generate("hs256", [1; 32]).unwrap().1]}).to_string();
    assert_eq!(KeySet::from_jwks(&set).unwrap_err(), KeyError::Reserved("hs256".into()));
}
