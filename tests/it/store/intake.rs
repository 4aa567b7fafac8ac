//! Submits that meet on one connection.

use futures::future::join_all;
use halyard_store::{
    Constraint, StoreError,
    tasks::{self, Intake},
};

use super::scratch::{Scratch, t0};

#[tokio::test]
async fn submits_that_wait_for_the_connection_share_statements_and_each_gets_its_own_answer() {
    let db = Scratch::new().await;
    let pool = halyard_store::connect(&db.url, 1).unwrap();
    let intake = Intake::new(pool.clone());
    // The only connection is taken until all have queued up.
    let taken = pool.acquire().await.unwrap();
    let many: Vec<_> = (0..100).map(|i| db.task(1 + i % 3, 5, t0())).collect();
    let submits = join_all(many.iter().map(|task| intake.submit(task.clone(), Some(t0()))));
    let release = async {
        tokio::task::yield_now().await;
        drop(taken);
    };
    let (accepted, ()) = futures::join!(submits, release);
    for (task, accepted) in many.iter().zip(accepted) {
        assert_eq!(accepted.unwrap().id, task.id);
    }
    assert_eq!(db.count("select count(*) from tasks").await, 100);
    // The rows of a statement carry its transaction's number.
    assert_eq!(db.count("select count(distinct xmin::text) from tasks").await, 2, "64 tasks and 36");
    db.done().await;
}

#[tokio::test]
async fn a_submit_that_is_refused_takes_none_of_its_neighbours_down() {
    let db = Scratch::new().await;
    let pool = halyard_store::connect(&db.url, 1).unwrap();
    let intake = Intake::new(pool.clone());
    let known = db.task(1, 5, t0());
    intake.submit(known.clone(), Some(t0())).await.unwrap();
    let taken = pool.acquire().await.unwrap();
    let many = [db.task(1, 5, t0()), known, db.task(2, 5, t0())];
    let submits = join_all(many.iter().map(|task| intake.submit(task.clone(), Some(t0()))));
    let release = async {
        tokio::task::yield_now().await;
        drop(taken);
    };
    let (accepted, ()) = futures::join!(submits, release);
    assert_eq!(accepted[0].as_ref().unwrap().id, many[0].id);
    assert!(matches!(accepted[1], Err(StoreError::Conflict(Constraint::TaskIdTaken))), "{:?}", accepted[1]);
    assert_eq!(accepted[2].as_ref().unwrap().id, many[2].id);
    assert_eq!(db.count("select count(*) from tasks").await, 3);
    db.done().await;
}

#[tokio::test]
async fn a_submit_that_was_given_up_while_it_waited_is_not_written() {
    let db = Scratch::new().await;
    let pool = halyard_store::connect(&db.url, 1).unwrap();
    let intake = Intake::new(pool.clone());
    let taken = pool.acquire().await.unwrap();
    {
        let given_up = intake.submit(db.task(1, 5, t0()), Some(t0()));
        assert!(futures::poll!(std::pin::pin!(given_up)).is_pending());
    }
    drop(taken);
    let kept = db.task(1, 5, t0());
    assert_eq!(intake.submit(kept.clone(), Some(t0())).await.unwrap().id, kept.id);
    assert_eq!(db.count("select count(*) from tasks").await, 1);
    db.done().await;
}

#[tokio::test]
async fn who_gets_no_turn_in_time_is_told_so_and_nothing_is_written() {
    let db = Scratch::new().await;
    let intake = Intake::new(halyard_store::connect(&db.url, 2).unwrap());
    let mut other = db.pool.acquire().await.unwrap();
    sqlx::raw_sql("begin; lock table tasks").execute(&mut *other).await.unwrap();
    let (first, second) = (db.task(1, 5, t0()), db.task(1, 5, t0()));
    let second_first = async {
        // Once the first one's statement is under way, and takes nobody along any more.
        db.until_one_waits().await;
        let second = intake.submit(second.clone(), Some(t0())).await;
        sqlx::raw_sql("commit").execute(&mut *other).await.unwrap();
        second
    };
    let (done, refused) = futures::join!(intake.submit(first.clone(), Some(t0())), second_first);
    assert_eq!(done.unwrap().id, first.id);
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert_eq!(db.count("select count(*) from tasks").await, 1);
    // And whoever comes then has a turn.
    assert_eq!(intake.submit(second.clone(), Some(t0())).await.unwrap().id, second.id);
    db.done().await;
}

#[tokio::test]
async fn two_who_want_the_same_unique_keys_do_not_wait_for_each_other() {
    let db = Scratch::new().await;
    let of = |key: &str| {
        let mut task = db.task(1, 5, t0());
        task.ties.unique_key = Some(key.to_owned());
        task
    };
    let (mine, theirs) = ([of("a"), of("b")], [of("b"), of("a")]);
    let mut conn = db.pool.acquire().await.unwrap();
    let mut tx = conn.begin().await.unwrap();
    tasks::submit_many(&mut tx, &mine[..1], Some(t0())).await.unwrap();
    let pool = db.pool.clone();
    let others = tokio::spawn(async move {
        let conn = &mut *pool.acquire().await.unwrap();
        tasks::submit_many(conn, &theirs, Some(t0())).await
    });
    db.until_one_waits().await;
    let second = tasks::submit_many(&mut tx, &mine[1..], Some(t0())).await.unwrap();
    assert!(second[0].instead.is_none(), "whoever waits for the first key has not taken the second");
    tx.commit().await.unwrap();
    let others = others.await.unwrap().unwrap();
    let holders: Vec<_> = others.iter().map(|answer| answer.instead.as_ref().map(|_| answer.id)).collect();
    assert_eq!(holders, [Some(mine[1].id), Some(mine[0].id)]);
    db.done().await;
}
