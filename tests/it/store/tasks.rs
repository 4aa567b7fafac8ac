//! A task's way through the database.

use super::scratch::{Scratch, cancel, claim, entry, finished, json, retry, s, t0};
use chrono::{DateTime, Utc};
use halyard_domain::{
    Lane, TaskId, UserId,
    task::{AttemptEnd, AttemptHistory, TaskState, Verdict, verdict},
};
use halyard_store::{Constraint, StoreError, lanes, outbox, tasks};

#[tokio::test]
async fn submit_writes_task_event_outbox_and_delta_and_tells_the_position() {
    let db = Scratch::new().await;
    let conn = &mut *db.pool.acquire().await.unwrap();
    let first = db.task(7, 5, t0());
    let accepted = tasks::submit(conn, &first, Some(t0())).await.unwrap();
    assert_eq!((accepted.state, accepted.created_at, accepted.available_at), (TaskState::Queued, t0(), t0()));
    assert_eq!(accepted.queue_position, Some(1));
    assert_eq!(tasks::submit(conn, &db.task(7, 5, t0()), Some(t0() + s(1))).await.unwrap().queue_position, Some(2));
    // A better priority overtakes both.
    assert_eq!(tasks::submit(conn, &db.task(7, 4, t0()), Some(t0() + s(1))).await.unwrap().queue_position, Some(1));

    let record = tasks::get(conn, first.id, Some(UserId(7))).await.unwrap().unwrap();
    assert_eq!((record.state, record.attempt, record.retry), (TaskState::Queued, 0, first.retry));
    assert!(tasks::get(conn, first.id, Some(UserId(8))).await.unwrap().is_none(), "not theirs");
    let events = tasks::events(conn, first.id).await.unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].at, events[0].state, events[0].attempt), (t0(), TaskState::Queued, 0));
    assert_eq!(outbox::count(conn, 10).await.unwrap(), 3);
    assert_eq!(db.count("select sum(submitted) from stat_deltas where user_id = 7").await, 3);

    let again = tasks::submit(conn, &first, Some(t0())).await;
    assert!(matches!(again, Err(StoreError::Conflict(Constraint::TaskIdTaken))), "{again:?}");
    assert_eq!(db.count("select count(*) from task_events").await, 3, "nothing of the refused submit stays");
    db.done().await;
}

#[tokio::test]
async fn submit_many_answers_in_the_order_given_and_groups_its_deltas() {
    let db = Scratch::new().await;
    let conn = &mut *db.pool.acquire().await.unwrap();
    let many: Vec<_> = (0..30).map(|i| db.task(1 + i % 2, 1 + (i16::try_from(i).unwrap() % 10), t0() - s(i))).collect();
    let accepted = tasks::submit_many(conn, &many, Some(t0())).await.unwrap();
    assert!(accepted.iter().map(|a| a.id).eq(many.iter().map(|t| t.id)));
    assert_eq!(db.count("select count(*) from stat_deltas").await, 2);
    assert!(tasks::submit_many(conn, &[], Some(t0())).await.unwrap().is_empty());
    db.done().await;
}

