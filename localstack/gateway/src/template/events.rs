//! What invokes functions besides routes: event source mappings, rules and schedules.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;

use super::{
    error::TemplateError,
    lenient,
    model::{BatchRules, EventSourceMapping, FunctionSpec, QueueSpec, ScheduleKind, ScheduleSpec},
    stack::{Reader, find},
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Mapping {
    #[serde(alias = "Queue")]
    event_source_arn: String,
    function_name: Option<String>,
    #[serde(default, deserialize_with = "lenient::optional")]
    batch_size: Option<u32>,
    #[serde(default, deserialize_with = "lenient::optional")]
    maximum_batching_window_in_seconds: Option<u64>,
    #[serde(default)]
    function_response_types: Vec<String>,
    scaling_config: Option<Scaling>,
    #[serde(default, deserialize_with = "lenient::optional")]
    enabled: Option<bool>,
    #[serde(rename = "Tags")]
    _tags: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Scaling {
    #[serde(default, deserialize_with = "lenient::optional")]
    maximum_concurrency: Option<u32>,
}

pub(super) fn mappings(
    reader: &Reader<'_>,
    queues: &BTreeMap<String, QueueSpec>,
    functions: &BTreeMap<String, FunctionSpec>,
) -> Result<Vec<EventSourceMapping>, TemplateError> {
    let mut out = Vec::new();
    for id in reader.of_kind("AWS::Lambda::EventSourceMapping") {
        let mapping: Mapping = reader.properties(id)?;
        let name =
            mapping.function_name.clone().ok_or_else(|| TemplateError::resource(id, "FunctionName", "is missing"))?;
        let function = function(functions, (id, "FunctionName"), &name)?;
        out.push(mapping.into_model((id, ""), id.to_owned(), function, queues)?);
    }
    Ok(out)
}

pub(super) fn sam_queue(
    reader: &Reader<'_>,
    at: (&str, &str),
    event_id: String,
    properties: &Value,
    queues: &BTreeMap<String, QueueSpec>,
) -> Result<EventSourceMapping, TemplateError> {
    let mapping: Mapping = reader.read(at.0, at.1, properties)?;
    mapping.into_model(at, event_id, at.0.to_owned(), queues)
}

impl Mapping {
    fn into_model(
        self,
        at: (&str, &str),
        id: String,
        function: String,
        queues: &BTreeMap<String, QueueSpec>,
    ) -> Result<EventSourceMapping, TemplateError> {
        let arn = &self.event_source_arn;
        let queue = find(queues, "queue", (at.0, "EventSourceArn"), |q| q.arn == *arn, arn)?.id.clone();
        for kind in &self.function_response_types {
            if kind != "ReportBatchItemFailures" {
                return Err(TemplateError::resource(at.0, "FunctionResponseTypes", format!("{kind} is not known")));
            }
        }
        Ok(EventSourceMapping {
            id,
            queue,
            function,
            batch: BatchRules {
                size: self.batch_size.unwrap_or(10),
                window: Duration::from_secs(self.maximum_batching_window_in_seconds.unwrap_or(0)),
            },
            max_concurrency: self.scaling_config.and_then(|s| s.maximum_concurrency),
            reports_failures: !self.function_response_types.is_empty(),
            enabled: self.enabled.unwrap_or(true),
        })
    }
}

/// The rules that AWS refuses a mapping by.
/// Source: <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>.
pub(super) fn check(
    mappings: &[EventSourceMapping],
    queues: &BTreeMap<String, QueueSpec>,
    functions: &BTreeMap<String, FunctionSpec>,
) -> Result<(), TemplateError> {
    for mapping in mappings {
        let wrong = |property: &str, message: String| Err(TemplateError::resource(&mapping.id, property, message));
        let BatchRules { size, window } = mapping.batch;
        if !(1..=10_000).contains(&size) {
            return wrong("BatchSize", format!("{size} is not between 1 and 10,000"));
        }
        if size > 10 && window.is_zero() {
            return wrong("MaximumBatchingWindowInSeconds", "must be at least 1 for batches above 10".to_owned());
        }
        if window > Duration::from_mins(5) {
            return wrong("MaximumBatchingWindowInSeconds", "is above 300".to_owned());
        }
        if mapping.max_concurrency.is_some_and(|n| !(2..=1_000).contains(&n)) {
            return wrong("ScalingConfig.MaximumConcurrency", "is not between 2 and 1,000".to_owned());
        }
        if queues[&mapping.queue].visibility < functions[&mapping.function].timeout {
            return wrong("Queue", "its visibility timeout is shorter than the function's timeout".to_owned());
        }
    }
    Ok(())
}

/// The function that a name, an ARN or an invocation path of API Gateway stands for.
pub(super) fn function(
    functions: &BTreeMap<String, FunctionSpec>,
    at: (&str, &str),
    text: &str,
) -> Result<String, TemplateError> {
    let inner = text.split_once(":path/2015-03-31/functions/").map_or(text, |(_, rest)| rest);
    let inner = inner.strip_suffix("/invocations").unwrap_or(inner);
    let name = inner.rsplit_once(":function:").map_or(inner, |(_, rest)| rest);
    let (name, qualifier) = name.split_once(':').map_or((name, None), |(name, qualifier)| (name, Some(qualifier)));
    let function = find(functions, "function", at, |f| f.name == name, text)?;
    match qualifier {
        Some(alias) if alias != "$LATEST" && function.alias.as_deref() != Some(alias) => {
            Err(TemplateError::resource(at.0, at.1, format!("{} publishes no alias {alias}", function.id)))
        }
        _ => Ok(function.id.clone()),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct SamRule {
    schedule: String,
    name: Option<String>,
    input: Option<String>,
    // Of the delivery to the function, which cannot fail here.
    #[serde(rename = "RetryPolicy")]
    _retry: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "lenient::optional")]
    enabled: Option<bool>,
    state: Option<String>,
    #[serde(rename = "Description")]
    _description: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct SamSchedule {
    schedule_expression: String,
    name: Option<String>,
    input: Option<String>,
    // Of the delivery to the function, which cannot fail here.
    #[serde(rename = "RetryPolicy")]
    _retry: Option<IgnoredAny>,
    state: Option<String>,
    schedule_expression_timezone: Option<String>,
    #[serde(rename = "Description")]
    _description: Option<IgnoredAny>,
    #[serde(rename = "FlexibleTimeWindow")]
    _window: Option<IgnoredAny>,
    #[serde(rename = "RoleArn")]
    _role: Option<IgnoredAny>,
    #[serde(rename = "OmitName")]
    _omit_name: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Rule {
    schedule_expression: String,
    targets: Vec<Target>,
    state: Option<String>,
    name: Option<String>,
    #[serde(rename = "Description")]
    _description: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Target {
    arn: String,
    input: Option<String>,
    // Of the delivery to the function, which cannot fail here.
    #[serde(rename = "RetryPolicy")]
    _retry: Option<IgnoredAny>,
    #[serde(rename = "Id")]
    _id: Option<IgnoredAny>,
    #[serde(rename = "RoleArn")]
    _role: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct SchedulerSchedule {
    schedule_expression: String,
    target: Target,
    state: Option<String>,
    name: Option<String>,
    schedule_expression_timezone: Option<String>,
    #[serde(rename = "FlexibleTimeWindow")]
    _window: Option<IgnoredAny>,
    #[serde(rename = "Description")]
    _description: Option<IgnoredAny>,
}

/// What the four ways to write a schedule have in common.
struct Common {
    kind: ScheduleKind,
    expression: String,
    name: Option<String>,
    input: Option<String>,
    enabled: bool,
    zone: Option<String>,
}

impl Common {
    fn into_model(self, at: (&str, &str), id: String, function: String) -> Result<ScheduleSpec, TemplateError> {
        let wrong = |property: &str, message: String| {
            let path = if at.1.is_empty() { property.to_owned() } else { format!("{}.{property}", at.1) };
            TemplateError::resource(at.0, path, message)
        };
        if let Some(zone) = self.zone.filter(|zone| zone != "UTC") {
            return Err(wrong("ScheduleExpressionTimezone", format!("{zone}: only UTC is played here")));
        }
        let input = self.input.map(|text| serde_json::from_str(&text)).transpose();
        Ok(ScheduleSpec {
            name: self.name.unwrap_or_else(|| id.clone()),
            id,
            kind: self.kind,
            function,
            expression: self.expression.parse().map_err(|e| wrong("ScheduleExpression", format!("{e}")))?,
            input: input.map_err(|e| wrong("Input", format!("is not JSON: {e}")))?,
            enabled: self.enabled,
        })
    }
}

fn on(state: Option<&str>) -> bool {
    state.is_none_or(|s| s.starts_with("ENABLED"))
}

pub(super) fn sam_rule(
    reader: &Reader<'_>,
    at: (&str, &str),
    id: String,
    properties: &Value,
) -> Result<ScheduleSpec, TemplateError> {
    let rule: SamRule = reader.read(at.0, at.1, properties)?;
    let enabled = rule.enabled.unwrap_or(true) && on(rule.state.as_deref());
    let kind = ScheduleKind::Rule;
    let SamRule { schedule, name, input, .. } = rule;
    Common { kind, expression: schedule, name, input, enabled, zone: None }.into_model(at, id, at.0.to_owned())
}

pub(super) fn sam_schedule(
    reader: &Reader<'_>,
    at: (&str, &str),
    id: String,
    properties: &Value,
) -> Result<ScheduleSpec, TemplateError> {
    let schedule: SamSchedule = reader.read(at.0, at.1, properties)?;
    let enabled = on(schedule.state.as_deref());
    let kind = ScheduleKind::Scheduler;
    let SamSchedule { schedule_expression, name, input, schedule_expression_timezone: zone, .. } = schedule;
    Common { kind, expression: schedule_expression, name, input, enabled, zone }.into_model(at, id, at.0.to_owned())
}

/// `AWS::Events::Rule` and `AWS::Scheduler::Schedule`.
pub(super) fn rules(
    reader: &Reader<'_>,
    functions: &BTreeMap<String, FunctionSpec>,
) -> Result<Vec<ScheduleSpec>, TemplateError> {
    let mut out = Vec::new();
    for id in reader.of_kind("AWS::Events::Rule") {
        let rule: Rule = reader.properties(id)?;
        let enabled = on(rule.state.as_deref());
        for target in rule.targets {
            let function = function(functions, (id, "Targets"), &target.arn)?;
            let common = Common {
                kind: ScheduleKind::Rule,
                expression: rule.schedule_expression.clone(),
                name: rule.name.clone(),
                input: target.input,
                enabled,
                zone: None,
            };
            out.push(common.into_model((id, ""), id.to_owned(), function)?);
        }
    }
    for id in reader.of_kind("AWS::Scheduler::Schedule") {
        let schedule: SchedulerSchedule = reader.properties(id)?;
        let function = function(functions, (id, "Target.Arn"), &schedule.target.arn)?;
        let common = Common {
            kind: ScheduleKind::Scheduler,
            expression: schedule.schedule_expression,
            name: schedule.name,
            input: schedule.target.input,
            enabled: on(schedule.state.as_deref()),
            zone: schedule.schedule_expression_timezone,
        };
        out.push(common.into_model((id, ""), id.to_owned(), function)?);
    }
    Ok(out)
}
