//! Invariant 6: the template against the code, both ways.

use std::{collections::BTreeSet, time::Duration};

use halyard_cloud::task_logs;
use halyard_config::{
    AuthConfig, AuthorizerConfig, BeatConfig, ConfigError, FromVars as _, MigrateConfig, NotifierConfig, StatusConfig,
    TasksConfig, UsersConfig, Vars, WorkerConfig,
};
use halyard_gateway::template::{EnvValue, FunctionSpec, Inputs, ScheduleExpression, Template};
use halyard_http::{Access, RouteInfo};
use halyard_tests::{routes, seed};

/// PostgreSQL's default of 100, less three that it keeps for superusers. The template states the same sum in its head.
const DATABASE_LIMIT: u32 = 97;

/// What the code serves, by the logical id of its function.
fn served() -> Vec<(&'static str, Vec<RouteInfo>)> {
    vec![
        ("AuthFunction", halyard_fn_auth::routes().list().to_vec()),
        ("UsersFunction", halyard_fn_users::routes().list().to_vec()),
        ("TasksFunction", halyard_fn_tasks::routes().list().to_vec()),
        ("StatusFunction", halyard_fn_status::routes().list().to_vec()),
    ]
}

fn authorizer_of(access: Access) -> Option<String> {
    match access {
        Access::Bearer => Some("bearer".to_owned()),
        Access::Cookie => Some("cookie".to_owned()),
        Access::Optional => Some("optional".to_owned()),
        Access::Public => None,
    }
}

#[test]
fn every_route_of_the_template_is_served_by_the_function_and_with_the_access_that_it_names() {
    let served = served();
    for route in routes::of_template().iter().filter(|r| r.key != "$default") {
        let (_, infos) = served.iter().find(|(id, _)| *id == route.function).expect("a function with routes");
        let info = infos.iter().find(|i| *i.id == *route.key);
        let info = info.unwrap_or_else(|| panic!("{} does not serve {}", route.function, route.key));
        assert_eq!(authorizer_of(info.access), route.authorizer, "{}: template and code disagree", route.key);
    }
}

#[test]
fn every_route_of_the_code_is_in_the_template() {
    let template: BTreeSet<(String, String)> = routes::of_template().into_iter().map(|r| (r.function, r.key)).collect();
    for (function, infos) in served() {
        for info in infos {
            let there = template.contains(&(function.to_owned(), info.id.to_string()));
            assert!(there, "the template does not send {} to {function}", info.id);
        }
    }
}

#[test]
fn no_path_reaches_two_functions_by_the_same_key() {
    let keys: Vec<String> = routes::of_template().into_iter().map(|r| r.key).collect();
    let distinct: BTreeSet<&String> = keys.iter().collect();
    assert_eq!(keys.len(), distinct.len());
    assert!(distinct.contains(&"$default".to_owned()), "unknown paths reach a function");
}

/// The function's variables as the template gives them; what only a deployment can know is taken from the seed.
fn vars_of(function: &FunctionSpec) -> Vars {
    let known = seed::variables("postgres://u@localhost/db", "redis://localhost:6379/0", "halyard");
    let value = |(name, value): (&String, &EnvValue)| match value {
        EnvValue::Known(text) if !text.contains("{{resolve:") => (name.clone(), text.clone()),
        _ => {
            let given = known.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
            let given = given.or_else(|| name.ends_with("_PASSWORD").then(|| "correct horse".to_owned()));
            (name.clone(), given.unwrap_or_else(|| panic!("{}: what is {name}?", function.id)))
        }
    };
    function.environment.iter().map(value).collect()
}

fn load(id: &str, vars: &Vars) -> Result<u32, ConfigError> {
    Ok(match id {
        "AuthFunction" => AuthConfig::load(vars)?.database.pool_size,
        "UsersFunction" => UsersConfig::load(vars)?.database.pool_size,
        "TasksFunction" => TasksConfig::load(vars)?.database.pool_size,
        "StatusFunction" => StatusConfig::load(vars)?.database.pool_size,
        "WorkerFunction" => WorkerConfig::load(vars)?.database.pool_size,
        "BeatFunction" => BeatConfig::load(vars)?.database.pool_size,
        "NotifierFunction" => NotifierConfig::load(vars)?.database.pool_size,
        "MigrateFunction" => MigrateConfig::load(vars)?.database.pool_size,
        "AuthorizerFunction" => AuthorizerConfig::load(vars).map(|_| 0)?,
        other => panic!("{other} is new: say here which configuration it reads"),
    })
}

