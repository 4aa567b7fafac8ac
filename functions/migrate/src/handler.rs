//! Migrations, then the administrator.

use std::sync::Arc;

use async_trait::async_trait;
use halyard_auth::password::Hasher;
use halyard_config::{AdminConfig, Secret};
use halyard_domain::{Clock, Entropy, user::Role};
use halyard_platform::{FunctionError, Handler, Invocation};
use halyard_store::{
    Pool,
    users::{self, NewUser},
};
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::keys::{Command, KeysError, TokenKeys};

/// The function.
pub struct Migrate {
    pub(crate) database_url: Secret,
    pub(crate) pool: Pool,
    pub(crate) admin: AdminConfig,
    pub(crate) hasher: Hasher,
    pub(crate) keys: TokenKeys,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<Entropy>,
}

impl Migrate {
    /// Makes the administrator unless somebody has that name or that address already; an account that exists keeps its
    /// password.
    async fn ensure_admin(&self) -> Result<bool, FunctionError> {
        let mut conn = self.pool.acquire().await.map_err(failed)?;
        for login in [&self.admin.username, &self.admin.email] {
            if users::by_login(&mut conn, login).await.map_err(failed)?.is_some() {
                return Ok(false);
            }
        }
        let admin = NewUser {
            username: self.admin.username.clone(),
            email: self.admin.email.clone(),
            full_name: Some("System Administrator".to_owned()),
            password_hash: self.hasher.hash(self.admin.password.expose(), &self.entropy).await.map_err(failed)?,
            role: Role::Admin,
        };
        users::ensure_admin(&mut conn, &admin, self.clock.database_override()).await.map_err(failed)
    }
}

impl Migrate {
    /// Publishes the keys that are new. A deployment does not fail for it: tokens are verified by the published set or,
    /// where there is none, by the configured one, as before.
    async fn publish_keys(&self) -> Value {
        match self.keys.run(&Command::Publish).await {
            Ok(keys) => keys,
            Err(KeysError::Unconfigured) => Value::Null,
            Err(error) => {
                tracing::error!(%error, "the token keys were not published");
                json!({"error": error.to_string()})
            }
        }
    }
}

fn failed(error: impl std::fmt::Display) -> FunctionError {
    FunctionError(error.to_string())
}

#[async_trait]
impl Handler<Value, Value> for Migrate {
    async fn handle(&self, event: Value, _invocation: Invocation) -> Result<Value, FunctionError> {
        if let Some(command) = event.get("keys") {
            let command = Command::deserialize(command).map_err(failed)?;
            return Ok(json!({"keys": self.keys.run(&command).await.map_err(failed)?}));
        }
        let applied = halyard_store::migrate(self.database_url.expose()).await.map_err(failed)?;
        let admin_created = self.ensure_admin().await?;
        tracing::info!(applied, admin_created, "the database is up to date");
        Ok(json!({ "applied": applied, "admin_created": admin_created, "keys": self.publish_keys().await }))
    }
}
