//! Least privilege: what the template grants each function, against what the function really asks for.
//!
//! What is used is not written down here: a ledger takes it from the functions while they answer every route, run, fail
//! and retry tasks in every lane, and repair after every loss. (All other tests run inside the same roles, and fail when
//! a role refuses something.) What Lambda itself does in the role's name follows from the template.

use std::collections::{BTreeMap, BTreeSet};

use halyard_cloud::{
    iam::{INVOKE_FUNCTION, READ_SECRET, SEND_MAIL},
    mail::MailError,
    secrets::SecretRef,
};
use halyard_config::{
    AuthConfig, AuthorizerConfig, BeatConfig, ConfigError, FromVars as _, MigrateConfig, NotifierConfig, StatusConfig,
    TasksConfig, UsersConfig, Vars, WorkerConfig,
};
use halyard_domain::Lane;
use halyard_gateway::template::{Grants, Inputs, Statement, Template};
use halyard_tests::{
    Actor, TestApp,
    granted::{Use, allowed},
    routes::{self, repository},
    seed,
};
use http::Method;
use serde_json::{Value, json};

type Uses = BTreeMap<String, BTreeSet<Use>>;

fn text() -> String {
    std::fs::read_to_string(repository("infra/template.yaml")).expect("the template")
}

fn grants_of(text: &str, parameters: &[(&str, &str)]) -> BTreeMap<String, Grants> {
    let mut inputs = Inputs::default();
    let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    inputs.parameters.extend(parameters);
    let template = Template::parse(text).unwrap_or_else(|e| panic!("{e}"));
    template.grants(&inputs).unwrap_or_else(|e| panic!("{e}"))
}

/// Where the roles of a template and the uses differ: `+` is granted and not used, `-` is used and not granted.
fn differences(roles: &BTreeMap<String, Grants>, uses: &Uses) -> Vec<String> {
    let mut out = Vec::new();
    let nothing = BTreeSet::new();
    for (function, role) in roles {
        let (granted, asked) = (allowed(role), uses.get(function).unwrap_or(&nothing));
        out.extend(granted.difference(asked).map(|(action, on)| format!("+ {function}: {action} on {on}")));
        out.extend(asked.difference(&granted).map(|(action, on)| format!("- {function}: {action} on {on}")));
    }
    out
}

/// What AWS does in a function's name: Lambda writes its log, polls the queues that are mapped to it (Source: AWS Lambda
/// Developer Guide, "Configuring an execution role" of Amazon SQS event sources), and its start reads its secrets.
fn of_the_host(grants: &BTreeMap<String, Grants>) -> Uses {
    let stack = routes::stack();
    let at = |service: &str| format!("arn:aws:{service}:{}:{}", stack.region, stack.account);
    let mut uses = Uses::new();
    for (function, grants) in grants {
        let uses = uses.entry(function.clone()).or_default();
        let log = format!("{}:log-group:{}:*", at("logs"), grants.log_group);
        uses.extend(["logs:CreateLogStream", "logs:PutLogEvents"].map(|action| (action.to_owned(), log.clone())));
        for reference in grants.secrets.values() {
            let reference = SecretRef::parse(reference).expect("a reference").expect("a well-formed one");
            // Secrets Manager adds six characters to the name.
            let arn = format!("{}:secret:{}-??????", at("secretsmanager"), reference.secret);
            uses.insert((READ_SECRET.to_owned(), arn));
        }
        for mapping in stack.mappings.iter().filter(|mapping| mapping.function == *function) {
            let arn = &stack.queues[&mapping.queue].arn;
            let polling = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];
            uses.extend(polling.map(|action| (action.to_owned(), arn.clone())));
        }
    }
    uses
}

/// Every route of the template, with the right to all of them.
async fn every_route(app: &TestApp, task: &str) {
    for route in routes::of_template() {
        let Some((method, path)) = route.key.split_once(' ') else { continue };
        let caller = app.admin().await;
        let path = path.replace("/sessions/{id}", "/sessions/01J00000000000000000000000").replace("{id}", task);
        let draft = caller.request(method.parse().expect("a method"), &path.replace("{name}", "high"));
        let draft = if method == Method::POST { draft.json(&body_of(&route.key, &caller)) } else { draft };
        let answer = draft.send().await;
        assert!(answer.code() < 500, "{}: {}", route.key, answer.text());
    }
    let unknown = app.anonymous().get("/nowhere").await;
    assert_eq!(unknown.code(), 404, "{}", unknown.text());
}

