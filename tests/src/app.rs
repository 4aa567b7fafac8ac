//! An application for one test: the gateway and every function in this process, without a socket.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use halyard_cloud::mail::MailTwin;
use halyard_domain::{Clock, Entropy, ManualClock};
use halyard_gateway::{RunningGateway, template::Stack};
use halyard_platform::Twins;
use http::Request;

use crate::{
    actor::Actor,
    builder::AppBuilder,
    conformity::Asked,
    database::TestDatabase,
    granted::Ledger,
    proxy::CountingProxy,
    response::TestResponse,
    transport::{Boxed, Transport},
    trips::Trips,
    unreliable::{UnreliableMailer, UnreliableQueue},
    unreliable_table::UnreliableTable,
    wait,
};

/// The application. When it is dropped, its database is; a test that leaves unfinished work behind fails then, unless
/// it said [`TestApp::leave_unfinished`].
#[derive(Debug)]
pub struct TestApp {
    pub(crate) parts: Parts,
}

/// What an application consists of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub gateway: Arc<RunningGateway>,
    pub stack: Stack,
    pub variables: Vec<(String, String)>,
    pub manual: Option<Arc<ManualClock>>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<Entropy>,
    pub queue: Arc<UnreliableQueue>,
    pub table: Arc<UnreliableTable>,
    pub mailer: Arc<UnreliableMailer>,
    pub inbox: MailTwin,
    pub twins: Twins,
    pub ledger: Arc<Ledger>,
    pub database: TestDatabase,
    pub proxy: Option<CountingProxy>,
    pub redis_url: String,
    pub namespace: String,
    pub unfinished_allowed: AtomicBool,
}

impl TestApp {
    /// An application with everything as usual.
    pub async fn spawn() -> Self {
        Self::builder().spawn().await
    }

    /// An application with something unusual.
    pub fn builder() -> AppBuilder {
        AppBuilder::default()
    }

    pub(crate) fn new(parts: Parts) -> Self {
        Self { parts }
    }

    /// Its database.
    pub fn database(&self) -> &TestDatabase {
        &self.parts.database
    }

    /// Where it listens. Needs [`AppBuilder::listening_behind`].
    pub fn address(&self) -> SocketAddr {
        self.parts.gateway.address().expect("an application on a socket")
    }

    /// Its tables, which can be made to fail.
    pub fn table(&self) -> &UnreliableTable {
        &self.parts.table
    }

    /// What the functions asked of AWS so far.
    pub fn ledger(&self) -> &Ledger {
        &self.parts.ledger
    }

    /// How often a function was invoked so far.
    pub fn invocations(&self, function: &str) -> u64 {
        self.parts.gateway.counts(function).invocations
    }

    /// The way in.
    pub fn transport(&self) -> Arc<dyn Transport> {
        Arc::new(InProcess(Arc::clone(&self.parts.gateway)))
    }

    /// Somebody without a credential.
    pub fn anonymous(&self) -> Actor {
        Actor::anonymous(self.transport())
    }

    /// The local administrator, signed in: a new session each time.
    pub async fn admin(&self) -> Actor {
        self.login("admin", "admin123").await
    }

    /// A user named `user`, registered and signed in.
    pub async fn user(&self) -> Actor {
        self.user_named("user").await
    }

    /// A user of this name, registered and signed in.
    pub async fn user_named(&self, name: &str) -> Actor {
        Actor::register(self.transport(), name).await
    }

    /// Somebody with an account, signed in.
    pub async fn login(&self, username: &str, password: &str) -> Actor {
        Actor::login(self.transport(), username, password).await
    }

    /// The present, as the application sees it.
    pub fn now(&self) -> DateTime<Utc> {
        self.parts.clock.now()
    }

    /// The present, as the API writes it.
    pub fn now_text(&self) -> String {
        self.now().to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
    }

    /// Moves the clock.
    pub fn advance(&self, by: chrono::Duration) {
        self.parts.manual.as_ref().expect("a clock that can be moved").advance(by);
    }

