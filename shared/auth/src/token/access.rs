//! Access tokens: JWTs in the profile of RFC 9068, read as strictly as RFC 8725 advises.

use chrono::{DateTime, Duration, Utc};
use halyard_domain::{Entropy, SessionId, UserId, authz::Grants, user::Role};
use serde::{Deserialize, Serialize};

use super::{api_key, refresh};
use crate::{
    encoding::{from_base64url, to_base64url},
    keys::{ALGORITHM, KeySet, MAX_KID, SharedSecret, SigningKey},
    verifier::AuthnFailure,
};

/// The longest text that is looked at. Ours have about 600 characters.
pub const MAX_LENGTH: usize = 4096;
/// How far the clocks of issuer and verifier may be apart.
pub const LEEWAY: Duration = Duration::seconds(5);
/// `typ` of an access token (RFC 9068, section 2.1).
const TYPE: &str = "at+jwt";
/// `client_id`, which RFC 9068 requires: there is one client, the platform's own sign-in.
const CLIENT: &str = "halyard";

/// By whom and for whom tokens are issued.
#[derive(Debug, Clone)]
pub struct TokenRules {
    /// `iss`.
    pub issuer: String,
    /// `aud`.
    pub audience: String,
}

/// What a token is issued about.
#[derive(Debug, Clone, Copy)]
pub struct Grant<'a> {
    /// Who.
    pub user_id: UserId,
    /// Their name.
    pub username: &'a str,
    /// Their role.
    pub role: Role,
    /// What they may do.
    pub permissions: &'a Grants,
    /// The session that it belongs to.
    pub session_id: SessionId,
    /// When they proved who they are.
    pub authenticated_at: DateTime<Utc>,
    /// How (RFC 8176).
    pub methods: &'a [String],
}

/// A verified token's claims. Times are seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// Issuer.
    pub iss: String,
    /// Audience; always one.
    pub aud: String,
    /// The user's number.
    pub sub: String,
    /// The client that asked.
    pub client_id: String,
    /// The end.
    pub exp: i64,
    /// The beginning.
    pub nbf: i64,
    /// When it was issued.
    pub iat: i64,
    /// The token's own name: 128 random bits.
    pub jti: String,
    /// The session.
    pub sid: SessionId,
    /// The user's name.
    pub username: String,
    /// The user's role.
    pub role: Role,
    /// Permissions, separated by spaces.
    pub scope: String,
    /// When the user proved who they are.
    pub auth_time: i64,
    /// How.
    pub amr: Vec<String>,
}

impl AccessClaims {
    /// The user's number.
    pub fn user_id(&self) -> Option<UserId> {
        self.sub.parse().ok().map(UserId)
    }
}

/// Issues an access token at `now`, good for `ttl`. Answers with the token and its end.
pub fn issue(
    key: &SigningKey,
    rules: &TokenRules,
    ttl: Duration,
    grant: &Grant<'_>,
    now: DateTime<Utc>,
    entropy: &Entropy,
) -> (String, DateTime<Utc>) {
    let issued = now.timestamp();
    let end = issued + ttl.num_seconds();
    let claims = AccessClaims {
        iss: rules.issuer.clone(),
        aud: rules.audience.clone(),
        sub: grant.user_id.to_string(),
        client_id: CLIENT.to_owned(),
        exp: end,
        nbf: issued,
        iat: issued,
        jti: to_base64url(entropy.bytes::<16>()),
        sid: grant.session_id,
        username: grant.username.to_owned(),
        role: grant.role,
        scope: grant.permissions.0.join(" "),
        auth_time: grant.authenticated_at.timestamp(),
        amr: grant.methods.to_vec(),
    };
    let header = serde_json::json!({"typ": TYPE, "alg": ALGORITHM, "kid": key.kid()});
    let claims = serde_json::to_vec(&claims).expect("claims are strings and numbers");
    let signed = format!("{}.{}", to_base64url(header.to_string()), to_base64url(claims));
    let signature = to_base64url(key.sign(signed.as_bytes()));
    (format!("{signed}.{signature}"), DateTime::from_timestamp(end, 0).unwrap_or(now))
}

