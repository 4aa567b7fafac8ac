//! One-time passwords against the vectors of their RFCs, and what the account's secret seals and signs.
#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

use chrono::DateTime;
use halyard_auth::{
    account_key::AccountKey,
    otp::{Secret, Typed, recovery_codes},
};
use halyard_domain::{Entropy, UserId};
use proptest::prelude::*;

fn rfc() -> Secret {
    Secret::from_bytes(b"12345678901234567890".to_vec())
}

#[test]
fn codes_are_those_of_rfc_4226_appendix_d() {
    let expected = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"];
    for (step, code) in (0..).zip(expected) {
        assert_eq!(rfc().code(step, 6), code, "{step}");
    }
}

#[test]
fn codes_are_those_of_rfc_6238_appendix_b() {
    // Eight digits there.
    let vectors = [
        (59, "94287082"),
        (1_111_111_109, "07081804"),
        (1_111_111_111, "14050471"),
        (1_234_567_890, "89005924"),
        (2_000_000_000, "69279037"),
        (20_000_000_000, "65353130"),
    ];
    for (time, code) in vectors {
        assert_eq!(rfc().code(time / 30, 8), code, "{time}");
    }
}

#[test]
fn a_code_counts_one_step_early_and_one_late_and_no_more() {
    let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    let present = now.timestamp() / 30;
    for step in -3..=3 {
        let found = rfc().step_of(&rfc().code(present + step, 6), now);
        assert_eq!(found, (step.abs() <= 1).then_some(present + step), "{step}");
    }
    for wrong in ["", "12345", "1234567", "abcdef", "000000"] {
        assert_eq!(rfc().step_of(wrong, now), None, "{wrong}");
    }
}

#[test]
fn base_32_is_that_of_rfc_4648_section_10() {
    let vectors = [("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foob", "MZXW6YQ"), ("fooba", "MZXW6YTB")];
    for (plain, text) in vectors {
        assert_eq!(Secret::from_bytes(plain.as_bytes().to_vec()).to_base32(), text);
    }
    assert_eq!(Secret::from_bytes(b"foobar".to_vec()).to_base32(), "MZXW6YTBOI");
}

#[test]
fn an_authenticator_gets_a_key_uri() {
    let uri = rfc().to_uri("Halyard", "maria@example.com");
    assert_eq!(
        uri,
        "otpauth://totp/Halyard:maria%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Halyard\
         &algorithm=SHA1&digits=6&period=30"
    );
}

#[test]
fn what_is_typed_is_read_without_regard_to_spaces_hyphens_and_case() {
    assert!(matches!(Typed::parse("123 456"), Some(Typed::Code(code)) if code == "123456"));
    let codes = recovery_codes(&Entropy::seeded(1));
    assert_eq!(codes.len(), 10);
    for (shown, kept) in &codes {
        for typed in [shown.clone(), shown.to_uppercase(), shown.replace('-', ""), shown.replace('-', " ")] {
            assert!(matches!(Typed::parse(&typed), Some(Typed::Recovery(hash)) if hash == *kept), "{typed}");
        }
    }
    for nothing in ["", "12345", "1234567", "12345a", "uuuuu-uuuuu-uuuuu-uuuuu-uuuuu", &"1".repeat(100), "１２３４５６"]
    {
        assert!(Typed::parse(nothing).is_none(), "{nothing}");
    }
}

fn key(texts: &[&str]) -> AccountKey {
    AccountKey::new(&texts.join(" ")).unwrap()
}

const OLD: &str = "an-old-text-of-at-least-32-characters";
const NEW: &str = "a-newer-text-of-at-least-32-characters";

#[test]
fn a_short_secret_is_none() {
    for short in ["", " ", "short", "thirty-one-characters-are-short", &format!("{NEW} short")] {
        assert!(AccountKey::new(short).is_err(), "{short}");
    }
}

#[test]
fn what_an_older_text_made_stays_good_while_it_stands_behind_the_new_one() {
    let entropy = Entropy::seeded(2);
    let before = key(&[OLD]);
    let (sealed, token) = (before.seal(UserId(1), b"secret", &entropy), before.device_token(UserId(1), &entropy));
    let between = key(&[NEW, OLD]);
    assert_eq!(between.open(UserId(1), &sealed).unwrap(), b"secret");
    assert_eq!(between.device(UserId(1), &token), before.device(UserId(1), &token));
    assert!(before.device(UserId(1), &token).is_some());
    assert!(before.is_present(&sealed) && !between.is_present(&sealed));
    let newer = between.seal(UserId(1), b"secret", &entropy);
    let after = key(&[NEW]);
    assert_eq!(after.open(UserId(1), &newer).unwrap(), b"secret");
    assert_eq!(after.open(UserId(1), &sealed), None);
    assert_eq!(after.device(UserId(1), &token), None);
}

proptest! {
    #[test]
    fn what_was_sealed_opens_for_its_owner_unless_a_bit_of_it_was_changed(
        secret in prop::collection::vec(any::<u8>(), 0..64), seed in any::<u64>(), at in any::<prop::sample::Index>(), bit in 0..8_u8,
    ) {
        let key = key(&[NEW]);
        let sealed = key.seal(UserId(7), &secret, &Entropy::seeded(seed));
        prop_assert_eq!(key.open(UserId(7), &sealed), Some(secret.clone()));
        prop_assert_eq!(key.open(UserId(8), &sealed), None);
        let mut changed = sealed.clone();
        changed[at.index(sealed.len())] ^= 1 << bit;
        prop_assert_eq!(key.open(UserId(7), &changed), None);
        prop_assert_eq!(key.open(UserId(7), &sealed[..sealed.len() - 1]), None);
    }

    #[test]
    fn a_device_token_is_good_for_its_user_alone(seed in any::<u64>(), junk in ".{0,80}") {
        let key = key(&[NEW]);
        let token = key.device_token(UserId(7), &Entropy::seeded(seed));
        prop_assert!(key.device(UserId(7), &token).is_some());
        prop_assert_eq!(key.device(UserId(8), &token), None);
        prop_assert_eq!(key.device(UserId(7), &junk), None);
    }
}
