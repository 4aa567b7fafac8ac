//! What the walks have to know of each route.

use halyard_domain::authz::Permission;
use halyard_tests::routes;
use http::Method;
use serde_json::{Value, json};

/// Upon what a route acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActsOn {
    /// Nobody's things, or what is the same for everybody.
    Nothing,
    /// What belongs to the caller, whoever that is: there is no id to be changed.
    OwnThings,
    /// The session `{id}`.
    Session,
    /// The API key `{id}`.
    ApiKey,
    /// The task `{id}`.
    Task,
    /// The batch or chain `{id}`.
    Workflow,
    /// The schedule `{id}`.
    Schedule,
    /// The webhook's delivery `{id}`.
    Delivery,
    /// The lane `{name}`, which belongs to the platform.
    Lane,
    /// The account `{id}`, as those see it who look after all of them: a permission opens every one.
    Account,
}

impl ActsOn {
    /// The variable of the path that names the thing.
    pub fn variable(self) -> Option<&'static str> {
        match self {
            Self::Nothing | Self::OwnThings => None,
            Self::Session
            | Self::ApiKey
            | Self::Task
            | Self::Workflow
            | Self::Schedule
            | Self::Delivery
            | Self::Account => Some("{id}"),
            Self::Lane => Some("{name}"),
        }
    }

    /// Has it an owner, who alone may touch it?
    pub fn is_owned(self) -> bool {
        matches!(self, Self::Session | Self::ApiKey | Self::Task | Self::Workflow | Self::Schedule | Self::Delivery)
    }
}

/// One line of the table.
#[derive(Debug)]
pub struct Line {
    pub key: &'static str,
    pub acts_on: ActsOn,
    /// Without it: 403.
    pub needs: Option<Permission>,
    /// With it the things of others are there.
    pub opened_by: Option<Permission>,
    /// A body that is accepted, the n-th; `None` when the route reads none.
    pub body: Option<fn(n: usize) -> Value>,
    /// The whole session, or all, may end by it.
    pub ends_sessions: bool,
    /// An API key does not do: somebody must have signed in.
    pub for_people: bool,
}

const fn line(key: &'static str, acts_on: ActsOn) -> Line {
    Line { key, acts_on, needs: None, opened_by: None, body: None, ends_sessions: false, for_people: false }
}

impl Line {
    const fn needs(self, permission: Permission) -> Self {
        Self { needs: Some(permission), ..self }
    }

    const fn opened_by(self, permission: Permission) -> Self {
        Self { opened_by: Some(permission), ..self }
    }

    const fn body(self, body: fn(usize) -> Value) -> Self {
        Self { body: Some(body), ..self }
    }

    const fn ends_sessions(self) -> Self {
        Self { ends_sessions: true, ..self }
    }

    const fn for_people(self) -> Self {
        Self { for_people: true, ..self }
    }
}

