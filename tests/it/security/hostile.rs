//! Where hostile requests are sent to: one application, and what has to hold of every answer.

use std::fmt::Debug;

use halyard_tests::{Actor, Draft, TestApp, TestResponse, logs::Captured};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection};

use super::table::{ActsOn, Known};

/// No answer to nonsense is longer: what was sent is not sent back.
const LONGEST: usize = 16 * 1024;
/// What no answer may tell of.
const INNER: &[&str] =
    &["panicked", "sqlx", "postgres", "src/", ".rs:", "argon2", "select ", "password_hash", "hyper", "redis"];
/// Left out: hosts report themselves whoever asks, and a refusal may well be noted for the audit.
const NOT_COUNTED: &str = "'nodes', 'audit_log', 'audit_head', '_sqlx_migrations'";

/// The place.
pub struct Range {
    pub app: TestApp,
    /// May do everything, so that every handler is reached.
    pub user: Actor,
    task: String,
    log: Captured,
    connection: PgConnection,
    count: String,
    census: String,
    /// How many requests were sent.
    pub sent: usize,
}

impl Range {
    pub async fn open() -> Self {
        let log = Captured::start();
        let app = TestApp::builder().without_rate_limits().spawn().await;
        app.leave_unfinished();
        app.user_named("mallory").await;
        app.execute("update users set permissions = '{*}' where username = 'mallory'").await;
        let user = app.login("mallory", halyard_tests::actor::PASSWORD).await;
        let later = json!({"task_type": "sample", "data": {}, "scheduled_for": "2026-02-01T00:00:00Z"});
        let task = user.submit(later).await;
        // A row that is written anew has another xmin; nothing is read of the row itself.
        let tables = format!(
            "select string_agg(format('select %L || count(*) || '' '' || coalesce(sum(hashtext(ctid::text || xmin::text)), 0) as n \
             from %I', relname || ' ', relname), ' union all ' order by relname) from pg_stat_user_tables \
             where relname not in ({NOT_COUNTED})"
        );
        let each = app.text(&tables).await;
        let count = format!("select string_agg(n, '; ' order by n) from ({each}) x");
        let connection = app.connect().await;
        let census = String::new();
        let mut this = Self { app, user, task, log, connection, count, census, sent: 0 };
        this.census = this.take_census().await;
        this
    }

    async fn take_census(&mut self) -> String {
        let query = sqlx::query_scalar(AssertSqlSafe(self.count.clone()));
        query.fetch_one(&mut self.connection).await.expect("a census")
    }

    /// A request to the route.
    pub fn draft(&self, route: &Known) -> Draft {
        self.draft_to(route, "")
    }

    /// The same, with a query.
    pub fn draft_to(&self, route: &Known, query: &str) -> Draft {
        let path = match route.line.acts_on {
            ActsOn::Task => route.path(&self.task),
            _ => route.path_to_nothing(),
        };
        self.user.request(route.method.clone(), &format!("{path}{query}"))
    }

    /// Sends it. What has to hold: no fault of ours, a problem for what is refused, nothing stored of it, nothing told.
    pub async fn send(&mut self, route: &Known, what: &dyn Debug, draft: Draft) -> TestResponse {
        self.sent += 1;
        let answer = draft.send().await;
        let said = || format!("{} with {what:.200?}: {} {:.500}", route.key, answer.status, answer.text());
        assert!(answer.code() < 500, "{}\n{}", said(), self.log.lines().last().cloned().unwrap_or_default());
        let census = self.take_census().await;
        // 304: the answer that `If-None-Match` asks for, without a body.
        if answer.status.is_success() || answer.code() == 304 {
            self.census = census;
            if route.line.ends_sessions {
                self.user.sign_in().await;
                self.census = self.take_census().await;
            }
            return answer;
        }
        assert_eq!(census, self.census, "something was stored: {}", said());
        assert!(answer.body.len() <= LONGEST, "{} bytes: {}", answer.body.len(), said());
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_else(|e| panic!("{e}: {}", said()));
        let by_the_gateway = body["message"].is_string() && matches!(answer.code(), 400 | 401 | 413 | 431);
        if !by_the_gateway {
            assert_eq!(answer.header("content-type"), "application/problem+json", "{}", said());
            assert_eq!(body["status"], answer.code(), "{}", said());
            assert!(body["error"].is_string() && body["title"].is_string() && body["detail"].is_string(), "{}", said());
        }
        // What the client said itself comes back in pointers only.
        let told = format!("{} {} {}", body["title"], body["detail"], body["message"]).to_lowercase();
        for inner in INNER {
            assert!(!told.contains(inner), "tells {inner:?}: {}", said());
        }
        answer
    }

    /// What was accepted can be read, and run; the process is as it was.
    pub async fn close(self, at_least: usize) {
        assert!(self.sent >= at_least, "{} requests were sent", self.sent);
        self.app.drain().await;
        let mut path = "/tasks?limit=100".to_owned();
        loop {
            let page = self.user.get(&path).await.expect(200).json();
            for task in page["data"]["items"].as_array().expect("items") {
                let id = task["task_id"].as_str().expect("an id");
                self.user.get(&format!("/tasks/status/{id}")).await.expect(200).json();
                let result = self.user.get(&format!("/tasks/result/{id}")).await;
                assert!(matches!(result.code(), 200 | 409), "{}", result.text());
                self.user.get(&format!("/tasks/logs/{id}")).await.expect(200);
            }
            match page["data"]["next_cursor"].as_str() {
                Some(cursor) => path = format!("/tasks?limit=100&cursor={cursor}"),
                None => break,
            }
        }
        for path in
            ["/auth/profile", "/auth/sessions", "/auth/validate", "/tasks/stats", "/tasks/queues", "/api/protected"]
        {
            self.user.get(path).await.expect(200);
        }
        for path in ["/health/ping", "/health/status", "/health/nodes"] {
            self.app.anonymous().get(path).await.expect(200);
        }
        let faults: Vec<String> = self
            .log
            .lines()
            .into_iter()
            .filter(|line| line.contains("\"level\":\"ERROR\"") || line.contains("panic"))
            .collect();
        assert!(faults.is_empty(), "{faults:#?}");
    }
}
