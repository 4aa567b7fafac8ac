//! `POST /auth/register`

use axum::extract::State;
use halyard_domain::user::{Role, check_email, check_password, check_username};
use halyard_http::{ApiResult, Success, Valid, Validate, Violations, openapi::Operation, success};
use halyard_store::users::{self, NewUser};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    error::AuthError,
    fields::{self, required, schema},
    new_password,
    state::AppState,
    view::UserView,
};

/// The body. Fields that are not known are ignored, as the original did.
#[derive(Deserialize, JsonSchema)]
pub struct Request {
    #[schemars(with = "schema::Username")]
    username: Option<String>,
    #[schemars(with = "schema::Email")]
    email: Option<String>,
    #[schemars(with = "schema::Password")]
    password: Option<String>,
    #[schemars(with = "Option<schema::Name>")]
    full_name: Option<String>,
}

impl Validate for Request {
    fn validate(&self, violations: &mut Violations) {
        required(violations, "/username", self.username.as_deref(), check_username);
        required(violations, "/email", self.email.as_deref(), check_email);
        required(violations, "/password", self.password.as_deref(), check_password);
        violations.rule("/full_name", fields::name(self.full_name.as_deref()));
    }
}

/// `data`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Registered {
    user: UserView,
}

/// Makes an account, and sends the mail that verifies its address. It cannot sign in as anything but `user`. Whether another
/// account has the address changes nothing of the answer: who has it is told by mail.
pub async fn handler(State(state): State<AppState>, Valid(body): Valid<Request>) -> ApiResult<Success<Registered>> {
    Ok(success(Registered { user: register(&state, body).await? }))
}

/// For docs/openapi.json.
pub fn describe(op: &mut Operation<'_>) {
    op.named("register", "Make an account")
        .detail(
            "The account has the role `user`. Its address counts once it is verified; until then it signs in by name. Members \
             that are not known are ignored.",
        )
        .answers::<Registered>("The account was made.")
        .leads_to("getUser", "id", "/data/user/id")
        .leads_to("changeUser", "id", "/data/user/id")
        .problem(409, "username_taken", "another account has the name")
        .problem(503, "unavailable", "the database is down, or too many passwords are being hashed")
        .example(json!({"username": "ada", "email": "ada@example.com", "password": "correct horse battery"}));
}

async fn register(state: &AppState, body: Request) -> Result<UserView, AuthError> {
    let own =
        [body.username.as_deref(), body.email.as_deref(), body.full_name.as_deref()].map(Option::unwrap_or_default);
    new_password::check(state, "/password", body.password.as_deref().unwrap_or_default(), &own)?;
    let password_hash = state.hasher.hash(&body.password.unwrap_or_default(), &state.entropy).await?;
    let new = NewUser {
        username: body.username.unwrap_or_default(),
        email: body.email.unwrap_or_default(),
        full_name: body.full_name,
        password_hash,
        role: Role::User,
    };
    let mail = state.mail_id(state.clock.now());
    let user = {
        let mut conn = state.pool.acquire().await?;
        users::insert(&mut conn, &new, mail, state.clock.database_override()).await?
    };
    state.post_at_once(&[mail]).await;
    Ok(UserView::from(&user))
}
