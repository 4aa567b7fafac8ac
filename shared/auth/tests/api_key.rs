//! API keys as text: what was made is read, and a typing error is found without a look-up.
#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

mod common;

use common::now;
use halyard_auth::{
    AuthnFailure::{Malformed, WrongKind},
    encoding::{from_base64url, to_base64url},
    token::{ApiKeyText, RefreshToken, Unverified, api_key::PREFIX},
};
use halyard_domain::{ApiKeyId, Entropy, UserId};
use proptest::prelude::*;

fn key() -> ApiKeyText {
    let entropy = Entropy::seeded(5);
    ApiKeyText::new(UserId(42), ApiKeyId(entropy.ulid(now())), &entropy)
}

#[test]
fn a_key_names_its_owner_and_itself() {
    let (key, text) = (key(), key().to_text());
    assert!(text.starts_with("hk_") && text.len() == 83, "{text}");
    let read = ApiKeyText::parse(&text).unwrap();
    assert_eq!((read.user_id, read.id, read.hash()), (UserId(42), key.id, key.hash()));
    assert!(!format!("{key:?}").contains(&text[40..60]), "the secret is not shown");
}

#[test]
fn every_flipped_bit_is_found_by_the_checksum() {
    let bytes = from_base64url(&key().to_text()[PREFIX.len()..]).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(ApiKeyText::parse(&format!("{PREFIX}{}", to_base64url(changed))), Err(Malformed), "bit {bit}");
    }
}

#[test]
fn what_is_no_key_is_malformed() {
    let text = key().to_text();
    for bad in
        ["", "hk_", "hk_AAAA", &text[1..], &text[..82], &format!("{text}A"), &format!("{text}="), &text.to_uppercase()]
    {
        assert_eq!(ApiKeyText::parse(bad), Err(Malformed), "{bad}");
    }
}

#[test]
fn a_key_is_no_token_of_another_kind() {
    let text = key().to_text();
    assert_eq!(Unverified::parse(&text).map(drop), Err(WrongKind));
    assert_eq!(RefreshToken::parse(&text), Err(WrongKind));
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>()) {
        let _ = ApiKeyText::parse(&text);
        let prefixed = format!("{PREFIX}{text}");
        prop_assert!(ApiKeyText::parse(&prefixed).is_err());
    }
}
