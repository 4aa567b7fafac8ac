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
