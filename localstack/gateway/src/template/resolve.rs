//! References resolved: parameters, pseudo parameters, conditions, intrinsic functions, and the names, URLs and ARNs
//! that resources have on this machine.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::document::{RawResource, Template};

/// What a template is resolved with.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// Values for `Parameters`, over their defaults.
    pub parameters: BTreeMap<String, String>,
    /// `AWS::StackName`.
    pub stack: String,
    /// `AWS::Region`.
    pub region: String,
    /// `AWS::AccountId`.
    pub account: String,
    /// What the URL of a queue starts with: `{queue_endpoint}/{account}/{name}`.
    pub queue_endpoint: String,
}

impl Default for Inputs {
    fn default() -> Self {
        Self {
            parameters: BTreeMap::new(),
            stack: "halyard".to_owned(),
            region: "us-east-1".to_owned(),
            account: "000000000000".to_owned(),
            queue_endpoint: "http://sqs.localhost".to_owned(),
        }
    }
}

/// References may chain (a queue named by a parameter that ...), but not for ever.
const DEPTH: u8 = 16;

pub(super) struct Resolver<'a> {
    pub template: &'a Template,
    pub inputs: &'a Inputs,
}

type Resolved<T> = Result<T, String>;

impl<'a> Resolver<'a> {
    /// The value with every reference replaced. `AWS::NoValue` removes the property it stands in.
    pub fn value(&self, value: &Value) -> Resolved<Value> {
        Ok(self.walk(value, DEPTH)?.unwrap_or(Value::Null))
    }

    /// A value that must come out as text (numbers and truth values are written out).
    pub fn text(&self, value: &Value) -> Resolved<String> {
        self.text_at(value, DEPTH)
    }

    /// Whether a condition of the template holds.
    pub fn condition(&self, name: &str) -> Resolved<bool> {
        self.condition_at(name, DEPTH)
    }

    /// The name that a resource has: its name property, or what CloudFormation would derive from the logical id.
    pub fn name_of(&self, id: &str, resource: &RawResource) -> Resolved<String> {
        self.name_at(id, resource, DEPTH)
    }

    fn text_at(&self, value: &Value, depth: u8) -> Resolved<String> {
        match self.walk(value, depth)?.unwrap_or(Value::Null) {
            Value::String(s) => Ok(s),
            Value::Number(n) => Ok(n.to_string()),
            Value::Bool(b) => Ok(b.to_string()),
            other => Err(format!("{other} is not text")),
        }
    }

    fn walk(&self, value: &Value, depth: u8) -> Resolved<Option<Value>> {
        let depth = depth.checked_sub(1).ok_or("the references go round in a circle")?;
        match value {
            Value::Object(map) => match single(map) {
                Some((name, argument)) if name == "Ref" || name == "Condition" || name.starts_with("Fn::") => {
                    self.intrinsic(name, argument, depth)
                }
                _ => {
                    let mut out = Map::new();
                    for (key, value) in map {
                        if let Some(value) = self.walk(value, DEPTH.min(depth + 1))? {
                            out.insert(key.clone(), value);
                        }
                    }
                    Ok(Some(Value::Object(out)))
                }
            },
            Value::Array(items) => {
                let mut out = Vec::with_capacity(items.len());
                for item in items {
                    out.extend(self.walk(item, DEPTH.min(depth + 1))?);
                }
                Ok(Some(Value::Array(out)))
            }
            other => Ok(Some(other.clone())),
        }
    }

