//! Rules over a body that has been read.

use std::borrow::Cow;

use halyard_domain::user::RuleBroken;

use crate::{FieldError, Problem};

/// What is checked after a body has been parsed into its type.
pub trait Validate {
    /// Notes every rule that is broken.
    fn validate(&self, violations: &mut Violations);
}

/// The broken rules of one body.
#[derive(Debug, Default)]
pub struct Violations(Vec<FieldError>);

impl Violations {
    /// Notes a broken rule.
    pub fn add(
        &mut self,
        pointer: impl Into<Cow<'static, str>>,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) {
        self.0.push(FieldError::new(pointer, code, detail));
    }

    /// Notes a broken rule unless `holds`.
    pub fn check(
        &mut self,
        holds: bool,
        pointer: impl Into<Cow<'static, str>>,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) {
        if !holds {
            self.add(pointer, code, detail);
        }
    }

    /// Notes what is broken inside of the value at `pointer`.
    pub fn inside(&mut self, pointer: &str, value: &impl Validate) {
        let mut inner = Self::default();
        value.validate(&mut inner);
        let place = |error: FieldError| FieldError { pointer: format!("{pointer}{}", error.pointer).into(), ..error };
        self.0.extend(inner.0.into_iter().map(place));
    }

    /// Notes a rule of the domain that is broken.
    pub fn rule(&mut self, pointer: impl Into<Cow<'static, str>>, result: Result<(), RuleBroken>) {
        if let Err(broken) = result {
            self.add(pointer, broken.code(), broken.to_string());
        }
    }

    /// Whether nothing was noted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// 422 with everything that was noted, or nothing.
    ///
    /// # Errors
    /// When something was noted.
    pub fn into_result(self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(Problem::unprocessable(self.0)) }
    }
}
