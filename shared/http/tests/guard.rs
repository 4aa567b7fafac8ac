//! The guard in front of every handler.
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod support;

use axum::{Router, body::Body};
use halyard_auth::{AuthnFailure, context::Authn};
use halyard_http::{Access, ApiResult, Caller, MaybeCaller, Problem, Rate, Routes, Throttle, success};
use http::{Request, StatusCode};
use serde_json::json;
use support::{World, alice, get, send, with, world};

fn routes() -> Routes<()> {
    Routes::new()
        .get("/open", Access::Public, Rate::none(), async || "open")
        .get("/limited", Access::Public, Rate::per_minute(2), async || "limited")
        .get("/mine", Access::Bearer, Rate::per_minute(50), async |Caller(c): Caller| success(json!({"id": c.user_id})))
        .get("/maybe", Access::Optional, Rate::none(), async |MaybeCaller(c): MaybeCaller| {
            success(json!({"name": c.map(|c| c.username)}))
        })
        .get("/panic", Access::Public, Rate::none(), async || -> &'static str { panic!("the secret is hunter2") })
        .get("/fault", Access::Public, Rate::none(), async || -> Problem {
            Problem::internal(&std::io::Error::other("password=hunter2"))
        })
        .get("/down", Access::Public, Rate::none(), async || Problem::unavailable("the database is unavailable", 2))
        .get("/big", Access::Public, Rate::none(), async || success("x".repeat(5_000)))
        .post("/login", Access::Public, Rate::per_account(5), async |throttle: Throttle| -> ApiResult<&'static str> {
            throttle.account("Alice").await?;
            throttle.penalise("alice").await;
            Ok("in")
        })
}

fn app() -> (World, Router) {
    let world = world();
    let router = routes().into_router((), world.ctx.clone());
    (world, router)
}

#[test]
fn routes_can_be_listed_without_a_state() {
    let ids: Vec<String> = routes().list().iter().map(|r| r.id.to_string()).collect();
    assert_eq!(ids[0], "GET /open");
    assert_eq!(ids[8], "POST /login");
    assert_eq!(routes().list()[2].access, Access::Bearer);
}

#[tokio::test]
async fn a_well_formed_request_id_is_kept_and_another_replaced() {
    let (_, app) = app();
    let ask = |id: &str| Request::get("/open").header("x-request-id", id).body(Body::empty()).unwrap();
    assert_eq!(send(&app, ask("client-id-0001")).await.header("x-request-id"), "client-id-0001");
    for bad in ["short", "with spaces in it", "semi;colon;semi;colon"] {
        let made = send(&app, ask(bad)).await.header("x-request-id").to_owned();
        assert!(made.starts_with("req_") && made.len() == 30, "{made}");
    }
}

#[tokio::test]
async fn a_trace_is_continued_or_begun() {
    let (_, app) = app();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request =
        Request::get("/open").header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01")).body(Body::empty());
    let answer = send(&app, request.unwrap()).await;
    let continued = answer.header("traceparent");
    assert!(continued.contains(trace) && !continued.contains("00f067aa0ba902b7"), "{continued}");
    let begun = send(&app, get("/open")).await;
    assert!(halyard_http::TraceContext::parse(begun.header("traceparent")).is_some());
}

#[tokio::test]
async fn every_answer_has_the_security_headers() {
    let (_, app) = app();
    for path in ["/open", "/nowhere", "/panic"] {
        let answer = send(&app, get(path)).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"));
        assert!(!answer.headers.contains_key("strict-transport-security"));
    }
    let tls = Request::get("/open").header("x-forwarded-proto", "https").body(Body::empty()).unwrap();
    assert!(send(&app, tls).await.headers.contains_key("strict-transport-security"));
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_are_problems() {
    let (_, app) = app();
    let answer = send(&app, get("/nowhere?x=1")).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let body = answer.json();
    assert_eq!(
        body,
        json!({
            "type": "urn:halyard:problem:not_found", "title": "Not Found", "status": 404,
            "detail": "there is nothing at this path", "instance": "/nowhere", "error": "not_found",
            "request_id": answer.header("x-request-id"),
        })
    );
    let wrong = Request::delete("/open").body(Body::empty()).unwrap();
    let answer = send(&app, wrong).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.json()["error"], "method_not_allowed");
    assert_eq!(answer.header("allow"), "GET,HEAD");
}

#[tokio::test]
async fn identity_comes_from_the_authorizer_alone() {
    let (_, app) = app();
    let forged = Request::get("/mine").header("authorization", "Bearer x").header("x-auth-user-id", "1");
    let answer = send(&app, forged.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"halyard\"");
    assert_eq!(answer.json()["error"], "token_missing");
    let answer = send(&app, with(get("/mine"), Some(&alice()), "192.0.2.7")).await;
    assert_eq!(answer.json(), json!({"status": "success", "data": {"id": 42}}));
}