    fn intrinsic(&self, name: &str, argument: &Value, depth: u8) -> Resolved<Option<Value>> {
        let list = || argument.as_array().ok_or_else(|| format!("{name} needs a list"));
        match name {
            "Ref" => self.reference(argument.as_str().ok_or("Ref needs a name")?, depth),
            "Fn::GetAtt" => {
                let [resource, attribute @ ..] = list()?.as_slice() else {
                    return Err("Fn::GetAtt needs a resource and an attribute".to_owned());
                };
                let attribute: Vec<&str> = attribute.iter().filter_map(Value::as_str).collect();
                let resource = resource.as_str().ok_or("Fn::GetAtt needs a logical id")?;
                self.attribute(resource, &attribute.join("."), depth).map(|text| Some(text.into()))
            }
            "Fn::Sub" => self.substitute(argument, depth).map(|text| Some(text.into())),
            "Fn::Join" => {
                let [separator, items] = list()?.as_slice() else {
                    return Err("Fn::Join needs a separator and a list".to_owned());
                };
                let separator = separator.as_str().ok_or("Fn::Join needs a separator")?;
                let items = self.walk(items, depth)?.unwrap_or_default();
                let items = items.as_array().ok_or("Fn::Join needs a list")?;
                let parts: Resolved<Vec<_>> = items.iter().map(|item| self.text_at(item, depth)).collect();
                Ok(Some(parts?.join(separator).into()))
            }
            "Fn::Split" => {
                let [separator, text] = list()?.as_slice() else {
                    return Err("Fn::Split needs a separator and a text".to_owned());
                };
                let separator = separator.as_str().ok_or("Fn::Split needs a separator")?;
                let text = self.text_at(text, depth)?;
                Ok(Some(text.split(separator).map(Value::from).collect::<Vec<_>>().into()))
            }
            "Fn::Select" => {
                let [index, items] = list()?.as_slice() else {
                    return Err("Fn::Select needs an index and a list".to_owned());
                };
                let index: usize = self.text_at(index, depth)?.parse().map_err(|_| "Fn::Select needs a number")?;
                let items = self.walk(items, depth)?.unwrap_or_default();
                items.get(index).cloned().map(Some).ok_or_else(|| format!("Fn::Select: there is no item {index}"))
            }
            "Fn::If" => {
                let [condition, yes, no] = list()?.as_slice() else {
                    return Err("Fn::If needs a condition and two values".to_owned());
                };
                let condition = condition.as_str().ok_or("Fn::If needs the name of a condition")?;
                self.walk(if self.condition_at(condition, depth)? { yes } else { no }, depth)
            }
            "Fn::FindInMap" => {
                let path: Resolved<Vec<_>> = list()?.iter().map(|item| self.text_at(item, depth)).collect();
                let path = path?;
                let found = path.iter().try_fold(&self.template.mappings, |value, key| value.get(key));
                found.cloned().map(Some).ok_or_else(|| format!("Fn::FindInMap: there is no {}", path.join(".")))
            }
            "Condition" | "Fn::Equals" | "Fn::And" | "Fn::Or" | "Fn::Not" => {
                self.holds(name, argument, depth).map(|b| Some(b.into()))
            }
            other => Err(format!("{other} is not known here")),
        }
    }

    fn holds(&self, name: &str, argument: &Value, depth: u8) -> Resolved<bool> {
        let list = || argument.as_array().ok_or_else(|| format!("{name} needs a list"));
        let truths = || -> Resolved<Vec<bool>> {
            list()?.iter().map(|item| self.text_at(item, depth).map(|text| text == "true")).collect()
        };
        Ok(match name {
            "Condition" => self.condition_at(argument.as_str().ok_or("Condition needs a name")?, depth)?,
            "Fn::Equals" => {
                let [a, b] = list()?.as_slice() else {
                    return Err("Fn::Equals needs two values".to_owned());
                };
                self.text_at(a, depth)? == self.text_at(b, depth)?
            }
            "Fn::And" => truths()?.into_iter().all(|b| b),
            "Fn::Or" => truths()?.into_iter().any(|b| b),
            _ => !truths()?.first().copied().unwrap_or_default(),
        })
    }

    fn condition_at(&self, name: &str, depth: u8) -> Resolved<bool> {
        let condition = self.template.conditions.get(name).ok_or_else(|| format!("there is no condition {name}"))?;
        Ok(self.text_at(condition, depth)? == "true")
    }

    fn reference(&self, name: &str, depth: u8) -> Resolved<Option<Value>> {
        let inputs = self.inputs;
        Ok(Some(match name {
            "AWS::NoValue" => return Ok(None),
            "AWS::Region" => inputs.region.clone().into(),
            "AWS::AccountId" => inputs.account.clone().into(),
            "AWS::StackName" => inputs.stack.clone().into(),
            "AWS::Partition" => "aws".into(),
            "AWS::URLSuffix" => "amazonaws.com".into(),
            "AWS::StackId" => self.arn("cloudformation", &format!("stack/{}/local", inputs.stack)).into(),
            "AWS::NotificationARNs" => Value::Array(Vec::new()),
            _ => match self.template.parameters.get(name) {
                Some(declaration) => self.parameter(name, declaration)?,
                None => self.resource_ref(name, depth)?.into(),
            },
        }))
    }

