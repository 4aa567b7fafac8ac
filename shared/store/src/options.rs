//! The database's URL.

use std::str::FromStr as _;

use sqlx::{ConnectOptions as _, postgres::PgConnectOptions};

use crate::{Result, StoreError};

/// What `sslrootcert` begins with when it is the certificate itself.
const INLINE: &str = "sslrootcert=-----BEGIN";

/// The URL as sqlx reads it, except that `sslrootcert` may be a certificate (PEM, percent-encoded) as well as the path of
/// one: a function brings no files along.
pub(crate) fn parse(url: &str) -> Result<PgConnectOptions> {
    let Some(start) = url.find(INLINE) else { return Ok(PgConnectOptions::from_str(url)?.disable_statement_logging()) };
    let end = url[start..].find('&').map_or(url.len(), |length| start + length);
    let certificate = decode(&url[start + "sslrootcert=".len()..end])
        .ok_or_else(|| StoreError::Internal("sslrootcert is not percent-encoded".into()))?;
    // Whatever stood before it keeps its separator, which may then end the URL.
    let rest = format!("{}{}", &url[..start], url[end..].trim_start_matches('&'));
    Ok(PgConnectOptions::from_str(&rest)?.ssl_root_cert_from_pem(certificate).disable_statement_logging())
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let (mut decoded, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            decoded.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            decoded.push(*first);
            rest = after;
        }
    }
    Some(decoded)
}
