//! What each function may do on AWS: its role, expanded. Nothing here runs by it; a test compares it with the code.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{document::Template, error::TemplateError, resolve::Inputs, stack::Reader};

/// What a function's role says, and what of it the function does not ask for itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// The statements of every policy of the role.
    pub statements: Vec<Statement>,
    /// The name of the log group that Lambda writes the function's output to, in the role's name.
    pub log_group: String,
    /// Variables that name a secret, with the reference.
    pub secrets: BTreeMap<String, String>,
}

/// One statement of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// `Allow`, and not `Deny`.
    pub allows: bool,
    /// `sqs:SendMessage`.
    pub actions: Vec<String>,
    /// ARNs, perhaps with wildcards.
    pub resources: Vec<String>,
    /// `Condition`; null without one.
    pub condition: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Document {
    statement: Vec<RawStatement>,
    #[serde(rename = "Version")]
    _version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct RawStatement {
    effect: String,
    action: OneOrMany,
    resource: OneOrMany,
    #[serde(default)]
    condition: Value,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        }
    }
}

impl Template {
    /// The grants of every function, by logical id.
    ///
    /// # Errors
    /// When a function has no role of this template, when it has policies besides its role (SAM would add its own to
    /// them), or when a role has a policy that is not in this template.
    pub fn grants(&self, inputs: &Inputs) -> Result<BTreeMap<String, Grants>, TemplateError> {
        let reader = Reader::new(self, inputs)?;
        let functions = reader.of_kind("AWS::Serverless::Function");
        functions.map(|id| grants(&reader, id).map(|grants| (id.to_owned(), grants))).collect()
    }
}

fn grants(reader: &Reader<'_>, id: &str) -> Result<Grants, TemplateError> {
    let properties = &reader.resolver.template.resources[id].properties;
    let wrong = |property: &str, message: String| TemplateError::resource(id, property, message);
    if properties.get("Policies").is_some() {
        return Err(wrong("Policies", "must stand in the function's role".to_owned()));
    }
    let text = |pointer: &str, name: &str| {
        let value = properties.pointer(pointer).ok_or_else(|| wrong(name, "is missing".to_owned()))?;
        reader.resolver.text(value).map_err(|e| wrong(name, e))
    };
    let role = text("/Role", "Role")?;
    let log_group = text("/LoggingConfig/LogGroup", "LoggingConfig.LogGroup")?;
    Ok(Grants { statements: statements(reader, id, &role)?, log_group, secrets: secrets(reader, properties) })
}

/// The statements of a role's own policies, then those of the managed ones.
fn statements(reader: &Reader<'_>, function: &str, role: &str) -> Result<Vec<Statement>, TemplateError> {
    let mut out = Vec::new();
    let id = with_arn(reader, "AWS::IAM::Role", role)
        .ok_or_else(|| TemplateError::resource(function, "Role", format!("{role} is no role of this template")))?;
    for policy in list(reader, id, "Policies")? {
        out.extend(document(id, policy.get("PolicyDocument").unwrap_or(&Value::Null))?);
    }
    for managed in list(reader, id, "ManagedPolicyArns")? {
        let arn = managed.as_str().unwrap_or_default();
        let policy = with_arn(reader, "AWS::IAM::ManagedPolicy", arn).ok_or_else(|| {
            TemplateError::resource(id, "ManagedPolicyArns", format!("{managed} is no policy of this template"))
        })?;
        out.extend(document(policy, &property(reader, policy, "PolicyDocument")?)?);
    }
    Ok(out)
}

fn document(id: &str, value: &Value) -> Result<Vec<Statement>, TemplateError> {
    let document: Document = serde_path_to_error::deserialize(value)
        .map_err(|e| TemplateError::resource(id, format!("PolicyDocument.{}", e.path()), e.inner().to_string()))?;
    let statement = |raw: RawStatement| Statement {
        allows: raw.effect == "Allow",
        actions: raw.action.into_vec(),
        resources: raw.resource.into_vec(),
        condition: raw.condition,
    };
    Ok(document.statement.into_iter().map(statement).collect())
}

fn property(reader: &Reader<'_>, id: &str, name: &str) -> Result<Value, TemplateError> {
    let value = reader.resolver.template.resources[id].properties.get(name).unwrap_or(&Value::Null);
    reader.resolver.value(value).map_err(|e| TemplateError::resource(id, name, e))
}

fn list(reader: &Reader<'_>, id: &str, name: &str) -> Result<Vec<Value>, TemplateError> {
    match property(reader, id, name)? {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => Ok(items),
        _ => Err(TemplateError::resource(id, name, "must be a list")),
    }
}

fn with_arn<'a>(reader: &Reader<'a>, kind: &'static str, arn: &str) -> Option<&'a str> {
    reader.of_kind(kind).find(|id| reader.resolver.arn_of(id).is_ok_and(|own| own == arn))
}

fn secrets(reader: &Reader<'_>, properties: &Value) -> BTreeMap<String, String> {
    let variables = properties.pointer("/Environment/Variables").and_then(Value::as_object);
    let named = variables.into_iter().flatten().filter_map(|(name, value)| {
        let text = reader.resolver_text(value).ok()?;
        text.starts_with("secretsmanager:").then(|| (name.clone(), text))
    });
    named.collect()
}
