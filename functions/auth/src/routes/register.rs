//! `POST /auth/register`

use axum::extract::State;
use halyard_domain::user::{Role, check_email, check_password, check_username};
use halyard_http::{ApiResult, Success, Throttle, Valid, Validate, Violations, success};
use halyard_store::users::{self, NewUser};
use serde::{Deserialize, Serialize};

use crate::{error::AuthError, routes::profile::check_name, state::AppState, view::UserView};

/// The body. Fields that are not known are ignored, as the original did.
#[derive(Deserialize)]
pub struct Request {
    username: String,
    email: String,
    password: String,
    full_name: Option<String>,
}

impl Validate for Request {
    fn validate(&self, violations: &mut Violations) {
        violations.rule("/username", check_username(&self.username));
        violations.rule("/email", check_email(&self.email));
        violations.rule("/password", check_password(&self.password));
        violations.rule("/full_name", check_name(self.full_name.as_deref()));
    }
}

/// `data`.
#[derive(Debug, Serialize)]
pub struct Registered {
    user: UserView,
}

/// Makes an account. It cannot sign in as anything but `user`.
pub async fn handler(
    State(state): State<AppState>,
    throttle: Throttle,
    Valid(body): Valid<Request>,
) -> ApiResult<Success<Registered>> {
    throttle.account(&body.username).await?;
    Ok(success(Registered { user: register(&state, body).await? }))
}

async fn register(state: &AppState, body: Request) -> Result<UserView, AuthError> {
    let password_hash = state.hasher.hash(&body.password, &state.entropy).await?;
    let new = NewUser {
        username: body.username,
        email: body.email,
        full_name: body.full_name,
        password_hash,
        role: Role::User,
    };
    let mut conn = state.pool.acquire().await?;
    let user = users::insert(&mut conn, &new, state.clock.database_override()).await?;
    Ok(UserView::from(&user))
}
