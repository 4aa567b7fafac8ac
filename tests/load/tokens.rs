//! What stands in front of every request, in this process: one access token verified, and the whole authorizer.

use std::time::{Duration, Instant};

use halyard_auth::{
    KeySet,
    token::{self, TokenRules},
};
use halyard_tests::{Actor, PrivatePostgres, PrivateRedis, TestApp};
use serde_json::{Value, json};

use crate::{
    Options,
    client::quantile,
    report::{Line, Report},
};

/// Tokens that are verified between two looks at the clock.
const ROUND: u32 = 50;

/// Measures both, if they were asked for.
pub async fn measure(options: &Options, report: &mut Report) -> Result<(), String> {
    let wanted = |case: &str| case.contains(&options.only);
    if !wanted("verify") && !wanted("authorizer") {
        return Ok(());
    }
    let (postgres, redis) = (PrivatePostgres::start().await, PrivateRedis::start());
    let app = TestApp::builder().postgres(&postgres).redis(&redis).live().spawn().await;
    let admin = app.admin().await;
    if wanted("verify") {
        eprintln!("verify");
        report.lines.push(verify(options, &admin).await?);
    }
    if wanted("authorizer") {
        eprintln!("authorizer");
        report.lines.push(authorizer(options, &app, &admin).await?);
    }
    Ok(())
}

/// Signature, claims and rules of one token, without its session.
async fn verify(options: &Options, admin: &Actor) -> Result<Line, String> {
    let access = admin.access_token.as_deref().ok_or("no token")?;
    let keys = admin.get("/.well-known/jwks.json").await.expect(200).text();
    let keys = KeySet::from_jwks(&keys).map_err(|e| e.to_string())?;
    let shown = halyard_tests::response::token(access).ok_or("no token")?;
    let claim = |name: &str| shown["claims"][name].as_str().unwrap_or_default().to_owned();
    let rules = TokenRules { issuer: claim("iss"), audience: claim("aud") };
    let issued = chrono::DateTime::from_timestamp(shown["claims"]["iat"].as_i64().unwrap_or_default(), 0);
    let now = issued.ok_or("no time")?;
    let mut rounds = Vec::new();
    let start = Instant::now();
    while start.elapsed() < options.span {
        let began = Instant::now();
        for _ in 0..ROUND {
            let claims = token::verify(std::hint::black_box(access), &keys, &rules, now);
            std::hint::black_box(claims).map_err(|e| e.to_string())?;
        }
        rounds.push(nanoseconds(began.elapsed()) / ROUND);
    }
    let line = line("verify", &mut rounds, 60.0, "60 us".to_owned());
    Ok(Line { note: format!("{}, a token of {} bytes", line.note, access.len()), ..line })
}

/// The authorizer's invocation in an environment of its own, the session in Redis.
async fn authorizer(options: &Options, app: &TestApp, admin: &Actor) -> Result<Line, String> {
    let header = format!("Bearer {}", admin.access_token.as_deref().ok_or("no token")?);
    let mut took = Vec::new();
    let start = Instant::now();
    while start.elapsed() < options.span {
        let event = halyard_platform::Event::Authorizer(Box::new(
            serde_json::from_value(event(&header)).map_err(|e| e.to_string())?,
        ));
        let began = Instant::now();
        let answer = app.invoke("AuthorizerFunction", event).await;
        took.push(nanoseconds(began.elapsed()));
        let halyard_platform::Answer::Authorizer(answer) = answer else { return Err("no authorizer's answer".into()) };
        if answer.context["authn"] != "ok" {
            return Err(format!("the authorizer says {}", answer.context));
        }
    }
    Ok(line("authorizer", &mut took, 500.0, "0.5 ms wall".to_owned()))
}

fn line(case: &str, nanoseconds: &mut [u32], aim_us: f64, aim: String) -> Line {
    nanoseconds.sort_unstable();
    let [p50, p99] = [0.5, 0.99].map(|q| quantile(nanoseconds, q) / 1000.0);
    Line {
        case: case.to_owned(),
        mode: "process",
        per_second: Some(1e6 / p50),
        p50_ms: Some(p50 / 1000.0),
        p99_ms: Some(p99 / 1000.0),
        cpu_ms: None,
        target: Some((aim, p50 < aim_us)),
        note: format!("{p50:.1} us, p99 {p99:.1} us"),
    }
}

fn nanoseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_nanos()).unwrap_or(u32::MAX)
}

/// An event of payload 2.0.
fn event(header: &str) -> Value {
    json!({
        "version": "2.0",
        "type": "REQUEST",
        "routeArn": "arn:aws:execute-api:eu-central-1:123456789012:abcdef/$default/GET/api/protected",
        "identitySource": [header],
        "routeKey": "GET /api/protected",
        "rawPath": "/api/protected",
        "rawQueryString": "",
        "cookies": [],
        "headers": {"authorization": header, "host": "localhost", "accept": "*/*", "user-agent": "load"},
        "queryStringParameters": {},
        "requestContext": {
            "accountId": "123456789012", "apiId": "abcdef", "domainName": "localhost", "requestId": "r",
            "http": {
                "method": "GET", "path": "/api/protected", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "load",
            },
            "routeKey": "GET /api/protected", "stage": "$default", "time": "23/Nov/2026:12:00:00 +0000", "timeEpoch": 0,
        },
        "pathParameters": {},
        "stageVariables": {},
    })
}