fn body_of(route: &str, caller: &Actor) -> Value {
    match route {
        "POST /auth/register" => {
            json!({"username": "walker", "email": "walker@example.com", "password": "correct horse"})
        }
        "POST /auth/login" => json!({"username": caller.username, "password": caller.password}),
        "POST /auth/refresh" => json!({"refresh_token": caller.refresh_token}),
        "POST /tasks/submit" => json!({"task_type": "sample", "data": {}}),
        _ => json!({}),
    }
}

/// A task in each lane that logs, fails and rings for its second attempt; the lane `long` by hand, as no type asks for it.
async fn every_lane(app: &TestApp) {
    let admin = app.admin().await;
    let data = json!({"fail": "error", "fail_attempts": 1});
    // A receiver that is not there: the notifier rings for the next attempt.
    let callbacks = json!({"completion_url": "http://127.0.0.1:9099/"});
    let mut ids = Vec::new();
    for (lane, priority) in [(Lane::High, 1), (Lane::Default, 5), (Lane::Low, 9), (Lane::Long, 5)] {
        let pause = format!("/tasks/queues/{lane}/pause");
        admin.post(&pause, json!({})).await.expect(200);
        let task = json!({"task_type": "sample", "data": data, "priority": priority, "retry_config": {"retry_delay": 1},
                         "callbacks": callbacks});
        let id = admin.submit(task).await;
        app.change_task(&id, &format!("lane = '{lane}'")).await;
        admin.post(&pause.replace("pause", "resume"), json!({})).await.expect(200);
        ids.push(id);
    }
    app.drain_with_time().await;
    for id in &ids {
        assert_eq!(app.runs_of(id).await, 2, "failed once and came back");
        admin.get(&format!("/tasks/logs/{id}")).await.expect(200);
    }
}

/// An API key that is used, first through the authorizer and then where there is none.
async fn an_api_key(app: &TestApp) {
    let admin = app.admin().await;
    let made = admin.post("/auth/api-keys", json!({"name": "a program"})).await.expect(200).json();
    let program = admin.with_token(made["data"]["key"].as_str().expect("a key"));
    let id = made["data"]["api_key"]["id"].as_str().expect("a name");
    program.get("/api/protected").await.expect(200);
    app.advance(chrono::Duration::minutes(2));
    program.get("/auth/validate").await.expect(200);
    admin.get("/auth/api-keys").await.expect(200);
    admin.post("/auth/logout-all", json!({})).await.expect(200);
    app.admin().await.request(Method::DELETE, &format!("/auth/api-keys/{id}")).send().await.expect(200);
}

/// Every doorbell is lost, and an epoch was never published: the beat has everything to do.
async fn every_loss(app: &TestApp) {
    let admin = app.admin().await;
    for lane in [Lane::High, Lane::Low, Lane::Long, Lane::Default] {
        let id = admin.submit(json!({"task_type": "sample", "data": {}})).await;
        app.change_task(&id, &format!("lane = '{lane}'")).await;
        app.execute(&format!("update outbox set lane = '{lane}' where lane = 'default'")).await;
    }
    app.forget_queues().await;
    app.break_mail(Some(MailError::Unavailable("the test broke it".to_owned())));
    app.user_named("late").await;
    app.break_mail(None);
    let owed =
        "insert into auth_epoch_outbox (user_id, auth_epoch, since) select id, auth_epoch, now() from users limit 1";
    app.execute(owed).await;
    app.advance(chrono::Duration::minutes(2));
    let report = app.beat().await;
    assert_eq!(report["failed"], json!([]), "{report}");
    assert_eq!(report["epochs"]["published"], 1, "{report}");
    assert_eq!(report["mails"]["sent"], 1, "{report}");
    app.drain().await;
}

/// Requests under a key, which are sent twice.
async fn every_key(app: &TestApp) {
    let admin = app.admin().await;
    let bodies = [
        ("/tasks/submit", json!({"task_type": "sample", "data": {}}), 200),
        ("/auth/api-keys", json!({"name": "keyed"}), 409),
    ];
    for (path, body, second) in bodies {
        for code in [200, second] {
            admin.request(Method::POST, path).header("idempotency-key", path).json(&body).send().await.expect(code);
        }
    }
}

