use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use halyard_auth::{
    account_key::{AccountKey, Sealed},
    webhook::WebhookKeys,
};
use halyard_domain::{Entropy, UserId};

#[test]
fn a_message_is_signed_as_standard_webhooks_says() {
    // The secret, id, time and body of the specification's reference implementations, and the signature that they test for.
    let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("base 64");
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &secret);
    let message = b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{\"test\": 2432232314}";
    let known = "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    assert_eq!(STANDARD.encode(aws_lc_rs::hmac::sign(&key, message)), known);

    let keys = WebhookKeys::generate(&Entropy::seeded(3)).expect("keys");
    let signature = keys.sign("msg_1", 1_614_265_330, b"{}");
    let (v1, v1a) = signature.split_once(' ').expect("two signatures");
    let secret = STANDARD.decode(keys.secret_text().strip_prefix("whsec_").expect("its prefix")).expect("base 64");
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &secret);
    let mac = STANDARD.decode(v1.strip_prefix("v1,").expect("its version")).expect("base 64");
    aws_lc_rs::hmac::verify(&key, b"msg_1.1614265330.{}", &mac).expect("the secret's");
    let public = STANDARD.decode(keys.public_key_text().strip_prefix("whpk_").expect("its prefix")).expect("base 64");
    let signature = STANDARD.decode(v1a.strip_prefix("v1a,").expect("its version")).expect("base 64");
    UnparsedPublicKey::new(&ED25519, public).verify(b"msg_1.1614265330.{}", &signature).expect("the key's");
}

#[test]
fn keys_come_back_out_of_their_bytes_and_show_nothing() {
    let keys = WebhookKeys::generate(&Entropy::seeded(3)).expect("keys");
    let again = WebhookKeys::from_bytes(keys.as_bytes()).expect("keys");
    assert_eq!(again.sign("a", 1, b"b"), keys.sign("a", 1, b"b"));
    assert!(keys.secret_text().ends_with(&keys.hint()));
    assert!(!format!("{keys:?}").contains(&keys.secret_text()[6..]));
    assert!(WebhookKeys::from_bytes(&[0; 63]).is_none());
}

#[test]
fn what_is_sealed_for_one_use_does_not_open_for_another() {
    let key = AccountKey::new("an-account-key-that-tests-alone-may-use").expect("a key");
    let (user, entropy) = (UserId(7), Entropy::seeded(1));
    let sealed = key.seal_as(Sealed::WebhookSecret, user, b"secret", &entropy);
    assert_eq!(key.open_as(Sealed::WebhookSecret, user, &sealed).as_deref(), Some(&b"secret"[..]));
    assert_eq!(key.open(user, &sealed), None);
    assert_eq!(key.open_as(Sealed::WebhookSecret, UserId(8), &sealed), None);
    let factor = key.seal(user, b"secret", &entropy);
    assert_eq!(key.open_as(Sealed::SecondFactor, user, &factor).as_deref(), Some(&b"secret"[..]));
    assert_eq!(key.open_as(Sealed::WebhookSecret, user, &factor), None);
}
