//! `POST /auth/api-keys`

use axum::extract::State;
use chrono::{DateTime, Duration, Utc};
use halyard_auth::{AuthnFailure, token::ApiKeyText};
use halyard_domain::{
    ApiKeyId,
    api_key::{ApiKey, LONGEST, MOST, MOST_REMEMBERED},
    authz::{Grant, Grants, check_grant},
    user::RuleBroken,
};
use halyard_http::{
    ApiResult, NewIds, RequestInfo, SteppedUp, Success, Valid, Validate, Violations, openapi::Operation, rfc3339,
    success,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{View, end, live, record};
use crate::{
    error::AuthError,
    fields::{line, required, schema},
    routes::password::sure_of,
    state::AppState,
};

/// The shortest life of a key.
const SHORTEST: Duration = Duration::minutes(1);
/// More grants than there are to ask for.
const MOST_GRANTS: usize = 20;

/// The body of POST.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    #[schemars(with = "schema::Line<100>")]
    name: Option<String>,
    /// What the key may do, beyond its owner's own things.
    #[serde(default)]
    #[schemars(with = "Vec<Grant>", length(max = 20))]
    permissions: Vec<String>,
    /// Between a minute and a year from now; a year, if nothing is said.
    expires_at: Option<DateTime<Utc>>,
    /// Seconds, instead of a time.
    #[schemars(range(min = 60, max = 31_536_000))]
    expires_in: Option<i64>,
}

impl Validate for Request {
    fn validate(&self, violations: &mut Violations) {
        required(violations, "/name", self.name.as_deref(), |name| line(name, 100));
        let few = self.permissions.len() <= MOST_GRANTS;
        violations.check(few, "/permissions", "too_long", "may have at most 20 entries");
        for (at, grant) in self.permissions.iter().enumerate().take(MOST_GRANTS) {
            violations.rule(format!("/permissions/{at}"), check_grant(grant));
        }
        if let Some(seconds) = self.expires_in {
            let bounds = SHORTEST.num_seconds()..=LONGEST.num_seconds();
            let detail = "must be between 60 seconds and a year";
            violations.check(bounds.contains(&seconds), "/expires_in", "out_of_range", detail);
            let twice = "stands beside expires_in: one of them";
            violations.check(self.expires_at.is_none(), "/expires_at", "conflicting", twice);
        }
    }
}

impl Request {
    fn end(&self, now: DateTime<Utc>) -> Result<DateTime<Utc>, AuthError> {
        let end = self.expires_in.map_or(LONGEST, Duration::seconds);
        let end = self.expires_at.unwrap_or(now + end);
        let fits = (SHORTEST..=LONGEST).contains(&(end - now));
        let rule = RuleBroken::Form("a time between a minute and a year from now");
        fits.then_some(end).ok_or(AuthError::Field("/expires_at", rule))
    }
}

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CreatedApiKey")]
pub struct Created {
    api_key: View,
    /// The key. It is shown here and nowhere else.
    key: String,
}

/// Makes a key. Only for somebody who has shown lately who they are: a key outlives the session that made it.
pub async fn handler(
    State(state): State<AppState>,
    SteppedUp(caller, session): SteppedUp,
    info: RequestInfo,
    mut ids: NewIds,
    Valid(body): Valid<Request>,
) -> ApiResult<Success<Created>> {
    let now = state.clock.now();
    let end = body.end(now)?;
    let owner = sure_of(&state, &caller, session).await?.as_owner().ok_or(AuthError::from(AuthnFailure::Revoked))?;
    let scope = Grants(body.permissions);
    if !owner.permissions.cover(&scope) {
        let rule = RuleBroken::Form("permissions that the account has itself");
        return Err(AuthError::Field("/permissions", rule).into());
    }
    let id = ApiKeyId(ids.make());
    if ids.again() && state.sessions.api_keys().get(caller.user_id, id, now).await.map_err(AuthError::from)?.is_some() {
        return Err(AuthError::MadeBefore.into());
    }
    let text = ApiKeyText::new(caller.user_id, id, &state.entropy);
    let key = ApiKey {
        id: text.id,
        user_id: text.user_id,
        name: body.name.unwrap_or_default(),
        hash: text.hash(),
        scope,
        owner,
        created_at: now,
        expires_at: end,
        revoked_at: None,
    };
    store(&state, &key, &info).await?;
    Ok(success(Created { api_key: View::new(&key, None), key: text.to_text() }))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("createApiKey", "Make an API key")
        .detail(
            "It may do the caller's own things and, of what the caller may beyond them, what its `permissions` say.",
        )
        .answers::<Created>("The key, which is shown here and nowhere else.")
        .leads_to("deleteApiKey", "id", "/data/api_key/id")
        .problem(409, "too_many_api_keys", "there are as many keys as there may be")
        .example(json!({"name": "scraper", "permissions": ["metrics:read"], "expires_in": 2_592_000}));
}

/// Keeps for the audit that there is a key, then stores it: a key that nobody would find in the log does not exist.
async fn store(state: &AppState, key: &ApiKey, info: &RequestInfo) -> Result<(), AuthError> {
    let (user, keys) = (key.user_id, state.sessions.api_keys());
    let remembered = keys.remembered(user, state.clock.now()).await?;
    if remembered >= MOST_REMEMBERED || live(state, user).await?.len() >= MOST {
        return Err(AuthError::TooManyKeys);
    }
    let detail = json!({"name": key.name, "permissions": key.scope, "expires_at": rfc3339(key.expires_at),
        "address": info.address()});
    record(state, "api_key.create", key, detail, info).await?;
    keys.create(key).await?;
    // What was true before the key was there may not be any more: others have made theirs, the account has changed.
    let live = live(state, user).await?;
    let (counts, fits) = (live.iter().any(|other| other.id == key.id), live.len() <= MOST);
    if counts && fits {
        return Ok(());
    }
    end(state, key.id, user, "it was one too many, or the account changed meanwhile", info).await?;
    Err(if counts { AuthError::TooManyKeys } else { AuthError::Contended })
}