/// A result that no row has room for: what `sample` is told, it answers twice.
async fn a_stored_result(app: &TestApp) {
    let admin = app.admin().await;
    let id = admin.submit(json!({"task_type": "sample", "data": {"message": "x".repeat(2_700_000)}})).await;
    app.drain().await;
    admin.get(&format!("/tasks/result/{id}")).await.expect(303);
}

/// An account is disabled, which ends its sessions.
async fn every_account(app: &TestApp) {
    let user = app.user_named("leaver").await;
    let path = format!("/api/users/{}", user.user_id);
    app.admin().await.patch(&path, json!({"account_status": "disabled"})).await.expect(200);
}

#[tokio::test]
async fn every_role_grants_what_its_function_uses_and_nothing_else() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    every_lane(&app).await;
    every_loss(&app).await;
    an_api_key(&app).await;
    app.keys(json!("publish")).await.expect("the deploy step publishes keys");
    let callbacks = json!({"error_url": "http://127.0.0.1:9099/"});
    let task = json!({"task_type": "sample", "data": {}, "callbacks": callbacks});
    let task = app.admin().await.submit(task).await;
    every_route(&app, &task).await;
    every_account(&app).await;
    every_key(&app).await;
    a_stored_result(&app).await;
    app.admin().await.post("/tasks/queues/high/resume", json!({})).await.expect(200);
    app.drain_with_time().await;
    app.execute("update webhook_deliveries set state = 'failed', ended_at = event_at where state = 'owed'").await;
    let text = text();
    let sends = [("MailFrom", "no-reply@halyard.test")];
    let grants = grants_of(&text, &sends);
    let mut uses = app.ledger().used();
    for (function, more) in of_the_host(&grants) {
        uses.entry(function).or_default().extend(more);
    }
    assert_eq!(differences(&grants, &uses), Vec::<String>::new());

    // What this test is worth: each of these templates is found out.
    let spoiled = [
        ("dynamodb:PutItem, dynamodb:Query]", "dynamodb:Query]", "- AuthFunction: dynamodb:PutItem on"),
        (
            "Action: dynamodb:GetItem",
            "Action: [dynamodb:GetItem, dynamodb:Scan]",
            "+ AuthorizerFunction: dynamodb:Scan",
        ),
        ("Action: dynamodb:BatchWriteItem", "Action: dynamodb:*", "+ WorkerFunction: dynamodb:* on"),
        ("Action: s3:PutObject", "Action: s3:GetObject", "- WorkerFunction: s3:PutObject on"),
        ("Action: s3:GetObject", "Action: [s3:GetObject, s3:ListBucket]", "+ TasksFunction: s3:ListBucket on"),
        ("${ResultsBucket.Arn}/results/*", "${ResultsBucket.Arn}/*", "+ WorkerFunction: s3:PutObject on"),
        ("Resource: !GetAtt DefaultQueue.Arn", "Resource: \"*\"", "+ StatusFunction: sqs:GetQueueAttributes on *"),
        ("Resource: !GetAtt BeatLogs.Arn", "Resource: !GetAtt AuthLogs.Arn", "- BeatFunction: logs:PutLogEvents on"),
        ("identity/${Identity}", "identity/*", "+ AuthFunction: ses:SendEmail on"),
        ("secret:${SecretsPrefix}/admin-??????", "secret:${SecretsPrefix}/redis-??????", "- MigrateFunction: secretsm"),
    ];
    for (from, to, found) in spoiled {
        assert!(text.contains(from), "the template no longer has {from:?}");
        let all = differences(&grants_of(&text.replace(from, to), &sends), &uses);
        assert!(all.iter().any(|line| line.starts_with(found)), "{to:?} goes unnoticed: {all:#?}");
    }
}

