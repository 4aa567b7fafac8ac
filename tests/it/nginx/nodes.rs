//! Nodes that fail: who is asked again, who is not, and how soon all is well.

use std::{
    cell::Cell,
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use halyard_tests::{Nginx, ScriptedNode, process::free_port, scripted_node::answer, wait};
use http::Method;
use serde_json::json;

use super::{app_and_nginx, load::Load};

const LIMIT: Duration = Duration::from_secs(20);

/// A node that takes a request and breaks off, as one does that is killed in the middle.
fn breaking() -> ScriptedNode {
    ScriptedNode::start(Box::new(|_| None))
}

fn nobody_listens() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, free_port()).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_is_never_sent_twice_and_a_get_is_sent_again() {
    let (broken, good) = (breaking(), ScriptedNode::answering(200, "", "{}"));
    let nginx = Nginx::before(&[broken.address(), good.address()], &[("LIMITS", "off")]);
    let nobody = nginx.anonymous();
    for (method, again) in [
        (Method::GET, true),
        (Method::PUT, true),
        (Method::DELETE, true),
        (Method::POST, false),
        (Method::PATCH, false),
    ] {
        let path = format!("/by-{method}");
        let (sent, lost) = (Cell::new(0), Cell::new(0));
        // The broken one is left alone for a second after each failure.
        wait::until(format!("{method} to meet the broken node"), LIMIT, async || {
            let answer = nobody.request(method.clone(), &path).send().await;
            sent.set(sent.get() + 1);
            if answer.code() != 200 {
                lost.set(lost.get() + 1);
                let problem = answer.expect_problem(503, "unavailable");
                assert_eq!(problem.header("retry-after"), "2");
            }
            (!broken.requests(&path).is_empty()).then_some(())
        })
        .await;
        let (first, second) = (broken.requests(&path).len(), good.requests(&path).len());
        let (sent, lost) = (sent.get(), lost.get());
        let (all, failed) = if again { (sent + first, 0) } else { (sent, first) };
        assert_eq!((first + second, lost), (all, failed), "{method}: {sent} sent");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_that_reached_nobody_is_sent_elsewhere() {
    let good = ScriptedNode::answering(200, "", "{}");
    let nginx = Nginx::before(&[nobody_listens(), good.address(), nobody_listens()], &[("LIMITS", "off")]);
    for _ in 0..50 {
        nginx.anonymous().post("/tasks/anything", json!({})).await.expect(200);
    }
    assert_eq!(good.requests("/tasks/anything").len(), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_answers_is_the_answer() {
    let down =
        answer(503, "retry-after: 9\r\ncontent-type: application/problem+json\r\n", r#"{"error":"unavailable"}"#);
    let nodes = [(); 2].map(|()| {
        let down = down.clone();
        ScriptedNode::start(Box::new(move |_| Some(down.clone())))
    });
    let nginx = Nginx::before(&nodes.each_ref().map(ScriptedNode::address), &[]);
    for _ in 0..20 {
        let answer = nginx.anonymous().get("/health/status").await.expect_problem(503, "unavailable");
        assert_eq!((answer.header("retry-after"), answer.text().len()), ("9", 23));
    }
    let asked: usize = nodes.iter().map(|n| n.requests("/health/status").len()).sum();
    assert_eq!(asked, 20, "nobody was asked again, and nobody was left alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_every_node_down_the_answer_is_a_quick_503_and_a_node_that_is_back_is_used() {
    let addresses = [nobody_listens(), nobody_listens(), nobody_listens()];
    let nginx = Nginx::before(&addresses, &[("LIMITS", "off")]);
    let (nobody, somebody) = (nginx.anonymous(), nginx.anonymous().with_token("a.b.c"));
    let start = Instant::now();
    for _ in 0..50 {
        let refused = nobody.get("/api/status").await.expect_problem(503, "unavailable");
        assert_eq!(refused.header("retry-after"), "2");
        somebody.get("/api/protected").await.expect_problem(503, "unavailable");
        somebody.post("/tasks/submit", json!({})).await.expect_problem(503, "unavailable");
    }
    println!("150 answers without a node in {:?}", start.elapsed());
    let node = ScriptedNode::start_at(addresses[1], Box::new(|_| Some(answer(200, "", "{}"))));
    // All three have just failed; they are tried all the same, and the one that is back answers.
    nobody.get("/api/status").await.expect(200);
    somebody.get("/api/protected").await.expect(200);
    assert!(!node.requests("/auth/validate").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_under_load_fails_no_request() {
    let (app, mut nginx) = app_and_nginx(&[("LIMITS", "off")]).await;
    drop(app.anonymous());
    // A connection for each request: on one that is kept, HTTP/1.1 leaves it to the client to ask again when it is closed
    // between two requests.
    let load = Load::of((0..4).map(|_| nginx.anonymous()).collect(), "/health/ping", "close");
    load.goes_on(50).await;
    for limits in ["10", "off", "off"] {
        nginx.reload(&[("LIMITS", limits)]).await;
        load.goes_on(50).await;
    }
    let (sent, failures) = load.end().await;
    assert_eq!(failures, Vec::<String>::new(), "of {sent}");
    let complaints = nginx.complaints();
    assert!(!complaints.contains("[emerg]") && !complaints.contains("[alert]"), "{complaints}");
}
