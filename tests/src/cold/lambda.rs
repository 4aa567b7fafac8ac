//! Lambda as the gateway sees it, where no environment is ever warm: each invocation starts the function's program.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::JoinSet};

use super::start::{ColdStart, cold_start};
use crate::process::free_port;

/// The Invoke API over the programs of a directory. Ends when it is dropped.
#[derive(Debug)]
pub struct ColdLambda {
    functions: Arc<Functions>,
    endpoint: String,
    _serving: JoinSet<()>,
}

#[derive(Debug)]
struct Functions {
    programs: PathBuf,
    environments: PathBuf,
    log: PathBuf,
    closed: AtomicBool,
    seen: Mutex<BTreeMap<String, Bytes>>,
}

impl ColdLambda {
    /// Serves the programs in `programs`, each with the environment that `environments` holds for it
    /// (`NAME.env`, as `halyard serve --invoke lambda-api` writes it).
    ///
    /// # Errors
    /// When there is no port.
    pub async fn start(programs: &Path, environments: &Path, log: &Path) -> Result<Self, String> {
        let port = free_port();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|e| e.to_string())?;
        let functions = Arc::new(Functions {
            programs: programs.to_owned(),
            environments: environments.to_owned(),
            log: log.to_owned(),
            closed: AtomicBool::new(false),
            seen: Mutex::default(),
        });
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, Arc::clone(&functions)));
        Ok(Self { functions, endpoint: format!("http://127.0.0.1:{port}"), _serving: serving })
    }

    /// Where it is.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// From now on everybody is told to come back later.
    pub fn close(&self) {
        self.functions.closed.store(true, Ordering::SeqCst);
    }

    /// Starts a function once more, with the last event that it was invoked with.
    ///
    /// # Errors
    /// When it never was, or fails now.
    pub async fn again(&self, function: &str) -> Result<ColdStart, String> {
        let seen = self.functions.seen().get(function).cloned();
        self.functions.invoke(function, seen.ok_or_else(|| format!("{function} was never invoked"))?).await
    }
}

impl Functions {
    async fn invoke(&self, function: &str, event: Bytes) -> Result<ColdStart, String> {
        let file = self.environments.join(format!("{function}.env"));
        let text = fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        let mut environment = variables(&text);
        for (name, value) in SET_BY_LAMBDA {
            environment.entry((*name).to_owned()).or_insert_with(|| (*value).to_owned());
        }
        environment.insert("AWS_LAMBDA_FUNCTION_NAME".to_owned(), function.to_owned());
        cold_start(&self.programs.join(function), &environment, event, &self.log).await
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Bytes>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What Lambda adds to every environment.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>.
const SET_BY_LAMBDA: &[(&str, &str)] = &[
    ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024"),
    ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/measured"),
    ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/01/01/[$LATEST]0"),
    ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
    ("LAMBDA_TASK_ROOT", "/var/task"),
    ("LANG", "en_US.UTF-8"),
    ("TZ", ":UTC"),
    ("PATH", "/usr/local/bin:/usr/bin:/bin"),
];

/// `NAME='value'` by the line, quoted for a shell.
fn variables(text: &str) -> BTreeMap<String, String> {
    let line = |line: &str| {
        let (name, value) = line.split_once('=')?;
        let value = value.strip_prefix('\'')?.strip_suffix('\'')?;
        Some((name.to_owned(), value.replace(r"'\''", "'")))
    };
    text.lines().filter_map(line).collect()
}

async fn serve(listener: TcpListener, functions: Arc<Functions>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let functions = Arc::clone(&functions);
        let service = service_fn(move |request| {
            let functions = Arc::clone(&functions);
            async move { Ok::<_, Infallible>(answer(&functions, request).await) }
        });
        connections.spawn(async move {
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(functions: &Functions, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::new()));
    if functions.closed.load(Ordering::SeqCst) {
        *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        return response;
    }
    // /2015-03-31/functions/NAME/invocations
    let function = request.uri().path().split('/').nth(3).unwrap_or_default().to_owned();
    let event = request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    functions.seen().insert(function.clone(), event.clone());
    let answer = functions.invoke(&function, event).await.and_then(|start| start.answer);
    let body = answer.unwrap_or_else(|error| {
        response.headers_mut().insert("x-amz-function-error", http::HeaderValue::from_static("Unhandled"));
        serde_json::json!({"errorMessage": error}).to_string().into()
    });
    *response.body_mut() = Full::new(body);
    response
}
