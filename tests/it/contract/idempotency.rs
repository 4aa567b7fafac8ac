//! Records of `Idempotency-Key`, in the twin and in the real table.

use std::sync::Arc;

use chrono::TimeDelta;
use futures::future::join_all;
use halyard_cloud::{
    IdempotencyRecords,
    table::{DynamoTable, Table, TableError, TableName, TableTwin},
};
use halyard_domain::{
    Entropy, UserId,
    idempotency::{Asked, Begun, Fingerprint, Held, IdempotencyKey, KEPT, KeptAnswer, LEASE},
};

use super::{aws, redis::start};

const USER: UserId = UserId(42);

fn twin() -> IdempotencyRecords {
    let name = TableName("idempotency".to_owned());
    IdempotencyRecords::new(Arc::new(TableTwin::in_memory([name.clone()]).expect("a twin")), name)
}

async fn dynamo() -> IdempotencyRecords {
    let name = aws::table().await;
    let table: Arc<dyn Table> = Arc::new(DynamoTable::new(&aws::settings().sdk_config()));
    IdempotencyRecords::new(table, name)
}

fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey::parse(text.as_bytes()).expect("a key")
}

fn asked(n: u64) -> Asked {
    let fingerprint = Fingerprint::of("POST", "/tasks/submit", b"{}");
    Asked { fingerprint, first_id: Entropy::seeded(n).ulid(start()), owner: format!("request {n}") }
}

fn held(begun: Begun) -> Held {
    match begun {
        Begun::Held(held) => held,
        other => panic!("{other:?}"),
    }
}

fn answer(body: &str) -> KeptAnswer {
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    KeptAnswer { status: 200, headers, body: Some(body.to_owned()) }
}

async fn a_key_goes_through_its_life(records: IdempotencyRecords) {
    let (k, now) = (key("k"), start());
    let first = held(records.begin(USER, &k, &asked(1), now).await.expect("begun"));
    assert!(!first.again);
    assert_eq!(records.begin(USER, &k, &asked(2), now).await.expect("known"), Begun::Running);
    assert_eq!(
        held(records.begin(USER, &k, &asked(1), now).await.expect("its own")),
        first,
        "a write that was sent twice"
    );
    let later = now + LEASE;
    let second = held(records.begin(USER, &k, &asked(2), later).await.expect("taken over"));
    assert!(second.again);
    assert_eq!(second.record.first_id, first.record.first_id);
    let late = records.keep(&first, answer("of the first")).await;
    assert!(matches!(late, Err(TableError::ConditionFailed)), "{late:?}");
    records.release(&second, later).await.expect("released");
    let third = held(records.begin(USER, &k, &asked(3), later).await.expect("free at once"));
    records.keep(&third, answer("of the third")).await.expect("kept");
    let replay = records.begin(USER, &k, &asked(4), later).await.expect("answered");
    assert_eq!(replay, Begun::Replay(answer("of the third")));
    let other = Asked { fingerprint: Fingerprint::of("POST", "/tasks/submit", b"{1}"), ..asked(5) };
    assert_eq!(records.begin(USER, &k, &other, later).await.expect("another"), Begun::Mismatch);
    let fresh = held(records.begin(USER, &k, &other, now + KEPT).await.expect("expired, and still there"));
    assert_eq!((fresh.again, fresh.record.first_id), (false, other.first_id));
}

#[tokio::test]
async fn a_key_goes_through_its_life_in_the_twin() {
    a_key_goes_through_its_life(twin()).await;
}

#[tokio::test]
async fn a_key_goes_through_its_life_in_dynamo() {
    a_key_goes_through_its_life(dynamo().await).await;
}

async fn of_many_at_once_one_holds_it(records: IdempotencyRecords) {
    let k = key("k");
    let ask = async |n: u64, after: TimeDelta| records.begin(USER, &k, &asked(n), start() + after).await;
    for after in [TimeDelta::zero(), LEASE, KEPT] {
        let begun = join_all((0..12).map(|n| ask(n + after.num_seconds().unsigned_abs(), after))).await;
        let begun: Vec<Begun> = begun.into_iter().map(|begun| begun.expect("begun")).collect();
        let holders = begun.iter().filter(|begun| matches!(begun, Begun::Held(_))).count();
        assert_eq!(holders, 1, "after {after}: {begun:?}");
        assert!(begun.iter().all(|begun| matches!(begun, Begun::Held(_) | Begun::Running)));
    }
}

#[tokio::test]
async fn of_many_at_once_one_holds_it_in_the_twin() {
    of_many_at_once_one_holds_it(twin()).await;
}

#[tokio::test]
async fn of_many_at_once_one_holds_it_in_dynamo() {
    of_many_at_once_one_holds_it(dynamo().await).await;
}

#[tokio::test]
async fn an_answer_too_large_for_an_item_is_kept_without_its_body() {
    let records = twin();
    let first = held(records.begin(USER, &key("k"), &asked(1), start()).await.expect("begun"));
    records.keep(&first, answer(&"x".repeat(500_000))).await.expect("kept");
    let Begun::Replay(kept) = records.begin(USER, &key("k"), &asked(2), start()).await.expect("answered") else {
        panic!("it was answered");
    };
    assert_eq!((kept.status, kept.body), (200, None));
}
