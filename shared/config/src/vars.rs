//! Environment variables as a value.

use std::{collections::BTreeMap, sync::Arc};

/// A set of environment variables: the process' own on Lambda, the template's `Environment.Variables` in the local
/// gateway, a literal in tests. Cloning is cheap.
#[derive(Clone, Default)]
pub struct Vars(Arc<BTreeMap<String, String>>);

impl Vars {
    /// The variables of this process. Those that are not UTF-8 are left out.
    pub fn from_process() -> Self {
        std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect()
    }

    /// The variable's value; an empty one counts as absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|v| !v.is_empty())
    }

    /// A copy in which `name` is `value`.
    #[must_use]
    pub fn with(&self, name: &str, value: impl Into<String>) -> Self {
        let mut map = BTreeMap::clone(&self.0);
        map.insert(name.to_owned(), value.into());
        Self(Arc::new(map))
    }

    /// A copy without `name`.
    #[must_use]
    pub fn without(&self, name: &str) -> Self {
        let mut map = BTreeMap::clone(&self.0);
        map.remove(name);
        Self(Arc::new(map))
    }

    /// Every variable, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Vars {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(Arc::new(pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect()))
    }
}

/// Names only: values may be secrets.
impl std::fmt::Debug for Vars {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
