//! The text of a template: YAML with CloudFormation's short tags, brought into the long form.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Map, Value, json};
use serde_norway::{Value as Yaml, value::TaggedValue};

use super::error::TemplateError;

/// A parsed template: JSON in CloudFormation's long form, references not resolved yet.
#[derive(Debug, Clone)]
pub struct Template {
    pub(super) parameters: BTreeMap<String, Value>,
    pub(super) conditions: BTreeMap<String, Value>,
    pub(super) mappings: Value,
    pub(super) globals: Map<String, Value>,
    pub(super) resources: BTreeMap<String, RawResource>,
}

/// A resource as it stands in the text.
#[derive(Debug, Clone)]
pub(super) struct RawResource {
    pub kind: String,
    pub condition: Option<String>,
    pub metadata: Value,
    pub properties: Value,
}

const SECTIONS: [&str; 10] = [
    "AWSTemplateFormatVersion",
    "Transform",
    "Description",
    "Metadata",
    "Parameters",
    "Rules",
    "Conditions",
    "Mappings",
    "Globals",
    "Outputs",
];

impl Template {
    /// Reads and parses a template file.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, TemplateError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|source| TemplateError::Unreadable { path: path.display().to_string(), source })?;
        Self::parse(&text)
    }

    /// Parses the text of a template.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let Value::Object(mut root) = long_form(serde_norway::from_str(text)?, "template")? else {
            return Err(TemplateError::section("template", "is not a mapping"));
        };
        let resources = section(&mut root, "Resources")?
            .into_iter()
            .map(|(id, value)| RawResource::parse(&id, value).map(|resource| (id, resource)))
            .collect::<Result<_, _>>()?;
        let template = Self {
            parameters: section(&mut root, "Parameters")?.into_iter().collect(),
            conditions: section(&mut root, "Conditions")?.into_iter().collect(),
            mappings: Value::Object(section(&mut root, "Mappings")?),
            globals: section(&mut root, "Globals")?,
            resources,
        };
        match root.keys().find(|key| !SECTIONS.contains(&key.as_str())) {
            Some(unknown) => Err(TemplateError::section(unknown, "is not a section of a template")),
            None => Ok(template),
        }
    }
}

impl RawResource {
    fn parse(id: &str, value: Value) -> Result<Self, TemplateError> {
        let Value::Object(mut fields) = value else {
            return Err(TemplateError::resource(id, "Type", "the resource is not a mapping"));
        };
        let Some(Value::String(kind)) = fields.remove("Type") else {
            return Err(TemplateError::resource(id, "Type", "is missing"));
        };
        let condition = match fields.remove("Condition") {
            None => None,
            Some(Value::String(name)) => Some(name),
            Some(_) => return Err(TemplateError::resource(id, "Condition", "must be the name of a condition")),
        };
        Ok(Self {
            kind,
            condition,
            metadata: fields.remove("Metadata").unwrap_or(Value::Null),
            properties: fields.remove("Properties").unwrap_or_else(|| json!({})),
        })
    }
}

fn section(root: &mut Map<String, Value>, name: &str) -> Result<Map<String, Value>, TemplateError> {
    match root.remove(name) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(map)) => Ok(map),
        Some(_) => Err(TemplateError::section(name, "must be a mapping")),
    }
}

/// YAML into JSON; `!Sub x` becomes `{"Fn::Sub": x}` and so on.
fn long_form(yaml: Yaml, at: &str) -> Result<Value, TemplateError> {
    Ok(match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(b) => Value::Bool(b),
        Yaml::Number(n) => serde_json::to_value(n).map_err(|e| TemplateError::section(at, e.to_string()))?,
        Yaml::String(s) => Value::String(s),
        Yaml::Sequence(items) => {
            Value::Array(items.into_iter().map(|item| long_form(item, at)).collect::<Result<_, _>>()?)
        }
        Yaml::Mapping(mapping) => {
            let mut map = Map::new();
            for (key, value) in mapping {
                let key = match key {
                    Yaml::String(s) => s,
                    // `2012-10-17:` and port numbers are keys too.
                    other => serde_norway::to_string(&other)?.trim().to_owned(),
                };
                let value = long_form(value, &key)?;
                map.insert(key, value);
            }
            Value::Object(map)
        }
        Yaml::Tagged(tagged) => long_tag(*tagged, at)?,
    })
}

fn long_tag(tagged: TaggedValue, at: &str) -> Result<Value, TemplateError> {
    let tag = tagged.tag.to_string();
    let name = tag.trim_start_matches('!');
    let value = long_form(tagged.value, at)?;
    Ok(match (name, value) {
        ("Ref" | "Condition", value) => json!({ name: value }),
        ("GetAtt", Value::String(path)) => {
            let (resource, attribute) = path
                .split_once('.')
                .ok_or_else(|| TemplateError::section(at, format!("!GetAtt {path} names no attribute")))?;
            json!({ "Fn::GetAtt": [resource, attribute] })
        }
        (name, value) => json!({ format!("Fn::{name}"): value }),
    })
}
