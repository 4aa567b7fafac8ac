//! Objects of others (BOLA): every route that acts on a thing is walked by somebody whose thing it is not.

use halyard_domain::authz::Permission;
use halyard_tests::{Actor, TestApp, TestResponse};
use http::Method;
use serde_json::json;

use super::{
    permissions::somebody_with,
    table::{self, ActsOn, Known},
    things::{MARK, Things},
};

async fn two() -> (TestApp, Actor, Things, Actor) {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    app.leave_unfinished();
    let owner = app.user_named("the-owner").await;
    let things = Things::of(&app, &owner).await;
    let other = app.user_named("mallory").await;
    (app, owner, things, other)
}

async fn ask(who: &Actor, route: &Known, path: &str) -> TestResponse {
    let draft = who.request(route.method.clone(), path);
    match route.line.body {
        Some(body) => draft.json(&body(1)).send().await,
        None => draft.send().await,
    }
}

/// Status, headers and body, without what is different in any two answers, and without the id that was asked for.
fn telling(answer: &TestResponse, id: &str) -> String {
    let request_id = answer.header("x-request-id").to_owned();
    let own = ["x-request-id", "traceparent", "apigw-requestid", "date", "ratelimit"];
    let headers = answer.headers.iter().filter(|(name, _)| !own.contains(&name.as_str()));
    let headers: Vec<String> = headers.map(|(name, value)| format!("{name}: {value:?}")).collect();
    let body = answer.text().replace(id, "ID").replace(&request_id, "REQUEST");
    format!("{}\n{}\n{body}", answer.status, headers.join("\n"))
}

#[tokio::test]
async fn a_thing_of_somebody_else_is_answered_like_one_that_does_not_exist() {
    let (_app, owner, things, other) = two().await;
    let before = things.as_seen_by(&owner).await;
    let mut walked = 0;
    for route in table::routes().iter().filter(|route| route.line.acts_on.is_owned()) {
        let unknown = match route.line.acts_on {
            ActsOn::Session => "sess_7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
            ActsOn::ApiKey => "key_7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
            ActsOn::Workflow => "wf_7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
            ActsOn::Delivery => "msg_7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
            ActsOn::Schedule => "sched_7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
            _ => "task_7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
        };
        let nothing = ask(&other, route, &route.path(unknown)).await.expect_problem(404, "not_found");
        let nothing = telling(&nothing, unknown);
        let ids = things.ids(route.line.acts_on);
        assert!(!ids.is_empty(), "{}: things.rs makes nothing that this acts upon", route.key);
        for id in ids {
            let answer = ask(&other, route, &route.path(id)).await;
            assert_eq!(telling(&answer, id), nothing, "{} of {id}", route.key);
        }
        walked += 1;
    }
    assert!(walked >= 5, "walked {walked} routes only");
    assert_eq!(things.as_seen_by(&owner).await, before, "nothing of it was touched");
    // The ids are right: their owner is let in everywhere. What ends something comes last.
    for route in owned() {
        for id in things.ids(route.line.acts_on) {
            let answer = ask(&owner, &route, &route.path(id)).await;
            assert!(matches!(answer.code(), 200 | 303 | 409), "{} of {id}: {}", route.key, answer.text());
        }
    }
}

/// Routes to what somebody owns; those that write come later, and what takes things away comes last.
fn owned() -> Vec<Known> {
    let mut routes = table::routes();
    routes.retain(|route| route.line.acts_on.is_owned());
    routes.sort_by_key(|route| (route.writes(), route.method == Method::DELETE));
    routes
}

/// Queries that ask a list for more than it should tell.
fn greedy(owner: &Actor) -> Vec<String> {
    let (id, name) = (owner.user_id, &owner.username);
    ["", "?limit=100", "?limit=100&scope=all&all=true&admin=true"]
        .map(str::to_owned)
        .into_iter()
        .chain([format!("?limit=100&user_id={id}&owner={id}&username={name}"), format!("?limit=100&user={name}")])
        .collect()
}

