//! Somebody who calls the API: with a token or without.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, header};
use serde_json::{Value, json};

use crate::{response::TestResponse, transport::Transport};

/// The password of every account that tests make.
pub const PASSWORD: &str = "correct horse battery";

/// A caller.
#[derive(Debug, Clone)]
pub struct Actor {
    transport: Arc<dyn Transport>,
    /// Empty for a caller without an account.
    pub username: String,
    /// Empty for a caller without an account.
    pub password: String,
    /// The account's number; 0 without an account.
    pub user_id: i64,
    /// Sent as `Authorization: Bearer`.
    pub access_token: Option<String>,
    /// The refresh token of the session.
    pub refresh_token: Option<String>,
}

impl Actor {
    /// Somebody without a credential.
    pub fn anonymous(transport: Arc<dyn Transport>) -> Self {
        let nothing = String::new();
        Self {
            transport,
            username: nothing.clone(),
            password: nothing,
            user_id: 0,
            access_token: None,
            refresh_token: None,
        }
    }

    /// Signs in with a password.
    pub async fn login(transport: Arc<dyn Transport>, username: &str, password: &str) -> Self {
        let mut this = Self::anonymous(transport);
        this.username = username.to_owned();
        this.password = password.to_owned();
        this.sign_in().await;
        this
    }

    /// Makes an account and signs in.
    pub async fn register(transport: Arc<dyn Transport>, username: &str) -> Self {
        Self::try_register(&transport, username).await.expect(200);
        Self::login(transport, username, PASSWORD).await
    }

    /// Asks for an account with [`PASSWORD`] and the address `username@example.com`.
    pub async fn try_register(transport: &Arc<dyn Transport>, username: &str) -> TestResponse {
        let body = json!({"username": username, "email": format!("{username}@example.com"), "password": PASSWORD});
        Self::anonymous(Arc::clone(transport)).post("/auth/register", body).await
    }

    /// Signs in again: a new session.
    pub async fn sign_in(&mut self) {
        let answer = self.try_login().await;
        self.signed_in(&answer.expect(200));
    }

    /// Asks for a new session.
    pub async fn try_login(&self) -> TestResponse {
        let body = json!({"username": self.username, "password": self.password});
        self.request(Method::POST, "/auth/login").without_token().json(&body).send().await
    }

    /// Takes the session of a login's answer.
    pub fn signed_in(&mut self, answer: &TestResponse) {
        let answer = answer.json();
        self.access_token = answer["data"]["access_token"].as_str().map(str::to_owned);
        self.refresh_token = answer["data"]["refresh_token"].as_str().map(str::to_owned);
        self.user_id = answer["data"]["user"]["id"].as_i64().expect("the user's number");
    }

    /// The same caller with another access token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { access_token: Some(token.to_owned()), ..self.clone() }
    }

    /// A request to be filled and sent.
    pub fn request(&self, method: Method, path: &str) -> Draft {
        let mut request = Request::builder().method(method).uri(path).body(Bytes::new()).expect("a request");
        if let Some(token) = &self.access_token {
            let value = format!("Bearer {token}").parse().expect("a header value");
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        Draft { transport: Arc::clone(&self.transport), request }
    }

    /// GET.
    pub async fn get(&self, path: &str) -> TestResponse {
        self.request(Method::GET, path).send().await
    }

    /// POST with a JSON body.
    pub async fn post(&self, path: &str, body: Value) -> TestResponse {
        self.request(Method::POST, path).json(&body).send().await
    }

    /// PUT with a JSON body.
    pub async fn put(&self, path: &str, body: Value) -> TestResponse {
        self.request(Method::PUT, path).json(&body).send().await
    }

    /// PATCH with a JSON body.
    pub async fn patch(&self, path: &str, body: Value) -> TestResponse {
        self.request(Method::PATCH, path).json(&body).send().await
    }

    /// Submits a task and gives its id.
    pub async fn submit(&self, body: Value) -> String {
        let answer = self.post("/tasks/submit", body).await.expect(200).json();
        answer["data"]["task_id"].as_str().expect("a task id").to_owned()
    }

    /// `data` of a task's status.
    pub async fn task(&self, id: &str) -> Value {
        self.get(&format!("/tasks/status/{id}")).await.expect(200).json()["data"].take()
    }

    /// A task's state.
    pub async fn state_of(&self, id: &str) -> String {
        self.task(id).await["status"].as_str().expect("a state").to_owned()
    }
}

/// A request before it is sent.
#[derive(Debug)]
pub struct Draft {
    transport: Arc<dyn Transport>,
    request: Request<Bytes>,
}

impl Draft {
    /// Adds a header.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.request.headers_mut().append(name, value.parse().expect("a header value"));
        self
    }

    /// Adds a header whose value is no plain text.
    pub fn header_value(mut self, name: &'static str, value: http::HeaderValue) -> Self {
        self.request.headers_mut().append(name, value);
        self
    }

    /// Leaves the token out.
    pub fn without_token(mut self) -> Self {
        self.request.headers_mut().remove(header::AUTHORIZATION);
        self
    }

    /// With this token.
    pub fn bearer(self, token: &str) -> Self {
        self.without_token().header("authorization", &format!("Bearer {token}"))
    }

    /// With this JSON.
    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    /// With these bytes.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        *self.request.body_mut() = body.into();
        self
    }

    /// Sends it; panics when nobody answers.
    pub async fn send(self) -> TestResponse {
        self.try_send().await.unwrap_or_else(|e| panic!("no answer: {e}"))
    }

    /// Sends it.
    pub async fn try_send(self) -> Result<TestResponse, String> {
        self.transport.try_send(self.request).await
    }
}
