//! `AWS::Serverless::Function`, with `Globals` below it and the events inside it.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Map, Value};

use super::{
    error::TemplateError,
    events, lenient,
    model::{EnvValue, EventSourceMapping, FunctionSpec, QueueSpec, ScheduleSpec},
    stack::Reader,
};

/// Every property that a function may have. Those that start with an underscore say how AWS packs, places, observes
/// and permits it, and change nothing about what it does here.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Function {
    #[serde(default, deserialize_with = "lenient::optional")]
    timeout: Option<u64>,
    #[serde(default, deserialize_with = "lenient::optional")]
    memory_size: Option<u32>,
    #[serde(default, deserialize_with = "lenient::optional")]
    reserved_concurrent_executions: Option<u32>,
    #[serde(rename = "FunctionName")]
    _name: Option<IgnoredAny>,
    #[serde(rename = "Description")]
    _description: Option<IgnoredAny>,
    #[serde(rename = "CodeUri")]
    _code: Option<IgnoredAny>,
    #[serde(rename = "Handler")]
    _handler: Option<IgnoredAny>,
    #[serde(rename = "Runtime")]
    _runtime: Option<IgnoredAny>,
    #[serde(rename = "PackageType")]
    _package: Option<IgnoredAny>,
    #[serde(rename = "Architectures")]
    _architectures: Option<IgnoredAny>,
    #[serde(rename = "Role")]
    _role: Option<IgnoredAny>,
    #[serde(rename = "Policies")]
    _policies: Option<IgnoredAny>,
    #[serde(rename = "VpcConfig")]
    _vpc: Option<IgnoredAny>,
    #[serde(rename = "LoggingConfig")]
    _logging: Option<IgnoredAny>,
    #[serde(rename = "Tracing")]
    _tracing: Option<IgnoredAny>,
    #[serde(rename = "EphemeralStorage")]
    _storage: Option<IgnoredAny>,
    #[serde(rename = "AutoPublishAlias")]
    alias: Option<String>,
    #[serde(rename = "AutoPublishAliasAllProperties")]
    _all_properties: Option<IgnoredAny>,
    #[serde(rename = "AutoPublishCodeSha256")]
    _release: Option<IgnoredAny>,
    #[serde(rename = "VersionDeletionPolicy")]
    _versions: Option<IgnoredAny>,
    #[serde(rename = "PropagateTags")]
    _propagate: Option<IgnoredAny>,
    event_invoke_config: Option<EventInvokeConfig>,
    #[serde(rename = "DeploymentPreference")]
    _deployment: Option<IgnoredAny>,
    #[serde(rename = "Tags")]
    _tags: Option<IgnoredAny>,
}

/// How asynchronous invocations are treated.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct EventInvokeConfig {
    #[serde(default, deserialize_with = "lenient::optional")]
    maximum_retry_attempts: Option<u32>,
    #[serde(default, deserialize_with = "lenient::optional")]
    maximum_event_age_in_seconds: Option<u64>,
    #[serde(rename = "DestinationConfig")]
    _destination: Option<IgnoredAny>,
}

/// Properties that are read apart: the environment variable by variable, the events one by one.
const APART: [&str; 2] = ["Environment", "Events"];

pub(super) fn functions(reader: &Reader<'_>) -> Result<BTreeMap<String, FunctionSpec>, TemplateError> {
    let globals = reader.resolver.template.globals.get("Function");
    let globals = globals.and_then(Value::as_object).cloned().unwrap_or_default();
    let mut functions = BTreeMap::new();
    for id in reader.of_kind("AWS::Serverless::Function") {
        let resource = &reader.resolver.template.resources[id];
        let Value::Object(own) = &resource.properties else {
            return Err(TemplateError::resource(id, "Properties", "must be a mapping"));
        };
        let environment = environment(reader, id, [globals.get("Environment"), own.get("Environment")])?;
        let mut merged: Map<String, Value> = globals.clone();
        merged.extend(own.clone());
        merged.retain(|property, _| !APART.contains(&property.as_str()));
        let function: Function = reader.read(id, "", &Value::Object(merged))?;
        let asynchronous = function.event_invoke_config.as_ref();
        let spec = FunctionSpec {
            id: id.to_owned(),
            name: reader.name(id)?,
            binary: binary(id, &resource.metadata, own.get("CodeUri")),
            timeout: Duration::from_secs(function.timeout.unwrap_or(3)),
            memory_mb: function.memory_size.unwrap_or(128),
            reserved_concurrency: function.reserved_concurrent_executions,
            alias: function.alias,
            retries: asynchronous.and_then(|c| c.maximum_retry_attempts).unwrap_or(2).min(2),
            kept: asynchronous
                .and_then(|c| c.maximum_event_age_in_seconds)
                .map_or(Duration::from_hours(6), Duration::from_secs),
            environment,
        };
        functions.insert(id.to_owned(), spec);
    }
    Ok(functions)
}