/// In the template's order.
const TABLE: &[Line] = &[
    line("POST /auth/register", ActsOn::Nothing).body(|n| {
        json!({"username": format!("name{n}"), "email": format!("name{n}@example.com"),
               "password": "correct horse battery", "full_name": "Somebody"})
    }),
    line("POST /auth/login", ActsOn::Nothing).body(|_| {
        json!({"username": "nobody-at-all", "password": "wrong password", "otp": "000000", "device_token": "nonsense"})
    }),
    line("POST /auth/refresh", ActsOn::Nothing).body(|_| json!({"refresh_token": "hr_nonsense"})),
    line("GET /auth/validate", ActsOn::OwnThings),
    line("GET /auth/profile", ActsOn::OwnThings),
    line("PUT /auth/profile", ActsOn::OwnThings).for_people().body(|n| {
        json!({"full_name": "Mallory", "email": format!("mallory{n}@example.com"), "department": "Elsewhere",
               "preferences": {"theme": "dark", "notifications": {"email": true}}})
    }),
    line("POST /auth/logout", ActsOn::OwnThings).for_people().ends_sessions(),
    line("POST /auth/logout-all", ActsOn::OwnThings).for_people().ends_sessions(),
    line("POST /auth/password", ActsOn::OwnThings)
        .for_people()
        .body(|_| json!({"current_password": "not the password", "new_password": "another horse battery"})),
    line("POST /auth/password/forgot", ActsOn::Nothing).body(|n| json!({"email": format!("nobody{n}@example.com")})),
    line("GET /auth/password/reset", ActsOn::Nothing),
    line("POST /auth/password/reset", ActsOn::Nothing)
        .body(|_| json!({"token": "hm_nonsense", "new_password": "another horse battery"})),
    line("GET /auth/email/verify", ActsOn::Nothing),
    line("POST /auth/email/verify", ActsOn::Nothing).body(|_| json!({"token": "hm_nonsense"})),
    line("POST /auth/email/verification", ActsOn::OwnThings).for_people(),
    line("POST /auth/step-up", ActsOn::OwnThings)
        .for_people()
        .body(|_| json!({"password": "not the password", "otp": "000000"})),
    line("GET /auth/2fa", ActsOn::OwnThings).for_people(),
    line("POST /auth/2fa/setup", ActsOn::OwnThings).for_people(),
    line("POST /auth/2fa/confirm", ActsOn::OwnThings).for_people().body(|_| json!({"otp": "000000"})),
    line("POST /auth/2fa/recovery-codes", ActsOn::OwnThings).for_people(),
    line("DELETE /auth/2fa", ActsOn::OwnThings).for_people(),
    line("GET /auth/sessions", ActsOn::OwnThings).for_people(),
    line("DELETE /auth/sessions/{id}", ActsOn::Session).for_people().ends_sessions(),
    line("POST /auth/api-keys", ActsOn::OwnThings)
        .for_people()
        .body(|_| json!({"name": "a program", "permissions": [], "expires_in": 3600})),
    line("GET /auth/api-keys", ActsOn::OwnThings).for_people(),
    line("DELETE /auth/api-keys/{id}", ActsOn::ApiKey).for_people(),
    line("GET /.well-known/jwks.json", ActsOn::Nothing),
    line("GET /api/users", ActsOn::Nothing).needs(Permission::UsersRead),
    line("GET /api/users/{id}", ActsOn::Account).needs(Permission::UsersRead),
    line("PATCH /api/users/{id}", ActsOn::Account)
        .needs(Permission::UsersWrite)
        .body(|_| json!({"role": "user", "permissions": ["tasks:read_all"], "account_status": "active"})),
    line("GET /api/audit", ActsOn::Nothing).needs(Permission::SystemManage),
    line("GET /api/audit/head", ActsOn::Nothing).needs(Permission::SystemManage),
    line("GET /api/audit/verify", ActsOn::Nothing).needs(Permission::SystemManage),
    line("POST /tasks/submit", ActsOn::OwnThings).body(|n| {
        json!({"task_type": "sample", "data": {"message": "x", "list": [1, {"deep": true}]}, "priority": 5,
               "resources": {"cpu": 1, "gpu": false},
               "callbacks": {"progress_url": "http://127.0.0.1:20009/p", "completion_url": "http://127.0.0.1:20009/c",
                             "error_url": "http://127.0.0.1:20009/e"},
               "retry_config": {"max_retries": 0, "retry_delay": 1, "exponential_backoff": false},
               "timeout": 30, "expires_in": 3600, "scheduled_for": "2026-01-01T12:00:01Z",
               "unique_key": format!("key{n}"), "throttle": {"period": 60}, "concurrency_key": "printer", "concurrency_limit": 2})
    }),
    line("GET /tasks", ActsOn::OwnThings).opened_by(Permission::TasksReadAll),
    line("POST /tasks/batch", ActsOn::OwnThings).body(|_| {
        json!({"batch_name": "some", "execution_mode": "sequential", "failure_strategy": "continue",
               "tasks": [{"task_type": "sample", "data": {"message": "x"}}, {"task_type": "sample", "data": {}}]})
    }),
    line("POST /tasks/chain", ActsOn::OwnThings).body(|_| {
        json!({"chain_name": "some", "failure_strategy": "stop_on_error",
               "tasks": [{"task_type": "sample", "data": {"message": "x"}, "name": "a"},
                         {"task_type": "sample", "data": {}, "name": "b", "depends_on": ["a"], "input_from": "previous"}]})
    }),
    line("GET /tasks/workflows", ActsOn::OwnThings).opened_by(Permission::TasksReadAll),
    line("GET /tasks/workflows/{id}", ActsOn::Workflow).opened_by(Permission::TasksReadAll),
    line("POST /tasks/workflows/{id}/retry", ActsOn::Workflow).opened_by(Permission::TasksManageAll),
    line("POST /tasks/workflows/{id}/cancel", ActsOn::Workflow)
        .opened_by(Permission::TasksManageAll)
        .body(|_| json!({"reason": "for no reason"})),
    line("GET /tasks/types", ActsOn::Nothing),
    line("GET /tasks/status/{id}", ActsOn::Task).opened_by(Permission::TasksReadAll),
    line("GET /tasks/result/{id}", ActsOn::Task).opened_by(Permission::TasksReadAll),
    line("GET /tasks/logs/{id}", ActsOn::Task).opened_by(Permission::TasksReadAll),
    line("POST /tasks/cancel/{id}", ActsOn::Task)
        .opened_by(Permission::TasksManageAll)
        .body(|_| json!({"reason": "for no reason", "force": true})),
    line("POST /tasks/retry/{id}", ActsOn::Task).opened_by(Permission::TasksManageAll),
    line("POST /tasks/bulk/cancel", ActsOn::OwnThings).opened_by(Permission::TasksManageAll).body(|_| {
        json!({"filter": {"status": "queued", "task_type": "sample", "priority": 5, "submitted_after": "2026-01-01T00:00:00Z",
                          "submitted_before": "2026-01-01T00:00:01Z", "batch_id": "wf_7ZZZZZZZZZZZZZZZZZZZZZZZZZ"},
               "all": false, "dry_run": true, "reason": "for no reason", "force": true, "limit": 1})
    }),
    line("POST /tasks/bulk/retry", ActsOn::OwnThings).opened_by(Permission::TasksManageAll).body(|_| {
        json!({"filter": {"status": "failed", "task_type": "sample", "priority": 5, "submitted_after": "2026-01-01T00:00:00Z",
                          "submitted_before": "2026-01-01T00:00:01Z", "batch_id": "wf_7ZZZZZZZZZZZZZZZZZZZZZZZZZ"},
               "all": false, "dry_run": true, "limit": 1})
    }),
    line("GET /tasks/dead-letters", ActsOn::Nothing).needs(Permission::TasksManageAll),
    line("POST /tasks/dead-letters/redrive", ActsOn::Nothing).needs(Permission::TasksManageAll).body(|_| {
        json!({"filter": {"task_type": "sample", "reason": "unknown_type", "user_id": 1, "died_after": "2026-01-01T00:00:00Z",
                          "died_before": "2026-01-01T00:00:01Z"},
               "rate": 1, "not_before": "2026-01-01T00:00:00Z", "dry_run": true, "limit": 1})
    }),
    line("GET /tasks/stats", ActsOn::OwnThings).opened_by(Permission::TasksReadAll),
    line("GET /tasks/webhooks/deliveries", ActsOn::OwnThings).opened_by(Permission::TasksReadAll),
    line("GET /tasks/webhooks/deliveries/{id}", ActsOn::Delivery).opened_by(Permission::TasksReadAll),
    line("POST /tasks/webhooks/deliveries/{id}/replay", ActsOn::Delivery).opened_by(Permission::TasksManageAll),
    line("GET /tasks/webhooks/endpoints", ActsOn::OwnThings).opened_by(Permission::TasksReadAll),
    line("POST /tasks/webhooks/endpoints/enable", ActsOn::OwnThings)
        .opened_by(Permission::TasksManageAll)
        .body(|_| json!({"url": "https://hooks.example/nowhere", "user_id": 1})),
    line("GET /tasks/webhooks/secret", ActsOn::OwnThings).for_people(),
    line("POST /tasks/webhooks/secret/rotate", ActsOn::OwnThings)
        .for_people()
        .body(|_| json!({"overlap_seconds": 60})),
    line("GET /tasks/queues", ActsOn::Nothing).needs(Permission::SystemManage),
    line("POST /tasks/queues/{name}/pause", ActsOn::Lane).needs(Permission::SystemManage),
    line("POST /tasks/queues/{name}/drain", ActsOn::Lane).needs(Permission::SystemManage),
    line("POST /tasks/queues/{name}/resume", ActsOn::Lane).needs(Permission::SystemManage),
    line("POST /tasks/schedule", ActsOn::OwnThings).body(|_| {
        json!({"task_type": "sample", "data": {"message": "x"},
               "schedule": {"type": "cron", "expression": "0 2 * * *", "timezone": "Europe/Berlin"},
               "priority": 5, "resources": {"cpu": 1}, "callbacks": {"completion_url": "http://127.0.0.1:20009/c"},
               "retry_config": {"max_retries": 0, "retry_delay": 1, "exponential_backoff": false}, "timeout": 30,
               "expires_in": 3600, "active": true, "max_iterations": 3, "overlap": "queue", "catch_up": "none", "dst": "shift"})
    }),
    line("GET /tasks/schedules", ActsOn::OwnThings).opened_by(Permission::TasksReadAll),
    line("GET /tasks/schedules/{id}", ActsOn::Schedule).opened_by(Permission::TasksReadAll),
    line("PATCH /tasks/schedules/{id}", ActsOn::Schedule).opened_by(Permission::TasksManageAll).body(|_| {
        json!({"active": false, "schedule": {"type": "interval", "seconds": 3600}, "max_iterations": 7, "overlap": "allow",
               "catch_up": "all", "dst": "skip", "data": {"message": "y"}, "priority": 2, "resources": {"cpu": 2},
               "callbacks": {"error_url": "http://127.0.0.1:20009/e"}, "retry_config": {"max_retries": 1}, "timeout": 20,
               "expires_in": 60})
    }),
    line("DELETE /tasks/schedules/{id}", ActsOn::Schedule).opened_by(Permission::TasksManageAll),
    line("POST /tasks/schedules/{id}/run", ActsOn::Schedule).opened_by(Permission::TasksManageAll),
    line("GET /health/ping", ActsOn::Nothing),
    line("GET /health/nodes", ActsOn::Nothing),
    line("GET /health/status", ActsOn::Nothing),
    line("GET /api/status", ActsOn::Nothing),
    line("GET /api/protected", ActsOn::OwnThings),
    line("GET /openapi.json", ActsOn::Nothing),
    line("GET /docs", ActsOn::Nothing),
];

