//! Ends of sessions against what was under way when they came: each race is brought about, none is left to luck.

use std::future::Future;

use chrono::Duration;
use halyard_tests::{
    Actor, TestApp, TestResponse,
    unreliable_table::{Held, Moment},
};
use http::Method;
use serde_json::json;
use tokio::task::JoinHandle;

/// How old an answer from the cache of sessions may be.
const CACHE: Duration = Duration::seconds(1);
const NEW: &str = "correct horse battery staple";

async fn validate(actor: &Actor) -> TestResponse {
    actor.get("/auth/validate").await
}

async fn refresh(actor: &Actor) -> TestResponse {
    let token = actor.refresh_token.clone().expect("a refresh token");
    actor.request(Method::POST, "/auth/refresh").bearer(&token).send().await
}

fn begin<F: Future<Output = TestResponse> + Send + 'static>(
    actor: &Actor,
    ask: impl FnOnce(Actor) -> F + Send + 'static,
) -> JoinHandle<TestResponse> {
    tokio::spawn(ask(actor.clone()))
}

/// Two sessions of one user. The gateway knows both; what Redis knows of them has just become too old.
async fn two_sessions(app: &TestApp) -> (Actor, Actor) {
    let (one, other) = (app.admin().await, app.admin().await);
    for session in [&one, &other] {
        session.get("/api/protected").await.expect(200);
    }
    app.advance(CACHE);
    (one, other)
}

/// Begins a look-up that reads the session and the epoch from the table, at the same time, runs `end`, and lets the look-up put
/// what it has read into the cache.
async fn fill_late(app: &TestApp, session: &Actor, end: impl AsyncFnOnce()) {
    let held = ["session#", "epoch"].map(|item| app.table().hold(Moment::AfterRead, item));
    let late = begin(session, |session| async move { validate(&session).await });
    for held in &held {
        held.reached().await;
    }
    end().await;
    held.into_iter().for_each(Held::release);
    late.await.expect("an answer").expect(200);
}

#[tokio::test]
async fn a_fill_that_began_before_a_logout_and_lands_after_it_brings_nothing_back() {
    let app = TestApp::spawn().await;
    let (session, other) = two_sessions(&app).await;
    fill_late(&app, &session, async || {
        session.post("/auth/logout", json!({})).await.expect(200);
    })
    .await;
    validate(&session).await.expect_problem(401, "token_revoked");
    validate(&other).await.expect(200);
}

#[tokio::test]
async fn a_fill_that_began_before_an_epoch_was_raised_and_lands_after_it_brings_nothing_back() {
    let app = TestApp::spawn().await;
    let (session, other) = two_sessions(&app).await;
    fill_late(&app, &session, async || {
        other.post("/auth/logout-all", json!({})).await.expect(200);
    })
    .await;
    for ended in [&session, &other] {
        validate(ended).await.expect_problem(401, "token_revoked");
    }
    assert_eq!(app.count("select auth_epoch from users where username = 'admin'").await, 1);
}

/// The tombstone is gone, and the late fill finds an empty cache: what it puts counts from when it was read.
#[tokio::test]
async fn a_fill_that_lands_late_in_a_flushed_cache_counts_for_the_bound_and_no_longer() {
    let app = TestApp::spawn().await;
    let (session, other) = two_sessions(&app).await;
    fill_late(&app, &session, async || {
        session.post("/auth/logout", json!({})).await.expect(200);
        app.forget_redis().await;
    })
    .await;
    app.advance(CACHE);
    validate(&session).await.expect_problem(401, "token_revoked");
    fill_late(&app, &other, async || {
        other.post("/auth/logout-all", json!({})).await.expect(200);
        app.forget_redis().await;
    })
    .await;
    app.advance(CACHE);
    validate(&other).await.expect_problem(401, "token_revoked");
}

/// The password was checked and the epoch read before; the session is stored after.
#[tokio::test]
async fn a_session_that_is_created_during_a_logout_everywhere_has_ended_too() {
    let app = TestApp::spawn().await;
    let (session, _) = two_sessions(&app).await;
    let mut created = created_during(&app, &session, async || {
        session.post("/auth/logout-all", json!({})).await.expect(200);
    })
    .await;
    created.sign_in().await;
    validate(&created).await.expect(200);
}

