//! `POST /tasks/webhooks/secret/rotate`

use axum::extract::State;
use chrono::Duration;
use halyard_auth::{account_key::Sealed, webhook::WebhookKeys};
use halyard_http::{
    ApiResult, RequestInfo, SteppedUp, Success, Valid, Validate, Violations, openapi::Operation, success,
};
use halyard_store::{
    audit,
    webhooks::{self, NewSecret},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{error::AuthError, state::AppState};

/// A day, in seconds.
const OVERLAP: i64 = 86_400;
/// A week, in seconds.
const LONGEST: i64 = 604_800;

/// The body.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RotateWebhookSecret")]
pub struct Request {
    /// For how long the present secret signs beside the new one; a day, if nothing is said.
    #[schemars(range(min = 0, max = LONGEST))]
    overlap_seconds: Option<i64>,
}

impl Validate for Request {
    fn validate(&self, violations: &mut Violations) {
        let fits = self.overlap_seconds.is_none_or(|seconds| (0..=LONGEST).contains(&seconds));
        violations.check(fits, "/overlap_seconds", "out_of_range", format!("must be between 0 and {LONGEST}"));
    }
}

/// `data`.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "NewWebhookSecret")]
pub struct Made {
    version: i32,
    /// `whsec_` and base 64. It is shown here and nowhere else.
    secret: String,
    /// `whpk_` and base 64.
    public_key: String,
    /// For how long the one before signs too, in seconds.
    overlap_seconds: i64,
}

/// Makes a new secret and key pair.
pub async fn handler(
    State(state): State<AppState>,
    SteppedUp(caller, _): SteppedUp,
    info: RequestInfo,
    Valid(body): Valid<Request>,
) -> ApiResult<Success<Made>> {
    let user = caller.user_id;
    let keys = WebhookKeys::generate(&state.entropy).ok_or(AuthError::NoKeys)?;
    let sealed = state.account_key.seal_as(Sealed::WebhookSecret, user, keys.as_bytes(), &state.entropy);
    let overlap = body.overlap_seconds.unwrap_or(OVERLAP);
    let entry = audit::Entry {
        actor: Some(user),
        action: "webhook_secret.rotate",
        target: &format!("user:{user}"),
        detail: json!({"overlap_seconds": overlap, "address": info.address()}),
        request_id: Some(&info.request_id().to_string()),
    };
    let secret = NewSecret { user, sealed: &sealed, public_key: &keys.public_key(), hint: &keys.hint() };
    let mut conn = state.pool.acquire().await.map_err(AuthError::from)?;
    let now = state.clock.database_override();
    let version = webhooks::rotate(&mut conn, &secret, Duration::seconds(overlap), &entry, now).await;
    Ok(success(Made {
        version: version.map_err(AuthError::from)?,
        secret: keys.secret_text(),
        public_key: keys.public_key_text(),
        overlap_seconds: overlap,
    }))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("rotateWebhookSecret", "Make a new webhook secret")
        .detail(
            "The one before signs beside it for a while: each webhook carries the signatures of both. A secret that leaked is \
             replaced with `overlap_seconds` 0.",
        )
        .example(json!({"overlap_seconds": 3_600}))
        .answers::<Made>("The secret, which is shown here and nowhere else.");
}
