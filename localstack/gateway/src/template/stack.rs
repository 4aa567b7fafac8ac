//! From the parsed text to the model: which resources are played, which are left to AWS, which are refused.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    api, bucket, document::Template, error::TemplateError, events, function, model::Stack, resolve::Inputs,
    resolve::Resolver, storage,
};

/// What only AWS has a use for: it changes nothing about how functions, queues and routes behave on one machine.
const LEFT_TO_AWS: [&str; 16] = [
    "AWS::CloudFormation::",
    "AWS::CloudWatch::",
    "AWS::CodeDeploy::",
    "AWS::EC2::",
    "AWS::ElastiCache::",
    "AWS::IAM::",
    "AWS::KMS::",
    "AWS::Lambda::Permission",
    "AWS::Logs::",
    "AWS::RDS::",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::",
    "AWS::SQS::QueuePolicy",
    "AWS::SSM::",
    "AWS::SecretsManager::",
    "AWS::XRay::",
];

/// Properties that nothing here reads: they may name what only AWS has.
const UNREAD: [&str; 13] = [
    "AccessLogSettings",
    "AuthorizerCredentialsArn",
    "CodeUri",
    "DeploymentPreference",
    "KmsMasterKeyId",
    "LoggingConfig",
    "Policies",
    "RedriveAllowPolicy",
    "Role",
    "RoleArn",
    "SSESpecification",
    "Tags",
    "VpcConfig",
];

/// The resources of one template while they are read.
pub(super) struct Reader<'a> {
    pub resolver: Resolver<'a>,
    present: Vec<&'a str>,
}

impl Template {
    /// Makes a stack of the template.
    pub fn resolve(&self, inputs: &Inputs) -> Result<Stack, TemplateError> {
        for name in inputs.parameters.keys() {
            if !self.parameters.contains_key(name) {
                return Err(TemplateError::section(
                    "Parameters",
                    format!("a value is given for {name}, which is not one"),
                ));
            }
        }
        let reader = Reader::new(self, inputs)?;
        reader.refuse_unknown_kinds()?;
        let queues = storage::queues(&reader)?;
        let functions = function::functions(&reader)?;
        let mut mappings = events::mappings(&reader, &queues, &functions)?;
        let mut schedules = events::rules(&reader, &functions)?;
        function::events(&reader, &queues, &mut mappings, &mut schedules)?;
        events::check(&mappings, &queues, &functions)?;
        Ok(Stack {
            region: inputs.region.clone(),
            account: inputs.account.clone(),
            api: api::api(&reader, &functions)?,
            tables: storage::tables(&reader)?,
            buckets: bucket::buckets(&reader)?,
            functions,
            queues,
            mappings,
            schedules,
        })
    }
}

impl<'a> Reader<'a> {
    pub fn new(template: &'a Template, inputs: &'a Inputs) -> Result<Self, TemplateError> {
        let resolver = Resolver { template, inputs };
        let mut present = Vec::new();
        for (id, resource) in &template.resources {
            let wanted = match &resource.condition {
                None => true,
                Some(name) => resolver.condition(name).map_err(|e| TemplateError::resource(id, "Condition", e))?,
            };
            if wanted {
                present.push(id.as_str());
            }
        }
        Ok(Self { resolver, present })
    }

    fn refuse_unknown_kinds(&self) -> Result<(), TemplateError> {
        const PLAYED: [&str; 12] = [
            "AWS::ApiGatewayV2::Api",
            "AWS::ApiGatewayV2::Authorizer",
            "AWS::ApiGatewayV2::Integration",
            "AWS::ApiGatewayV2::Route",
            "AWS::ApiGatewayV2::Stage",
            "AWS::DynamoDB::Table",
            "AWS::Events::Rule",
            "AWS::Lambda::EventSourceMapping",
            "AWS::S3::Bucket",
            "AWS::SQS::Queue",
            "AWS::Scheduler::Schedule",
            "AWS::Serverless::Function",
        ];
        for id in &self.present {
            let kind = self.resolver.template.resources[*id].kind.as_str();
            if !PLAYED.contains(&kind) && !LEFT_TO_AWS.iter().any(|known| kind.starts_with(known)) {
                return Err(TemplateError::resource(*id, "Type", format!("{kind} has no local counterpart")));
            }
        }
        Ok(())
    }

    /// The resources of one kind, in the order of their logical ids.
    pub fn of_kind(&self, kind: &'static str) -> impl Iterator<Item = &'a str> + '_ {
        self.present.iter().copied().filter(move |id| self.resolver.template.resources[*id].kind == kind)
    }

    /// The properties of a resource, resolved and read into a type that knows every property it may have.
    pub fn properties<T: DeserializeOwned>(&self, id: &str) -> Result<T, TemplateError> {
        self.read(id, "", &self.resolver.template.resources[id].properties)
    }

    /// The name of a resource.
    pub fn name(&self, id: &str) -> Result<String, TemplateError> {
        self.resolver
            .name_of(id, &self.resolver.template.resources[id])
            .map_err(|e| TemplateError::resource(id, "name", e))
    }

    /// Resolves `value` and reads it; `at` is where in the resource it stands.
    pub fn read<T: DeserializeOwned>(&self, id: &str, at: &str, value: &Value) -> Result<T, TemplateError> {
        let mut resolved = serde_json::Map::new();
        let Value::Object(properties) = value else {
            return Err(TemplateError::resource(id, at, "must be a mapping"));
        };
        for (property, value) in properties {
            if UNREAD.contains(&property.as_str()) {
                resolved.insert(property.clone(), Value::Bool(true));
                continue;
            }
            let value = self.resolver.value(value).map_err(|e| TemplateError::resource(id, join(at, property), e))?;
            if !value.is_null() {
                resolved.insert(property.clone(), value);
            }
        }
        serde_path_to_error::deserialize(Value::Object(resolved)).map_err(|e| {
            let path = e.path().to_string();
            TemplateError::resource(
                id,
                if path == "." { at.to_owned() } else { join(at, &path) },
                e.inner().to_string(),
            )
        })
    }

    /// Environment variables, each resolved on its own: one that has no value here is only wrong if nobody gives one.
    pub fn resolver_text(&self, value: &Value) -> Result<String, String> {
        self.resolver.text(value)
    }
}

fn join(at: &str, property: &str) -> String {
    if at.is_empty() { property.to_owned() } else { format!("{at}.{property}") }
}

/// Finds the logical id whose ARN or name a property gives.
pub(super) fn find<'m, T>(
    all: &'m BTreeMap<String, T>,
    what: &str,
    at: (&str, &str),
    fits: impl Fn(&T) -> bool,
    text: &str,
) -> Result<&'m T, TemplateError> {
    all.values()
        .find(|item| fits(item))
        .ok_or_else(|| TemplateError::resource(at.0, at.1, format!("{text:?} is no {what} of this template")))
}