    fn parameter(&self, name: &str, declaration: &Value) -> Resolved<Value> {
        let kind = declaration.get("Type").and_then(Value::as_str).unwrap_or("String");
        let given = self.inputs.parameters.get(name).cloned();
        let default = || match declaration.get("Default")? {
            Value::String(s) => Some(s.clone()),
            other => Some(other.to_string()),
        };
        let text = given.or_else(default).ok_or_else(|| format!("parameter {name} has no value"))?;
        if let Some(allowed) = declaration.get("AllowedValues").and_then(Value::as_array) {
            let fits = |value: &Value| match value {
                Value::String(allowed) => *allowed == text,
                other => text.parse::<Value>().is_ok_and(|given| given == *other),
            };
            if !allowed.iter().any(fits) {
                return Err(format!("parameter {name}: {text:?} is not one of its allowed values"));
            }
        }
        match kind {
            "Number" => text
                .parse::<serde_json::Number>()
                .map(Value::Number)
                .map_err(|_| format!("parameter {name}: {text:?} is not a number")),
            "CommaDelimitedList" | "List<Number>" => {
                Ok(text.split(',').map(|item| Value::from(item.trim())).collect::<Vec<_>>().into())
            }
            kind if kind.starts_with("AWS::SSM::Parameter") && !self.inputs.parameters.contains_key(name) => {
                Err(format!("parameter {name} stands in the parameter store, which is not here"))
            }
            _ => Ok(text.into()),
        }
    }

