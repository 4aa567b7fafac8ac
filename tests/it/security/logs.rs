//! Logs: one JSON object a line whatever a client sends, and no secret at any level.

use std::{path::Path, sync::Arc};

use halyard_tests::{
    Actor, TestApp,
    cold::ColdSystem,
    environment::Servers,
    halyard_program,
    logs::Captured,
    seed,
    transport::{Remote, Transport},
};
use http::Method;
use serde_json::{Value, json};

const PASSWORDS: [&str; 3] = ["first-secret-of-maria", "second-secret-of-maria", "wrong-secret-of-maria"];

/// A story in which every kind of credential is shown, good and bad. Gives all of them.
async fn story(transport: &Arc<dyn Transport>, name: &str) -> Vec<String> {
    let [first, second, wrong] = PASSWORDS;
    let nobody = Actor::anonymous(Arc::clone(transport));
    let account = json!({"username": name, "email": format!("{name}@example.com"), "password": first});
    nobody.post("/auth/register", account.clone()).await.expect(200);
    nobody.post("/auth/register", account).await.expect(409);
    nobody.post("/auth/register", json!({"username": "x", "email": wrong, "password": second})).await.expect(422);
    nobody.post("/auth/login", json!({"username": name, "password": wrong})).await.expect(401);
    nobody.post("/auth/login", json!({"username": name, "password": [wrong]})).await.expect(422);
    nobody
        .request(Method::POST, "/auth/login")
        .header("content-type", "application/json")
        .body(format!("{{\"password\":\"{wrong}"))
        .send()
        .await
        .expect(400);

    let mut secrets: Vec<String> = PASSWORDS.map(str::to_owned).to_vec();
    let mut user = Actor::anonymous(Arc::clone(transport));
    let login = nobody.post("/auth/login", json!({"username": name, "password": first})).await.expect(200);
    user.signed_in(&login);
    user.username = name.to_owned();
    secrets.extend([user.access_token.clone().expect("a token"), user.refresh_token.clone().expect("a token")]);
    user.put("/auth/profile", json!({"full_name": "Maria"})).await.expect(200);
    let old = user.refresh_token.clone().expect("a token");
    let renewed = nobody.post("/auth/refresh", json!({ "refresh_token": old })).await.expect(200).json();
    for token in ["access_token", "refresh_token"] {
        secrets.push(renewed["data"][token].as_str().expect("a token").to_owned());
    }
    nobody.request(Method::POST, "/auth/refresh").bearer(&secrets[6]).send().await.expect(200);
    for path in ["/api/protected", "/auth/validate", "/health/status", "/tasks", "/auth/sessions"] {
        user.get(path).await.expect(200);
        let cookie = format!("halyard_session={}", secrets[3]);
        user.request(Method::GET, path).header("cookie", &cookie).send().await.expect(200);
        // A credential that is none, and one of the wrong kind.
        let broken = format!("{}AAAA", &secrets[3][..secrets[3].len() - 4]);
        for bad in [&broken, &secrets[4]] {
            nobody.request(Method::GET, path).bearer(bad).send().await.expect(401);
        }
        nobody.request(Method::GET, path).header("authorization", &format!("Basic {wrong}")).send().await.expect(401);
    }
    user.submit(json!({"task_type": "sample", "data": {"message": "hello"}})).await;
    let change = |from: &str, to: &str| json!({"current_password": from, "new_password": to});
    user.post("/auth/password", change(wrong, second)).await;
    user.post("/auth/password", change(first, second)).await.expect(200);
    user.password = second.to_owned();
    user.sign_in().await;
    secrets.extend([user.access_token.clone().expect("a token"), user.refresh_token.clone().expect("a token")]);
    secrets.push(login.json()["data"]["device_token"].as_str().expect("a token").to_owned());
    let setup = user.post("/auth/2fa/setup", json!({})).await.expect(200).json();
    secrets.push(setup["data"]["secret"].as_str().expect("a secret").to_owned());
    user.post("/auth/2fa/confirm", json!({"otp": "000000"})).await;
    user.post("/auth/step-up", json!({"password": wrong})).await;
    user.post("/auth/step-up", json!({"password": second})).await.expect(200);
    user.post("/auth/logout", json!({})).await.expect(200);
    nobody.post("/auth/refresh", json!({"refresh_token": user.refresh_token})).await.expect(401);
    secrets
}

