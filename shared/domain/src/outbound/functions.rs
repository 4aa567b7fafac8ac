//! Lambda functions that tasks may invoke.

use std::str::FromStr;

/// Which: names, or their beginnings with a `*` behind, separated by commas or white space; an ARN stands for what it says after
/// `function:`. As in IAM a name alone does not stand for its versions and aliases (`name:live`, `name:*`), and a `*` reaches
/// over the colon.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Callable(Vec<Pattern>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    text: String,
    begins: bool,
}

/// Why a text is no such list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a list of names or ARNs of functions, each with a * at its end or without; {0:?} is none")]
pub struct InvalidCallable(String);

/// The longest name of a function. Source: AWS Lambda API Reference, `Invoke`.
const LONGEST_NAME: usize = 64;
/// The longest version or alias.
const LONGEST_QUALIFIER: usize = 128;

/// Is it the name of a function, and nothing beside it?
pub fn is_function(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

/// Is it a version or an alias?
pub fn is_qualifier(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
    name == "$LATEST" || ((1..=LONGEST_QUALIFIER).contains(&name.len()) && name.bytes().all(fits))
}

impl Callable {
    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// May this function be invoked, by this version or alias if there is one?
    pub fn has(&self, function: &str, qualifier: Option<&str>) -> bool {
        let whole = qualifier.map_or_else(|| function.to_owned(), |qualifier| format!("{function}:{qualifier}"));
        self.0.iter().any(|known| if known.begins { whole.starts_with(&known.text) } else { whole == known.text })
    }
}

impl FromStr for Callable {
    type Err = InvalidCallable;
    fn from_str(text: &str) -> Result<Self, InvalidCallable> {
        let entries = text.split([',', ' ', '\t', '\n']).filter(|entry| !entry.is_empty());
        entries.map(Pattern::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl Pattern {
    fn parse(entry: &str) -> Result<Self, InvalidCallable> {
        let invalid = || InvalidCallable(entry.to_owned());
        let text = match entry.strip_prefix("arn:") {
            Some(arn) => arn.split_once(":function:").ok_or_else(invalid)?.1,
            None => entry,
        };
        let (text, begins) = text.strip_suffix('*').map_or((text, false), |text| (text, true));
        let (name, qualifier) = text.split_once(':').map_or((text, None), |(name, qualifier)| (name, Some(qualifier)));
        // `*` alone would be every function of the account; `name:*` has nothing between.
        let fits = is_function(name) && qualifier.is_none_or(|text| is_qualifier(text) || (begins && text.is_empty()));
        if fits { Ok(Self { text: text.to_owned(), begins }) } else { Err(invalid()) }
    }
}