    /// `${Name}`, `${Resource.Attribute}`, `${!Literal}`, and variables of the long form.
    fn substitute(&self, argument: &Value, depth: u8) -> Resolved<String> {
        let nothing = Map::new();
        let (text, variables) = match argument {
            Value::String(text) => (text.as_str(), &nothing),
            Value::Array(items) => match items.as_slice() {
                [Value::String(text), Value::Object(variables)] => (text.as_str(), variables),
                _ => return Err("Fn::Sub needs a text and its variables".to_owned()),
            },
            _ => return Err("Fn::Sub needs a text".to_owned()),
        };
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            out.push_str(before);
            let (name, behind) = after.split_once('}').ok_or_else(|| format!("Fn::Sub: {text:?} lacks a brace"))?;
            rest = behind;
            if let Some(literal) = name.strip_prefix('!') {
                out.push_str("${");
                out.push_str(literal);
                out.push('}');
            } else if let Some(variable) = variables.get(name) {
                out.push_str(&self.text_at(variable, depth)?);
            } else if let Some((resource, attribute)) = name.split_once('.') {
                out.push_str(&self.attribute(resource, attribute, depth)?);
            } else {
                let value = self.reference(name, depth)?.unwrap_or_default();
                out.push_str(&self.text_at(&value, depth)?);
            }
        }
        out.push_str(rest);
        Ok(out)
    }

    /// `Function.Alias`, which SAM makes of `AutoPublishAlias`: the alias' ARN.
    fn alias(&self, id: &str, depth: u8) -> Resolved<String> {
        let depth = depth.checked_sub(1).ok_or("the references go round in a circle")?;
        let resource = self.resource(id)?;
        let globals = self.template.globals.get("Function").and_then(|function| function.get("AutoPublishAlias"));
        let Some(alias) = resource.properties.get("AutoPublishAlias").or(globals) else {
            return Err(format!("{id}.Alias: the function publishes no alias"));
        };
        Ok(format!("{}:{}", self.attribute(id, "Arn", depth)?, self.text_at(alias, depth)?))
    }

    fn resource(&self, id: &str) -> Resolved<&'a RawResource> {
        self.template.resources.get(id).ok_or_else(|| format!("there is no parameter and no resource named {id}"))
    }

    fn resource_ref(&self, id: &str, depth: u8) -> Resolved<String> {
        if let Some(function) = id.strip_suffix(".Alias") {
            return self.alias(function, depth);
        }
        let resource = self.resource(id)?;
        let name = self.name_at(id, resource, depth)?;
        Ok(match resource.kind.as_str() {
            "AWS::SQS::Queue" => format!("{}/{}/{name}", self.inputs.queue_endpoint, self.inputs.account),
            "AWS::ApiGatewayV2::Api" | "AWS::ApiGatewayV2::Authorizer" | "AWS::ApiGatewayV2::Integration" => {
                id.to_owned()
            }
            "AWS::ApiGatewayV2::Stage" => "$default".to_owned(),
            "AWS::Serverless::Function"
            | "AWS::DynamoDB::Table"
            | "AWS::Lambda::Function"
            | "AWS::Logs::LogGroup"
            | "AWS::S3::Bucket" => name,
            "AWS::IAM::ManagedPolicy" => self.global_arn("iam", &format!("policy/{name}")),
            kind => return Err(format!("{id} is a {kind}, which has no local counterpart")),
        })
    }

    fn attribute(&self, id: &str, attribute: &str, depth: u8) -> Resolved<String> {
        let resource = self.resource(id)?;
        let name = self.name_at(id, resource, depth)?;
        Ok(match (resource.kind.as_str(), attribute) {
            ("AWS::Serverless::Function", "Alias") => self.alias(id, depth)?,
            ("AWS::SQS::Queue", "Arn") => self.arn("sqs", &name),
            ("AWS::SQS::Queue", "QueueName") => name,
            ("AWS::SQS::Queue", "QueueUrl") => self.resource_ref(id, depth)?,
            ("AWS::Serverless::Function" | "AWS::Lambda::Function", "Arn") => {
                self.arn("lambda", &format!("function:{name}"))
            }
            ("AWS::Logs::LogGroup", "Arn") => self.arn("logs", &format!("log-group:{name}:*")),
            ("AWS::IAM::Role", "Arn") => self.global_arn("iam", &format!("role/{name}")),
            ("AWS::DynamoDB::Table", "Arn") => self.arn("dynamodb", &format!("table/{name}")),
            ("AWS::S3::Bucket", "Arn") => format!("arn:aws:s3:::{name}"),
            ("AWS::ApiGatewayV2::Api", "ApiId") => id.to_owned(),
            ("AWS::ApiGatewayV2::Authorizer", "AuthorizerId") | ("AWS::ApiGatewayV2::Integration", "IntegrationId") => {
                id.to_owned()
            }
            (kind, attribute) => return Err(format!("{id}.{attribute} ({kind}) has no local counterpart")),
        })
    }

    fn name_at(&self, id: &str, resource: &RawResource, depth: u8) -> Resolved<String> {
        let depth = depth.checked_sub(1).ok_or("the references go round in a circle")?;
        let property = match resource.kind.as_str() {
            "AWS::SQS::Queue" => "QueueName",
            "AWS::DynamoDB::Table" => "TableName",
            "AWS::S3::Bucket" => "BucketName",
            "AWS::Logs::LogGroup" => "LogGroupName",
            "AWS::IAM::Role" => "RoleName",
            "AWS::IAM::ManagedPolicy" => "ManagedPolicyName",
            "AWS::Serverless::Function" | "AWS::Lambda::Function" => "FunctionName",
            _ => return Ok(id.to_owned()),
        };
        match resource.properties.get(property) {
            Some(name) => self.text_at(name, depth),
            // Names of buckets have no capitals.
            None if property == "BucketName" => Ok(format!("{}-{id}", self.inputs.stack).to_lowercase()),
            None => Ok(format!("{}-{id}", self.inputs.stack)),
        }
    }

    /// The ARN of a role or a managed policy.
    pub fn arn_of(&self, id: &str) -> Resolved<String> {
        match self.resource(id)?.kind.as_str() {
            "AWS::IAM::ManagedPolicy" => self.resource_ref(id, DEPTH),
            _ => self.attribute(id, "Arn", DEPTH),
        }
    }

    /// The ARN of something that is in no region.
    fn global_arn(&self, service: &str, rest: &str) -> String {
        format!("arn:aws:{service}::{}:{rest}", self.inputs.account)
    }

    pub fn arn(&self, service: &str, rest: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{rest}", self.inputs.region, self.inputs.account)
    }
}

fn single(map: &Map<String, Value>) -> Option<(&str, &Value)> {
    if map.len() == 1 { map.iter().next().map(|(key, value)| (key.as_str(), value)) } else { None }
}
