//! Lists of deliveries, by every filter.

use halyard_domain::{
    DeliveryId, TaskId, UserId,
    webhook::{DeliveryState, SourceKind},
};
use halyard_store::{
    PgConnection,
    tasks::LOOKED_AT,
    webhooks::{self, Delivery, Filter, Page},
};

use super::{
    scratch::{Scratch, report, rows_read, t0},
    webhooks::deliveries,
};

const STATES: [DeliveryState; 5] = [
    DeliveryState::Owed,
    DeliveryState::Delivered,
    DeliveryState::Failed,
    DeliveryState::Skipped,
    DeliveryState::Superseded,
];

/// Deliveries in every state, of three users, several of each task; a tenth is told of workflows.
const DELIVERIES: &str = "
    insert into webhook_deliveries
        (id, source, user_id, event_at, planned_at, due_at, ended_at, sequence, source_kind, event, state, url, data)
    select lpad(to_hex(i), 32, '0')::uuid, lpad(to_hex(i % 50), 32, '0')::uuid, 1 + i % 3, now(), now(), now(),
           case when state <> 'owed' then now() end, i, case when i % 10 = 0 then 'workflow' else 'task' end,
           case when i % 7 < 2 then 'progress' else 'completed' end, state, 'https://hooks.example.com/told', '{}'
    from generate_series(1, 300) i,
         lateral (select (array['owed', 'delivered', 'failed', 'skipped', 'superseded', 'delivered', 'delivered'])[1 + i % 7]
                  as state) made";

fn fits(delivery: &Delivery, owner: Option<UserId>, filter: &Filter) -> bool {
    let of = |task: TaskId| delivery.source == task.0 && delivery.source_kind == SourceKind::Task;
    owner.is_none_or(|owner| delivery.user_id == owner)
        && filter.task.is_none_or(of)
        && filter.state.is_none_or(|state| delivery.state == state)
        && filter.event.as_ref().is_none_or(|event| delivery.event == *event)
}

async fn page(
    conn: &mut PgConnection,
    owner: Option<UserId>,
    filter: &Filter,
    cursor: Option<DeliveryId>,
    limit: i64,
) -> Page {
    webhooks::deliveries(conn, owner, filter, cursor, limit).await.expect("an answer")
}

#[tokio::test]
async fn pages_hold_the_deliveries_that_fit_and_nothing_else_whatever_the_filter() {
    let db = Scratch::new().await;
    let conn = &mut *db.pool.acquire().await.expect("an answer");
    sqlx::raw_sql(DELIVERIES).execute(&mut *conn).await.expect("deliveries");
    let all = page(conn, None, &Filter::default(), None, 1_000).await.deliveries;
    assert_eq!(all.len(), 300);
    let owners = [None, Some(UserId(1)), Some(UserId(3)), Some(UserId(4))];
    // The first is a workflow's.
    let tasks = [None, Some(all[0].source), Some(all[9].source)].map(|source| source.map(TaskId));
    for owner in owners {
        for state in STATES.into_iter().map(Some).chain([None]) {
            for event in [None, Some("progress"), Some("dead")] {
                for task in tasks {
                    let filter = Filter { task, state, event: event.map(str::to_owned) };
                    let expected: Vec<_> =
                        all.iter().filter(|delivery| fits(delivery, owner, &filter)).cloned().collect();
                    let (mut found, mut cursor, mut pages) = (Vec::new(), None, 0);
                    loop {
                        let next = page(conn, owner, &filter, cursor, 7).await;
                        assert!(next.deliveries.len() <= 7);
                        found.extend(next.deliveries);
                        pages += 1;
                        cursor = next.next;
                        if cursor.is_none() {
                            break;
                        }
                    }
                    assert_eq!(found, expected, "{owner:?} {filter:?}");
                    assert_eq!(pages, expected.len().div_ceil(7).max(1), "{owner:?} {filter:?}");
                }
            }
        }
    }
    db.done().await;
}

#[tokio::test]
async fn a_list_of_deliveries_reads_no_more_than_a_page_of_what_an_index_leads_to() {
    let db = Scratch::new().await;
    let conn = &mut *db.pool.acquire().await.expect("an answer");
    deliveries(conn, "00000001", LOOKED_AT + 500, "delivered").await;
    sqlx::raw_sql("vacuum analyze webhook_deliveries").execute(&mut *conn).await.expect("done");
    sqlx::raw_sql(
        "update webhook_deliveries set user_id = 3, state = 'failed'
         where id in (select id from webhook_deliveries order by id limit 100)",
    )
    .execute(&mut *conn)
    .await
    .expect("failed");
    let newest = page(conn, None, &Filter::default(), None, 1).await.deliveries.remove(0);
    report(conn).await;
    let of = |state: Option<DeliveryState>| Filter { state, ..Filter::default() };
    let (one, two, three) = (Some(UserId(1)), Some(UserId(2)), Some(UserId(3)));
    let [owed, delivered, failed, skipped, _] = STATES.map(Some);
    for (owner, filter, reads) in [
        (None, of(None), 21),
        (one, of(None), 21),
        (None, of(delivered), 21),
        (one, of(delivered), 21),
        (None, of(failed), 21),
        (three, of(failed), 21),
        // What tells that there are no more: deliveries beyond the range.
        (None, of(skipped), 21),
        (three, of(owed), 21),
        (two, of(None), 21),
        (one, of(failed), 0),
        (one, of(owed), 0),
        (one, Filter { task: Some(TaskId(newest.source)), ..Filter::default() }, 2),
    ] {
        let before = rows_read(&db, "webhook_deliveries").await;
        page(conn, owner, &filter, None, 20).await;
        report(conn).await;
        assert_eq!(rows_read(&db, "webhook_deliveries").await - before, reads, "{owner:?} {filter:?}");
    }
    db.done().await;
}

#[tokio::test]
async fn deliveries_that_no_index_leads_to_are_looked_for_a_stretch_at_a_time() {
    let db = Scratch::new().await;
    let conn = &mut *db.pool.acquire().await.expect("an answer");
    deliveries(conn, "00000001", LOOKED_AT + 500, "delivered").await;
    let rare = "update webhook_deliveries set event = 'dead', state = 'owed', ended_at = null, due_at = $1
                where id = (select id from webhook_deliveries order by id limit 1)";
    sqlx::query(rare).bind(t0()).execute(&mut *conn).await.expect("one of its own");
    let of_event = Filter { event: Some("dead".to_owned()), ..Filter::default() };
    let owed = Filter { state: Some(DeliveryState::Owed), ..Filter::default() };
    for (owner, filter) in [(None, &of_event), (Some(UserId(1)), &of_event), (None, &owed)] {
        let first = page(conn, owner, filter, None, 20).await;
        assert!(first.deliveries.is_empty() && first.next.is_some(), "{owner:?} {filter:?}");
        let second = page(conn, owner, filter, first.next, 20).await;
        assert_eq!((second.deliveries.len(), second.next), (1, None), "{owner:?} {filter:?}");
    }
    db.done().await;
}