    /// Work may be left behind at the end of this test.
    pub fn leave_unfinished(&self) {
        self.parts.unfinished_allowed.store(true, Ordering::SeqCst);
    }

    /// Waits until a task is in a state; real time passes meanwhile.
    pub async fn until_state(&self, user: &Actor, id: &str, state: &str, limit: Duration) {
        wait::until(format!("task {id} to be {state}"), limit, async || {
            (user.state_of(id).await == state).then_some(())
        })
        .await;
    }

    /// Waits until the application answers 200 (or asks for a token) at a path, after something came back.
    pub async fn until_ok(&self, path: &str) {
        let anonymous = self.anonymous();
        wait::until(format!("{path} to answer"), Duration::from_secs(30), async || {
            matches!(anonymous.get(path).await.code(), 200 | 401).then_some(())
        })
        .await;
    }

    /// Forgets everything that this application has in Redis.
    pub async fn forget_redis(&self) {
        let handle = halyard_cloud::redis::Redis::new(&self.parts.redis_url, &self.parts.namespace).expect("a URL");
        let mut scan = redis::cmd("KEYS");
        scan.arg(format!("*{}*", self.parts.namespace));
        let keys: Vec<String> = handle.run(&scan).await.expect("the keys");
        assert!(!keys.is_empty(), "there is something to forget");
        let mut delete = redis::cmd("DEL");
        delete.arg(keys);
        handle.run::<i64>(&delete).await.expect("they are gone");
    }

    /// Every value that this application has in Redis.
    pub async fn redis_values(&self) -> Vec<String> {
        let handle = halyard_cloud::redis::Redis::new(&self.parts.redis_url, &self.parts.namespace).expect("a URL");
        let mut scan = redis::cmd("KEYS");
        scan.arg(format!("*{}*", self.parts.namespace));
        let keys: Vec<String> = handle.run(&scan).await.expect("the keys");
        let mut values = Vec::new();
        for key in keys {
            let mut get = redis::cmd("GET");
            get.arg(key);
            values.extend(handle.run::<Option<String>>(&get).await.ok().flatten());
        }
        values
    }

    /// Round trips that `times` runs of `action` take. Needs [`AppBuilder::counting`].
    pub async fn trips(&self, times: u64, mut action: impl AsyncFnMut()) -> Trips {
        let proxy = self.parts.proxy.as_ref().expect("an application with a counting proxy");
        let before = Trips::so_far(proxy.count());
        for _ in 0..times {
            action().await;
        }
        Trips::so_far(proxy.count()).since(before)
    }
}

impl Drop for TestApp {
    /// In a thread with a runtime of its own: the test's runtime cannot be waited on from here.
    fn drop(&mut self) {
        let database = self.parts.database.clone();
        let allowed = self.parts.unfinished_allowed.load(Ordering::SeqCst) || std::thread::panicking();
        let ended = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                // A server that the test stopped has nothing to say any more.
                let Ok(mut connection) = database.try_connect().await else { return Vec::new() };
                let left = Self::unfinished(&mut connection).await.unwrap_or_default();
                drop(connection);
                database.drop_now().await;
                left
            })
        });
        let left = ended.join().unwrap_or_default();
        let denied = self.parts.ledger.denied();
        assert!(std::thread::panicking() || denied.is_empty(), "the template grants too little: {denied:#?}");
        assert!(allowed || left.is_empty(), "the test leaves unfinished work behind: {left:#?}");
    }
}

/// Requests without a socket.
#[derive(Debug)]
struct InProcess(Arc<RunningGateway>);

impl Transport for InProcess {
    fn try_send(&self, request: Request<Bytes>) -> Boxed<'_, Result<TestResponse, String>> {
        Box::pin(async move {
            let asked = Asked::of(&request);
            let response = self.0.request(request).await;
            let (parts, body) = response.into_parts();
            let response = TestResponse { status: parts.status, headers: parts.headers, body };
            asked.check(&response);
            Ok(response)
        })
    }
}
