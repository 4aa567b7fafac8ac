//! What is asked of a submitted task.

use chrono::{DateTime, Duration, FixedOffset, Utc};
use halyard_domain::{
    Priority,
    outbound::{Allowed, Target},
    retry::RetryPolicy,
};
use halyard_http::{FieldError, Validate, Violations, is_rfc3339};
use halyard_store::tasks::Concurrency;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

/// The longest attempt in an ordinary lane, in seconds. A longer `timeout` is cut to it; the answer says what holds.
pub const MAX_ORDINARY_TIMEOUT: i32 = 300;
/// The longest attempt of a type that declares itself long, in seconds.
pub const MAX_TIMEOUT: i32 = 86_400;
/// A day, in seconds.
const DAY: i64 = 86_400;
/// A year, in seconds.
pub const YEAR: i64 = 31_536_000;
/// The deepest nesting of `data`: what PostgreSQL and every client can take.
const MAX_DEPTH: usize = 100;
/// The longest key, in characters.
const MAX_KEY: usize = 200;
/// The greatest `concurrency_limit`.
const MAX_CONCURRENCY: i64 = 100;
/// The largest `resources`, in fields.
pub const MAX_RESOURCES: usize = 50;
/// And in bytes: they are in every status of the task, and with each run of a schedule.
const MAX_RESOURCES_TEXT: usize = 16 * 1024;

/// The body. Unknown fields are ignored, as the original does.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Request {
    pub task_type: String,
    /// What the task type asks for, nested 100 levels deep at most.
    #[schemars(with = "Map<String, Value>")]
    pub data: Box<RawValue>,
    /// 1 (first) to 10; 5 when it is not given.
    #[schemars(range(min = 1, max = 10))]
    priority: Option<i64>,
    /// Repeated in the task's status; nothing is allocated. 50 members at most, of 16 KiB of JSON text at most.
    #[schemars(extend("maxProperties" = MAX_RESOURCES))]
    pub resources: Option<Map<String, Value>>,
    pub callbacks: Option<Callbacks>,
    pub retry_config: Option<RetryConfig>,
    /// Of one attempt, in seconds. Cut to what the type's lane allows; the answer says what holds.
    #[schemars(range(min = 1, max = MAX_TIMEOUT))]
    pub timeout: Option<i32>,
    /// Seconds within which it must start.
    #[schemars(range(min = 1, max = YEAR))]
    pub expires_in: Option<i64>,
    /// When it may start.
    pub scheduled_for: Option<DateTime<FixedOffset>>,
    /// While a task of the caller's with this key has not ended, a second one is not accepted: the answer is about the first,
    /// and `deduplicated`.
    #[schemars(length(min = 1, max = MAX_KEY))]
    pub unique_key: Option<String>,
    pub debounce: Option<Debounce>,
    pub throttle: Option<Throttle>,
    /// Of the caller's tasks with this key only `concurrency_limit` run at once; the others wait.
    #[schemars(length(min = 1, max = MAX_KEY))]
    concurrency_key: Option<String>,
    /// 1 when it is not given.
    #[schemars(range(min = 1, max = MAX_CONCURRENCY))]
    concurrency_limit: Option<i64>,
}

/// Start when no submit with the `unique_key` has come for a while. Each one that comes while the task waits gives it the newest
/// `data` and `callbacks` and puts it off; once it has started, the next one is a task of its own.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub struct Debounce {
    /// Seconds without a submit.
    #[schemars(range(min = 1, max = DAY))]
    wait: i64,
    /// Seconds after the first submit at which it starts whatever comes; ten times `wait`, up to a day, when it is not given.
    #[schemars(range(min = 1, max = DAY))]
    max_wait: Option<i64>,
}

impl Debounce {
    pub fn wait(self) -> Duration {
        Duration::seconds(self.wait)
    }

    pub fn longest(self) -> Duration {
        Duration::seconds(self.max_wait.unwrap_or_else(|| self.wait.saturating_mul(10).min(DAY)))
    }
}

/// Accept one task with the `unique_key` in a period: others in it are answered with that one, even once it is completed. If it ends
/// in another way the next one is accepted.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub struct Throttle {
    /// Seconds from the acceptance on.
    #[schemars(range(min = 1, max = DAY))]
    period: i64,
}

