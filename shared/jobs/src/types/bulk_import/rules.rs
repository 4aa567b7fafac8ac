//! What must hold of a record.

use halyard_domain::user::check_email;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Input;
use crate::types::rows::Row;

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ImportRule")]
pub enum Rule {
    /// The field `email`, where there is one, is an e-mail address.
    EmailFormat,
    /// Certain fields are there, and not blank.
    RequiredFields,
}

/// What is wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wrong {
    /// Which, from 1.
    pub record: i32,
    /// In which field.
    pub field: String,
    /// A stable code.
    pub code: &'static str,
    /// The rule, for people.
    pub message: String,
}

/// The longest name of a field, in characters.
const LONGEST_NAME: usize = 200;
/// The most rules and required fields.
const MOST_RULES: usize = 10;
const MOST_FIELDS: usize = 100;

pub fn check(input: &Input, refuse: &mut impl FnMut(String, &'static str, String)) {
    if input.validation_rules.len() > MOST_RULES {
        refuse("/validation_rules".to_owned(), "too_many", format!("may have {MOST_RULES} entries at most"));
    }
    if input.required_fields.len() > MOST_FIELDS {
        refuse("/required_fields".to_owned(), "too_many", format!("may have {MOST_FIELDS} entries at most"));
    }
    for (at, name) in input.required_fields.iter().enumerate().take(MOST_FIELDS) {
        if name.trim().is_empty() || name.chars().count() > LONGEST_NAME {
            let detail = format!("must be the name of a field, of 1 to {LONGEST_NAME} characters");
            refuse(format!("/required_fields/{at}"), "invalid_value", detail);
        }
    }
}

/// The rules of an import.
#[derive(Debug, Clone)]
pub struct Rules {
    email: bool,
    required: Required,
}

#[derive(Debug, Clone)]
enum Required {
    Nothing,
    Every,
    These(Vec<String>),
}

impl Rules {
    pub fn of(input: &Input) -> Self {
        let named = |rule| input.validation_rules.contains(&rule);
        let required = match (input.required_fields.is_empty(), named(Rule::RequiredFields)) {
            (false, _) => Required::These(input.required_fields.clone()),
            (true, true) => Required::Every,
            (true, false) => Required::Nothing,
        };
        Self { email: named(Rule::EmailFormat), required }
    }

    /// Everything that is wrong with a record; `columns` are the fields that any record has.
    pub fn judge(&self, record: i32, row: &Row, columns: &[String]) -> Vec<Wrong> {
        let required = match &self.required {
            Required::Nothing => &[],
            Required::Every => columns,
            Required::These(names) => names,
        };
        let wrong = |field: &str, code, message: String| Wrong {
            record,
            field: field.chars().take(LONGEST_NAME).collect(),
            code,
            message,
        };
        let missing = required.iter().filter(|name| is_blank(row.get(*name)));
        let mut all: Vec<Wrong> =
            missing.map(|name| wrong(name, "required", "must be there and not blank".to_owned())).collect();
        if self.email
            && let Some(value) = row.get("email").filter(|value| !value.is_null())
            && !all.iter().any(|wrong| wrong.field == "email")
            && let Some((code, message)) = no_email(value)
        {
            all.push(wrong("email", code, message));
        }
        all
    }
}

fn is_blank(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.trim().is_empty(),
        Some(_) => false,
    }
}

fn no_email(value: &Value) -> Option<(&'static str, String)> {
    let Some(text) = value.as_str() else {
        return Some(("invalid_format", "must be an e-mail address".to_owned()));
    };
    check_email(text).err().map(|broken| (broken.code(), broken.to_string()))
}