#[tokio::test]
async fn a_session_that_is_created_with_the_old_password_during_its_change_has_ended_too() {
    let app = TestApp::spawn().await;
    let (session, _) = two_sessions(&app).await;
    created_during(&app, &session, async || {
        let change = json!({"current_password": session.password, "new_password": NEW});
        session.post("/auth/password", change).await.expect(200);
    })
    .await;
    validate(&session).await.expect(200);
}

/// Signs in while `end` happens; the session that comes of it is good for nothing.
async fn created_during(app: &TestApp, account: &Actor, end: impl AsyncFnOnce()) -> Actor {
    let held = app.table().hold(Moment::BeforeWrite, "session#");
    let login = begin(account, |account| async move { account.try_login().await });
    held.reached().await;
    end().await;
    held.release();
    let mut created = account.clone();
    created.signed_in(&login.await.expect("an answer").expect(200));
    validate(&created).await.expect_problem(401, "token_revoked");
    refresh(&created).await.expect_problem(401, "token_revoked");
    created
}

/// Rotates the session's token while `end` happens.
async fn refreshed_during(app: &TestApp, session: &Actor, end: impl AsyncFnOnce()) -> TestResponse {
    let held = app.table().hold(Moment::BeforeWrite, "session#");
    let rotation = begin(session, |session| async move { refresh(&session).await });
    held.reached().await;
    end().await;
    held.release();
    rotation.await.expect("an answer")
}

/// What a refresh gave, if it gave something, is good for nothing.
async fn gives_nothing_good(session: &Actor, answer: TestResponse) {
    let mut renewed = session.clone();
    if answer.code() == 200 {
        let token = |name: &str| answer.json()["data"][name].as_str().map(str::to_owned);
        (renewed.access_token, renewed.refresh_token) = (token("access_token"), token("refresh_token"));
    } else {
        answer.expect_problem(401, "token_revoked");
    }
    for actor in [session, &renewed] {
        validate(actor).await.expect_problem(401, "token_revoked");
        refresh(actor).await.expect_problem(401, "token_revoked");
    }
}

#[tokio::test]
async fn a_refresh_during_a_logout_everywhere_gives_nothing_good() {
    let app = TestApp::spawn().await;
    let (session, other) = two_sessions(&app).await;
    let answer = refreshed_during(&app, &session, async || {
        other.post("/auth/logout-all", json!({})).await.expect(200);
    });
    gives_nothing_good(&session, answer.await).await;
}

#[tokio::test]
async fn a_refresh_during_the_logout_of_its_session_gives_nothing_good() {
    let app = TestApp::spawn().await;
    let (session, _) = two_sessions(&app).await;
    let answer = refreshed_during(&app, &session, async || {
        session.post("/auth/logout", json!({})).await.expect(200);
    });
    gives_nothing_good(&session, answer.await).await;
}

#[tokio::test]
async fn a_refresh_while_its_account_is_disabled_gives_nothing_good() {
    let app = TestApp::spawn().await;
    let (session, _) = two_sessions(&app).await;
    let answer = refreshed_during(&app, &session, async || {
        app.execute(
            "with raised as (
                 update users set status = 'disabled', auth_epoch = auth_epoch + 1
                 where username = 'admin' returning id, auth_epoch
             )
             insert into auth_epoch_outbox (user_id, auth_epoch, since) select id, auth_epoch, now() from raised",
        )
        .await;
        app.beat().await;
    });
    gives_nothing_good(&session, answer.await).await;
}

#[tokio::test]
async fn of_two_logouts_at_once_both_have_ended_the_session() {
    let app = TestApp::spawn().await;
    let (session, other) = two_sessions(&app).await;
    let logout = || session.post("/auth/logout", json!({}));
    let (one, two) = tokio::join!(logout(), logout());
    one.expect(200);
    two.expect(200);
    validate(&session).await.expect_problem(401, "token_revoked");
    let everywhere = || other.post("/auth/logout-all", json!({}));
    let (one, two) = tokio::join!(everywhere(), everywhere());
    one.expect(200);
    two.expect(200);
    validate(&other).await.expect_problem(401, "token_revoked");
}
