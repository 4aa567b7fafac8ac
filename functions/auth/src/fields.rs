//! Fields of bodies: every one that is missing or breaks a rule is named at once.

use halyard_domain::user::RuleBroken;
use halyard_http::Violations;

/// A field that must be there and keep a rule.
pub fn required(
    violations: &mut Violations,
    pointer: &'static str,
    value: Option<&str>,
    rule: impl FnOnce(&str) -> Result<(), RuleBroken>,
) {
    match value {
        None => violations.add(pointer, "required", "is required"),
        Some(value) => violations.rule(pointer, rule(value)),
    }
}

/// A line of text: 1 to `most` characters, none of them for control.
pub fn line(text: &str, most: usize) -> Result<(), RuleBroken> {
    match text.chars().count() {
        0 => Err(RuleBroken::TooShort(1)),
        n if n > most => Err(RuleBroken::TooLong(most)),
        _ if text.chars().any(char::is_control) => Err(RuleBroken::Characters("printable characters")),
        _ => Ok(()),
    }
}

/// A full name or a department, if there is one.
pub fn name(text: Option<&str>) -> Result<(), RuleBroken> {
    text.map_or(Ok(()), |text| line(text, 120))
}

/// The rules of fields as JSON Schemas: `#[schemars(with = "schema::Username")]`. A document cannot say everything; what
/// the rules refuse beyond it stands in the descriptions.
pub mod schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    /// No control characters.
    const PRINTABLE: &str = r"^[^\x00-\x1f\x7f-\x9f]*$";

    macro_rules! text {
        ($(#[$doc:meta])* $name:ident, $schema:tt) => {
            $(#[$doc])*
            pub struct $name;

            impl JsonSchema for $name {
                fn inline_schema() -> bool {
                    true
                }

                fn schema_name() -> Cow<'static, str> {
                    stringify!($name).into()
                }

                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    json_schema!($schema)
                }
            }
        };
    }

    text!(
        /// [`halyard_domain::user::check_username`].
        Username,
        { "type": "string", "minLength": 3, "maxLength": 80, "pattern": "^[A-Za-z0-9._-]+$" }
    );
    text!(
        /// [`halyard_domain::user::check_email`].
        Email,
        {
            "type": "string",
            "maxLength": 120,
            "pattern": "^[^@\\s\\x00-\\x1f\\x7f-\\x9f]+@[^@.\\s\\x00-\\x1f\\x7f-\\x9f]+([.][^@.\\s\\x00-\\x1f\\x7f-\\x9f]+)+$"
        }
    );
    text!(
        /// [`halyard_domain::user::check_password`].
        Password,
        {
            "type": "string",
            "minLength": 8,
            "maxLength": 128,
            "pattern": PRINTABLE,
            "format": "password",
            "description": "Any characters but control characters."
        }
    );
    text!(
        /// A token out of a mail.
        MailToken,
        { "type": "string", "pattern": "\\S", "description": "From the mail. White space around it does not count." }
    );
    text!(
        /// [`super::name`].
        Name,
        { "type": "string", "minLength": 1, "maxLength": 120, "pattern": PRINTABLE }
    );

    /// [`super::line`].
    pub struct Line<const MOST: usize>;

    impl<const MOST: usize> JsonSchema for Line<MOST> {
        fn inline_schema() -> bool {
            true
        }

        fn schema_name() -> Cow<'static, str> {
            "Line".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({ "type": "string", "minLength": 1, "maxLength": MOST, "pattern": PRINTABLE })
        }
    }
}
