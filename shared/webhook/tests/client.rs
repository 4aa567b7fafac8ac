//! The guarded client against receivers on this machine.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use halyard_domain::outbound::{AddressKind, Allowed, Refusal, Target};
use halyard_webhook::{Answer, GuardedClient, Limits, Outbound as _, Outgoing, Resolve, SendError};
use http::{HeaderMap, HeaderValue, Method, header};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

const LIMITS: Limits = Limits { time: Duration::from_secs(5), body: 64 };

/// Gives the answers of a script, the last of them for ever.
#[derive(Debug)]
struct Script(Mutex<Vec<Vec<IpAddr>>>);

impl Script {
    fn of(answers: &[&[&str]]) -> Arc<Self> {
        let parsed = answers
            .iter()
            .rev()
            .map(|a| a.iter().map(|ip| ip.parse().expect("as the test wants it")).collect())
            .collect();
        Arc::new(Self(Mutex::new(parsed)))
    }

    fn left(&self) -> usize {
        self.0.lock().expect("as the test wants it").len()
    }
}

#[async_trait]
impl Resolve for Script {
    async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        Ok(self.0.lock().expect("as the test wants it").pop().unwrap_or_default())
    }
}

/// A receiver that reads one request, says `answer` and keeps the connection open for `linger`.
async fn receiver(answer: impl Into<Vec<u8>>, linger: Duration) -> (SocketAddr, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("as the test wants it");
    let address = listener.local_addr().expect("as the test wants it");
    let answer = answer.into();
    let heard = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("as the test wants it");
        let mut heard = Vec::new();
        let mut buffer = [0; 4096];
        while !complete(&heard) {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(n) => heard.extend_from_slice(&buffer[..n]),
            }
        }
        let _ = stream.write_all(&answer).await;
        tokio::time::sleep(linger).await;
        String::from_utf8_lossy(&heard).into_owned()
    });
    (address, heard)
}

fn complete(heard: &[u8]) -> bool {
    let text = String::from_utf8_lossy(heard).to_lowercase();
    let Some((top, body)) = text.split_once("\r\n\r\n") else { return false };
    let length =
        top.split_once("content-length: ").and_then(|(_, l)| l.split("\r\n").next()?.parse().ok()).unwrap_or(0);
    body.len() >= length
}

fn post(url: &str) -> Outgoing {
    let target = Target::parse(url).expect("as the test wants it");
    Outgoing { method: Method::POST, target, headers: HeaderMap::new(), body: Bytes::from_static(b"{\"a\":1}") }
}

fn local() -> GuardedClient {
    GuardedClient::new(Allowed::loopback())
}

async fn send(client: &GuardedClient, url: &str) -> Result<Answer, SendError> {
    client.send(post(url), LIMITS).await
}

#[tokio::test]
async fn a_request_is_sent_as_it_was_made_and_answered() {
    let (address, heard) =
        receiver("HTTP/1.1 202 Accepted\r\nretry-after: 7\r\ncontent-length: 2\r\n\r\nok", Duration::ZERO).await;
    let mut outgoing = post(&format!("http://{address}/hook?x=1"));
    outgoing.headers.insert("webhook-id", HeaderValue::from_static("evt_1"));
    outgoing.headers.insert(header::HOST, HeaderValue::from_static("other.example"));
    outgoing.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    let answer = local().send(outgoing, LIMITS).await.expect("as the test wants it");
    assert_eq!((answer.status.as_u16(), &answer.body[..], answer.cut), (202, &b"ok"[..], false));
    assert_eq!(answer.headers[header::RETRY_AFTER], "7");
    let heard = heard.await.expect("as the test wants it");
    assert!(heard.starts_with("POST /hook?x=1 HTTP/1.1\r\n") && heard.ends_with("\r\n\r\n{\"a\":1}"), "{heard}");
    assert!(heard.contains(&format!("host: {address}\r\n")) && heard.contains("webhook-id: evt_1\r\n"), "{heard}");
    assert!(heard.contains("connection: close\r\n") && !heard.contains("chunked"), "{heard}");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let (address, _) = receiver(
        "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n",
        Duration::ZERO,
    )
    .await;
    assert_eq!(send(&local(), &format!("http://{address}/")).await.expect("as the test wants it").status, 302);
}

#[tokio::test]
async fn of_a_huge_answer_only_the_beginning_is_read() {
    let huge = format!("HTTP/1.1 200 OK\r\ncontent-length: 9000000\r\n\r\n{}", "x".repeat(100_000));
    let (address, _) = receiver(huge, Duration::from_mins(1)).await;
    let answer = send(&local(), &format!("http://{address}/")).await.expect("as the test wants it");
    assert_eq!((answer.body.len(), answer.cut), (LIMITS.body, true));
}

