//! Passwords that are refused because guessers begin with them.
//!
//! The list is the one of the crate `passwords`: the hundred thousand most frequent ones of published breaches. NIST SP
//! 800-63B, section 5.1.1.2, and OWASP ASVS 5, 6.2.4, ask for no more than the few thousand first; both ask for words of
//! the context beside it, and neither for rules of composition.

use halyard_domain::user::RuleBroken;

/// Words that stand for this service.
const SERVICE: [&str; 1] = ["halyard"];

/// Refuses a password that everybody uses, in any case, and one that is made of words that belong to the account (its
/// name, its address) or the service, with nothing but digits and marks beside them.
///
/// # Errors
/// [`RuleBroken::Common`].
pub fn check(password: &str, own: &[&str]) -> Result<(), RuleBroken> {
    let lower = password.to_lowercase();
    let common = passwords::analyzer::is_common_password(password)
        || passwords::analyzer::is_common_password(&lower)
        || own
            .iter()
            .flat_map(|text| words(text))
            .chain(SERVICE.map(str::to_owned))
            .any(|word| is_dressed(&lower, &word));
    if common { Err(RuleBroken::Common) } else { Ok(()) }
}

/// A name or an address as it is, and what stands before its `@`.
fn words(text: &str) -> impl Iterator<Item = String> {
    let lower = text.to_lowercase();
    let local = lower.split_once('@').map(|(local, _)| local.to_owned());
    [Some(lower), local].into_iter().flatten().filter(|word| word.chars().count() >= 3)
}

/// Is it the word, once or more often, with nothing but digits and marks beside it?
fn is_dressed(password: &str, word: &str) -> bool {
    password.contains(word) && !password.replace(word, "").chars().any(char::is_alphabetic)
}