#[test]
fn every_function_finds_the_variables_that_it_reads() {
    for function in routes::stack().functions.values() {
        if let Err(error) = load(&function.id, &vars_of(function)) {
            panic!("{}: {error}", function.id);
        }
    }
}

#[test]
fn every_way_in_goes_through_the_alias() {
    for function in routes::stack().functions.values() {
        assert_eq!(function.alias.as_deref(), Some("live"), "{}", function.id);
    }
    // Event sources and schedules inside a function go through its alias by SAM's own rule.
    let text = std::fs::read_to_string(routes::repository("infra/template.yaml")).expect("the template");
    let ways_in = text.lines().map(str::trim).filter(|line| {
        ["IntegrationUri:", "FunctionName:", "- Function:"].iter().any(|property| line.starts_with(property))
    });
    let (through, past): (Vec<_>, Vec<_>) = ways_in.partition(|line| line.ends_with("Function.Alias"));
    assert_eq!(past, Vec::<&str>::new(), "these lead past it");
    assert!(through.len() >= 10, "{through:#?}");
}

#[test]
fn a_function_takes_the_program_of_its_own_crate() {
    for function in routes::stack().functions.values() {
        let name = function.id.strip_suffix("Function").expect("a function's name").to_lowercase();
        let program = if name == "authorizer" { "halyard-authorizer".to_owned() } else { format!("halyard-fn-{name}") };
        assert_eq!(function.binary, program, "{}", function.id);
    }
}

#[test]
fn secrets_are_given_only_to_those_who_need_them() {
    let redis =
        ["AuthFunction", "UsersFunction", "TasksFunction", "StatusFunction", "BeatFunction", "AuthorizerFunction"];
    for (name, holders) in [
        ("TOKEN_SIGNING_KEY", &["AuthFunction"][..]),
        ("ACCOUNT_KEY", &["AuthFunction", "NotifierFunction"]),
        ("ADMIN_PASSWORD", &["MigrateFunction"]),
        ("REDIS_URL", &redis),
        ("REDIS_PASSWORD", &redis),
    ] {
        for function in routes::stack().functions.values().filter(|f| f.environment.contains_key(name)) {
            assert!(holders.contains(&function.id.as_str()), "{} is given {name}", function.id);
        }
    }
    let authorizer = &routes::stack().functions["AuthorizerFunction"];
    assert!(!authorizer.environment.contains_key("DATABASE_URL"), "the authorizer has no database");
}

#[test]
fn all_environments_together_stay_below_the_connections_that_the_database_has() {
    let mut sum = 0;
    for function in routes::stack().functions.values() {
        let pool = load(&function.id, &vars_of(function)).expect("a configuration");
        if pool > 0 {
            let environments = function.reserved_concurrency;
            let environments = environments.unwrap_or_else(|| panic!("{}: no limit of concurrency", function.id));
            sum += environments * pool;
        }
    }
    assert!(sum <= DATABASE_LIMIT, "{sum} connections, of {DATABASE_LIMIT}");
}

#[test]
fn a_lane_is_sure_of_its_share_of_the_worker() {
    let stack = routes::stack();
    let worker = stack.functions["WorkerFunction"].reserved_concurrency.expect("a reservation");
    let shares: Option<u32> =
        stack.mappings.iter().filter(|m| m.function == "WorkerFunction").map(|m| m.max_concurrency).sum();
    assert_eq!(shares, Some(worker), "the lanes' shares add up to the reservation");
    let lanes = stack.mappings.iter().filter(|mapping| mapping.function == "WorkerFunction").count();
    assert_eq!(lanes, 4, "one mapping for each lane");
    for mapping in &stack.mappings {
        assert!(mapping.reports_failures && mapping.enabled, "{}", mapping.id);
        let share = mapping.max_concurrency.expect("a share");
        assert!((2..=1000).contains(&share), "{}: AWS takes 2 to 1000", mapping.id);
    }
}

#[test]
fn a_message_stays_hidden_for_six_times_the_timeout_of_the_function_that_reads_it() {
    let stack = routes::stack();
    for mapping in &stack.mappings {
        let (queue, function) = (&stack.queues[&mapping.queue], &stack.functions[&mapping.function]);
        let least = function.timeout * 6 + mapping.batch.window;
        let least = if mapping.batch.window.is_zero() { function.timeout * 6 } else { least.min(function.timeout * 6) };
        assert!(queue.visibility >= least, "{}: {:?} for {:?}", queue.id, queue.visibility, function.timeout);
    }
}