/// Whether a function's configuration takes notice of a variable: it misses one that is required, or refuses a default
/// secret in it.
fn reads(function: &str, variable: &str, vars: &Vars) -> bool {
    let load = |vars: &Vars| -> Result<(), ConfigError> {
        match function {
            "AuthFunction" => AuthConfig::load(vars).map(drop),
            "UsersFunction" => UsersConfig::load(vars).map(drop),
            "TasksFunction" => TasksConfig::load(vars).map(drop),
            "StatusFunction" => StatusConfig::load(vars).map(drop),
            "WorkerFunction" => WorkerConfig::load(vars).map(drop),
            "BeatFunction" => BeatConfig::load(vars).map(drop),
            "NotifierFunction" => NotifierConfig::load(vars).map(drop),
            "MigrateFunction" => MigrateConfig::load(vars).map(drop),
            "AuthorizerFunction" => AuthorizerConfig::load(vars).map(drop),
            other => panic!("{other} is new: say here which configuration it reads"),
        }
    };
    let spoiled = [vars.without(variable), vars.with(variable, "changeme")];
    let notices = |vars: &Vars| load(vars).is_err_and(|e| e.0.iter().any(|e| e.name == variable));
    spoiled.iter().any(notices)
}

#[test]
fn who_verifies_writes_nothing_but_when_a_key_was_used() {
    let grants = grants_of(&text(), &[]);
    let writes = ["Put", "Update", "Delete", "BatchWrite"].map(|verb| format!("dynamodb:{verb}Item"));
    let may_write =
        grants["AuthorizerFunction"].statements.iter().filter(|s| writes.iter().any(|w| s.actions.contains(w)));
    let conditions: Vec<&Value> = may_write.map(|statement| &statement.condition).collect();
    assert_eq!(conditions, [&json!({"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["api_key_use#*"]}})]);
}

#[test]
fn every_function_writes_to_a_log_of_its_own() {
    let grants = grants_of(&text(), &[]);
    let logs: BTreeSet<&str> = grants.values().map(|grants| grants.log_group.as_str()).collect();
    assert_eq!(logs.len(), grants.len(), "{logs:?}");
}

#[test]
fn a_function_is_given_only_secrets_that_it_reads() {
    let vars: Vars = seed::variables("postgres://u@localhost/db", "redis://localhost:6379/0", "halyard")
        .into_iter()
        .chain([
            ("TOKEN_ISSUER".to_owned(), "i".to_owned()),
            ("TOKEN_AUDIENCE".to_owned(), "a".to_owned()),
            ("HALYARD_ENV".to_owned(), "production".to_owned()),
            ("ARGON2_MEMORY_KIB".to_owned(), "19456".to_owned()),
        ])
        .collect();
    let mut seen = BTreeSet::new();
    for (function, grants) in grants_of(&text(), &[]) {
        for variable in grants.secrets.keys() {
            assert!(reads(&function, variable, &vars), "{function} is given {variable} and does not read it");
            seen.insert(variable.clone());
        }
    }
    let expected =
        ["ACCOUNT_KEY", "ADMIN_PASSWORD", "DATABASE_PASSWORD", "REDIS_PASSWORD", "TOKEN_KEY_SET", "TOKEN_SIGNING_KEY"];
    assert_eq!(seen, expected.into_iter().map(str::to_owned).collect(), "these are secrets");
}

#[test]
fn only_who_writes_to_users_may_send_mail_and_as_one_sender_only() {
    let mails = |parameters: &[(&str, &str)]| {
        let of = |(function, grants): (String, Grants)| {
            let statements = grants.statements.into_iter().filter(|s| s.actions.contains(&SEND_MAIL.to_owned()));
            let sender = |s: &Statement| s.condition["StringEquals"]["ses:FromAddress"].as_str().map(str::to_owned);
            statements.map(|s| (function.clone(), sender(&s), s.resources)).collect::<Vec<_>>()
        };
        grants_of(&text(), parameters).into_iter().flat_map(of).collect::<Vec<_>>()
    };
    assert_eq!(mails(&[]), [], "nobody without a sender");
    let arn = |rest: &str| format!("arn:aws:ses:us-east-1:000000000000:{rest}");
    let from = ("MailFrom", "no-reply@example.com");
    let given = |resources: &[String]| {
        let one = |function: &str| (function.to_owned(), Some(from.1.to_owned()), resources.to_vec());
        vec![one("AuthFunction"), one("BeatFunction")]
    };
    assert_eq!(mails(&[from]), given(&[arn("identity/no-reply@example.com")]));
    let more = [from, ("MailIdentity", "example.com"), ("MailConfigurationSet", "mails")];
    assert_eq!(mails(&more), given(&[arn("identity/example.com"), arn("configuration-set/mails")]));
}

#[test]
fn without_secrets_manager_no_role_reads_secrets() {
    for (function, grants) in grants_of(&text(), &[("SecretsPrefix", "")]) {
        assert!(grants.secrets.is_empty(), "{function}");
        assert!(allowed(&grants).iter().all(|(action, _)| action != READ_SECRET), "{function}");
    }
}

#[test]
fn only_who_signs_can_read_the_private_key() {
    for parameters in [&[][..], &[("TokenKeySet", r#"{"keys":[]}"#)]] {
        for (function, grants) in grants_of(&text(), parameters) {
            let reads = |secret: &str| allowed(&grants).iter().any(|(_, resource)| resource.contains(secret));
            assert_eq!(reads("/token-signing-key-"), function == "AuthFunction", "{function}");
            let opens = ["AuthFunction", "NotifierFunction"].contains(&function.as_str());
            assert_eq!(reads("/accounts-"), opens, "{function}");
            let verifies = ["AuthFunction", "AuthorizerFunction", "MigrateFunction"].contains(&function.as_str());
            assert_eq!(reads("/token-keys-"), verifies && parameters.is_empty(), "{function}");
        }
    }
}

#[test]
fn in_a_vpc_lambda_may_attach_functions_and_their_code_may_not() {
    let outside = grants_of(&text(), &[]);
    let inside = grants_of(&text(), &[("SubnetIds", "subnet-1,subnet-2"), ("SecurityGroupIds", "sg-1")]);
    for (function, grants) in inside {
        let before = &outside[&function].statements;
        let (own, added) = grants.statements.split_at(before.len());
        assert_eq!(own, before.as_slice(), "{function}");
        let [allow, deny] = added else { panic!("{function}: {added:?}") };
        assert!(allow.allows && !deny.allows, "{function}");
        assert!(allow.actions.iter().all(|action| action.starts_with("ec2:")), "{function}: {allow:?}");
        assert_eq!((&allow.actions, &allow.resources), (&deny.actions, &deny.resources), "{function}");
        let code = deny.condition["ArnLike"]["lambda:SourceFunctionArn"].as_str().expect("for the code of functions");
        assert!(code.ends_with(":function:halyard-*"), "{code}");
    }
}

#[test]
fn the_worker_may_invoke_the_functions_that_are_named_and_no_others() {
    let invokes = |functions: &str| {
        let of = |(function, grants): (String, Grants)| {
            let statements = grants.statements.into_iter();
            let statements = statements.filter(|s| s.actions.iter().any(|action| action.starts_with("lambda:")));
            statements.map(|s| (function.clone(), s.actions, s.resources)).collect::<Vec<_>>()
        };
        grants_of(&text(), &[("TaskFunctions", functions)]).into_iter().flat_map(of).collect::<Vec<_>>()
    };
    assert_eq!(invokes(""), [], "nobody without a list");
    let arn = |name: &str| format!("arn:aws:lambda:eu-central-1:000000000000:function:{name}");
    let functions = [arn("greet"), arn("greet:live"), arn("report-*")];
    let expected = ("WorkerFunction".to_owned(), vec![INVOKE_FUNCTION.to_owned()], functions.to_vec());
    assert_eq!(invokes(&functions.join(",")), [expected]);
    // What IAM lets through the code does, and nothing beside it.
    let vars = seed::variables("postgres://u@localhost/db", "redis://localhost:6379/0", "halyard");
    let vars: Vars = vars.into_iter().chain([("TASK_FUNCTIONS".to_owned(), functions.join(","))]).collect();
    let callable = halyard_config::CallableConfig::load(&vars).expect("a list").functions;
    for (function, qualifier, may) in [
        ("greet", None, true),
        ("greet", Some("live"), true),
        ("greet", Some("$LATEST"), false),
        ("report-daily", Some("7"), true),
        ("report", None, false),
    ] {
        assert_eq!(callable.has(function, qualifier), may, "{function} {qualifier:?}");
    }
    let everything = halyard_config::CallableConfig::load(&vars.with("TASK_FUNCTIONS", "*"));
    assert!(everything.is_err(), "every function of the account is no list");
}
