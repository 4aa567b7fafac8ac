//! Reads variables into types and collects what is wrong with them.

use std::{fmt, ops::RangeInclusive, str::FromStr};

use crate::{Environment, Secret, Vars};

/// What is wrong with one variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VarError {
    /// The variable's name.
    pub name: &'static str,
    /// What is wrong, without the value.
    pub problem: String,
}

/// Everything that is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(pub Vec<VarError>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is not usable:")?;
        self.0.iter().try_for_each(|e| write!(f, "\n  {}: {}", e.name, e.problem))
    }
}

impl std::error::Error for ConfigError {}

/// A part of the configuration that is read from variables.
pub trait FromVars: Sized {
    /// Reads every variable of this part. `None` when at least one is wrong, which `reader` has then noted.
    fn read(reader: &mut Reader<'_>) -> Option<Self>;

    /// Reads this part alone.
    ///
    /// # Errors
    /// All that is wrong, at once.
    fn load(vars: &Vars) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(vars);
        let value = Self::read(&mut reader);
        match value {
            Some(value) if reader.errors.is_empty() => Ok(value),
            _ => Err(ConfigError(reader.errors)),
        }
    }
}

/// Reads variables one by one and remembers what was wrong.
#[derive(Debug)]
pub struct Reader<'a> {
    vars: &'a Vars,
    local: bool,
    errors: Vec<VarError>,
}

impl<'a> Reader<'a> {
    /// Over these variables.
    pub fn new(vars: &'a Vars) -> Self {
        Self { vars, local: vars.get(Environment::VARIABLE) == Some(Environment::LOCAL), errors: Vec::new() }
    }

    /// Is this the local environment, where default secrets are accepted?
    pub fn is_local(&self) -> bool {
        self.local
    }

    /// The raw value.
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        self.vars.get(name)
    }

    /// Notes an error; the same variable is not noted twice for the same reason.
    pub fn fail<T>(&mut self, name: &'static str, problem: impl Into<String>) -> Option<T> {
        let error = VarError { name, problem: problem.into() };
        if !self.errors.contains(&error) {
            self.errors.push(error);
        }
        None
    }

    /// A text that must be there.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        match self.raw(name) {
            Some(value) => Some(value.to_owned()),
            None => self.fail(name, "is required"),
        }
    }

    /// A text, or a default.
    pub fn text_or(&self, name: &'static str, default: &str) -> String {
        self.raw(name).unwrap_or(default).to_owned()
    }

    /// A value of any type that parses from text, or a default.
    pub fn parsed_or<T>(&mut self, name: &'static str, default: T) -> Option<T>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        match self.raw(name).map(str::parse) {
            None => Some(default),
            Some(Ok(value)) => Some(value),
            Some(Err(error)) => self.fail(name, error.to_string()),
        }
    }

    /// A number within bounds, or a default.
    pub fn number_or<T>(&mut self, name: &'static str, default: T, bounds: RangeInclusive<T>) -> Option<T>
    where
        T: FromStr + PartialOrd + fmt::Display,
    {
        match self.raw(name).map(str::parse::<T>) {
            None => Some(default),
            Some(Ok(value)) if bounds.contains(&value) => Some(value),
            Some(_) => self.fail(name, format!("must be a number between {} and {}", bounds.start(), bounds.end())),
        }
    }

    /// A secret that must be there, and outside the local environment must not be one that everybody knows.
    pub fn secret(&mut self, name: &'static str) -> Option<Secret> {
        let secret = Secret::new(self.text(name)?);
        if !self.local && secret.is_well_known() {
            return self.fail(name, "is a default secret, which only HALYARD_ENV=local accepts");
        }
        Some(secret)
    }

    /// One of some words.
    pub fn word_or<T: Copy>(&mut self, name: &'static str, default: T, words: &[(&str, T)]) -> Option<T> {
        let Some(value) = self.raw(name) else { return Some(default) };
        if let Some(&(_, meaning)) = words.iter().find(|(word, _)| *word == value) {
            return Some(meaning);
        }
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.fail(name, format!("must be one of {}", all.join(", ")))
    }
}
