//! Who is claimed first: turns between users, and tasks that share a key.

use halyard_domain::{Lane, TaskId, UserId, task::TaskState};
use halyard_store::tasks::{self, Concurrency, Ties};

use super::scratch::{Scratch, cancel, claim, finished, retry, s, t0};

async fn submit_keyed(db: &Scratch, user: i64, key: &str, limit: i16) -> TaskId {
    let mut task = db.task(user, 5, t0());
    task.ties.concurrency = Some(Concurrency { key: key.to_owned(), limit });
    tasks::submit(&mut db.pool.acquire().await.expect("an answer"), &task, Some(t0())).await.expect("an answer");
    task.id
}

async fn submit_unique(db: &Scratch, user: i64, key: &str) -> tasks::Submitted {
    let mut task = db.task(user, 5, t0());
    task.ties = Ties { unique_key: Some(key.to_owned()), ..Ties::default() };
    tasks::submit(&mut db.pool.acquire().await.expect("an answer"), &task, Some(t0())).await.expect("an answer")
}

#[tokio::test]
async fn a_user_with_one_task_does_not_wait_for_another_with_hundreds() {
    let db = Scratch::new().await;
    let many: Vec<_> = (0..500).map(|_| db.task(1, 4, t0())).collect();
    tasks::submit_many(&mut db.pool.acquire().await.expect("an answer"), &many, Some(t0())).await.expect("an answer");
    let late = t0() + s(3_600);
    let one = db.submit(2, 7, late).await;
    let claimed = db.claim(Lane::Default, 2, late).await;
    assert!(claimed.iter().any(|task| task.id == one), "each has one of two slots");
    // While it runs, it is the other's turn again; and so on.
    let again = db.submit(2, 7, late).await;
    let running = db.claim(Lane::Default, 3, late).await;
    assert_eq!(running.iter().filter(|task| task.user_id == UserId(1)).count(), 2);
    assert!(running.iter().any(|task| task.id == again));
    // Nobody else waits: the slots are the first user's.
    assert_eq!(db.claim(Lane::Default, 10, late).await.len(), 10);
    db.done().await;
}

#[tokio::test]
async fn however_many_users_wait_each_has_a_turn_and_nothing_is_left() {
    let db = Scratch::new().await;
    let tasks: Vec<_> = (0..200).map(|i| db.task(1 + i % 80, 5, t0())).collect();
    tasks::submit_many(&mut db.pool.acquire().await.expect("an answer"), &tasks, Some(t0())).await.expect("an answer");
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..20 {
        let claimed = db.claim(Lane::Default, 10, t0() + s(round)).await;
        assert_eq!(claimed.len(), 10, "a slot stays empty only when nothing waits");
        seen.extend(claimed.into_iter().map(|task| task.id));
    }
    assert_eq!(seen.len(), 200);
    assert!(db.claim(Lane::Default, 10, t0() + s(30)).await.is_empty());
    db.done().await;
}

#[tokio::test]
async fn a_claim_that_is_told_how_far_the_last_one_got_begins_there() {
    let db = Scratch::new().await;
    // Of one moment, as those of a batch are: the id tells them apart.
    let many: Vec<_> = (0..30).map(|_| db.task(1, 5, t0())).collect();
    tasks::submit_many(&mut db.pool.acquire().await.expect("an answer"), &many, Some(t0())).await.expect("an answer");
    let first = db.claim(Lane::Default, 10, t0()).await;
    let fronts: Vec<_> = first.last().and_then(|task| task.front).into_iter().collect();
    assert_eq!(fronts.len(), 1);
    let urgent = db.submit(1, 4, t0()).await;
    let other = db.submit(2, 4, t0()).await;
    let mut keyed = db.task(1, 4, t0());
    keyed.ties.concurrency = Some(Concurrency { key: "printer".to_owned(), limit: 2 });
    let conn = &mut *db.pool.acquire().await.expect("an answer");
    let keyed = tasks::submit(conn, &keyed, Some(t0())).await.expect("an answer").id;
    let on = tasks::Claim { fronts: &fronts, ..claim(Lane::Default, 10) };
    let next = tasks::claim(conn, &on, Some(t0())).await.expect("an answer");
    let has = |id| next.iter().any(|task| task.id == id);
    assert_eq!(
        (next.len(), has(urgent), has(other), has(keyed)),
        (10, false, true, true),
        "that user's, without a key"
    );
    assert!(next.iter().find(|task| task.id == keyed).expect("claimed").front.is_none());
    let mut in_order: Vec<_> = many.iter().map(|task| task.id).collect();
    in_order.sort();
    let claimed = first.iter().chain(&next).map(|task| task.id).filter(|id| *id != other && *id != keyed);
    assert!(claimed.eq(in_order.into_iter().take(18)), "none is left out");
    // Whoever is not told looks at all.
    let rest = db.claim(Lane::Default, 20, t0()).await;
    assert_eq!(rest.len(), 13);
    assert!(rest.iter().any(|task| task.id == urgent));
    db.done().await;
}

