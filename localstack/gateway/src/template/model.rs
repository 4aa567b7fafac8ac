//! What the gateway runs: a template with everything resolved.

use std::{collections::BTreeMap, fmt, time::Duration};

use chrono::{DateTime, Utc};

use super::schedule::{Cron, ParseScheduleError};

/// A resolved template. Functions, queues and the rest are keyed by logical id.
#[derive(Debug, Clone)]
pub struct Stack {
    /// `AWS::Region`.
    pub region: String,
    /// `AWS::AccountId`.
    pub account: String,
    /// The HTTP API; a template of consumers only has none.
    pub api: Option<Api>,
    /// Every function.
    pub functions: BTreeMap<String, FunctionSpec>,
    /// Every queue.
    pub queues: BTreeMap<String, QueueSpec>,
    /// Every event source mapping.
    pub mappings: Vec<EventSourceMapping>,
    /// Every table.
    pub tables: BTreeMap<String, TableSpec>,
    /// Every bucket.
    pub buckets: BTreeMap<String, BucketSpec>,
    /// Every schedule.
    pub schedules: Vec<ScheduleSpec>,
}

/// `AWS::ApiGatewayV2::Api` with what hangs on it.
#[derive(Debug, Clone)]
pub struct Api {
    /// The logical id, which stands for the API's id.
    pub id: String,
    /// `CorsConfiguration`.
    pub cors: Option<Cors>,
    /// Every route.
    pub routes: Vec<Route>,
    /// Every authorizer, by logical id.
    pub authorizers: BTreeMap<String, Authorizer>,
    /// The one stage.
    pub stage: Stage,
}

/// `CorsConfiguration`.
#[derive(Debug, Clone, Default)]
pub struct Cors {
    /// `*`, `https://*`, or origins.
    pub allow_origins: Vec<String>,
    /// `*` or methods.
    pub allow_methods: Vec<String>,
    /// `*` or header names.
    pub allow_headers: Vec<String>,
    /// Header names that scripts may read.
    pub expose_headers: Vec<String>,
    /// Whether cookies and credentials may be sent.
    pub allow_credentials: bool,
    /// How long a browser may keep the preflight's answer, in seconds.
    pub max_age: Option<u32>,
}

/// A route with its integration.
#[derive(Debug, Clone)]
pub struct Route {
    /// The logical id.
    pub id: String,
    /// `GET /tasks/{id}`, `ANY /x/{proxy+}` or `$default`.
    pub key: RouteKey,
    /// The logical id of the function.
    pub function: String,
    /// The logical id of the authorizer.
    pub authorizer: Option<String>,
    /// How long the integration may take (50 ms to 30 s).
    pub timeout: Duration,
    /// The stage's throttle for this route.
    pub throttle: Option<Throttle>,
}

/// A route key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RouteKey {
    /// `$default`: whatever no other route takes.
    Default,
    /// A method (`None`: `ANY`) and a path.
    Path {
        /// `None` for `ANY`.
        method: Option<String>,
        /// The path with its variables, as written.
        path: String,
    },
}

impl fmt::Display for RouteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("$default"),
            Self::Path { method, path } => write!(f, "{} {path}", method.as_deref().unwrap_or("ANY")),
        }
    }
}

/// `AWS::ApiGatewayV2::Authorizer`: a request authorizer, payload 2.0, simple responses.
#[derive(Debug, Clone)]
pub struct Authorizer {
    /// The logical id.
    pub id: String,
    /// The logical id of the function.
    pub function: String,
    /// `$request.header.Authorization` and the like.
    pub identity_source: Vec<String>,
    /// How long an answer is kept; zero: not at all.
    pub ttl: Duration,
}

/// `AWS::ApiGatewayV2::Stage`.
#[derive(Debug, Clone, Default)]
pub struct Stage {
    /// `StageVariables`.
    pub variables: BTreeMap<String, String>,
}

/// A token bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Throttle {
    /// Requests a second.
    pub rate: f64,
    /// How many may come at once.
    pub burst: u32,
}

/// A variable of a function's environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvValue {
    /// Its value.
    Known(String),
    /// Why it has none on this machine: whoever starts the gateway must supply it.
    Missing(String),
}