/// What must be in no line: the secrets, and of each token the signature, which alone makes it one.
fn assert_no_secret(log: &str, secrets: &[String]) {
    let signatures = secrets.iter().filter_map(|secret| secret.rsplit_once('.')).map(|(_, signature)| signature);
    for secret in secrets.iter().map(String::as_str).chain(signatures).chain(["$argon2", "Basic wrong"]) {
        let line = log.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret:.20} is in the log: {:.1500}", line.unwrap_or_default());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_reaches_the_log_of_the_gateway_and_its_functions_at_any_level() {
    let captured = Captured::of("trace");
    let app = TestApp::builder().without_rate_limits().listening_behind(&[]).spawn().await;
    let transport: Arc<dyn Transport> = Arc::new(Remote::new(&format!("http://{}", app.address())));
    let mut secrets = story(&transport, "maria").await;
    app.drain().await;
    app.beat().await;
    let key: Value = serde_json::from_str(&seed::token_keys().0).expect("a key");
    secrets.push(key["d"].as_str().expect("a private key").to_owned());
    secrets.push("admin123".to_owned());
    let log = captured.lines().join("\n");
    assert!(log.contains("\"level\":\"TRACE\"") && log.contains("/auth/login"), "everything was logged");
    assert_no_secret(&log, &secrets);
}

/// The programs as Lambda runs them, with the SDK's own requests: their libraries log, too.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_reaches_the_log_of_a_functions_program_at_any_level() {
    let programs = halyard_program().parent().map(Path::to_owned).expect("a directory of programs");
    let system = ColdSystem::start(&programs, Servers::from_env().aws(), &[("LOG_LEVEL", "trace")]).await;
    let system = system.unwrap_or_else(|error| panic!("{error}"));
    let transport: Arc<dyn Transport> = Arc::new(Remote::new(&system.base_url()));
    let secrets = story(&transport, &format!("maria-{}", std::process::id())).await;
    let log = system.log();
    assert!(log.contains("\"level\":\"TRACE\"") && log.contains("/auth/login"), "everything was logged: {log:.2000}");
    assert_no_secret(&log, &secrets);
}

#[tokio::test]
async fn whatever_a_client_sends_a_line_is_one_object_and_says_who_asked() {
    let captured = Captured::of("trace");
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let user = app.user_named("maria").await;
    let forged = "{\"level\":\"ERROR\",\"message\":\"forged\",\"user_id\":1}";
    let lines = format!("x\r\n{forged}\n\u{1b}[31m{forged}\u{85}{forged}\u{2028}{forged}\0{forged}");
    let in_a_path = "x%0d%0a%7B%22level%22:%22ERROR%22,%22message%22:%22forged%22%7D%1b%5B31m%00";
    let agent = format!("agent \" }} , \\n\\u001b {forged}");
    let draft = |method: Method, path: &str| user.request(method, path).header("user-agent", &agent);
    for (name, value) in
        [("x-request-id", forged), ("traceparent", forged), ("x-amzn-trace-id", forged), ("x-forwarded-for", forged)]
    {
        draft(Method::GET, "/api/protected").header(name, value).send().await.expect(200);
    }
    draft(Method::GET, &format!("/{in_a_path}")).send().await.expect(404);
    draft(Method::GET, &format!("/tasks/status/{in_a_path}")).send().await.expect(404);
    draft(Method::GET, &format!("/tasks?task_type={in_a_path}")).send().await.expect(422);
    let login = json!({"username": lines, "password": lines});
    draft(Method::POST, "/auth/login").json(&login).send().await.expect(422);
    let name = json!({"username": forged, "email": "a@b.c", "password": "correct horse"});
    draft(Method::POST, "/auth/register").json(&name).send().await.expect(422);
    draft(Method::GET, "/api/protected").bearer(&forged.replace(' ', "")).send().await.expect(401);
    let task =
        json!({"task_type": "sample", "data": {"message": lines, "steps": 2, "fail": "permanent", &lines: lines}});
    let id = user.submit(task).await;
    let unknown = json!({"task_type": lines, "data": {}});
    draft(Method::POST, "/tasks/submit").json(&unknown).send().await.expect(422);
    app.drain().await;
    let cancel = json!({ "reason": lines });
    draft(Method::POST, &format!("/tasks/cancel/{id}")).json(&cancel).send().await.expect(409);

    let mut requests = 0;
    for line in captured.lines() {
        let object: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(
            object["timestamp"].is_string() && object["level"].is_string() && object["target"].is_string(),
            "{line}"
        );
        assert_ne!(object["message"], "forged", "{line}");
        assert!(!line.contains('\u{1b}') && !line.contains('\0'), "{line}");
        if object["target"] == "halyard::request" && object["span"]["user_id"] == user.user_id {
            requests += 1;
        }
        for span in ["request_id", "trace_id"] {
            let text = object["span"][span].as_str().unwrap_or_default();
            assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)), "{line}");
        }
    }
    assert!(requests >= 8, "{requests} lines name who asked");
}
