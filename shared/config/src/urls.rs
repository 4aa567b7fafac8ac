//! Passwords inside URLs. They are kept apart from them where secrets are (`DATABASE_PASSWORD`, `REDIS_PASSWORD`), and
//! may hold any character.

use std::fmt::Write as _;

use crate::{Reader, Secret};

/// Where a URL's password goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Behind the user, who must be named: `postgres://user:password@host`.
    Named,
    /// Behind the user, if there is one: `redis://:password@host`.
    Anywhere,
    /// In the query, for there is no host: `redis+unix:///path?pass=password`.
    Query,
}

/// The URL with the password of the variable `password`, if that is given; it takes the place of one in the URL. Outside
/// the local environment neither may be one that everybody knows.
pub(crate) fn with_password(
    r: &mut Reader<'_>,
    (name, url): (&'static str, String),
    variable: &'static str,
    place: Place,
) -> Option<Secret> {
    let known = |password: &str| !r.is_local() && Secret::new(password).is_well_known();
    let Some(password) = r.raw(variable) else {
        if password_of(&url).is_some_and(known) {
            return r.fail(name, "carries a default password, which only HALYARD_ENV=local accepts");
        }
        return Some(Secret::new(url));
    };
    if known(password) {
        return r.fail(variable, "is a default secret, which only HALYARD_ENV=local accepts");
    }
    match join(&url, password, place) {
        Some(url) => Some(Secret::new(url)),
        None => r.fail(name, format!("must name a user, whose password {variable} is")),
    }
}

fn join(url: &str, password: &str, place: Place) -> Option<String> {
    let password = encoded(password);
    if place == Place::Query {
        let separator = if url.contains('?') { '&' } else { '?' };
        return Some(format!("{url}{separator}pass={password}"));
    }
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let user = user.split(':').next().unwrap_or_default();
    (place == Place::Anywhere || !user.is_empty()).then(|| format!("{scheme}://{user}:{password}@{host}{path}"))
}

/// The password in `scheme://user:password@host/..`.
fn password_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (user, _) = authority.rsplit_once('@')?;
    user.split_once(':').map(|(_, password)| password)
}

/// Everything but what RFC 3986 (section 2.3) leaves unreserved, by bytes.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing into text does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}
