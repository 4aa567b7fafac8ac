//! `AWS::S3::Bucket`.

use std::collections::BTreeMap;

use serde::{Deserialize, de::IgnoredAny};

use super::{error::TemplateError, lenient, model::BucketSpec, stack::Reader};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Bucket {
    lifecycle_configuration: Option<Lifecycle>,
    #[serde(rename = "BucketName")]
    _name: Option<IgnoredAny>,
    #[serde(rename = "BucketEncryption")]
    _encryption: Option<IgnoredAny>,
    #[serde(rename = "OwnershipControls")]
    _ownership: Option<IgnoredAny>,
    #[serde(rename = "PublicAccessBlockConfiguration")]
    _public_access: Option<IgnoredAny>,
    #[serde(rename = "Tags")]
    _tags: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Lifecycle {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Rule {
    status: String,
    #[serde(default, deserialize_with = "lenient::optional")]
    expiration_in_days: Option<u32>,
    #[serde(rename = "Id")]
    _id: Option<IgnoredAny>,
    // Objects stand below one prefix here, so that a rule for it is one for all of them.
    #[serde(rename = "Prefix")]
    _prefix: Option<IgnoredAny>,
    // Nobody uploads in parts here.
    #[serde(rename = "AbortIncompleteMultipartUpload")]
    _abort: Option<IgnoredAny>,
}

pub(super) fn buckets(reader: &Reader<'_>) -> Result<BTreeMap<String, BucketSpec>, TemplateError> {
    let mut buckets = BTreeMap::new();
    for id in reader.of_kind("AWS::S3::Bucket") {
        let bucket: Bucket = reader.properties(id)?;
        let rules = bucket.lifecycle_configuration.map(|lifecycle| lifecycle.rules).unwrap_or_default();
        let mut days = rules.iter().filter(|rule| rule.status == "Enabled").filter_map(|rule| rule.expiration_in_days);
        let keep_days = days.next();
        if days.next().is_some() {
            let why = "only one rule may let objects expire here";
            return Err(TemplateError::resource(id, "LifecycleConfiguration.Rules", why));
        }
        let name = reader.name(id)?;
        buckets.insert(id.to_owned(), BucketSpec { arn: format!("arn:aws:s3:::{name}"), name, keep_days });
    }
    Ok(buckets)
}