#[tokio::test]
async fn of_tasks_that_share_a_key_no_more_run_than_its_limit_says() {
    let db = Scratch::new().await;
    for _ in 0..6 {
        submit_keyed(&db, 1, "printer", 2).await;
    }
    submit_keyed(&db, 2, "printer", 1).await;
    let neighbour = db.submit(1, 6, t0()).await;
    let first = db.claim(Lane::Default, 10, t0()).await;
    assert_eq!(first.len(), 4, "two of one user, one of another whose key it is not, and the one without a key");
    assert!(first.iter().any(|task| task.id == neighbour), "what is held back holds nobody else back");
    assert!(db.claim(Lane::Default, 10, t0()).await.is_empty());

    let keyed: Vec<_> = first.iter().filter(|t| t.user_id == UserId(1) && t.id != neighbour).collect();
    let conn = &mut *db.pool.acquire().await.expect("an answer");
    let ended = tasks::finish(conn, &[finished(keyed[0], TaskState::Completed)], Some(t0())).await.expect("an answer");
    assert_eq!(ended[0].wakes, [Lane::Default], "one that waits may run now: somebody has to ring");
    assert_eq!(db.claim(Lane::Default, 10, t0()).await.len(), 1);
    // One that waits for its next attempt runs not, and makes room as well.
    let waits = tasks::finish(conn, &[retry(keyed[1], s(60))], Some(t0())).await.expect("an answer");
    assert_eq!(waits[0].wakes, [Lane::Default]);
    assert_eq!(db.claim(Lane::Default, 10, t0()).await.len(), 1);
    let other = first.iter().find(|task| task.user_id == UserId(2)).unwrap();
    let ended = tasks::finish(conn, &[finished(other, TaskState::Failed)], Some(t0())).await.expect("an answer");
    assert!(ended[0].wakes.is_empty(), "nothing of theirs waits");
    db.done().await;
}

#[tokio::test]
async fn claims_at_once_keep_the_limit_together() {
    let db = Scratch::new().await;
    for _ in 0..10 {
        submit_keyed(&db, 1, "printer", 3).await;
    }
    // A claim that has not been committed yet: nobody sees what it runs.
    let mut first = db.pool.acquire().await.expect("an answer");
    let mut open = sqlx::Connection::begin(&mut *first).await.expect("an answer");
    assert_eq!(tasks::claim(&mut open, &claim(Lane::Default, 1), Some(t0())).await.expect("an answer").len(), 1);
    assert!(db.claim(Lane::Default, 10, t0()).await.is_empty(), "the key is somebody else's for the moment");
    open.commit().await.expect("an answer");
    drop(first);
    let at_once = futures::future::join_all((0..8).map(|_| db.claim(Lane::Default, 2, t0()))).await;
    let mut running = 1 + at_once.iter().map(Vec::len).sum::<usize>();
    running += db.claim(Lane::Default, 10, t0()).await.len();
    assert_eq!(running, 3);
    assert_eq!(db.count("select count(*) from tasks where state = 'running'").await, 3);
    db.done().await;
}

