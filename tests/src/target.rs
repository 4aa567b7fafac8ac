//! Where the end-to-end suite aims: at an application in this process, or at any base URL.

use std::{
    fs::File,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    accounts::{Accounts, patiently, unique},
    actor::Actor,
    app::TestApp,
    environment::variable,
    left_out,
    response::TestResponse,
    transport::{Remote, Transport},
    wait,
};

/// The target of an end-to-end test. Returns from the test where [`crate::left_out`] says that it cannot run.
#[macro_export]
macro_rules! target {
    () => {{
        struct Here;
        match $crate::Target::find_for($crate::left_out::test_name(std::any::type_name::<Here>())).await {
            Some(target) => target,
            None => return,
        }
    }};
}

/// A system under test that is only reached over HTTP.
#[derive(Debug)]
pub struct Target {
    transport: Arc<dyn Transport>,
    place: Place,
    admin_password: String,
    /// Locks on what this test has borrowed.
    held: Mutex<Vec<File>>,
}

#[derive(Debug)]
enum Place {
    /// The application goes with the target.
    InProcess {
        app: Box<TestApp>,
    },
    Remote(Accounts),
}

impl Target {
    /// `HALYARD_BASE_URL` if it is set (the administrator's password from `HALYARD_ADMIN_PASSWORD`, else `admin123`),
    /// else an application in this process, with the wall clock and everything running by itself.
    pub async fn find() -> Self {
        if let Some(url) = variable("HALYARD_BASE_URL") {
            return Self::at(&url);
        }
        let app = TestApp::builder().live().spawn().await;
        Self::new(app.transport(), Place::InProcess { app: Box::new(app) })
    }

    /// Likewise; `None` when the test of this name is left out in this profile.
    pub async fn find_for(test: &str) -> Option<Self> {
        match left_out::reason(test) {
            Some(_) => None,
            None => Some(Self::find().await),
        }
    }

    /// At a base URL, `http` or `https`.
    pub fn at(url: &str) -> Self {
        let transport: Arc<dyn Transport> = Arc::new(Remote::new(url));
        let accounts = Accounts::of(url, Arc::clone(&transport));
        Self::new(transport, Place::Remote(accounts))
    }

    fn new(transport: Arc<dyn Transport>, place: Place) -> Self {
        let admin_password = variable("HALYARD_ADMIN_PASSWORD").unwrap_or_else(|| "admin123".to_owned());
        Self { transport, place, admin_password, held: Mutex::default() }
    }

    /// Somebody without a credential.
    pub fn anonymous(&self) -> Actor {
        Actor::anonymous(Arc::clone(&self.transport))
    }

    /// The administrator. Far away the session is everybody's: it is not to be ended.
    pub async fn admin(&self) -> Actor {
        match &self.place {
            Place::InProcess { .. } => Actor::login(Arc::clone(&self.transport), "admin", &self.admin_password).await,
            Place::Remote(accounts) => accounts.administrator(&self.admin_password).await,
        }
    }

    /// An account that no other test uses at the same time. Far away it may have a past: earlier tests had it.
    pub async fn user(&self, prefix: &str) -> Actor {
        match &self.place {
            Place::InProcess { .. } => self.new_user(prefix).await,
            Place::Remote(accounts) => {
                let (actor, lock) = accounts.borrow(prefix).await;
                self.hold(lock);
                actor
            }
        }
    }

    /// A new account, whose name begins with `prefix`. A system far away lets one address make five a minute: then this
    /// waits for its turn, as `Retry-After` bids.
    pub async fn new_user(&self, prefix: &str) -> Actor {
        let name = self.unused_name(prefix);
        patiently(|| Actor::try_register(&self.transport, &name)).await.expect(200);
        Actor::login(Arc::clone(&self.transport), &name, crate::actor::PASSWORD).await
    }

    /// A name that no account of any run has.
    pub fn unused_name(&self, prefix: &str) -> String {
        format!("{prefix}-{}", unique())
    }

    /// POST without a credential, again for as long as a limit refuses it.
    pub async fn patiently_post(&self, path: &str, body: serde_json::Value) -> TestResponse {
        let nobody = self.anonymous();
        patiently(|| nobody.post(path, body.clone())).await
    }

    /// A second session of an account, which the test may end.
    pub async fn session_of(&self, user: &Actor) -> Actor {
        let mut other = user.clone();
        let answer = patiently(|| user.try_login()).await.expect(200);
        other.signed_in(&answer);
        other
    }

    /// Waits until no other test holds `what`, and holds it to the end of this one.
    pub async fn alone_with(&self, what: &str) {
        if let Place::Remote(accounts) = &self.place {
            self.hold(accounts.lock(what).await);
        }
    }

    fn hold(&self, lock: File) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).push(lock);
    }

    /// What stands where an answer leads to: an address of its own, or a path here. Nobody says who they are.
    pub async fn follow(&self, location: &str) -> TestResponse {
        let Some((scheme, rest)) = location.split_once("://") else { return self.anonymous().get(location).await };
        let (host, path) = rest.split_once('/').expect("a path");
        let elsewhere: Arc<dyn Transport> = Arc::new(Remote::new(&format!("{scheme}://{host}")));
        Actor::anonymous(elsewhere).get(&format!("/{path}")).await
    }

    /// This test leaves work behind that a running system would go on with.
    pub fn leave_unfinished(&self) {
        if let Place::InProcess { app } = &self.place {
            app.leave_unfinished();
        }
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
