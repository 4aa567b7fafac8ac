//! One cold start: a function's program, a Runtime API of its own, one event, the answer.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fs::File,
    future::pending,
    net::Ipv4Addr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use halyard_domain::{Clock as _, SystemClock};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet, time::timeout};

use crate::process::free_port;

/// How long a cold start with its invocation may take before it counts as hung.
const PATIENCE: Duration = Duration::from_mins(1);

/// What came of a start.
#[derive(Debug, Clone)]
pub struct ColdStart {
    /// From spawn until the program asked for its first event.
    pub ready: Duration,
    /// From spawn until its first answer.
    pub answered: Duration,
    /// The answer, or the error that it reported.
    pub answer: Result<Bytes, String>,
}

/// Starts `program` in exactly this environment, gives it `event`, waits for its answer, and kills it. What it logs goes
/// to `log`.
///
/// # Errors
/// When it cannot be started, or ends or hangs instead of answering.
pub async fn cold_start(
    program: &Path,
    environment: &BTreeMap<String, String>,
    event: Bytes,
    log: &Path,
) -> Result<ColdStart, String> {
    let failed = |what: &str, why: &dyn std::fmt::Display| format!("{}: {what}: {why}", program.display());
    let port = free_port();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|e| failed("its Runtime API", &e))?;
    let log = File::options().create(true).append(true).open(log).map_err(|e| failed("its log", &e))?;
    let mut command = Command::new(program);
    command.env_clear().envs(environment).env("AWS_LAMBDA_RUNTIME_API", format!("127.0.0.1:{port}"));
    command.stdin(Stdio::null()).stderr(log.try_clone().map_err(|e| failed("its log", &e))?).stdout(log);

    let began = Instant::now();
    let _child = Killed(command.spawn().map_err(|e| failed("cannot be started", &e))?);
    let (say, mut told) = mpsc::unbounded_channel();
    let _serving = serve(listener, event, say);
    let mut ready = None;
    loop {
        match timeout(PATIENCE, told.recv()).await {
            Ok(Some(Told::Ready(at))) => ready = Some(at - began),
            Ok(Some(Told::Answer(at, answer))) => {
                let answered = at - began;
                return Ok(ColdStart { ready: ready.unwrap_or(answered), answered, answer });
            }
            Ok(None) | Err(_) => return Err(failed("no answer", &format!("in {PATIENCE:?}"))),
        }
    }
}

/// A program that does not outlive its measurement.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

enum Told {
    Ready(Instant),
    Answer(Instant, Result<Bytes, String>),
}

type Say = mpsc::UnboundedSender<Told>;

/// The Runtime API: one event, and after that silence. It ends when what this gives is dropped.
fn serve(listener: TcpListener, event: Bytes, say: Say) -> JoinSet<()> {
    let event = Arc::new(Mutex::new(Some(event)));
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            let (event, say) = (Arc::clone(&event), say.clone());
            let service = service_fn(move |request| {
                let (event, say) = (Arc::clone(&event), say.clone());
                async move { Ok::<_, Infallible>(answer(request, &event, &say).await) }
            });
            connections.spawn(async move {
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    tasks
}

async fn answer(request: Request<Incoming>, event: &Mutex<Option<Bytes>>, say: &Say) -> Response<Full<Bytes>> {
    let now = Instant::now();
    let path = request.uri().path().to_owned();
    if path.ends_with("/invocation/next") {
        let first = event.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(event) = first else { pending().await };
        let _ = say.send(Told::Ready(now));
        return next(event);
    }
    let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let now = Instant::now();
    let answer = if path.ends_with("/response") { Ok(body) } else { Err(String::from_utf8_lossy(&body).into_owned()) };
    let _ = say.send(Told::Answer(now, answer));
    let mut accepted = Response::new(Full::new(Bytes::new()));
    *accepted.status_mut() = StatusCode::ACCEPTED;
    accepted
}

fn next(event: Bytes) -> Response<Full<Bytes>> {
    let deadline = SystemClock.now() + Duration::from_secs(29);
    Response::builder()
        .header("content-type", "application/json")
        .header("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
        .header("lambda-runtime-deadline-ms", deadline.timestamp_millis())
        .header("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:000000000000:function:measured")
        .header("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0")
        .body(Full::new(event))
        .expect("headers made of constants")
}