/// The header, and nothing but what [`issue`] writes: `crit`, `jwk`, `jku`, `x5u`, `b64`, `zip` and whatever else a
/// header can be made to say is no header of ours. Known members that come twice are refused by serde.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    typ: Option<String>,
    alg: String,
    /// Only tokens of the shared secret may do without.
    kid: Option<String>,
}

/// A token taken apart. Nothing in it is believed before [`Unverified::verify`].
#[derive(Debug)]
pub struct Unverified<'a> {
    signed: &'a str,
    signature: Vec<u8>,
    claims: Vec<u8>,
    header: Header,
}

impl<'a> Unverified<'a> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// When it is no token of ours by its form.
    pub fn parse(token: &'a str) -> Result<Self, AuthnFailure> {
        if token.is_empty() {
            return Err(AuthnFailure::Missing);
        }
        if token.len() > MAX_LENGTH {
            return Err(AuthnFailure::Malformed);
        }
        if token.starts_with(refresh::PREFIX) || token.starts_with(api_key::PREFIX) {
            return Err(AuthnFailure::WrongKind);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(AuthnFailure::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(AuthnFailure::Malformed)?;
        if claims.contains('.') {
            return Err(AuthnFailure::Malformed);
        }
        let decode = |part: &str| from_base64url(part).ok_or(AuthnFailure::Malformed);
        let (header, signature, claims) = (decode(header)?, decode(signature)?, decode(claims)?);
        let header = serde_json::from_slice(&header).map_err(|_| AuthnFailure::Invalid)?;
        Ok(Self { signed, signature, claims, header })
    }

    /// The public key that it says it was signed with; `None` when it can only be one of the shared secret, or of nobody.
    pub fn public_key(&self) -> Option<&str> {
        let kid = self.header.kid.as_deref().filter(|kid| !kid.is_empty() && kid.len() <= MAX_KID)?;
        (self.header.alg == ALGORITHM && kid != SharedSecret::KID).then_some(kid)
    }

    /// Verifies it at `now`: key, signature, kind, issuer, audience and times, in this order.
    ///
    /// # Errors
    /// Why it is not good.
    pub fn verify(&self, keys: &KeySet, rules: &TokenRules, now: DateTime<Utc>) -> Result<AccessClaims, AuthnFailure> {
        if !self.is_signed(keys) {
            return Err(AuthnFailure::Invalid);
        }
        if self.header.typ.as_deref() != Some(TYPE) {
            return Err(AuthnFailure::WrongKind);
        }
        let claims: AccessClaims = serde_json::from_slice(&self.claims).map_err(|_| AuthnFailure::Invalid)?;
        check_claims(&claims, rules, now)?;
        Ok(claims)
    }

    /// By a key that belongs to the algorithm: the name chooses the key, and the key brings its algorithm along.
    fn is_signed(&self, keys: &KeySet) -> bool {
        let signed = self.signed.as_bytes();
        match self.header.kid.as_deref() {
            None | Some(SharedSecret::KID) => keys.shared().is_some_and(|secret| {
                self.header.alg == SharedSecret::ALGORITHM && secret.verify(signed, &self.signature)
            }),
            Some(kid) => {
                keys.find(kid).is_some_and(|key| self.header.alg == ALGORITHM && key.verify(signed, &self.signature))
            }
        }
    }
}

/// Takes a token apart and verifies it at `now`.
///
/// # Errors
/// Why it is not good.
pub fn verify(
    token: &str,
    keys: &KeySet,
    rules: &TokenRules,
    now: DateTime<Utc>,
) -> Result<AccessClaims, AuthnFailure> {
    Unverified::parse(token)?.verify(keys, rules, now)
}

fn check_claims(claims: &AccessClaims, rules: &TokenRules, now: DateTime<Utc>) -> Result<(), AuthnFailure> {
    let (now, leeway) = (now.timestamp(), LEEWAY.num_seconds());
    if claims.iss != rules.issuer || claims.aud != rules.audience || claims.user_id().is_none() {
        return Err(AuthnFailure::Invalid);
    }
    if now >= claims.exp.saturating_add(leeway) {
        return Err(AuthnFailure::Expired);
    }
    let begun = claims.nbf.max(claims.iat) <= now.saturating_add(leeway);
    begun.then_some(()).ok_or(AuthnFailure::Invalid)
}
