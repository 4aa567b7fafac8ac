//! Secrets Manager: what a function finds there when it starts, and what it says when it does not.

use std::sync::Arc;

use aws_sdk_secretsmanager::Client;
use halyard_cloud::secrets::{SecretError, SecretRef, Secrets};
use halyard_config::Vars;
use halyard_domain::{Entropy, SystemClock};
use halyard_platform::Host;
use halyard_tests::recorder::Recorder;
use serde_json::json;

use super::aws::{settings, settings_for, unique};

/// What must not be in any message.
const VALUE: &str = "tr0ub4dor-and-3";

async fn secret(text: &str) -> String {
    let name = unique("halyard/secret");
    let client = Client::new(&settings().sdk_config());
    client.create_secret().name(&name).secret_string(text).send().await.expect("a secret");
    name
}

fn host(endpoint: &str, variables: &[(&str, String)]) -> Host {
    let own = [("AWS_ENDPOINT_URL", endpoint), ("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];
    let own = own.into_iter().map(|(name, value)| (name, value.to_owned()));
    let vars: Vars = own.chain(variables.iter().cloned()).collect();
    Host::new(vars, "f", Arc::new(SystemClock), Arc::new(Entropy::seeded(1)), None)
}

fn endpoint() -> String {
    settings().endpoint.expect("an endpoint")
}

#[tokio::test]
async fn a_field_is_text_as_it_is_and_anything_else_as_json() {
    let key = json!({"kty": "OKP", "d": VALUE});
    let name = secret(&json!({"password": VALUE, "private": key, "nothing": null}).to_string()).await;
    let fields = Secrets::new(&settings().sdk_config()).get(&name).await.expect("the secret");
    assert_eq!(fields.field("password").as_deref(), Ok(VALUE));
    assert_eq!(fields.field("private"), Ok(key.to_string()));
    for absent in ["nothing", "nowhere"] {
        assert_eq!(fields.field(absent), Err(SecretError::NoField(name.clone(), absent.to_owned())));
    }
    assert!(!format!("{fields:?}").contains(VALUE));
}

#[tokio::test]
async fn variables_that_name_secrets_hold_them_and_each_secret_is_asked_for_once() {
    let (keys, database) =
        tokio::join!(async { secret(&json!({"private": "p", "public": "q"}).to_string()).await }, async {
            secret(&json!({"username": "u", "password": VALUE}).to_string()).await
        },);
    let arn = Client::new(&settings().sdk_config()).describe_secret().secret_id(&database).send().await;
    let arn = arn.expect("the secret").arn.expect("its ARN");
    let recorder = Recorder::before(&endpoint()).await;
    let variables = [
        ("TOKEN_SIGNING_KEY", format!("secretsmanager:{keys}#private")),
        ("TOKEN_KEY_SET", format!("secretsmanager:{keys}#public")),
        ("DATABASE_PASSWORD", format!("secretsmanager:{arn}#password")),
        ("LOG_LEVEL", "info".to_owned()),
    ];
    let host = host(&recorder.endpoint(), &variables).with_secrets().await.expect("the secrets");
    let value = |name: &str| host.vars.get(name).map(str::to_owned);
    assert_eq!(value("TOKEN_SIGNING_KEY").as_deref(), Some("p"));
    assert_eq!(value("TOKEN_KEY_SET").as_deref(), Some("q"));
    assert_eq!(value("DATABASE_PASSWORD").as_deref(), Some(VALUE));
    assert_eq!(value("LOG_LEVEL").as_deref(), Some("info"));
    let mut asked: Vec<_> = recorder.take().into_iter().map(|call| (call.operation, call.resource)).collect();
    asked.sort();
    let mut expected = [keys, arn].map(|name| ("GetSecretValue".to_owned(), name));
    expected.sort();
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn everything_that_is_wrong_is_said_at_once_by_variable_and_without_a_value() {
    let good = secret(&json!({"password": VALUE}).to_string()).await;
    let no_json = secret(VALUE).await;
    let variables = [
        ("A_MISSING", "secretsmanager:halyard/nowhere#password".to_owned()),
        ("B_FIELD", format!("secretsmanager:{good}#passwort")),
        ("C_NO_JSON", format!("secretsmanager:{no_json}#password")),
        ("D_MALFORMED", format!("secretsmanager:{good}")),
        ("E_GOOD", format!("secretsmanager:{good}#password")),
    ];
    let error = host(&endpoint(), &variables).with_secrets().await.expect_err("four are wrong").to_string();
    for said in [
        "A_MISSING: there is no secret halyard/nowhere",
        &format!("B_FIELD: the secret {good} has no field passwort"),
        &format!("C_NO_JSON: the secret {no_json} is not a JSON object"),
        "D_MALFORMED: must be written secretsmanager:",
    ] {
        assert!(error.contains(said), "{said:?} in {error}");
    }
    assert!(!error.contains("E_GOOD") && !error.contains(VALUE), "{error}");
}

#[tokio::test]
async fn a_service_that_is_not_there_is_said_to_be_unreachable() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
    let nobody = format!("http://{nobody}");
    let secrets = Secrets::new(&settings_for(Some(nobody.clone())).sdk_config());
    let error = secrets.get("halyard/database").await.expect_err("nobody listens");
    assert!(matches!(&error, SecretError::Unavailable(name, _) if name == "halyard/database"), "{error:?}");
    let named = [("DATABASE_PASSWORD", "secretsmanager:halyard/database#password".to_owned())];
    let error = host(&nobody, &named).with_secrets().await.expect_err("nobody listens").to_string();
    assert!(error.starts_with("DATABASE_PASSWORD: the secret halyard/database could not be read"), "{error}");
}

#[tokio::test]
async fn a_function_without_references_asks_nobody() {
    let recorder = Recorder::before(&endpoint()).await;
    let plain = [("DATABASE_PASSWORD", "a-password".to_owned()), ("EMPTY", String::new())];
    let host = host(&recorder.endpoint(), &plain).with_secrets().await.expect("nothing to do");
    assert_eq!(host.vars.get("DATABASE_PASSWORD"), Some("a-password"));
    assert_eq!(recorder.take(), []);
}

#[test]
fn a_reference_names_a_secret_and_a_field() {
    let parsed = |text: &str| SecretRef::parse(text).map(|r| r.map(|r| (r.secret, r.field)).ok());
    let pair = |secret: &str, field: &str| Some(Some((secret.to_owned(), field.to_owned())));
    assert_eq!(parsed("secretsmanager:halyard/database#password"), pair("halyard/database", "password"));
    let arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:halyard/admin-AbCdEf";
    assert_eq!(parsed(&format!("secretsmanager:{arn}#password")), pair(arn, "password"));
    for malformed in ["secretsmanager:", "secretsmanager:x", "secretsmanager:#f", "secretsmanager:x#"] {
        assert_eq!(parsed(malformed), Some(None), "{malformed}");
    }
    for plain in ["", "postgres://u@h/d", "a#b", "Secretsmanager:x#y"] {
        assert_eq!(parsed(plain), None, "{plain}");
    }
}
