//! Permissions: every route that needs one is closed without it, and opened by it, by its area and by `*`. A route that
//! needs one and does not say so in the table fails the first test, and so does the reverse.

use std::sync::atomic::{AtomicUsize, Ordering};

use halyard_domain::{
    authz::{self, Permission},
    user::Role,
};
use halyard_tests::{Actor, TestApp, TestResponse};
use serde_json::json;

use super::table::{self, Known};

/// Somebody new with these personal grants, signed in.
pub async fn somebody_with(app: &TestApp, grants: &[&str]) -> Actor {
    somebody(app, Role::User, grants).await
}

async fn somebody(app: &TestApp, role: Role, grants: &[&str]) -> Actor {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("somebody{}", NEXT.fetch_add(1, Ordering::Relaxed));
    Actor::try_register(&app.transport(), &name).await.expect(200);
    let grants: Vec<String> = grants.iter().map(|grant| format!("'{grant}'")).collect();
    let grants = format!("array[{}]::text[]", grants.join(","));
    app.execute(&format!("update users set role = '{role}', permissions = {grants} where username = '{name}'")).await;
    app.login(&name, halyard_tests::actor::PASSWORD).await
}

async fn ask(who: &Actor, route: &Known) -> TestResponse {
    let draft = who.request(route.method.clone(), &route.path_to_nothing());
    match route.line.body {
        Some(body) => draft.json(&body(7)).send().await,
        None => draft.send().await,
    }
}

fn let_in(answer: &TestResponse) -> bool {
    assert!(answer.code() != 401 && answer.code() < 500, "{}", answer.text());
    if answer.code() == 403 {
        answer.clone().expect_problem(403, "forbidden");
    }
    answer.code() != 403
}

async fn app() -> TestApp {
    TestApp::builder().without_rate_limits().spawn().await
}

#[tokio::test]
async fn a_route_is_closed_to_an_ordinary_user_if_and_only_if_the_table_names_a_permission() {
    let app = app().await;
    app.leave_unfinished();
    for route in table::routes().iter().filter(|route| route.authorizer.is_some()) {
        let user = somebody_with(&app, &[]).await;
        let answer = ask(&user, route).await;
        assert_eq!(
            let_in(&answer),
            route.line.needs.is_none(),
            "{} answers {}: does its handler ask for a permission? tests/it/security/table.rs says {:?}",
            route.key,
            answer.code(),
            route.line.needs
        );
    }
}

#[tokio::test]
async fn a_permission_its_area_and_the_star_open_a_route_and_nothing_else_does() {
    let app = app().await;
    let mut walked = 0;
    for route in table::routes() {
        let Some(needed) = route.line.needs else { continue };
        let (name, area) = (needed.as_str(), needed.as_str().split(':').next().expect("an area"));
        for opens in [name, &format!("{area}:*"), "*"] {
            let answer = ask(&somebody_with(&app, &["unrelated", opens]).await, &route).await;
            assert!(let_in(&answer), "{} with {opens}: {}", route.key, answer.text());
        }
        let mut closed: Vec<String> = Permission::ALL
            .into_iter()
            .filter(|other| *other != needed)
            .map(|other| other.as_str().to_owned())
            .collect();
        // Almost.
        closed.extend([
            area.to_owned(),
            format!("{area}:"),
            format!(":{area}:*"),
            format!("{area}:**"),
            format!("{name}:*"),
            format!("{name} "),
            name.to_uppercase(),
            name.replace(':', "."),
            format!("{area}*"),
            ":*".to_owned(),
            "**".to_owned(),
            "*:*".to_owned(),
            String::new(),
            "admin".to_owned(),
        ]);
        let closed: Vec<&str> = closed.iter().map(String::as_str).collect();
        let answer = ask(&somebody_with(&app, &closed).await, &route).await;
        assert!(!let_in(&answer), "{} with {closed:?} together: {}", route.key, answer.text());
        walked += 1;
    }
    assert!(walked >= 3, "walked {walked} routes only");
}

#[tokio::test]
async fn an_operator_is_let_in_where_the_role_says_so_and_the_administrator_everywhere() {
    let app = app().await;
    for role in [Role::User, Role::Operator, Role::Admin] {
        for route in table::routes() {
            let Some(needed) = route.line.needs else { continue };
            let who = somebody(&app, role, &[]).await;
            let answer = ask(&who, &route).await;
            let expected = authz::Grants::of(role, &[]).allow(needed);
            assert_eq!(let_in(&answer), expected, "{} for {role}: {}", route.key, answer.text());
        }
    }
}

/// An API key of somebody, with this scope.
async fn key_of(owner: &Actor, scope: &[&str]) -> Actor {
    let made = owner.post("/auth/api-keys", json!({"name": "a program", "permissions": scope})).await.expect(200);
    owner.with_token(made.json()["data"]["key"].as_str().expect("a key"))
}

#[tokio::test]
async fn a_key_of_the_administrator_opens_what_its_scope_opens() {
    let app = app().await;
    let admin = app.admin().await;
    for permission in Permission::ALL {
        let others: Vec<&str> =
            Permission::ALL.into_iter().filter(|other| *other != permission).map(Permission::as_str).collect();
        let (with, without) = (key_of(&admin, &[permission.as_str()]).await, key_of(&admin, &others).await);
        for route in table::routes().iter().filter(|route| route.line.needs == Some(permission)) {
            assert!(let_in(&ask(&with, route).await), "{} with {}", route.key, permission.as_str());
            assert!(!let_in(&ask(&without, route).await), "{} with {others:?}", route.key);
        }
    }
}

#[tokio::test]
async fn a_key_is_refused_where_somebody_must_have_signed_in_if_and_only_if_the_table_says_so() {
    let app = app().await;
    app.leave_unfinished();
    let key = key_of(&app.admin().await, &["*"]).await;
    for route in table::routes().iter().filter(|route| route.authorizer.is_some()) {
        let answer = ask(&key, route).await;
        if answer.code() == 403 {
            answer.clone().expect_problem(403, "session_required");
        }
        assert_eq!(
            answer.code() == 403,
            route.line.for_people,
            "{} answers {} to an API key: should its handler take a SessionCaller? tests/it/security/table.rs says {}",
            route.key,
            answer.code(),
            route.line.for_people
        );
    }
}

#[tokio::test]
async fn the_inner_details_of_health_are_for_those_with_the_permission() {
    let app = app().await;
    let details = async |who: &Actor| {
        let health = who.get("/health/status").await.expect(200).json();
        health["checks"]["redis"]["connected_clients"].is_number()
    };
    for grants in [&["metrics:read"][..], &["metrics:*"], &["*"]] {
        assert!(details(&somebody_with(&app, grants).await).await, "{grants:?}");
    }
    let others = ["users:read", "users:write", "tasks:read_all", "tasks:manage_all", "system:manage", "metrics"];
    assert!(!details(&somebody_with(&app, &others).await).await);
    assert!(!details(&app.anonymous()).await);
}
