//! Keys of requests, and what is done about those that were seen before.

use chrono::{DateTime, TimeDelta, Utc};
use halyard_domain::{
    Entropy,
    idempotency::{Fingerprint, IdempotencyKey, InvalidKey, KEPT, KeptAnswer, LEASE, Record, Verdict, nth_id},
};
use proptest::prelude::*;

fn parse(text: &str) -> Result<String, InvalidKey> {
    IdempotencyKey::parse(text.as_bytes()).map(|key| key.as_str().to_owned())
}

#[test]
fn a_key_is_a_quoted_string_or_a_word() {
    let good = [
        ("\"8e03978e-40d5-43dd-bc93-6894a57f9324\"", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ("  \"a b\" ", "a b"),
        ("\"a\\\"b\\\\c\"", "a\"b\\c"),
        ("order:17/2=x", "order:17/2=x"),
    ];
    for (text, key) in good {
        assert_eq!(parse(text).as_deref(), Ok(key), "{text}");
    }
    for text in
        ["\"open", "\"a\"b", "\"a\";p=1", "a b", "a,b", "a;b", "a\"b", "\"a\\b\"", "ü", "\"ü\"", "\"\t\"", "a\u{7f}"]
    {
        assert_eq!(parse(text), Err(InvalidKey::Malformed), "{text}");
    }
    for text in ["", "  ", "\"\""] {
        assert_eq!(parse(text), Err(InvalidKey::Empty), "{text:?}");
    }
    assert!(parse(&"k".repeat(255)).is_ok());
    assert_eq!(parse(&"k".repeat(256)), Err(InvalidKey::TooLong));
    assert_eq!(parse(&format!("\"{}\"", "k".repeat(256))), Err(InvalidKey::TooLong));
}

#[test]
fn a_fingerprint_tells_where_a_part_ends() {
    let one = Fingerprint::of("POST", "/tasks/submit", b"{}");
    assert_eq!(one, Fingerprint::of("POST", "/tasks/submit", b"{}"));
    let others = [
        ("POST", "/tasks/submit", &b"{} "[..]),
        ("POST", "/tasks/submi", b"t{}"),
        ("POST", "/tasks/submit?a=1", b"{}"),
        ("PUT", "/tasks/submit", b"{}"),
    ];
    for (method, target, body) in others {
        assert_ne!(one, Fingerprint::of(method, target, body), "{method} {target}");
    }
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).expect("a time")
}

#[test]
fn what_is_done_depends_on_the_answer_the_lease_and_the_age() {
    let mine = Fingerprint::of("POST", "/a", b"1");
    let other = Fingerprint::of("POST", "/a", b"2");
    let first = Entropy::seeded(1).ulid(at(0));
    let running = Record::new(mine.clone(), first, "one".to_owned(), at(0));
    let answer = KeptAnswer { status: 200, headers: Vec::new(), body: Some("{}".to_owned()) };
    let done = Record { answer: Some(answer.clone()), ..running.clone() };
    let (lease, day) = (LEASE.num_seconds(), KEPT.num_seconds());
    let table = [
        (&running, &mine, lease - 1, Verdict::Running),
        (&running, &mine, lease, Verdict::TakeOver),
        (&running, &mine, day - 1, Verdict::TakeOver),
        (&running, &mine, day, Verdict::Expired),
        (&running, &other, 1, Verdict::Mismatch),
        (&running, &other, day, Verdict::Expired),
        (&done, &mine, 1, Verdict::Replay(answer.clone())),
        (&done, &mine, day - 1, Verdict::Replay(answer)),
        (&done, &mine, day, Verdict::Expired),
        (&done, &other, 1, Verdict::Mismatch),
    ];
    for (at_line, (record, fingerprint, after, verdict)) in table.into_iter().enumerate() {
        assert_eq!(record.judge(fingerprint, at(after)), verdict, "line {at_line}");
    }
    let taken = running.clone().taken_over("two".to_owned(), at(50));
    assert_eq!((taken.first_id, taken.begun_at), (running.first_id, running.begun_at), "the ids stay, and the end");
    assert_eq!(taken.judge(&mine, at(51)), Verdict::Running);
    assert!(LEASE > TimeDelta::seconds(29), "a function's timeout passes first");
}

proptest! {
    #[test]
    fn quoting_a_key_does_not_change_it(key in "[ -~]{1,200}") {
        let quoted = format!("\"{}\"", key.replace('\\', "\\\\").replace('"', "\\\""));
        prop_assert_eq!(parse(&quoted), Ok(key));
    }

    #[test]
    fn no_bytes_are_too_odd_to_be_refused(bytes: Vec<u8>) {
        if let Ok(key) = IdempotencyKey::parse(&bytes) {
            prop_assert!((1..=255).contains(&key.as_str().len()));
        }
    }

    #[test]
    fn the_ids_of_a_request_differ_and_stay(seed: u64, n in 1_u32..2_000) {
        let first = Entropy::seeded(seed).ulid(at(0));
        prop_assert_eq!(nth_id(first, 0), first);
        prop_assert_ne!(nth_id(first, n), nth_id(first, n - 1));
        prop_assert_eq!(nth_id(first, n), nth_id(first, n));
        prop_assert_eq!(nth_id(first, n).as_u128() >> 80, first.as_u128() >> 80, "its time");
    }
}