/// Which program a function runs: what its build metadata names, else the last part of `CodeUri`, else its own id.
fn binary(id: &str, metadata: &Value, code: Option<&Value>) -> String {
    let named = metadata.pointer("/BuildProperties/Binary").or_else(|| metadata.get("Binary")).and_then(Value::as_str);
    let from_code = || {
        let last = code?.as_str()?.trim_end_matches('/').rsplit('/').next()?;
        let last = last.strip_suffix(".zip").unwrap_or(last);
        (!last.is_empty() && !last.starts_with('.')).then_some(last)
    };
    named.or_else(from_code).unwrap_or(id).to_owned()
}

fn environment(
    reader: &Reader<'_>,
    id: &str,
    layers: [Option<&Value>; 2],
) -> Result<BTreeMap<String, EnvValue>, TemplateError> {
    let mut out = BTreeMap::new();
    for layer in layers.into_iter().flatten() {
        let Some(variables) = layer.get("Variables").and_then(Value::as_object) else {
            return Err(TemplateError::resource(id, "Environment.Variables", "must be a mapping"));
        };
        for (name, value) in variables {
            let value = match reader.resolver_text(value) {
                Ok(text) if text.contains("{{resolve:") => {
                    EnvValue::Missing(format!("{text} is resolved by AWS when it deploys"))
                }
                // A function that starts on Lambda looks it up itself (`halyard_platform::secrets`).
                Ok(text) if text.starts_with("secretsmanager:") => {
                    EnvValue::Missing(format!("{text} is in Secrets Manager"))
                }
                Ok(text) => EnvValue::Known(text),
                Err(reason) => EnvValue::Missing(reason),
            };
            out.insert(name.clone(), value);
        }
    }
    Ok(out)
}

/// Reads `Events` of every function into mappings and schedules.
pub(super) fn events(
    reader: &Reader<'_>,
    queues: &BTreeMap<String, QueueSpec>,
    mappings: &mut Vec<EventSourceMapping>,
    schedules: &mut Vec<ScheduleSpec>,
) -> Result<(), TemplateError> {
    for id in reader.of_kind("AWS::Serverless::Function") {
        let properties = &reader.resolver.template.resources[id].properties;
        let Some(events) = properties.get("Events").and_then(Value::as_object) else { continue };
        for (name, event) in events {
            let at = format!("Events.{name}.Properties");
            let properties = event.get("Properties").cloned().unwrap_or_else(|| Value::Object(Map::new()));
            let event_id = format!("{id}.{name}");
            match event.get("Type").and_then(Value::as_str) {
                Some("SQS") => {
                    mappings.push(events::sam_queue(reader, (id, &at), event_id, &properties, queues)?);
                }
                Some("Schedule") => schedules.push(events::sam_rule(reader, (id, &at), event_id, &properties)?),
                Some("ScheduleV2") => schedules.push(events::sam_schedule(reader, (id, &at), event_id, &properties)?),
                other => {
                    let kind = other.unwrap_or("an event without a type");
                    return Err(TemplateError::resource(
                        id,
                        format!("Events.{name}.Type"),
                        format!("{kind} is not played here; routes are written as AWS::ApiGatewayV2 resources"),
                    ));
                }
            }
        }
    }
    Ok(())
}