#[tokio::test]
async fn no_answer_to_somebody_holds_anything_of_somebody_else() {
    let (_app, owner, things, other) = two().await;
    let mut secrets: Vec<&str> =
        things.tasks.iter().chain(&things.sessions).chain(&things.api_keys).map(String::as_str).collect();
    secrets.extend([MARK, "the-owner"]);
    let mut own_things = 0;
    for route in table::routes().iter().filter(|route| !route.writes() && route.line.acts_on.variable().is_none()) {
        for query in greedy(&owner) {
            let path = format!("{}{query}", route.pattern);
            let answer = other.get(&path).await;
            // The query says the name of the owner; so does the instance of a problem.
            let text = answer.text().replace(&path, "");
            for secret in &secrets {
                assert!(!text.contains(secret), "{path} tells {secret}: {text}");
            }
        }
        let of_owner = owner.get(&route.pattern).await.text();
        own_things += usize::from(secrets.iter().any(|secret| of_owner.contains(secret)));
    }
    assert!(own_things >= 4, "the owner sees something of it by {own_things} routes only");
    let stats = other.get("/tasks/stats").await.expect(200).json()["data"]["overview"].take();
    assert_eq!((&stats["total_tasks"], &stats["queued_tasks"]), (&json!(0), &json!(0)), "{stats}");
}

#[tokio::test]
async fn a_cursor_of_somebody_elses_list_opens_nothing() {
    let (_app, owner, things, other) = two().await;
    let page = owner.get("/tasks?limit=2").await.expect(200).json();
    let cursor = page["data"]["next_cursor"].as_str().expect("more pages");
    let list = other.get(&format!("/tasks?limit=100&cursor={cursor}")).await.expect(200);
    assert_eq!(list.json()["data"]["items"], json!([]), "{}", list.text());
    let rest = owner.get(&format!("/tasks?limit=100&cursor={cursor}")).await.expect(200);
    assert_eq!(rest.json()["data"]["items"].as_array().map(Vec::len), Some(things.tasks.len() + things.steps - 2));
}

#[tokio::test]
async fn a_stranger_without_an_account_is_told_nothing_of_a_thing_either() {
    let (app, _owner, things, _other) = two().await;
    for route in table::routes().iter().filter(|route| route.line.acts_on.is_owned()) {
        let id = &things.ids(route.line.acts_on)[0];
        let (there, not_there) = (route.path(id), route.path_to_nothing());
        let answers = [ask(&app.anonymous(), route, &there).await, ask(&app.anonymous(), route, &not_there).await];
        assert_eq!(telling(&answers[0], id), telling(&answers[1], id), "{}", route.key);
        assert_eq!(answers[0].code(), 401, "{}", route.key);
    }
}

#[tokio::test]
async fn others_things_are_opened_by_exactly_the_permission_that_the_table_names() {
    let (app, _owner, things, _other) = two().await;
    for permission in Permission::ALL {
        let name = permission.as_str();
        let area = format!("{}:*", name.split(':').next().expect("an area"));
        let with_it = somebody_with(&app, &[name]).await;
        let with_area = somebody_with(&app, &[&area]).await;
        for route in &owned() {
            let ids = things.ids(route.line.acts_on);
            let answer = ask(&with_it, route, &route.path(&ids[0])).await;
            let opened = route.line.opened_by == Some(permission);
            assert_eq!(answer.code() != 404, opened, "{} with {name}: {}", route.key, answer.text());
            assert_ne!(answer.code(), 403, "{} with {name}: says that it is there", route.key);
            if opened {
                // Another one, where there is one: the first may be gone by now.
                let answer = ask(&with_area, route, &route.path(&ids[ids.len() - 1])).await;
                assert_ne!(answer.code(), 404, "{} with {area}", route.key);
            }
        }
    }
    // Sessions are nobody else's, not even the administrator's.
    let session = format!("/auth/sessions/{}", things.sessions[0]);
    app.admin().await.request(Method::DELETE, &session).send().await.expect_problem(404, "not_found");
}
