use halyard_tests::Actor;
use serde_json::json;

use super::{data, with_entries};
use crate::assert_snapshot;

async fn ids(admin: &Actor, query: &str) -> (Vec<i64>, Option<String>) {
    let data = data(admin, &format!("/api/audit{query}")).await;
    let ids = data["items"].as_array().expect("items").iter().map(|item| item["id"].as_i64().expect("a number"));
    (ids.collect(), data["next_cursor"].as_str().map(str::to_owned))
}

#[tokio::test]
async fn entries_are_listed_newest_first_with_who_did_what_and_why() {
    let (_app, admin, _) = with_entries(1).await;
    assert_snapshot!("newest_first", admin.get("/api/audit").await.expect(200));
}

#[tokio::test]
async fn pages_hold_every_entry_once_even_while_new_ones_come() {
    let (_app, admin, user) = with_entries(6).await;
    let path = format!("/api/users/{}", user.user_id);
    let (mut seen, mut query) = (Vec::new(), "?limit=3".to_owned());
    loop {
        let (page, next) = ids(&admin, &query).await;
        assert!(page.len() <= 3);
        seen.extend(page);
        let status = if seen.len() <= 3 { "disabled" } else { "active" };
        admin.patch(&path, json!({"account_status": status})).await.expect(200);
        let Some(next) = next else { break };
        query = format!("?limit=3&cursor={next}");
    }
    assert_eq!(seen, [7, 6, 5, 4, 3, 2, 1]);
}

#[tokio::test]
async fn filters_are_combined() {
    // 1: the administrator was made; 2 to 5: changes, a minute from one to the next from 12:01 on; 6: a lane.
    let (app, admin, user) = with_entries(4).await;
    app.advance(chrono::Duration::minutes(1));
    admin.post("/tasks/queues/low/pause", json!({})).await.expect(200);
    let target = format!("user:{}", user.user_id);
    for (query, expected) in [
        ("", &[6, 5, 4, 3, 2, 1][..]),
        ("?actor=1", &[6, 5, 4, 3, 2]),
        ("?actor=2", &[]),
        ("?action=user.update", &[5, 4, 3, 2]),
        ("?action=user.create", &[1]),
        ("?action=user", &[]),
        (&format!("?target={target}"), &[5, 4, 3, 2]),
        ("?target=lane:low", &[6]),
        ("?target=lane:low&action=user.update", &[]),
        (&format!("?target={target}&action=user.update&actor=1"), &[5, 4, 3, 2]),
        ("?since=2026-01-01T12:03:00Z", &[6, 5, 4]),
        ("?until=2026-01-01T12:03:00Z", &[3, 2, 1]),
        ("?since=2026-01-01T12:02:00Z&until=2026-01-01T12:04:00Z", &[4, 3]),
        ("?since=2026-01-01T13:02:00%2B01:00&until=2026-01-01T12:04:00Z&actor=1", &[4, 3]),
        ("?action=user.update&since=2026-01-01T12:04:00Z", &[5]),
        ("?action=user.update&limit=2", &[5, 4]),
        (&format!("?target={target}&until=2026-01-01T12:02:00Z"), &[2]),
    ] {
        assert_eq!(ids(&admin, query).await.0, expected, "{query}");
    }
    // A cursor goes on within each kind of filter.
    for query in ["?limit=2", "?limit=2&actor=1", "?limit=2&action=user.update", &format!("?limit=2&target={target}")] {
        let (first, next) = ids(&admin, query).await;
        let (second, _) = ids(&admin, &format!("{query}&cursor={}", next.expect("more"))).await;
        assert_eq!(second, [first[1] - 1, first[1] - 2], "{query}");
    }
    admin.post("/tasks/queues/low/resume", json!({})).await.expect(200);
}

#[tokio::test]
async fn a_bad_filter_is_named() {
    let (_app, admin, _) = with_entries(0).await;
    for (query, pointer) in [
        ("?actor=x", "/actor"),
        ("?action=", "/action"),
        ("?action=a%00", "/action"),
        ("?target=%00", "/target"),
        ("?since=yesterday", "/since"),
        ("?until=12", "/until"),
        ("?since=-262143-01-01T00:00:00Z", "/since"),
        ("?until=%2B262142-12-31T23:59:59Z", "/until"),
        ("?actor=9223372036854775808", "/actor"),
        ("?limit=0", "/limit"),
        ("?cursor=!", "/cursor"),
    ] {
        let answer = admin.get(&format!("/api/audit{query}")).await.expect_problem(422, "validation_failed").json();
        assert_eq!(answer["errors"][0]["pointer"], pointer, "{query}: {answer}");
    }
}
