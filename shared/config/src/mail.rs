//! Mail to users.

use std::time::Duration;

use crate::{FromVars, Reader};

/// Who mail comes from, and where its links lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailConfig {
    /// The sender's address; without one no mail leaves.
    pub from: Option<String>,
    /// Where clients reach the API, without a slash at the end.
    pub public_url: String,
    /// SES's configuration set.
    pub configuration_set: Option<String>,
}

impl FromVars for MailConfig {
    fn read(r: &mut Reader<'_>) -> Option<Self> {
        const FROM: &str = "MAIL_FROM";
        let from = match r.raw(FROM) {
            Some(address) if !is_address(address) => r.fail(FROM, "must be an e-mail address and nothing else"),
            other => Some(other.map(str::to_owned)),
        };
        let public_url = public_url(r);
        let configuration_set = r.raw("MAIL_CONFIGURATION_SET").map(str::to_owned);
        Some(Self { from: from?, public_url: public_url?, configuration_set })
    }
}

/// Where clients reach the API (`PUBLIC_URL`), without a slash at the end.
pub(crate) fn public_url(r: &mut Reader<'_>) -> Option<String> {
    const URL: &str = "PUBLIC_URL";
    r.text(URL).and_then(|url| {
        let url = url.trim_end_matches('/');
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).unwrap_or_default();
        if rest.is_empty() || !rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:/[]$%".contains(&b)) {
            return r.fail(URL, "must be the http or https URL of the API, without user, query or fragment");
        }
        // A token that travels in clear can be read on the way.
        if !r.is_local() && !url.starts_with("https://") {
            return r.fail(URL, "must begin with https://, which only HALYARD_ENV=local need not");
        }
        Some(url.to_owned())
    })
}

fn is_address(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_graphic() && !"\"(),:;<>[\\]".contains(c);
    text.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty() && !domain.contains('@'))
        && text.chars().all(plain)
}

/// When `POST /auth/password/forgot` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForgotConfig {
    /// How long after the request, whatever was done meanwhile: an answer that comes when the work is done tells whether the
    /// address has an account. Zero, which the local environment alone accepts, answers then.
    pub answer_after: Duration,
}

impl FromVars for ForgotConfig {
    fn read(r: &mut Reader<'_>) -> Option<Self> {
        const AFTER: &str = "FORGOT_ANSWER_MS";
        let least = if r.is_local() { 0 } else { 200 };
        let after = r.number_or(AFTER, 500, least..=5_000);
        Some(Self { answer_after: Duration::from_millis(after?) })
    }
}