/// Data that a task of each type accepts, with a mark that shows in its result; `None` for a type that users cannot submit here.
pub fn data_of(task_type: &str, mark: &str) -> Option<Value> {
    Some(match task_type {
        "sample" => json!({ "message": mark }),
        "user_specific" => json!({ "note": mark }),
        "data_processing" => json!({ "csv": format!("name\n{mark}\n") }),
        "data_extraction" => json!({ "source": "inline", "data": [{ "note": mark }] }),
        "bulk_import" => json!({ "source": "inline", "data_type": "notes", "records": [{ "note": mark }] }),
        "data_transformation" => json!({ "data": [{ "note": mark }] }),
        "report_generation" => json!({ "template": mark, "format": "json" }),
        "machine_learning_training" => {
            let rows: Vec<Value> = (0..5).map(|n| json!({ "a": n, mark: 2 * n })).collect();
            json!({ "model_type": "linear_regression", "dataset": rows, "target": mark, "hyperparameters": { "epochs": 2 } })
        }
        // Refused when it runs: nobody is called.
        "http_request" => json!({ "url": format!("http://169.254.169.254/{mark}") }),
        // The one needs a permission, the other functions that the operator names.
        "database_cleanup" | "lambda_invoke" => return None,
        new => panic!("the task type {new} is new: say in tests/it/security/table.rs which data it accepts"),
    })
}

