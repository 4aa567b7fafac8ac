//! What is asked of a schedule.

use std::str::FromStr;

use chrono::{DateTime, Duration, FixedOffset, SubsecRound, Utc};
use halyard_domain::schedule::{
    CatchUp, Cron, Dst, LONGEST_INTERVAL, Overlap, SHORTEST_INTERVAL, Timing, UnknownPolicy, Zone,
};
use halyard_http::{Validate, Violations, is_rfc3339};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value, value::RawValue};

use crate::routes::submit::{Callbacks, MAX_RESOURCES, MAX_TIMEOUT, Options, RetryConfig, YEAR};

/// The most runs that can be asked for.
const MOST_ITERATIONS: i32 = 1_000_000_000;
/// The largest `data`, in bytes, as EventBridge Scheduler has it: every run gets a copy without anybody sending it again.
const MAX_DATA: usize = 256 * 1024;

/// The body of POST. Unknown fields are ignored, as the original does.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Request {
    pub task_type: String,
    /// What the task type asks for, nested 100 levels deep at most, of 256 KiB of JSON text at most.
    #[schemars(with = "Map<String, Value>")]
    pub data: Box<RawValue>,
    #[schemars(with = "WhenSchema")]
    pub schedule: WhenRequest,
    /// Of each run: 1 (first) to 10; 5 when it is not given.
    #[schemars(range(min = 1, max = 10))]
    pub priority: Option<i64>,
    /// Repeated in each run's status; nothing is allocated. 50 members at most, of 16 KiB of JSON text at most.
    #[schemars(extend("maxProperties" = MAX_RESOURCES))]
    pub resources: Option<Map<String, Value>>,
    pub callbacks: Option<Callbacks>,
    pub retry_config: Option<RetryConfig>,
    /// Of one attempt, in seconds. Cut to what the type's lane allows.
    #[schemars(range(min = 1, max = MAX_TIMEOUT))]
    pub timeout: Option<i32>,
    /// Seconds after its time within which a run must start.
    #[schemars(range(min = 1, max = YEAR))]
    pub expires_in: Option<i64>,
    /// True when it is not given; else it is paused.
    pub active: Option<bool>,
    /// Runs after which it is completed; null: it goes on.
    #[schemars(range(min = 1, max = MOST_ITERATIONS))]
    pub max_iterations: Option<i64>,
    /// What happens while an earlier run has not ended; `skip` when it is not given.
    #[serde(default, deserialize_with = "policy")]
    pub overlap: Option<Overlap>,
    /// What happens to times at which the platform was down; `one` when it is not given.
    #[serde(default, deserialize_with = "policy")]
    pub catch_up: Option<CatchUp>,
    /// What happens at a local time that does not exist; `skip` when it is not given.
    #[serde(default, deserialize_with = "policy")]
    pub dst: Option<Dst>,
}

/// When a schedule is to be due.
#[derive(JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
#[schemars(rename = "ScheduleTimingRequest")]
#[expect(dead_code, reason = "only its schema is of use")]
pub enum WhenSchema {
    /// By the clocks of a time zone.
    Cron {
        /// Five fields: minute, hour, day of month, month, day of week.
        #[schemars(length(max = 200))]
        expression: String,
        /// A name of the IANA database; UTC when it is not given.
        timezone: Option<String>,
    },
    /// Again and again, counted from when it was asked for.
    Interval {
        #[schemars(range(min = 60, max = 31_622_400))]
        seconds: i64,
    },
    /// At one moment.
    Once { at: DateTime<Utc> },
}

/// When it is due, as it comes. Which fields there must be depends on the type.
#[derive(Debug, Deserialize)]
pub struct WhenRequest {
    #[serde(rename = "type")]
    kind: String,
    expression: Option<String>,
    timezone: Option<String>,
    seconds: Option<i64>,
    at: Option<DateTime<FixedOffset>>,
}

/// A name. Read as a text: to `serde_json` an enum that is a number is no JSON at all.
pub fn policy<'de, D: Deserializer<'de>, T: FromStr<Err = UnknownPolicy>>(d: D) -> Result<Option<T>, D::Error> {
    Option::<String>::deserialize(d)?.map(|name| name.parse().map_err(D::Error::custom)).transpose()
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
        check_data(Some(&self.data), violations);
        self.schedule.check(violations);
        check_iterations(self.max_iterations, violations);
    }
}

/// Notes it when that is more than runs may get.
pub fn check_data(data: Option<&RawValue>, violations: &mut Violations) {
    let fits = data.is_none_or(|data| data.get().len() <= MAX_DATA);
    violations.check(fits, "/data", "too_long", "may have at most 256 KiB of JSON text");
}

/// Notes it when that is no number of runs.
pub fn check_iterations(most: Option<i64>, violations: &mut Violations) {
    let holds = most.is_none_or(|n| (1..=MOST_ITERATIONS.into()).contains(&n));
    let detail = format!("must be between 1 and {MOST_ITERATIONS}, or null");
    violations.check(holds, "/max_iterations", "out_of_range", detail);
}

impl WhenRequest {
    /// Notes every rule that is broken, but for those that the present decides about.
    pub fn check(&self, violations: &mut Violations) {
        match self.kind.as_str() {
            "cron" => match self.expression.as_deref().map(str::parse::<Cron>) {
                None => violations.add("/schedule/expression", "required", "is required for the type cron"),
                Some(Err(error)) => violations.add("/schedule/expression", error.code(), error.to_string()),
                Some(Ok(_)) => {}
            },
            "interval" => {
                let (low, high) = (SHORTEST_INTERVAL.num_seconds(), LONGEST_INTERVAL.num_seconds());
                match self.seconds {
                    None => violations.add("/schedule/seconds", "required", "is required for the type interval"),
                    Some(n) if !(low..=high).contains(&n) => {
                        let detail = format!("must be between {low} and {high}");
                        violations.add("/schedule/seconds", "out_of_range", detail);
                    }
                    Some(_) => {}
                }
            }
            "once" => match self.at {
                None => violations.add("/schedule/at", "required", "is required for the type once"),
                Some(at) if !is_rfc3339(at.with_timezone(&Utc)) => {
                    violations.add("/schedule/at", "out_of_range", "must be in the years 0 to 9999");
                }
                Some(_) => {}
            },
            _ => violations.add("/schedule/type", "invalid_value", "must be one of cron, interval, once"),
        }
        if let Some(Err(error)) = self.timezone.as_deref().map(str::parse::<Zone>) {
            violations.add("/schedule/timezone", "unknown_timezone", error.to_string());
        }
    }

    /// The timing, once it was checked. An interval begins at `now`.
    pub fn timing(&self, dst: Dst, now: DateTime<Utc>) -> Option<Timing> {
        Some(match self.kind.as_str() {
            "cron" => Timing::Cron {
                cron: self.expression.as_deref()?.parse().ok()?,
                zone: self.timezone.as_deref().unwrap_or("UTC").parse().ok()?,
                dst,
            },
            // In whole seconds: what is shown and what is due are the same.
            "interval" => Timing::Interval { every: Duration::seconds(self.seconds?), anchor: now.trunc_subsecs(0) },
            _ => Timing::Once { at: self.at?.with_timezone(&Utc).trunc_subsecs(6) },
        })
    }
}