impl Throttle {
    pub fn period(self) -> Duration {
        Duration::seconds(self.period)
    }
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[expect(clippy::struct_field_names, reason = "the original's names")]
pub struct Callbacks {
    #[schemars(url, length(max = 2048), regex(pattern = "^https?://"))]
    progress_url: Option<String>,
    #[schemars(url, length(max = 2048), regex(pattern = "^https?://"))]
    completion_url: Option<String>,
    #[schemars(url, length(max = 2048), regex(pattern = "^https?://"))]
    error_url: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct RetryConfig {
    /// 3 when it is not given.
    #[schemars(range(min = 0, max = 10))]
    max_retries: Option<i64>,
    /// Seconds; 60 when it is not given.
    #[schemars(range(min = 0, max = 86_400))]
    retry_delay: Option<i64>,
    /// Whether the delay doubles; it does when it is not given.
    exponential_backoff: Option<bool>,
}

impl From<&RetryConfig> for RetryPolicy {
    fn from(config: &RetryConfig) -> Self {
        let default = Self::default();
        Self {
            max_retries: config.max_retries.and_then(|n| n.try_into().ok()).unwrap_or(default.max_retries),
            retry_delay: config.retry_delay.and_then(|n| n.try_into().ok()).unwrap_or(default.retry_delay),
            exponential_backoff: config.exponential_backoff.unwrap_or(default.exponential_backoff),
        }
    }
}

/// What a client may say of a task besides its type, and of what a schedule makes.
#[derive(Debug, Default, Clone, Copy)]
pub struct Options<'a> {
    pub data: Option<&'a RawValue>,
    pub priority: Option<i64>,
    pub resources: Option<&'a Map<String, Value>>,
    pub callbacks: Option<&'a Callbacks>,
    pub retry_config: Option<&'a RetryConfig>,
    pub timeout: Option<i32>,
    pub expires_in: Option<i64>,
}

/// A priority that was checked; the usual one when there is none.
pub fn priority(number: Option<i64>) -> Priority {
    let number = number.and_then(|n| i16::try_from(n).ok());
    number.and_then(|n| Priority::try_from(n).ok()).unwrap_or_default()
}

impl Options<'_> {
    /// Notes every rule that is broken.
    pub fn check(&self, violations: &mut Violations) {
        match self.data {
            Some(data) if !data.get().starts_with('{') => violations.add("/data", "invalid_type", "must be an object"),
            Some(data) if depth(data.get()) > MAX_DEPTH => {
                violations.add("/data", "too_deep", format!("may be nested {MAX_DEPTH} levels deep at most"));
            }
            _ => {}
        }
        let mut within = |value: Option<i64>, low: i64, high: i64, pointer: &'static str| {
            let holds = value.is_none_or(|n| (low..=high).contains(&n));
            violations.check(holds, pointer, "out_of_range", format!("must be between {low} and {high}"));
        };
        within(self.priority, 1, 10, "/priority");
        within(self.timeout.map(i64::from), 1, MAX_TIMEOUT.into(), "/timeout");
        within(self.expires_in, 1, YEAR, "/expires_in");
        if let Some(retry) = self.retry_config {
            within(retry.max_retries, 0, 10, "/retry_config/max_retries");
            within(retry.retry_delay, 0, 86_400, "/retry_config/retry_delay");
        }
        let few = self.resources.is_none_or(|resources| resources.len() <= MAX_RESOURCES);
        violations.check(few, "/resources", "too_many", format!("may have {MAX_RESOURCES} fields at most"));
        let text = self.resources.and_then(|resources| serde_json::to_string(resources).ok());
        let short = text.is_none_or(|text| text.len() <= MAX_RESOURCES_TEXT);
        violations.check(short, "/resources", "too_long", "may have at most 16 KiB of JSON text");
        if let Some(callbacks) = self.callbacks {
            violations.inside("/callbacks", callbacks);
        }
    }
}

impl Validate for Callbacks {
    fn validate(&self, violations: &mut Violations) {
        for (pointer, url) in self.urls() {
            if let Some(Err(refusal)) = url.map(Target::parse) {
                violations.add(pointer, refusal.code(), refusal.to_string());
            }
        }
    }
}

impl Request {
    /// The priority, once it is known to be one.
    pub fn priority(&self) -> Priority {
        priority(self.priority)
    }

    /// What it shares with others.
    pub fn concurrency(&self) -> Option<Concurrency> {
        let limit = self.concurrency_limit.and_then(|n| n.try_into().ok()).unwrap_or(1);
        self.concurrency_key.clone().map(|key| Concurrency { key, limit })
    }
}