/// A route of the template, with its line.
#[derive(Debug)]
pub struct Known {
    pub key: String,
    pub method: Method,
    /// As the template writes it.
    pub pattern: String,
    pub authorizer: Option<String>,
    pub line: &'static Line,
}

impl Known {
    /// The path with this in the place of its variable.
    pub fn path(&self, id: &str) -> String {
        match self.line.acts_on.variable() {
            Some(variable) => self.pattern.replace(variable, id),
            None => self.pattern.clone(),
        }
    }

    /// The path to something that is named well and is not there; to a lane that is.
    pub fn path_to_nothing(&self) -> String {
        self.path(match self.line.acts_on {
            ActsOn::Session => "sess_7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
            ActsOn::ApiKey => "key_7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
            ActsOn::Task => "task_7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
            ActsOn::Workflow => "wf_7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
            ActsOn::Schedule => "sched_7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
            ActsOn::Delivery => "msg_7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
            ActsOn::Lane => "low",
            ActsOn::Account => "999999999",
            ActsOn::Nothing | ActsOn::OwnThings => "",
        })
    }

    /// Does it ask for a token?
    pub fn is_protected(&self) -> bool {
        matches!(self.authorizer.as_deref(), Some("bearer" | "cookie"))
    }

    /// Does it change anything, by its method?
    pub fn writes(&self) -> bool {
        self.method != Method::GET
    }
}

/// Every route of the template but `$default`.
///
/// # Panics
/// When one is new, or the table does not know what a variable of its path stands for.
pub fn routes() -> Vec<Known> {
    let of_template = routes::of_template().into_iter().filter(|route| route.key != "$default");
    of_template.map(|route| {
        let (method, pattern) = route.key.split_once(' ').expect("a method and a path");
        let line = TABLE.iter().find(|line| line.key == route.key).unwrap_or_else(|| {
            panic!(
                "the route {} is new: add a line to TABLE in tests/it/security/table.rs that says whose things it acts \
                 upon, what permission it needs, and which body it accepts",
                route.key
            )
        });
        let known = Known {
            method: method.parse().expect("a method"),
            pattern: pattern.to_owned(),
            authorizer: route.authorizer.clone(),
            key: route.key.clone(),
            line,
        };
        let left = known.path("x");
        assert!(
            !left.contains('{'),
            "{}: what does the variable in {left} stand for? Say so with ActsOn in tests/it/security/table.rs, and in \
             things.rs how one is made; what nobody owns gets a variable of its own, as Lane has",
            route.key
        );
        known
    })
    .collect()
}

#[test]
fn the_table_has_no_route_that_is_gone_and_none_twice() {
    let of_template = routes::of_template();
    for (at, line) in TABLE.iter().enumerate() {
        assert!(of_template.iter().any(|route| route.key == line.key), "{} is not in the template", line.key);
        assert!(TABLE[..at].iter().all(|earlier| earlier.key != line.key), "{} is there twice", line.key);
    }
}
