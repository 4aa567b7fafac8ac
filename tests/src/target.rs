//! Where the end-to-end suite aims: at an application in this process, or at any base URL.

use std::{sync::Arc, time::Duration};

use crate::{
    actor::Actor,
    app::TestApp,
    environment::variable,
    transport::{Remote, Transport},
    wait,
};

/// A system under test that is only reached over HTTP.
#[derive(Debug)]
pub struct Target {
    transport: Arc<dyn Transport>,
    app: Option<TestApp>,
    admin_password: String,
}

impl Target {
    /// `HALYARD_BASE_URL` if it is set (the administrator's password from `HALYARD_ADMIN_PASSWORD`, else `admin123`),
    /// else an application in this process, with the wall clock and everything running by itself.
    pub async fn find() -> Self {
        let admin_password = variable("HALYARD_ADMIN_PASSWORD").unwrap_or_else(|| "admin123".to_owned());
        if let Some(url) = variable("HALYARD_BASE_URL") {
            return Self { transport: Arc::new(Remote::new(&url)), app: None, admin_password };
        }
        let app = TestApp::builder().live().spawn().await;
        Self { transport: app.transport(), app: Some(app), admin_password }
    }

    /// At a base URL.
    pub fn at(url: &str) -> Self {
        Self { transport: Arc::new(Remote::new(url)), app: None, admin_password: "admin123".to_owned() }
    }

    /// Somebody without a credential.
    pub fn anonymous(&self) -> Actor {
        Actor::anonymous(Arc::clone(&self.transport))
    }

    /// The administrator.
    pub async fn admin(&self) -> Actor {
        Actor::login(Arc::clone(&self.transport), "admin", &self.admin_password).await
    }

    /// A new account, whose name begins with `prefix`. A system far away lets one address make five a minute: then this
    /// waits for its turn, as `Retry-After` bids.
    pub async fn user(&self, prefix: &str) -> Actor {
        let name = format!("{prefix}-{}", unique());
        wait::until("an account to be made", Duration::from_mins(3), async || {
            let answer = Actor::try_register(&self.transport, &name).await;
            if answer.code() != 429 {
                answer.expect(200);
                return Some(());
            }
            let seconds = answer.header("retry-after").parse().expect("seconds");
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            None
        })
        .await;
        Actor::login(Arc::clone(&self.transport), &name, crate::actor::PASSWORD).await
    }

    /// Is the system in this process?
    pub fn is_local(&self) -> bool {
        self.app.is_some()
    }

    /// Waits until a task is in a terminal state; gives `data` of its status.
    pub async fn finished(&self, user: &Actor, id: &str) -> serde_json::Value {
        self.finished_within(user, id, Duration::from_mins(1)).await
    }

    /// Likewise, with a limit of its own.
    pub async fn finished_within(&self, user: &Actor, id: &str, limit: Duration) -> serde_json::Value {
        wait::until(format!("task {id} to end"), limit, async || {
            let task = user.task(id).await;
            let ended = ["completed", "failed", "cancelled", "expired", "dead"];
            ended.contains(&task["status"].as_str().unwrap_or_default()).then_some(task)
        })
        .await
    }
}

/// Eight characters that no earlier run of the suite has used against the same system.
fn unique() -> String {
    let entropy = halyard_domain::Entropy::from_os().expect("randomness");
    format!("{:08x}", u32::from_be_bytes(entropy.bytes()))
}