impl Request {
    /// What `debounce` and `throttle` demand.
    fn check_pace(&self, violations: &mut Violations) {
        let mut within = |value: Option<i64>, pointer: &'static str| {
            let holds = value.is_none_or(|n| (1..=DAY).contains(&n));
            violations.check(holds, pointer, "out_of_range", format!("must be between 1 and {DAY}"));
        };
        within(self.debounce.map(|debounce| debounce.wait), "/debounce/wait");
        within(self.debounce.and_then(|debounce| debounce.max_wait), "/debounce/max_wait");
        within(self.throttle.map(|throttle| throttle.period), "/throttle/period");
        if let Some(Debounce { wait, max_wait: Some(longest) }) = self.debounce {
            violations.check(longest >= wait, "/debounce/max_wait", "out_of_range", "may not be less than wait");
        }
        let asked = self.debounce.is_some() || self.throttle.is_some();
        let keyed = self.unique_key.is_some() || !asked;
        violations.check(keyed, "/unique_key", "required", "is required beside debounce or throttle");
        let one = self.debounce.is_none() || self.throttle.is_none();
        violations.check(one, "/throttle", "contradictory", "may not stand beside debounce");
        let due_once = self.debounce.is_none() || self.scheduled_for.is_none();
        violations.check(due_once, "/scheduled_for", "contradictory", "may not stand beside debounce");
    }
}

impl Validate for Request {
    fn validate(&self, violations: &mut Violations) {
        let options = Options {
            data: Some(&self.data),
            priority: self.priority,
            resources: self.resources.as_ref(),
            callbacks: self.callbacks.as_ref(),
            retry_config: self.retry_config.as_ref(),
            timeout: self.timeout,
            expires_in: self.expires_in,
        };
        options.check(violations);
        let sayable = self.scheduled_for.is_none_or(|at| is_rfc3339(at.with_timezone(&Utc)));
        violations.check(sayable, "/scheduled_for", "out_of_range", "must be in the years 0 to 9999");
        if let Some(limit) = self.concurrency_limit {
            let holds = (1..=MAX_CONCURRENCY).contains(&limit);
            let rule = format!("must be between 1 and {MAX_CONCURRENCY}");
            violations.check(holds, "/concurrency_limit", "out_of_range", rule);
        }
        for (pointer, key) in [("/unique_key", &self.unique_key), ("/concurrency_key", &self.concurrency_key)] {
            let Some(key) = key else { continue };
            let fits = (1..=MAX_KEY).contains(&key.chars().count());
            violations.check(fits, pointer, "out_of_range", format!("must have 1 to {MAX_KEY} characters"));
            violations.check(!key.contains('\0'), pointer, "invalid_characters", "may not hold NUL");
        }
        self.check_pace(violations);
        if self.concurrency_limit.is_some() && self.concurrency_key.is_none() {
            violations.add("/concurrency_key", "required", "is required beside concurrency_limit");
        }
    }
}

impl Callbacks {
    /// The URLs that lead, as far as can be told without asking anybody, where callbacks may not go. `place` is where
    /// `callbacks` stands in the body, as a JSON Pointer.
    pub fn forbidden(&self, allowed: &Allowed, place: &str) -> Vec<FieldError> {
        let judged = self.urls().into_iter().filter_map(|(pointer, url)| {
            let refusal = Target::parse(url?).and_then(|target| target.check(allowed)).err()?;
            Some(FieldError::new(format!("{place}/callbacks{pointer}"), refusal.code(), refusal.to_string()))
        });
        judged.collect()
    }

    /// Notes every rule that those of a workflow break: of one only the end is told.
    pub fn check_of_workflow(&self, violations: &mut Violations) {
        violations.inside("/callbacks", self);
        let pointer = "/callbacks/progress_url";
        let detail = "progress is told of tasks, not of workflows";
        violations.check(self.progress_url.is_none(), pointer, "not_supported", detail);
    }

    fn urls(&self) -> [(&'static str, Option<&str>); 3] {
        [
            ("/progress_url", self.progress_url.as_deref()),
            ("/completion_url", self.completion_url.as_deref()),
            ("/error_url", self.error_url.as_deref()),
        ]
    }
}

/// How deep a JSON text is nested. The text has been parsed before: it is well formed.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