#[tokio::test]
async fn whoever_is_slow_at_any_point_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("as the test wants it");
    let (head, _) = receiver("HTTP/1.1 200", Duration::from_mins(1)).await;
    let (body, _) = receiver("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab", Duration::from_mins(1)).await;
    let client = local();
    let limits = Limits { time: Duration::from_millis(60), body: 64 };
    for url in [
        format!("http://{}/", silent.local_addr().expect("as the test wants it")),
        format!("https://{}/", silent.local_addr().expect("as the test wants it")),
        format!("http://{head}/"),
        format!("http://{body}/"),
    ] {
        let error = client.send(post(&url), limits).await.unwrap_err();
        assert_eq!(error, SendError::TimedOut(limits.time), "{url}");
    }
}

#[tokio::test]
async fn what_is_no_answer_is_an_error_that_says_so() {
    let (closed, _) = receiver("", Duration::ZERO).await;
    let (half, _) = receiver("HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nab", Duration::ZERO).await;
    let (other, _) = receiver("220 mail.example ESMTP\r\n", Duration::ZERO).await;
    let head = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(100_000));
    let (large, _) = receiver(head, Duration::ZERO).await;
    let client = local();
    let error = async |address: SocketAddr| send(&client, &format!("http://{address}/")).await.unwrap_err();
    assert!(matches!(error(closed).await, SendError::Broken(_)));
    assert!(matches!(error(half).await, SendError::Broken(_)));
    assert!(matches!(error(other).await, SendError::Protocol(_)));
    assert!(matches!(error(large).await, SendError::Protocol(_)));
    let gone = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("as the test wants it")
        .local_addr()
        .expect("as the test wants it");
    assert!(matches!(error(gone).await, SendError::Unreachable(_)));
}

#[tokio::test]
async fn a_private_address_is_not_called_whatever_the_url_calls_it() {
    let (address, heard) = receiver("HTTP/1.1 200 OK\r\n\r\n", Duration::ZERO).await;
    let port = address.port();
    let names = Script::of(&[&["127.0.0.1"], &["::ffff:127.0.0.1"], &["8.8.8.8", "127.0.0.1"], &["64:ff9b::7f00:1"]]);
    let client = GuardedClient::new(Allowed::default()).with_resolver(names.clone());
    for url in [
        format!("http://127.0.0.1:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://one.example:{port}/"),
        format!("http://two.example:{port}/"),
        format!("http://three.example:{port}/"),
        format!("http://four.example:{port}/"),
    ] {
        let refused = SendError::Refused(Refusal::Address(AddressKind::Loopback));
        assert_eq!(send(&client, &url).await.unwrap_err(), refused, "{url}");
    }
    assert_eq!(names.left(), 0);
    assert!(!heard.is_finished(), "nobody was called");
}

#[tokio::test]
async fn a_name_that_answers_differently_the_second_time_gains_nothing() {
    // The checked address takes no connections; the one behind it would.
    let (address, heard) = receiver("HTTP/1.1 200 OK\r\n\r\n", Duration::ZERO).await;
    let names = Script::of(&[&["127.0.0.2"], &["127.0.0.1"]]);
    let only: Allowed = "127.0.0.2".parse().expect("as the test wants it");
    let client = GuardedClient::new(only).with_resolver(names.clone());
    let url = format!("http://rebinding.example:{}/", address.port());
    assert!(matches!(send(&client, &url).await, Err(SendError::Unreachable(_))), "it went to what was judged");
    assert_eq!(names.left(), 1, "the name was asked for once");
    let refused = send(&client, &url).await.unwrap_err();
    assert_eq!(refused, SendError::Refused(Refusal::Address(AddressKind::Loopback)), "and is judged anew each time");
    assert!(!heard.is_finished());
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_takes_no_connection() {
    let (address, heard) = receiver("HTTP/1.1 204 No Content\r\n\r\n", Duration::ZERO).await;
    let client = local().with_resolver(Script::of(&[&["127.0.0.2", "127.0.0.2", "127.0.0.1"]]));
    let url = format!("http://two.example:{}/", address.port());
    assert_eq!(send(&client, &url).await.expect("as the test wants it").status, 204);
    assert!(heard.await.expect("as the test wants it").contains(&format!("host: two.example:{}\r\n", address.port())));
}

#[tokio::test]
async fn a_name_without_an_address_is_not_resolved() {
    let client = local().with_resolver(Script::of(&[]));
    assert!(matches!(send(&client, "http://nobody.example/").await, Err(SendError::Unresolved(_))));
}
