//! Keys are read strictly, and sign as RFC 8037 says.
#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

mod common;

use common::{KID, key_pair};
use halyard_auth::{
    KeySet, SigningKey,
    encoding::to_base64url,
    keys::{KeyError, generate},
};
use serde_json::{Value, json};

/// RFC 8037, appendix A.1.
fn rfc_8037_key() -> Value {
    json!({
        "kty": "OKP", "crv": "Ed25519", "kid": "rfc",
        "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    })
}

#[test]
fn the_known_answer_of_rfc_8037_comes_out() {
    let key = SigningKey::from_jwk(&rfc_8037_key().to_string()).unwrap();
    let input = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature = to_base64url(key.sign(input));
    assert_eq!(signature, "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg");
}

#[test]
fn a_generated_pair_belongs_together() {
    let (key, public) = key_pair(KID, 1);
    assert!(public.get("d").is_none());
    let set = KeySet::from_jwks(&json!({"keys": [public]}).to_string()).unwrap();
    assert!(set.find(KID).unwrap().verify(b"message", &key.sign(b"message")));
    assert!(!set.find(KID).unwrap().verify(b"massage", &key.sign(b"message")));
}

#[test]
fn a_private_key_whose_public_part_is_another_is_refused() {
    let (mut private, _) = generate("a", [1; 32]).unwrap();
    private["x"] = generate("b", [2; 32]).unwrap().1["x"].clone();
    assert_eq!(SigningKey::from_jwk(&private.to_string()).unwrap_err(), KeyError::Material("a".into()));
}

#[test]
fn a_set_refuses_what_is_no_public_ed25519_key() {
    let (private, public) = generate("a", [1; 32]).unwrap();
    let with = |member: &str, value: Value| {
        let mut key = public.clone();
        key[member] = value;
        key
    };
    let refused = |keys: Value| KeySet::from_jwks(&json!({ "keys": keys }).to_string()).unwrap_err();
    let not_ed = KeyError::NotEd25519("a".into());

    assert_eq!(refused(json!([{"kty": "RSA", "kid": "a", "n": "AQAB", "e": "AQAB"}])), not_ed);
    assert_eq!(refused(json!([{"kty": "oct", "kid": "a", "k": "c2VjcmV0", "alg": "HS256"}])), not_ed);
    assert_eq!(refused(json!([with("crv", json!("X25519"))])), not_ed);
    assert_eq!(refused(json!([with("alg", json!("HS256"))])), not_ed);
    assert_eq!(refused(json!([with("use", json!("enc"))])), not_ed);
    assert_eq!(refused(json!([with("kid", json!(""))])), KeyError::NoKid);
    assert_eq!(refused(json!([with("x", json!("AAAA"))])), KeyError::Material("a".into()));
    assert_eq!(refused(json!([public, public])), KeyError::Duplicate("a".into()));
    assert_eq!(refused(json!([private])), KeyError::PrivateInPublic("a".into()));
    assert_eq!(refused(json!([])), KeyError::Empty);
    assert_eq!(refused(json!([with("state", json!("revoked"))])), KeyError::Empty);
    assert!(KeySet::from_jwks("not json").is_err());
}

#[test]
fn a_revoked_key_is_neither_found_nor_published() {
    let (_, first) = key_pair("first", 1);
    let (_, mut second) = key_pair("second", 2);
    second["state"] = json!("revoked");
    let set = KeySet::from_jwks(&json!({"keys": [first, second]}).to_string()).unwrap();
    assert!(set.find("first").is_some());
    assert!(set.find("second").is_none());
    let published = set.to_jwks();
    assert_eq!(published["keys"].as_array().unwrap().len(), 1);
    assert_eq!(published["keys"][0], first);
}

#[test]
fn debug_output_holds_no_key_material() {
    let key = SigningKey::from_jwk(&rfc_8037_key().to_string()).unwrap();
    assert_eq!(format!("{key:?}"), r#"SigningKey { kid: "rfc", .. }"#);
}