#[tokio::test]
async fn a_bad_token_is_a_401_problem_even_where_none_is_needed() {
    let (_, app) = app();
    for path in ["/mine", "/maybe"] {
        let invalid = Authn::Invalid(AuthnFailure::Expired);
        let answer = send(&app, with(get(path), Some(&invalid), "192.0.2.7")).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(answer.json()["error"], "token_expired");
        assert_eq!(
            answer.header("www-authenticate"),
            "Bearer realm=\"halyard\", error=\"invalid_token\", error_description=\"the token has expired\""
        );
    }
    let answer = send(&app, with(get("/maybe"), Some(&Authn::Anonymous), "192.0.2.7")).await;
    assert_eq!(answer.json()["data"]["name"], json!(null));
    let answer = send(&app, with(get("/maybe"), Some(&alice()), "192.0.2.7")).await;
    assert_eq!(answer.json()["data"]["name"], "alice");
}

#[tokio::test]
async fn an_authorizer_that_cannot_say_is_a_503_and_no_open_door() {
    let (_, app) = app();
    let answer = send(&app, with(get("/mine"), Some(&Authn::Unavailable), "192.0.2.7")).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.header("retry-after"), "5");
}

#[tokio::test]
async fn faults_and_panics_are_500_problems_that_tell_nothing() {
    let (_, app) = app();
    for path in ["/panic", "/fault"] {
        let answer = send(&app, get(path)).await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.json()["error"], "internal");
        assert!(!String::from_utf8_lossy(&answer.body).contains("hunter2"));
    }
    assert_eq!(send(&app, get("/down")).await.header("retry-after"), "2");
}

#[tokio::test]
async fn a_limit_refuses_with_429_and_says_when() {
    let (world, app) = app();
    let first = send(&app, with(get("/limited"), None, "192.0.2.7")).await;
    assert_eq!(first.header("ratelimit-policy"), "\"caller\";q=2;w=60");
    assert_eq!(first.header("ratelimit"), "\"caller\";r=1;t=30");
    send(&app, with(get("/limited"), None, "192.0.2.7")).await;
    let refused = send(&app, with(get("/limited"), None, "192.0.2.7")).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.header("retry-after"), "30");
    assert_eq!(refused.header("ratelimit"), "\"caller\";r=0;t=60");
    assert_eq!(refused.json()["error"], "rate_limited");
    assert_eq!(send(&app, with(get("/limited"), None, "192.0.2.8")).await.status, StatusCode::OK);
    world.clock.advance(chrono::Duration::seconds(30));
    assert_eq!(send(&app, with(get("/limited"), None, "192.0.2.7")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn with_the_limiter_down_limits_hold_in_memory() {
    let (world, app) = app();
    *world.limiter.down.lock().unwrap() = true;
    for expected in [200, 200, 429, 429] {
        assert_eq!(send(&app, with(get("/limited"), None, "192.0.2.7")).await.status.as_u16(), expected);
    }
}

#[tokio::test]
async fn one_round_trip_carries_the_limit_and_the_outcomes_of_earlier_requests() {
    let (world, app) = app();
    send(&app, get("/open")).await;
    send(&app, get("/nowhere")).await;
    assert!(world.limiter.calls.lock().unwrap().is_empty());
    send(&app, with(get("/mine"), Some(&alice()), "192.0.2.7")).await;
    let calls = world.limiter.calls.lock().unwrap();
    let [(route, limits, outcomes)] = &calls[..] else { panic!("{} calls", calls.len()) };
    assert_eq!((route.as_str(), limits[0].key.as_str()), ("GET /mine", "GET /mine:u:42"));
    let told: Vec<(&str, u16)> = outcomes.iter().map(|o| (&*o.route, o.status.as_u16())).collect();
    assert_eq!(told, [("GET /open", 200), ("$default", 404)]);
}

#[tokio::test]
async fn a_failure_costs_twice_and_the_account_counts_by_address() {
    let (_, app) = app();
    let login = || with(Request::post("/login").body(Body::empty()).unwrap(), None, "192.0.2.7");
    let answer = send(&app, login()).await;
    assert_eq!(answer.header("ratelimit-policy"), "\"account\";q=5;w=60, \"address\";q=100;w=60");
    assert_eq!(send(&app, login()).await.status, StatusCode::OK);
    assert_eq!(send(&app, login()).await.status, StatusCode::OK);
    assert_eq!(send(&app, login()).await.status, StatusCode::TOO_MANY_REQUESTS);
    let elsewhere = with(Request::post("/login").body(Body::empty()).unwrap(), None, "192.0.2.9");
    assert_eq!(send(&app, elsewhere).await.status, StatusCode::OK);
}

#[tokio::test]
async fn large_answers_are_compressed_for_those_who_take_it() {
    let (_, app) = app();
    let ask = |coding: &str| Request::get("/big").header("accept-encoding", coding).body(Body::empty()).unwrap();
    let packed = send(&app, ask("br;q=1.0, gzip;q=0.8")).await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert_eq!(packed.header("vary"), "accept-encoding");
    assert!(packed.body.len() < 500);
    let mut plain = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&packed.body[..]), &mut plain).unwrap();
    assert!(plain.contains("xxxx"));
    for refused in ["identity", "gzip;q=0", "br"] {
        assert!(!send(&app, ask(refused)).await.headers.contains_key("content-encoding"), "{refused}");
    }
    let small = Request::get("/open").header("accept-encoding", "gzip").body(Body::empty()).unwrap();
    assert!(!send(&app, small).await.headers.contains_key("content-encoding"));
}
