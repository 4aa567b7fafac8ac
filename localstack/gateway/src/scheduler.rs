//! EventBridge on one machine: functions invoked by the clock.
//!
//! Sources: <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-run-lambda-schedule.html> (the event),
//! <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html> (two more attempts, a minute
//! and two minutes later; throttled ones for up to six hours). Invocations are asynchronous, so a slow one does not
//! hold up the next; times that passed while nobody was there are not made up for.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, SecondsFormat, Utc};
use halyard_domain::{Clock, Entropy};
use halyard_platform::function::{Answer, Event};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    course::Course,
    invoke::{Invoke, InvokeError},
    template::{ScheduleKind, ScheduleSpec},
};

/// One schedule at work.
#[derive(Debug)]
pub struct Schedule {
    pub(crate) spec: ScheduleSpec,
    /// Of the function: how often a failed firing is tried again.
    pub(crate) retries: u32,
    /// Of the function: how long a firing waits for it.
    pub(crate) kept: Duration,
    pub(crate) region: String,
    pub(crate) account: String,
    pub(crate) invoke: Arc<dyn Invoke>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<Entropy>,
}

impl Schedule {
    /// What it is.
    pub fn spec(&self) -> &ScheduleSpec {
        &self.spec
    }

    /// Fires now, once, and waits for the answer.
    pub async fn fire(&self) -> Result<Answer, InvokeError> {
        let payload = self.payload(self.clock.now());
        self.invoke.invoke(&self.spec.function, Event::Plain(payload)).await
    }

    /// Fires whenever it is time, until told to stop.
    pub async fn run(self: Arc<Self>, mut course: Course) {
        let mut deliveries = JoinSet::new();
        let mut next = self.spec.expression.next(self.clock.now());
        while let Some(due) = next {
            let wait = (due - self.clock.now()).to_std().unwrap_or_default();
            tokio::select! {
                () = course.leaving() => break,
                // In steps: a clock that is set, or a machine that slept, is noticed within a minute.
                () = tokio::time::sleep(wait.min(Duration::from_mins(1))) => {}
            }
            let now = self.clock.now();
            if now < due {
                continue;
            }
            deliveries.spawn(Arc::clone(&self).deliver(due));
            while deliveries.try_join_next().is_some() {}
            next = self.spec.expression.next(due).filter(|next| *next > now).or_else(|| self.spec.expression.next(now));
        }
        deliveries.shutdown().await;
    }

    /// One asynchronous invocation, with its attempts.
    async fn deliver(self: Arc<Self>, due: DateTime<Utc>) {
        let payload = self.payload(due);
        let (mut failures, mut throttled, mut wait) = (0, Duration::ZERO, Duration::from_secs(1));
        loop {
            match self.invoke.invoke(&self.spec.function, Event::Plain(payload.clone())).await {
                Ok(_) => return,
                Err(InvokeError::Throttled | InvokeError::Unavailable(_)) if throttled < self.kept => {
                    tokio::time::sleep(wait).await;
                    throttled += wait;
                    wait = (wait * 2).min(Duration::from_mins(5));
                }
                Err(error) if failures < self.retries => {
                    failures += 1;
                    tracing::warn!(schedule = self.spec.id, %error, failures, "a fire failed and is tried again");
                    tokio::time::sleep(Duration::from_mins(1) * failures).await;
                }
                Err(error) => {
                    tracing::error!(schedule = self.spec.id, %error, "a fire failed");
                    return;
                }
            }
        }
    }

    fn payload(&self, at: DateTime<Utc>) -> Value {
        if let Some(input) = &self.spec.input {
            return input.clone();
        }
        let Self { region, account, spec, .. } = self;
        let (source, resource, detail) = match spec.kind {
            ScheduleKind::Rule => ("aws.events", format!("events:{region}:{account}:rule/{}", spec.name), json!({})),
            ScheduleKind::Scheduler => {
                ("aws.scheduler", format!("scheduler:{region}:{account}:schedule/default/{}", spec.name), json!("{}"))
            }
        };
        json!({
            "version": "0",
            "id": self.entropy.ulid(at).to_string(),
            "detail-type": "Scheduled Event",
            "source": source,
            "account": account,
            "time": at.to_rfc3339_opts(SecondsFormat::Secs, true),
            "region": region,
            "resources": [format!("arn:aws:{resource}")],
            "detail": detail,
        })
    }
}