#[test]
fn every_queue_that_is_read_has_a_dead_letter_queue_that_keeps_messages_longer() {
    let stack = routes::stack();
    for mapping in &stack.mappings {
        let queue = &stack.queues[&mapping.queue];
        let redrive = queue.redrive.as_ref().unwrap_or_else(|| panic!("{}: no dead-letter queue", queue.id));
        assert!(redrive.max_receive_count >= 5, "{}", queue.id);
        assert!(stack.queues[&redrive.queue].retention > queue.retention, "{}", queue.id);
    }
}

#[test]
fn tables_forget_by_the_attribute_that_the_code_writes() {
    for table in routes::stack().tables.values() {
        assert_eq!(table.partition_key, "pk", "{}", table.id);
        assert_eq!(table.sort_key.as_deref(), Some("sk"), "{}", table.id);
        assert_eq!(table.ttl_attribute.as_deref(), Some("expires_at"), "{}", table.id);
    }
}

#[test]
fn each_bucket_is_known_to_those_who_store_in_it_or_lead_there_and_every_bucket_that_is_named_is_there() {
    let stack = routes::stack();
    let named = |function: &FunctionSpec| -> Vec<EnvValue> {
        let buckets = function.environment.iter().filter(|(name, _)| name.ends_with("_BUCKET"));
        buckets.map(|(_, value)| value.clone()).collect()
    };
    let results = EnvValue::Known(stack.buckets["ResultsBucket"].name.clone());
    let given: Vec<&str> =
        stack.functions.values().filter(|f| named(f).contains(&results)).map(|f| f.id.as_str()).collect();
    assert_eq!(given, ["TasksFunction", "WorkerFunction"]);
    assert_eq!(stack.buckets.len(), 1, "say here who has the others");
    for function in stack.functions.values() {
        for value in named(function) {
            let there = stack.buckets.values().any(|bucket| value == EnvValue::Known(bucket.name.clone()));
            assert!(there, "{}: there is no bucket {value:?}", function.id);
        }
    }
}

#[test]
fn a_stored_result_is_kept_as_long_as_the_log_lines_of_its_task() {
    let days = routes::stack().buckets["ResultsBucket"].keep_days.map(i64::from);
    assert_eq!(days, Some(task_logs::RETENTION.num_days()));
}

#[test]
fn names_of_buckets_are_well_formed_in_every_region_for_every_stack_that_a_workflow_may_deploy() {
    let read = |file: &str| std::fs::read_to_string(routes::repository(file)).expect("a template");
    let longest = "[a-z][a-z0-9-]{1,26}";
    assert!(read("infra/oidc.yaml").contains(&format!("AllowedPattern: \"{longest}\"")), "{longest}");
    let template = Template::parse(&read("infra/template.yaml")).unwrap_or_else(|e| panic!("{e}"));
    for stack in ["halyard-prod".to_owned(), "h".repeat(27)] {
        let inputs = Inputs { stack, region: "ap-southeast-1".to_owned(), ..Inputs::default() };
        let stack = template.resolve(&inputs).unwrap_or_else(|e| panic!("{e}"));
        for name in stack.buckets.values().map(|bucket| &bucket.name) {
            let well_formed = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            assert!(well_formed && name.len() <= 63, "{name}: {}", name.len());
        }
    }
}

#[test]
fn beat_fires_every_minute_and_nobody_else_fires() {
    let schedules = routes::stack().schedules;
    assert_eq!(schedules.len(), 1);
    assert_eq!(schedules[0].function, "BeatFunction");
    assert_eq!(schedules[0].expression, ScheduleExpression::Rate(Duration::from_mins(1)));
}

#[test]
fn authorizers_are_the_three_of_the_design_over_one_function() {
    let api = routes::stack().api.expect("an API");
    for (id, source, ttl) in [
        ("BearerAuthorizer", &["$request.header.Authorization"][..], 5),
        ("CookieAuthorizer", &["$request.header.Cookie"], 5),
        ("OptionalAuthorizer", &[], 0),
    ] {
        let authorizer = &api.authorizers[id];
        assert_eq!(authorizer.function, "AuthorizerFunction", "{id}");
        assert_eq!(authorizer.identity_source, source, "{id}");
        assert_eq!(authorizer.ttl, Duration::from_secs(ttl), "{id}");
    }
    assert_eq!(api.authorizers.len(), 3);
}