/// `AWS::Serverless::Function`.
#[derive(Debug, Clone)]
pub struct FunctionSpec {
    /// The logical id.
    pub id: String,
    /// The name it is invoked by on AWS.
    pub name: String,
    /// The name of its binary: which code it runs. Several functions may run the same.
    pub binary: String,
    /// `Timeout`.
    pub timeout: Duration,
    /// `MemorySize`, in MiB.
    pub memory_mb: u32,
    /// `ReservedConcurrentExecutions`.
    pub reserved_concurrency: Option<u32>,
    /// `AutoPublishAlias`: what callers name besides the function.
    pub alias: Option<String>,
    /// `EventInvokeConfig.MaximumRetryAttempts`: how often an asynchronous invocation that failed is tried again.
    /// Source: <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>.
    pub retries: u32,
    /// `EventInvokeConfig.MaximumEventAgeInSeconds`: how long one waits for its function while that is busy or away.
    pub kept: Duration,
    /// `Environment.Variables`.
    pub environment: BTreeMap<String, EnvValue>,
}

/// `AWS::SQS::Queue`.
#[derive(Debug, Clone)]
pub struct QueueSpec {
    /// The logical id.
    pub id: String,
    /// The queue's name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// `VisibilityTimeout`.
    pub visibility: Duration,
    /// `DelaySeconds`.
    pub delay: Duration,
    /// `MessageRetentionPeriod`.
    pub retention: Duration,
    /// `ReceiveMessageWaitTimeSeconds`.
    pub receive_wait: Duration,
    /// `RedrivePolicy`.
    pub redrive: Option<Redrive>,
}

/// `RedrivePolicy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redrive {
    /// The logical id of the dead-letter queue.
    pub queue: String,
    /// How often a message is received before it goes there.
    pub max_receive_count: u32,
}

/// A queue that invokes a function.
#[derive(Debug, Clone)]
pub struct EventSourceMapping {
    /// The logical id (of the event, for events written inside a function: `Function.Event`).
    pub id: String,
    /// The logical id of the queue.
    pub queue: String,
    /// The logical id of the function.
    pub function: String,
    /// How batches are made.
    pub batch: BatchRules,
    /// `ScalingConfig.MaximumConcurrency` (2 to 1,000).
    pub max_concurrency: Option<u32>,
    /// `FunctionResponseTypes: [ReportBatchItemFailures]`.
    pub reports_failures: bool,
    /// `Enabled`.
    pub enabled: bool,
}

/// How an event source mapping makes batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchRules {
    /// `BatchSize`.
    pub size: u32,
    /// `MaximumBatchingWindowInSeconds`.
    pub window: Duration,
}

/// `AWS::DynamoDB::Table`.
#[derive(Debug, Clone)]
pub struct TableSpec {
    /// The logical id.
    pub id: String,
    /// The table's name.
    pub name: String,
    /// The partition key's attribute.
    pub partition_key: String,
    /// The sort key's attribute.
    pub sort_key: Option<String>,
    /// The attribute that holds the time to live.
    pub ttl_attribute: Option<String>,
}

/// `AWS::S3::Bucket`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketSpec {
    /// The bucket's name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// `LifecycleConfiguration`: after how many days an object expires; `None`: it is kept.
    pub keep_days: Option<u32>,
}

/// Something that fires by itself.
#[derive(Debug, Clone)]
pub struct ScheduleSpec {
    /// The logical id (`Function.Event` for events written inside a function).
    pub id: String,
    /// The rule's or schedule's name.
    pub name: String,
    /// An EventBridge rule or an EventBridge Scheduler schedule: they send different payloads.
    pub kind: ScheduleKind,
    /// The logical id of the function.
    pub function: String,
    /// When.
    pub expression: ScheduleExpression,
    /// A constant payload instead of the event.
    pub input: Option<serde_json::Value>,
    /// Whether it fires at all.
    pub enabled: bool,
}

/// Which service fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScheduleKind {
    /// A rule on the default event bus.
    Rule,
    /// EventBridge Scheduler.
    Scheduler,
}

/// `rate(...)` or `cron(...)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScheduleExpression {
    /// Every so often, counted from the start.
    Rate(Duration),
    /// At times of the calendar, UTC.
    Cron(Box<Cron>),
}

impl ScheduleExpression {
    /// The first time after `after` (for a rate: after `after` as the last one).
    pub fn next(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Rate(period) => after.checked_add_signed(chrono::Duration::from_std(*period).ok()?),
            Self::Cron(cron) => cron.next(after),
        }
    }
}

impl std::str::FromStr for ScheduleExpression {
    type Err = ParseScheduleError;
    fn from_str(text: &str) -> Result<Self, ParseScheduleError> {
        super::schedule::parse(text)
    }
}
