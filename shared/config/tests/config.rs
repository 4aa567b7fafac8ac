//! Configuration: real types, all errors at once, no secrets shown.

use std::time::Duration;

use halyard_config::{
    AuthConfig, AuthorizerConfig, CommonConfig, DatabaseConfig, Environment, ForgotConfig, FromVars, MailConfig,
    MigrateConfig, ObjectsConfig, PasswordConfig, QueueConfig, RedisConfig, Secret, SigningConfig, StatusConfig, Vars,
};
use halyard_domain::Lane;

fn whole() -> Vars {
    [
        ("HALYARD_ENV", "production"),
        ("DATABASE_URL", "postgres://halyard:s3cr3t-enough@db:5432/halyard"),
        ("REDIS_URL", "rediss://cache:6379/0"),
        ("QUEUE_HIGH_URL", "https://sqs.eu-west-1.amazonaws.com/123456789012/halyard-high"),
        ("QUEUE_DEFAULT_URL", "https://sqs.eu-west-1.amazonaws.com/123456789012/halyard-default"),
        ("QUEUE_LOW_URL", "https://sqs.eu-west-1.amazonaws.com/123456789012/halyard-low"),
        ("QUEUE_LONG_URL", "https://sqs.eu-west-1.amazonaws.com/123456789012/halyard-long"),
        ("TABLE_SESSIONS", "sessions"),
        ("TABLE_TASK_LOGS", "logs"),
        ("TABLE_IDEMPOTENCY", "keys"),
        ("RESULTS_BUCKET", "results"),
        ("TOKEN_ISSUER", "https://halyard.example"),
        ("TOKEN_AUDIENCE", "halyard"),
        ("TOKEN_KEY_SET", r#"{"keys":[]}"#),
        ("TOKEN_SIGNING_KEY", r#"{"kty":"OKP"}"#),
        ("ACCOUNT_KEY", "an-account-key-of-32-characters-or-more"),
        ("PUBLIC_URL", "https://api.example.com/"),
        ("MAIL_FROM", "no-reply@example.com"),
        ("ADMIN_PASSWORD", "correct horse battery staple"),
    ]
    .into_iter()
    .collect()
}

fn names(error: &halyard_config::ConfigError) -> Vec<&'static str> {
    error.0.iter().map(|e| e.name).collect()
}

#[test]
fn a_whole_configuration_is_read_into_types() {
    let config = AuthConfig::load(&whole()).unwrap();
    assert_eq!(config.common.environment, Environment::Named("production".to_owned()));
    assert_eq!(config.database.pool_size, 1);
    assert_eq!(config.redis.namespace, "halyard");
    assert_eq!(config.session_cache.bound, Duration::from_secs(1));
    assert_eq!(config.signing.access_ttl, Duration::from_hours(1));
    assert_eq!(config.signing.refresh_ttl, Duration::from_hours(720));
    let expected = PasswordConfig { memory_kib: 19_456, iterations: 2, parallelism: 1, concurrency: 2 };
    assert_eq!(config.password, expected);
    assert!(config.common.rate_limits);
}

#[test]
fn every_error_is_reported_at_once_by_name() {
    let vars = whole()
        .without("DATABASE_URL")
        .with("REDIS_URL", "http://cache")
        .with("DATABASE_POOL_SIZE", "50")
        .with("TOKEN_ISSUER", "")
        .with("ARGON2_ITERATIONS", "many");
    let error = AuthConfig::load(&vars).unwrap_err();
    let expected = ["DATABASE_URL", "DATABASE_POOL_SIZE", "REDIS_URL", "TOKEN_ISSUER", "ARGON2_ITERATIONS"];
    assert_eq!(names(&error), expected);
    let text = error.to_string();
    assert!(text.contains("\n  DATABASE_URL: is required"), "{text}");
    assert!(text.contains("\n  DATABASE_POOL_SIZE: must be a number between 1 and 2"), "{text}");
}

#[test]
fn errors_and_debug_never_show_a_secret() {
    let vars = whole().with("DATABASE_URL", "mysql://halyard:hunter2@db/x").with("REDIS_URL", "http://:hunter2@cache");
    assert!(!StatusConfig::load(&vars).unwrap_err().to_string().contains("hunter2"));
    let config = AuthConfig::load(&whole()).unwrap();
    let shown = format!("{config:?}");
    assert!(!shown.contains("s3cr3t-enough") && !shown.contains("OKP"), "{shown}");
    assert_eq!(format!("{:?} {}", Secret::new("hunter2"), Secret::new("hunter2")), "Secret(..) ***");
    assert!(!format!("{:?}", whole()).contains("s3cr3t-enough"));
}

#[test]
fn default_secrets_start_only_the_local_environment() {
    let vars = whole().with("ADMIN_PASSWORD", "admin123").with("DATABASE_URL", "postgres://postgres:postgres@db/x");
    let error = MigrateConfig::load(&vars).unwrap_err();
    assert_eq!(names(&error), ["DATABASE_URL", "ADMIN_PASSWORD"]);
    assert!(MigrateConfig::load(&vars.with("HALYARD_ENV", "local")).is_ok());
    assert_eq!(
        names(&SigningConfig::load(&whole().with("TOKEN_SIGNING_KEY", "Secret")).unwrap_err()),
        ["TOKEN_SIGNING_KEY"]
    );
}

#[test]
fn an_environment_must_be_named() {
    assert_eq!(names(&AuthorizerConfig::load(&whole().without("HALYARD_ENV")).unwrap_err()), ["HALYARD_ENV"]);
    assert!(Environment::load(&whole().with("HALYARD_ENV", "pro duction")).is_err());
    assert!(Environment::load(&whole().with("HALYARD_ENV", "local")).unwrap().is_local());
}

#[test]
fn limits_may_be_off_only_locally() {
    let off = whole().with("RATE_LIMITS", "off");
    assert_eq!(names(&CommonConfig::load(&off).unwrap_err()), ["RATE_LIMITS"]);
    assert!(!CommonConfig::load(&off.with("HALYARD_ENV", "local")).unwrap().rate_limits);
    assert!(CommonConfig::load(&whole().with("RATE_LIMITS", "perhaps")).is_err());
}

#[test]
fn cheap_password_hashes_are_refused_outside_the_local_environment() {
    let cheap = whole().with("ARGON2_MEMORY_KIB", "64");
    assert_eq!(names(&PasswordConfig::load(&cheap).unwrap_err()), ["ARGON2_MEMORY_KIB"]);
    assert_eq!(PasswordConfig::load(&cheap.with("HALYARD_ENV", "local")).unwrap().memory_kib, 64);
}

#[test]
fn a_lane_knows_its_queue_by_url_and_by_name() {
    let queues = QueueConfig::load(&whole()).unwrap();
    assert_eq!(queues.url(Lane::Low), "https://sqs.eu-west-1.amazonaws.com/123456789012/halyard-low");
    assert_eq!(
        Lane::ALL.map(|lane| queues.name(lane).to_owned()),
        ["halyard-high", "halyard-default", "halyard-low", "halyard-long"]
    );
}

#[test]
fn the_bucket_of_results_must_be_named() {
    assert_eq!(ObjectsConfig::load(&whole()).unwrap().results, "results");
    let error = ObjectsConfig::load(&whole().without("RESULTS_BUCKET")).unwrap_err();
    assert_eq!(names(&error), ["RESULTS_BUCKET"]);
}

#[test]
fn databases_and_caches_may_be_reached_over_sockets() {
    let vars = whole()
        .with("DATABASE_URL", "postgres://halyard@%2Frun%2Fpg/halyard")
        .with("REDIS_URL", "redis+unix:///run/redis.sock?db=0");
    assert!(DatabaseConfig::load(&vars).is_ok());
    assert!(RedisConfig::load(&vars).is_ok());
}

#[test]
fn passwords_of_their_own_are_put_into_urls_whatever_they_contain() {
    let vars = whole().with("DATABASE_PASSWORD", "a/b@c:d?e#f%g é").with("REDIS_PASSWORD", "p:@/w");
    let url = |vars: &Vars| DatabaseConfig::load(vars).unwrap().url.expose().to_owned();
    assert_eq!(
        url(&vars),
        "postgres://halyard:a%2Fb%40c%3Ad%3Fe%23f%25g%20%C3%A9@db:5432/halyard",
        "it takes the place"
    );
    let plain = vars.with("DATABASE_URL", "postgres://halyard@db/halyard?sslmode=require");
    assert_eq!(url(&plain), "postgres://halyard:a%2Fb%40c%3Ad%3Fe%23f%25g%20%C3%A9@db/halyard?sslmode=require");
    assert_eq!(url(&plain.with("DATABASE_PASSWORD", "")), "postgres://halyard@db/halyard?sslmode=require");
    let url = |url: &str| RedisConfig::load(&vars.with("REDIS_URL", url)).unwrap().url.expose().to_owned();
    assert_eq!(url("rediss://cache:6379/0"), "rediss://:p%3A%40%2Fw@cache:6379/0");
    assert_eq!(url("rediss://app:old@cache"), "rediss://app:p%3A%40%2Fw@cache");
    assert_eq!(url("redis+unix:///run/r.sock?db=1"), "redis+unix:///run/r.sock?db=1&pass=p%3A%40%2Fw");
}

#[test]
fn a_database_password_needs_a_user_and_must_not_be_one_that_everybody_knows() {
    let vars = whole().with("DATABASE_PASSWORD", "hunter2hunter2");
    let error = DatabaseConfig::load(&vars.with("DATABASE_URL", "postgres://db/halyard")).unwrap_err();
    assert_eq!(names(&error), ["DATABASE_URL"]);
    assert!(error.to_string().contains("must name a user") && !error.to_string().contains("hunter2"), "{error}");
    for (variable, names_of) in [("DATABASE_PASSWORD", "postgres"), ("REDIS_PASSWORD", "changeme")] {
        let known = whole().with(variable, names_of);
        assert_eq!(names(&StatusConfig::load(&known).unwrap_err()), [variable]);
        assert!(StatusConfig::load(&known.with("HALYARD_ENV", "local")).is_ok());
    }
    let redis = whole().with("REDIS_URL", "redis://:password@cache");
    assert_eq!(names(&RedisConfig::load(&redis).unwrap_err()), ["REDIS_URL"]);
}

#[test]
fn a_node_is_named_by_variable_or_by_log_stream() {
    let stream = whole().with("AWS_LAMBDA_LOG_STREAM_NAME", "2026/11/23/[$LATEST]0a1b2c");
    assert_eq!(CommonConfig::load(&stream).unwrap().node.id.as_deref(), Some("0a1b2c"));
    let named = stream.with("NODE_ID", "api-node-1").with("NODE_PORT", "8000");
    let node = CommonConfig::load(&named).unwrap().node;
    assert_eq!((node.id.as_deref(), node.port, node.real_host), (Some("api-node-1"), Some(8000), true));
    assert!(!CommonConfig::load(&named.with("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001")).unwrap().node.real_host);
}

#[test]
fn mail_has_a_sender_if_any_and_links_that_nobody_reads_on_the_way() {
    let config = MailConfig::load(&whole()).unwrap();
    assert_eq!(config.from.as_deref(), Some("no-reply@example.com"));
    assert_eq!(config.public_url, "https://api.example.com", "without its last slash");
    assert_eq!(config.configuration_set, None);
    assert_eq!(MailConfig::load(&whole().with("MAIL_FROM", "")).unwrap().from, None);
    for bad in ["Halyard <a@b.example>", "a@b.example,c@d.example", "nobody", "a@b\r\nBcc: c@d.example", "@b.example"] {
        assert_eq!(names(&MailConfig::load(&whole().with("MAIL_FROM", bad)).unwrap_err()), ["MAIL_FROM"], "{bad}");
    }
    let local = whole().with("HALYARD_ENV", "local").with("PUBLIC_URL", "http://127.0.0.1:8000");
    assert_eq!(MailConfig::load(&local).unwrap().public_url, "http://127.0.0.1:8000");
    for bad in
        ["", "http://api.example.com", "https://", "ftp://a.example", "https://a.example/?q", "https://u@a.example"]
    {
        assert_eq!(names(&MailConfig::load(&whole().with("PUBLIC_URL", bad)).unwrap_err()), ["PUBLIC_URL"], "{bad}");
    }
}

#[test]
fn an_answer_that_tells_by_its_time_is_given_only_locally() {
    assert_eq!(ForgotConfig::load(&whole()).unwrap().answer_after, Duration::from_millis(500));
    let at_once = whole().with("FORGOT_ANSWER_MS", "0");
    assert_eq!(names(&ForgotConfig::load(&at_once).unwrap_err()), ["FORGOT_ANSWER_MS"]);
    assert!(ForgotConfig::load(&at_once.with("HALYARD_ENV", "local")).unwrap().answer_after.is_zero());
}