#[tokio::test]
async fn a_unique_key_is_held_until_its_task_ends_and_no_longer() {
    let db = Scratch::new().await;
    let first = submit_unique(&db, 1, "report").await;
    let second = submit_unique(&db, 1, "report").await;
    assert_eq!((second.id, second.state), (first.id, TaskState::Queued));
    assert_eq!(second.instead.map(|holder| holder.task_type), Some("sample".to_owned()));
    assert!(submit_unique(&db, 2, "report").await.instead.is_none(), "another user's");
    let claimed = db.claim(Lane::Default, 10, t0()).await;
    assert_eq!(submit_unique(&db, 1, "report").await.id, first.id, "while it runs");
    let task = claimed.iter().find(|task| task.id == first.id).unwrap();
    let conn = &mut *db.pool.acquire().await.expect("an answer");
    tasks::finish(conn, &[retry(task, s(0))], Some(t0())).await.expect("an answer");
    assert_eq!(submit_unique(&db, 1, "report").await.state, TaskState::Retrying);
    cancel(conn, first.id, None, "x", Some(t0())).await.expect("an answer");
    let next = submit_unique(&db, 1, "report").await;
    assert!(next.instead.is_none() && next.id != first.id);
    db.done().await;
}

#[tokio::test]
async fn in_one_statement_the_first_gets_the_key_and_the_neighbours_of_the_others_are_accepted() {
    let db = Scratch::new().await;
    let conn = &mut *db.pool.acquire().await.expect("an answer");
    let mut many: Vec<_> = (0..6).map(|_| db.task(1, 5, t0())).collect();
    for i in [1, 3, 4] {
        many[i].ties.unique_key = Some("report".to_owned());
    }
    let accepted = tasks::submit_many(conn, &many, Some(t0())).await.expect("an answer");
    let ids: Vec<_> = accepted.iter().map(|a| a.id).collect();
    assert_eq!(ids, [many[0].id, many[1].id, many[2].id, many[1].id, many[1].id, many[5].id]);
    let instead: Vec<_> = accepted.iter().map(|a| a.instead.is_some()).collect();
    assert_eq!(instead, [false, false, false, true, true, false]);
    assert_eq!(db.count("select count(*) from tasks").await, 4);
    assert_eq!(db.count("select count(*) from outbox").await, 4);
    assert_eq!(db.count("select count(*) from task_events").await, 4);
    assert_eq!(db.count("select sum(submitted) from stat_deltas").await, 4);
    db.done().await;
}

#[tokio::test]
async fn when_many_of_a_type_fail_at_once_their_retries_come_back_at_a_pace() {
    let db = Scratch::new().await;
    let conn = &mut *db.pool.acquire().await.expect("an answer");
    let burst = i64::from(halyard_domain::retry::RetryPolicy::BURST);
    let many: Vec<_> = (0..burst + 40).map(|_| db.task(1, 5, t0())).collect();
    tasks::submit_many(conn, &many, Some(t0())).await.expect("an answer");
    let claimed = tasks::claim(conn, &claim(Lane::Default, burst + 40), Some(t0())).await.expect("an answer");
    let (early, late) = claimed.split_at(usize::try_from(burst).unwrap());
    let ends: Vec<_> = early.iter().map(|task| retry(task, s(1))).collect();
    let rows = tasks::finish(conn, &ends, Some(t0())).await.expect("an answer");
    assert!(rows.iter().all(|row| row.delay == Some(s(1))), "within the budget");
    let ends: Vec<_> = late.iter().map(|task| retry(task, s(1))).collect();
    let rows = tasks::finish(conn, &ends, Some(t0())).await.expect("an answer");
    let mut delays: Vec<_> = rows.iter().filter_map(|row| row.delay).map(|d| d.num_milliseconds()).collect();
    delays.sort_unstable();
    let planned: Vec<_> = (1..=40).map(|n| 1_000 + 50 * n).collect();
    assert_eq!(delays, planned, "one in 50 ms, none lost");
    let noted =
        db.count("select count(*) from task_events where message like '%s later, for many of its type fail'").await;
    assert!(noted > 0);
    // A quarter of a minute later the budget is whole again.
    let again = tasks::claim(conn, &claim(Lane::Default, 1), Some(t0() + s(15))).await.expect("an answer");
    let rows = tasks::finish(conn, &[retry(&again[0], s(1))], Some(t0() + s(15))).await.expect("an answer");
    assert_eq!(rows[0].delay, Some(s(1)));
    db.done().await;
}