#[tokio::test]
async fn input_and_result_come_back_as_they_went_in() {
    let db = Scratch::new().await;
    let conn = &mut *db.pool.acquire().await.unwrap();
    let odd = r#"{"b":1,"a":"\u0000 é \" \\","b":1e400,"nested":[null,{}]}"#;
    let mut task = db.task(1, 5, t0());
    task.input = json(odd);
    task.resources = Some(json(r#"{"cpu_cores": 4}"#));
    task.callbacks = Some(json("{}"));
    tasks::submit(conn, &task, Some(t0())).await.unwrap();
    let claimed = db.claim(Lane::Default, 1, t0()).await.remove(0);
    assert_eq!(claimed.input.get(), odd);
    let mut end = finished(&claimed, TaskState::Completed);
    end.ending = tasks::Ending::Finished { state: TaskState::Completed, result: Some(json(odd)), error: None };
    tasks::finish(conn, &[end], Some(t0())).await.unwrap();
    let record = tasks::get(conn, task.id, None).await.unwrap().unwrap();
    assert_eq!(record.result.unwrap().get(), odd);
    assert_eq!(record.resources.unwrap().get(), r#"{"cpu_cores": 4}"#);
    assert_eq!(record.callbacks.unwrap().get(), "{}");
    db.done().await;
}

#[tokio::test]
async fn claim_takes_the_best_first_and_waiting_makes_up_for_priority() {
    let db = Scratch::new().await;
    let six_old = db.submit(1, 6, t0()).await;
    let five_late = db.submit(1, 5, t0() + s(31)).await;
    let five_early = db.submit(1, 5, t0() + s(29)).await;
    let four = db.submit(1, 4, t0() + s(40)).await;
    db.submit(1, 3, t0()).await; // another lane
    let order: Vec<_> = db.claim(Lane::Default, 10, t0() + s(60)).await.iter().map(|c| c.id).collect();
    // claim_order: t0+180, t0+181, t0+179, t0+160
    assert_eq!(order, [four, five_early, six_old, five_late]);
    db.done().await;
}

#[tokio::test]
async fn a_claim_sets_lease_attempt_and_fence_and_takes_the_doorbell_away() {
    let db = Scratch::new().await;
    let id = db.submit(1, 5, t0()).await;
    let claimed = db.claim(Lane::Default, 10, t0() + s(1)).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!((claimed[0].id, claimed[0].attempt, claimed[0].fence, claimed[0].expired), (id, 1, 1, false));
    let conn = &mut *db.pool.acquire().await.unwrap();
    let record = tasks::get(conn, id, None).await.unwrap().unwrap();
    assert_eq!(record.state, TaskState::Running);
    assert_eq!((record.started_at, record.worker_id.as_deref()), (Some(t0() + s(1)), Some("worker-1")));
    assert_eq!(outbox::count(conn, 10).await.unwrap(), 0);
    assert!(db.claim(Lane::Default, 10, t0() + s(2)).await.is_empty());
    let states: Vec<_> = tasks::events(conn, id).await.unwrap().iter().map(|e| (e.state, e.attempt)).collect();
    assert_eq!(states, [(TaskState::Queued, 0), (TaskState::Running, 1)]);
    db.done().await;
}

#[tokio::test]
async fn two_claims_at_once_never_share_a_task_and_do_not_wait() {
    let db = Scratch::new().await;
    for i in 0..10 {
        db.submit(1, 5, t0() + s(i)).await;
    }
    let mut first = db.pool.acquire().await.unwrap();
    let mut open = sqlx::Connection::begin(&mut *first).await.unwrap();
    let a = tasks::claim(&mut open, &claim(Lane::Default, 4), Some(t0() + s(60))).await.unwrap();
    // The first transaction is still open: its rows are locked.
    let b = db.claim(Lane::Default, 10, t0() + s(60)).await;
    open.commit().await.unwrap();
    assert_eq!((a.len(), b.len()), (4, 6));
    assert!(a.iter().all(|x| b.iter().all(|y| x.id != y.id)));
    drop(first);

    for i in 0..200 {
        db.submit(1, 2, t0() + s(i)).await;
    }
    let claims = futures::future::join_all((0..10).map(|_| async {
        let mut mine = Vec::new();
        loop {
            let some = db.claim(Lane::High, 7, t0() + s(600)).await;
            if some.is_empty() {
                break mine;
            }
            mine.extend(some.into_iter().map(|c| c.id));
        }
    }))
    .await;
    let mut all: Vec<_> = claims.into_iter().flatten().collect();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 200);
    assert_eq!(db.count("select count(*) from tasks where lane = 'high' and attempt = 1").await, 200);
    db.done().await;
}

#[tokio::test]
async fn what_is_not_due_or_paused_is_not_claimed() {
    let db = Scratch::new().await;
    let conn = &mut *db.pool.acquire().await.unwrap();
    let mut later = db.task(1, 5, t0());
    later.scheduled_for = Some(t0() + s(1000));
    let accepted = tasks::submit(conn, &later, Some(t0())).await.unwrap();
    assert_eq!(
        (accepted.state, accepted.available_at, accepted.delay),
        (TaskState::Scheduled, t0() + s(1000), s(1000))
    );
    assert!(db.claim(Lane::Default, 10, t0() + s(999)).await.is_empty());
    lanes::pause(conn, Lane::Default, &entry("lane.pause"), Some(t0())).await.unwrap();
    assert_eq!(lanes::paused(conn).await.unwrap(), [Lane::Default]);
    assert!(db.claim(Lane::Default, 10, t0() + s(1000)).await.is_empty());
    assert!(lanes::needing_doorbell(conn, s(0), Some(t0() + s(1000))).await.unwrap().is_empty());
    lanes::resume(conn, Lane::Default, &entry("lane.resume"), Some(t0())).await.unwrap();
    assert_eq!(lanes::needing_doorbell(conn, s(0), Some(t0() + s(1000))).await.unwrap(), [(Lane::Default, 1)]);
    let depth = lanes::depths(conn, Some(t0())).await.unwrap();
    assert_eq!(depth.iter().map(|d| d.lane).collect::<Vec<_>>(), Lane::ALL);
    assert_eq!((depth[1].ready, depth[1].waiting, depth[1].running), (0, 1, 0));
    assert_eq!(db.claim(Lane::Default, 10, t0() + s(1000)).await.len(), 1);
    db.done().await;
}

#[tokio::test]
async fn resuming_a_lane_writes_no_more_doorbells_than_beat_has_put_off() {
    let db = Scratch::new().await;
    let conn = &mut *db.pool.acquire().await.unwrap();
    let first = db.submit(1, 5, t0()).await;
    let elsewhere = db.submit(1, 1, t0()).await;
    let held = [db.submit(1, 5, t0() + s(1)).await, db.submit(1, 5, t0() + s(2)).await];
    // Beat has rung for the oldest of the lane and for that of another, and puts both off.
    assert_eq!(outbox::overdue(conn, s(15), 2, Some(t0() + s(60))).await.unwrap().len(), 2);
    lanes::pause(conn, Lane::Default, &entry("lane.pause"), Some(t0() + s(61))).await.unwrap();
    let rows = "select task_id, ring_at, xmin::text || ctid::text from outbox order by task_id";
    let before: Vec<(uuid::Uuid, DateTime<Utc>, String)> = sqlx::query_as(rows).fetch_all(&mut *conn).await.unwrap();
    lanes::resume(conn, Lane::Default, &entry("lane.resume"), Some(t0() + s(70))).await.unwrap();
    let after: Vec<(uuid::Uuid, DateTime<Utc>, String)> = sqlx::query_as(rows).fetch_all(&mut *conn).await.unwrap();
    let of = |rows: &[(uuid::Uuid, DateTime<Utc>, String)], id: TaskId| {
        rows.iter().find(|row| row.0 == id.0).map(|row| (row.1, row.2.clone())).expect("its doorbell")
    };
    assert_eq!((of(&before, first).0, of(&after, first).0), (t0() + s(120), t0() + s(70)), "beat may ring at once");
    for id in held {
        assert_eq!(of(&after, id), of(&before, id), "to write a million would take longer than a caller waits");
    }
    assert_eq!(of(&after, elsewhere), of(&before, elsewhere), "another lane's");
    db.done().await;
}

#[tokio::test]
async fn a_stale_attempt_can_neither_renew_nor_finish() {
    let db = Scratch::new().await;
    let conn = &mut *db.pool.acquire().await.unwrap();
    let id = db.submit(1, 5, t0()).await;
    let first = db.claim(Lane::Default, 1, t0()).await.remove(0);
    let gone = tasks::Finish { lease_lost: true, failed: false, ..retry(&first, s(0)) };
    assert_eq!(tasks::release(conn, std::slice::from_ref(&gone), Some(t0() + s(20))).await.unwrap().len(), 1);
    // Released: not running.
    let renewal = tasks::Renewal { id, fence: first.fence, progress: None, checkpoint: None, note: None };
    let lease = std::time::Duration::from_secs(15);
    assert!(tasks::renew(conn, std::slice::from_ref(&renewal), lease, Some(t0() + s(21))).await.unwrap().is_empty());
    assert!(
        tasks::finish(conn, &[finished(&first, TaskState::Completed)], Some(t0() + s(21))).await.unwrap().is_empty()
    );
    // Taken by the next attempt: running, under another fence.
    let second = db.claim(Lane::Default, 1, t0() + s(22)).await.remove(0);
    assert_eq!((second.attempt, second.fence, second.lost_leases, second.failures), (2, 2, 1, 0));
    assert_eq!(second.checkpoint.as_ref().unwrap().get(), "[1,2]");
    assert!(tasks::renew(conn, &[renewal], lease, Some(t0() + s(23))).await.unwrap().is_empty());
    assert!(tasks::finish(conn, &[finished(&first, TaskState::Failed)], Some(t0() + s(23))).await.unwrap().is_empty());
    assert!(tasks::release(conn, &[gone], Some(t0() + s(23))).await.unwrap().is_empty());
    // Both at once, as in an environment that had both: the one that holds it ends it, and is named.
    let both = [finished(&first, TaskState::Failed), finished(&second, TaskState::Completed)];
    let rows = tasks::finish(conn, &both, Some(t0() + s(24))).await.unwrap();
    assert_eq!(
        rows.iter().map(|row| (row.id, row.fence, row.state)).collect::<Vec<_>>(),
        [(id, 2, TaskState::Completed)]
    );
    // Ended: the end never changes, not even for the attempt that reached it.
    for state in [TaskState::Completed, TaskState::Failed, TaskState::Dead] {
        assert!(tasks::finish(conn, &[finished(&second, state)], Some(t0() + s(25))).await.unwrap().is_empty());
    }
    assert_eq!(tasks::get(conn, id, None).await.unwrap().unwrap().state, TaskState::Completed);
    assert_eq!(db.count("select sum(completed) from stat_deltas").await, 1);
    db.done().await;
}

#[tokio::test]
async fn renewals_bring_progress_and_learn_of_a_cancellation() {
    let db = Scratch::new().await;
    let conn = &mut *db.pool.acquire().await.unwrap();
    let (a, b) = (db.submit(1, 5, t0()).await, db.submit(1, 5, t0() + s(1)).await);
    let claimed = db.claim(Lane::Default, 2, t0() + s(2)).await;
    assert_eq!(
        cancel(conn, b, Some(UserId(1)), "no more", Some(t0())).await.unwrap(),
        Some(tasks::Cancelled::Requested)
    );
    let renewals: Vec<_> = claimed
        .iter()
        .map(|c| tasks::Renewal {
            id: c.id,
            fence: c.fence,
            progress: (c.id == a).then(|| json(r#"{"percentage":10}"#)),
            checkpoint: None,
            note: (c.id == a).then(|| "Progress: 10 %".to_owned()),
        })
        .collect();
    let mut renewed =
        tasks::renew(conn, &renewals, std::time::Duration::from_secs(15), Some(t0() + s(9))).await.unwrap();
    renewed.sort_by_key(|r| r.id);
    assert_eq!(renewed.iter().map(|r| (r.id, r.cancel_requested)).collect::<Vec<_>>(), [(a, false), (b, true)]);
    assert_eq!(tasks::get(conn, a, None).await.unwrap().unwrap().progress.unwrap().get(), r#"{"percentage":10}"#);
    let noted = tasks::events(conn, a).await.unwrap().pop().unwrap();
    assert_eq!((noted.message.as_str(), noted.at, noted.attempt), ("Progress: 10 %", t0() + s(9), 1));
    assert_ne!(tasks::events(conn, b).await.unwrap().pop().unwrap().message, "Progress: 10 %", "nothing to note");
    assert!(tasks::expired_leases(conn, 10, Some(t0() + s(24))).await.unwrap().is_empty());
    assert_eq!(tasks::expired_leases(conn, 10, Some(t0() + s(25))).await.unwrap().len(), 2);
    db.done().await;
}

#[tokio::test]
async fn ends_of_all_kinds_commit_in_one_statement() {
    let db = Scratch::new().await;
    let conn = &mut *db.pool.acquire().await.unwrap();
    for i in 0..6 {
        db.submit(1 + i % 2, 5, t0() + s(i)).await;
    }
    let c = db.claim(Lane::Default, 10, t0() + s(10)).await;
    let stale = tasks::Finish { fence: 99, ..finished(&c[5], TaskState::Completed) };
    let ends = [
        finished(&c[0], TaskState::Completed),
        finished(&c[1], TaskState::Failed),
        finished(&c[2], TaskState::Dead),
        retry(&c[3], s(60)),
        retry(&c[4], s(3600)),
        stale,
    ];
    let mut rows = tasks::finish(conn, &ends, Some(t0() + s(12))).await.unwrap();
    rows.sort_by_key(|r| c.iter().position(|c| c.id == r.id));
    let states: Vec<_> = rows.iter().map(|r| (r.state, r.available_at, r.delay)).collect();
    assert_eq!(
        states,
        [
            (TaskState::Completed, None, None),
            (TaskState::Failed, None, None),
            (TaskState::Dead, None, None),
            (TaskState::Retrying, Some(t0() + s(72)), Some(s(60))),
            (TaskState::Retrying, Some(t0() + s(3612)), Some(s(3600))),
        ]
    );
    assert_eq!(db.count("select count(*) from tasks where state = 'running'").await, 1);
    assert_eq!(outbox::count(conn, 10).await.unwrap(), 2);
    let failed = tasks::get(conn, c[3].id, None).await.unwrap().unwrap();
    assert_eq!((failed.failures, failed.error.as_deref()), (1, Some("passing")));
    assert_eq!(failed.progress.unwrap().get(), r#"{"percentage":50}"#);
    // Due soon: rung by whoever committed, swept only when overdue. Due late: swept ahead of time, with what is left.
    let due = outbox::overdue(conn, s(15), 10, Some(t0() + s(72 + 15))).await.unwrap();
    assert_eq!(due.iter().map(|r| (r.task_id, r.delay)).collect::<Vec<_>>(), [(c[3].id, s(0))]);
    let due = outbox::overdue(conn, s(0), 10, Some(t0() + s(3612 - 90))).await.unwrap();
    assert!(due.iter().any(|r| r.task_id == c[4].id && r.delay == s(90)), "{due:?}");
    // And the retry can be claimed, with the failure counted.
    let again = db.claim(Lane::Default, 1, t0() + s(72)).await.remove(0);
    assert_eq!((again.id, again.attempt, again.failures), (c[3].id, 2, 1));
    assert!(tasks::finish(conn, &[] as &[tasks::Finish], Some(t0())).await.unwrap().is_empty());
    db.done().await;
}

#[tokio::test]
async fn a_lost_lease_is_seen_and_released_exactly_once() {
    let db = Scratch::new().await;
    let conn = &mut *db.pool.acquire().await.unwrap();
    let id = db.submit(1, 5, t0()).await;
    for round in 1..=5_i16 {
        let at = t0() + s(100 * i64::from(round));
        assert_eq!(db.claim(Lane::Default, 1, at).await.len(), 1);
        assert!(tasks::expired_leases(conn, 10, Some(at + s(14))).await.unwrap().is_empty());
        let lost = tasks::expired_leases(conn, 10, Some(at + s(16))).await.unwrap().remove(0);
        assert_eq!((lost.id, lost.attempt, lost.lost_leases), (id, round, round - 1));
        let history = AttemptHistory {
            failures: lost.failures,
            lost_leases: lost.lost_leases + 1,
            cancel_requested: lost.cancel_requested,
        };
        let ending = match verdict(AttemptEnd::LeaseLost, history, &lost.retry, 0.5) {
            Verdict::RetryAfter(delay) => tasks::Ending::Retry { delay, error: "lease lost".into() },
            Verdict::End(state) => tasks::Ending::Finished { state, result: None, error: Some("lease lost".into()) },
        };
        let end = tasks::Finish {
            id,
            fence: lost.fence,
            ending,
            failed: false,
            lease_lost: true,
            message: "Lease lost".into(),
            progress: None,
            checkpoint: None,
        };
        let both = futures::future::join_all((0..2).map(|_| async {
            let conn = &mut *db.pool.acquire().await.unwrap();
            tasks::release(conn, std::slice::from_ref(&end), Some(at + s(17))).await.unwrap().len()
        }))
        .await;
        assert_eq!(both.iter().sum::<usize>(), 1, "two reapers, one release");
    }
    let record = tasks::get(conn, id, None).await.unwrap().unwrap();
    assert_eq!((record.state, record.lost_leases, record.failures), (TaskState::Dead, 5, 0));
    assert_eq!(outbox::count(conn, 10).await.unwrap(), 0);
    db.done().await;
}

#[tokio::test]
async fn two_sweeps_do_not_ring_twice() {
    let db = Scratch::new().await;
    for i in 0..20 {
        db.submit(1, 5, t0() + s(i)).await;
    }
    let at = t0() + s(60);
    let sweep = |at| {
        let db = &db;
        async move { outbox::overdue(&mut db.pool.acquire().await.unwrap(), s(15), 100, Some(at)).await.unwrap().len() }
    };
    let (a, b) = futures::future::join(sweep(at), sweep(at)).await;
    assert_eq!(a + b, 20);
    assert_eq!(sweep(at + s(74)).await, 0, "put off by a minute, and the grace");
    assert_eq!(sweep(at + s(75)).await, 20);
    assert_eq!(sweep(at + s(75 + 134)).await, 0, "then by two");
    assert_eq!(sweep(at + s(75 + 135)).await, 20);
    let conn = &mut *db.pool.acquire().await.unwrap();
    lanes::pause(conn, Lane::Default, &entry("lane.pause"), Some(at)).await.unwrap();
    assert_eq!(sweep(at + s(4000)).await, 0, "a paused lane is left alone");
    db.done().await;
}

#[tokio::test]
async fn cancel_ends_what_waits_asks_what_runs_and_leaves_what_ended() {
    let db = Scratch::new().await;
    let conn = &mut *db.pool.acquire().await.unwrap();
    let id = db.submit(1, 5, t0()).await;
    assert_eq!(cancel(conn, id, Some(UserId(2)), "x", Some(t0())).await.unwrap(), None);
    let ended = tasks::Cancelled::Ended { workflow: None, wakes: Vec::new() };
    assert_eq!(cancel(conn, id, None, "x", Some(t0())).await.unwrap(), Some(ended));
    let too_late = Some(tasks::Cancelled::TooLate(TaskState::Cancelled));
    assert_eq!(cancel(conn, id, None, "x", Some(t0())).await.unwrap(), too_late);
    assert_eq!(outbox::count(conn, 10).await.unwrap(), 0);
    assert!(db.claim(Lane::Default, 1, t0() + s(1)).await.is_empty());
    db.done().await;
}

#[tokio::test]
async fn lists_page_by_cursor_and_filter() {
    let db = Scratch::new().await;
    let conn = &mut *db.pool.acquire().await.unwrap();
    let mut mine = Vec::new();
    for i in 0..25 {
        let id = db.submit(1 + i64::from(i % 5 == 4), 1 + (i % 2) * 4, t0() + s(i64::from(i))).await;
        if i % 5 != 4 {
            mine.push(id);
        }
    }
    mine.reverse();
    let none = tasks::Filter::default();
    let first = tasks::list(conn, Some(UserId(1)), &none, None, 15).await.unwrap();
    assert_eq!(first.next, Some(mine[14]));
    let rest = tasks::list(conn, Some(UserId(1)), &none, first.next, 15).await.unwrap();
    assert_eq!(rest.next, None);
    assert!(first.tasks.iter().chain(&rest.tasks).map(|t| t.id).eq(mine.iter().copied()));
    assert_eq!(tasks::list(conn, None, &none, None, 100).await.unwrap().tasks.len(), 25);
    let filter = tasks::Filter {
        state: Some(TaskState::Queued),
        task_type: Some("sample".into()),
        priority: Some(5.try_into().unwrap()),
        submitted_after: Some(t0() + s(5)),
        submitted_before: Some(t0() + s(15)),
        workflow: None,
    };
    let some = tasks::list(conn, None, &filter, None, 100).await.unwrap();
    assert_eq!(some.tasks.len(), 5);
    let none_of = tasks::Filter { state: Some(TaskState::Dead), ..filter };
    assert!(tasks::list(conn, Some(UserId(1)), &none_of, None, 100).await.unwrap().tasks.is_empty());
    db.done().await;
}

#[tokio::test]
async fn a_result_that_is_faster_than_a_cancellation_leaves_no_error() {
    let db = Scratch::new().await;
    let conn = &mut *db.pool.acquire().await.unwrap();
    let id = db.submit(1, 5, t0()).await;
    let claimed = db.claim(Lane::Default, 1, t0()).await.remove(0);
    cancel(conn, id, None, "enough", Some(t0() + s(1))).await.unwrap();
    let ends = [finished(&claimed, TaskState::Completed)];
    assert_eq!(tasks::finish(conn, &ends, Some(t0() + s(2))).await.unwrap()[0].state, TaskState::Completed);
    assert_eq!(tasks::get(conn, id, None).await.unwrap().unwrap().error, None);
    db.done().await;
}

#[tokio::test]
async fn what_the_last_release_cancelled_without_its_reason_ends_all_the_same() {
    let db = Scratch::new().await;
    let conn = &mut *db.pool.acquire().await.unwrap();
    let id = db.submit(1, 5, t0()).await;
    let claimed = db.claim(Lane::Default, 1, t0()).await.remove(0);
    sqlx::query("update tasks set cancel_requested = true, error = 'busy: earlier'").execute(&mut *conn).await.unwrap();
    tasks::finish(conn, &[finished(&claimed, TaskState::Cancelled)], Some(t0() + s(2))).await.unwrap();
    let record = tasks::get(conn, id, None).await.unwrap().unwrap();
    assert_eq!(record.error.as_deref(), Some("the task was cancelled while it ran"));
    db.done().await;
}

#[tokio::test]
async fn a_retry_of_what_was_cancelled_meanwhile_becomes_its_end() {
    let db = Scratch::new().await;
    let conn = &mut *db.pool.acquire().await.unwrap();
    let task = db.task(1, 5, t0());
    tasks::submit(conn, &task, Some(t0())).await.unwrap();
    let claimed = db.claim(Lane::Default, 1, t0()).await.remove(0);
    for why in ["enough", "again"] {
        cancel(conn, task.id, None, why, Some(t0() + s(1))).await.unwrap();
    }
    let done = tasks::finish(conn, &[retry(&claimed, s(60))], Some(t0() + s(2))).await.unwrap();
    assert_eq!((done[0].state, done[0].delay), (TaskState::Cancelled, None));
    let record = tasks::get(conn, task.id, None).await.unwrap().unwrap();
    assert_eq!((record.state, record.ended_at), (TaskState::Cancelled, Some(t0() + s(2))));
    assert_eq!(record.error.as_deref(), Some("enough"), "what was said first");
    let said: String = sqlx::query_scalar("select message from task_events order by at desc, id desc limit 1")
        .fetch_one(&mut *conn)
        .await
        .unwrap();
    assert!(said.starts_with("Task cancelled; attempt 1 ended before it was told: "), "{said}");
    assert_eq!(outbox::count(conn, 10).await.unwrap(), 0, "no doorbell is owed");
    assert_eq!(db.count("select sum(cancelled) from stat_deltas").await, 1);
    db.done().await;
}
