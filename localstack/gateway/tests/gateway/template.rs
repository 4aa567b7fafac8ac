//! What the loader makes of a template, and what it refuses.

use std::time::Duration;

use halyard_gateway::template::{
    BucketSpec, EnvValue, FunctionSpec, Inputs, RouteKey, ScheduleExpression, Stack, Template, Throttle,
};

const FIXTURE: &str = include_str!("../fixtures/everything.yaml");

fn resolve(text: &str) -> Result<Stack, String> {
    let inputs = Inputs { stack: "shop".to_owned(), ..Inputs::default() };
    Template::parse(text).and_then(|template| template.resolve(&inputs)).map_err(|e| e.to_string())
}

fn refused(from: &str, to: &str) -> String {
    assert!(FIXTURE.contains(from), "the fixture no longer has {from:?}");
    resolve(&FIXTURE.replacen(from, to, 1)).expect_err("the template should be refused")
}

#[test]
fn the_projects_own_template_is_understood() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../infra/template.yaml");
    let stack = Template::load(path).and_then(|t| t.resolve(&Inputs::default())).unwrap_or_else(|e| panic!("{e}"));
    let api = stack.api.expect("an API");
    assert!(api.routes.iter().any(|route| route.key == RouteKey::Default));
    assert!(stack.functions.values().any(|f| f.binary == "halyard-fn-worker"));
    assert!(stack.mappings.len() >= 4);
}

#[test]
fn references_become_names_urls_and_arns() {
    let stack = resolve(FIXTURE).unwrap_or_else(|e| panic!("{e}"));
    let work = &stack.functions["Work"];
    let known = |name: &str| match &work.environment[name] {
        EnvValue::Known(text) => text.clone(),
        EnvValue::Missing(reason) => panic!("{name}: {reason}"),
    };
    assert_eq!(known("QUEUE"), "http://sqs.localhost/000000000000/shop-jobs");
    assert_eq!(known("QUEUE_ARN"), "arn:aws:sqs:us-east-1:000000000000:shop-jobs");
    assert_eq!(known("TABLE"), "shop-Things");
    assert_eq!(known("PAPERS"), "shop-papers");
    assert_eq!(known("PAPERS_ARN"), "arn:aws:s3:::shop-papers");
    assert_eq!(known("WHERE"), "us-east-1/shop/${literal}/blue");
    assert_eq!(known("LEVEL"), "info");
    assert_eq!(known("SHARED"), "own value wins");
    assert_eq!(known("JOINED"), "a-small");
    assert_eq!(known("SIZE"), "7");
    assert_eq!(known("GUARD"), "arn:aws:lambda:us-east-1:000000000000:function:shop-Guard:live");
    assert!(!work.environment.contains_key("ABSENT") || known("ABSENT").is_empty());
    assert_eq!(work.timeout, Duration::from_secs(20));
    assert_eq!(work.reserved_concurrency, Some(7));
    assert_eq!(work.binary, "shop-worker");
    assert_eq!(stack.functions["Front"].binary, "front");
}

#[test]
fn an_alias_stands_for_the_function_that_publishes_it() {
    let stack = resolve(FIXTURE).unwrap_or_else(|e| panic!("{e}"));
    let aliases: Vec<_> = ["Guard", "Front"].iter().map(|id| stack.functions[*id].alias.as_deref()).collect();
    assert_eq!(aliases, [Some("live"), None]);
    let api = stack.api.expect("an API");
    for authorizer in api.authorizers.values() {
        assert_eq!(authorizer.function, "Guard", "{}", authorizer.id);
    }
}

#[test]
fn a_variable_that_has_no_value_here_is_marked_and_not_invented() {
    let stack = resolve(FIXTURE).unwrap_or_else(|e| panic!("{e}"));
    for name in ["SECRET", "BUCKET_POLICY", "LOOKED_UP"] {
        assert!(matches!(stack.functions["Work"].environment[name], EnvValue::Missing(_)), "{name}");
    }
}

#[test]
fn queues_mappings_tables_and_schedules_are_read() {
    let stack = resolve(FIXTURE).unwrap_or_else(|e| panic!("{e}"));
    let jobs = &stack.queues["Jobs"];
    assert_eq!((jobs.name.as_str(), jobs.visibility), ("shop-jobs", Duration::from_mins(2)));
    let redrive = jobs.redrive.as_ref().expect("a redrive policy");
    assert_eq!((redrive.queue.as_str(), redrive.max_receive_count), ("Dead", 5));
    let mapping = |id: &str| stack.mappings.iter().find(|m| m.id == id).expect("the mapping").clone();
    let own = mapping("Work.Jobs");
    assert_eq!((own.batch.size, own.max_concurrency, own.reports_failures), (10, Some(3), true));
    assert_eq!(mapping("Extra").batch.window, Duration::from_secs(2));
    let table = &stack.tables["Things"];
    assert_eq!((table.partition_key.as_str(), table.sort_key.as_deref()), ("pk", Some("sk")));
    assert_eq!(table.ttl_attribute.as_deref(), Some("expires_at"));
    let schedule = stack.schedules.iter().find(|s| s.id == "Work.Tick").expect("the schedule");
    assert_eq!(schedule.expression, ScheduleExpression::Rate(Duration::from_mins(1)));
    assert_eq!((stack.functions[&schedule.function].retries, stack.functions["Front"].retries), (0, 2));
    assert_eq!(stack.schedules.iter().find(|s| s.id == "Nightly").expect("the rule").name, "nightly");
}

#[test]
fn buckets_are_read_with_how_long_they_keep_an_object() {
    let stack = resolve(FIXTURE).unwrap_or_else(|e| panic!("{e}"));
    let bucket =
        |name: &str, keep_days| BucketSpec { name: name.to_owned(), arn: format!("arn:aws:s3:::{name}"), keep_days };
    assert_eq!(stack.buckets["Papers"], bucket("shop-papers", Some(30)));
    assert_eq!(stack.buckets["Stamps"], bucket("shop-stamps", None));
    assert_eq!(stack.buckets.len(), 2, "a policy is none");
}

#[test]
fn routes_know_function_authorizer_limit_and_throttle() {
    let stack = resolve(FIXTURE).unwrap_or_else(|e| panic!("{e}"));
    let api = stack.api.expect("an API");
    let route = |key: &str| api.routes.iter().find(|r| r.key.to_string() == key).expect("the route");
    assert_eq!(route("GET /things/{id}").function, "Front");
    assert_eq!(route("GET /things/{id}").authorizer.as_deref(), Some("Bearer"));
    assert_eq!(route("GET /things/{id}").timeout, Duration::from_secs(5));
    assert_eq!(route("GET /things/{id}").throttle, Some(Throttle { rate: 100.0, burst: 50 }));
    assert_eq!(route("GET /slow").throttle, Some(Throttle { rate: 1.0, burst: 2 }));
    assert_eq!(api.authorizers["Bearer"].ttl, Duration::from_secs(5));
    assert_eq!(api.authorizers["Open"].ttl, Duration::ZERO, "nothing to key a cache by");
}

#[test]
fn conditions_decide_what_is_there() {
    let stack = resolve(FIXTURE).unwrap_or_else(|e| panic!("{e}"));
    assert!(!stack.queues.contains_key("OnlyInProduction"));
    let mut inputs = Inputs { stack: "shop".to_owned(), ..Inputs::default() };
    inputs.parameters.insert("Stage".to_owned(), "production".to_owned());
    let stack = Template::parse(FIXTURE).and_then(|t| t.resolve(&inputs)).unwrap_or_else(|e| panic!("{e}"));
    assert!(stack.queues.contains_key("OnlyInProduction"));
}

#[test]
fn errors_name_the_resource_and_the_property() {
    let cases = [
        ("VisibilityTimeout: 120", "VisibilityTimeut: 120", "resource Jobs", "VisibilityTimeut"),
        ("BatchSize: 10", "FilterCriteria: {}", "resource Work, Events.Jobs.Properties", "FilterCriteria"),
        ("Queue: !GetAtt Jobs.Arn", "Queue: !GetAtt Jbos.Arn", "resource Work, Events.Jobs.Properties.Queue", "Jbos"),
        ("Timeout: 20", "Timeout: soon", "resource Work, Timeout", "soon"),
        ("IntegrationType: AWS_PROXY", "IntegrationType: HTTP_PROXY", "resource FrontIntegration", "AWS_PROXY"),
        ("GET /things/{id}", "GET /things/{id+}/x", "resource ThingRoute, RouteKey", "must stand last"),
        ("rate(1 minute)", "rate(1 minutes)", "resource Work, Events.Tick.Properties", "rate(1 minutes)"),
        ("MaximumConcurrency: 3", "MaximumConcurrency: 1", "resource Work.Jobs, ScalingConfig", "between 2"),
        ("VisibilityTimeout: 120", "VisibilityTimeout: 5", "resource Work.Jobs, Queue", "shorter"),
        ("Type: AWS::SQS::Queue", "Type: AWS::Kinesis::Stream", "Type", "no local counterpart"),
        ("Type: SQS", "Type: HttpApi", "Events.Jobs.Type", "AWS::ApiGatewayV2"),
        ("AuthorizerId: !Ref Bearer", "AuthorizerId: nobody", "resource ThingRoute, AuthorizerId", "nobody"),
        ("Function: !Ref Guard.Alias", "Function: !Ref Front.Alias", "Bearer, AuthorizerUri", "publishes no alias"),
        ("off, Status: Disabled", "off, Status: Enabled", "resource Papers, LifecycleConfiguration.Rules", "only one"),
        ("Prefix: papers/", "TagFilters: []", "resource Papers, LifecycleConfiguration.Rules", "TagFilters"),
        ("FunctionName: !Ref Front\n", "FunctionName: !Sub ${Front}:old\n", "Extra, FunctionName", "no alias old"),
    ];
    for (from, to, place, about) in cases {
        let error = refused(from, to);
        assert!(error.contains(place) && error.contains(about), "{to}: {error}");
    }
}

#[test]
fn parameters_are_checked() {
    let mut inputs = Inputs::default();
    inputs.parameters.insert("Stage".to_owned(), "moon".to_owned());
    let template = Template::parse(FIXTURE).expect("YAML");
    let error = template.resolve(&inputs).expect_err("not an allowed value").to_string();
    assert!(error.contains("Stage") && error.contains("moon"), "{error}");
    inputs.parameters = [("Stgae".to_owned(), "dev".to_owned())].into();
    let error = template.resolve(&inputs).expect_err("no such parameter").to_string();
    assert!(error.contains("Stgae"), "{error}");
}

#[test]
fn the_next_time_of_a_schedule() {
    let at = |text: &str| chrono::DateTime::parse_from_rfc3339(text).expect("a time").to_utc();
    let cases = [
        ("rate(5 minutes)", "2026-11-23T10:00:30Z", "2026-11-23T10:05:30Z"),
        ("cron(0 3 * * ? *)", "2026-11-23T10:00:00Z", "2026-11-24T03:00:00Z"),
        ("cron(0/15 * * * ? *)", "2026-11-23T10:15:00Z", "2026-11-23T10:30:00Z"),
        ("cron(30 8 ? * MON-FRI *)", "2026-11-20T08:30:00Z", "2026-11-23T08:30:00Z"),
        ("cron(0 0 29 2 ? *)", "2026-11-23T00:00:00Z", "2028-02-29T00:00:00Z"),
        ("cron(0 12 1 JAN,JUL ? 2027)", "2026-11-23T00:00:00Z", "2027-01-01T12:00:00Z"),
    ];
    for (expression, after, expected) in cases {
        let parsed: ScheduleExpression = expression.parse().unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(parsed.next(at(after)), Some(at(expected)), "{expression}");
    }
    for wrong in ["cron(0 0 * * * *)", "cron(0 0 L * ? *)", "rate(2 minute)", "every day", "cron(61 * * * ? *)"] {
        assert!(wrong.parse::<ScheduleExpression>().is_err(), "{wrong}");
    }
    let past: ScheduleExpression = "cron(0 0 1 1 ? 2020)".parse().unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(past.next(at("2026-11-23T00:00:00Z")), None);
}

/// Invariant 6: every environment that may exist at once has its pool, and the database takes so many connections.
#[test]
fn the_connections_of_all_environments_fit_the_database() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../infra/template.yaml");
    let stack = Template::load(path).and_then(|t| t.resolve(&Inputs::default())).unwrap_or_else(|e| panic!("{e}"));
    let connections = |function: &FunctionSpec| {
        if !function.environment.contains_key("DATABASE_URL") {
            return 0;
        }
        let EnvValue::Known(pool) = &function.environment["DATABASE_POOL_SIZE"] else { panic!("{}", function.id) };
        let environments = function.reserved_concurrency.unwrap_or_else(|| panic!("{} is not capped", function.id));
        environments * pool.parse::<u32>().expect("a number")
    };
    let sum: u32 = stack.functions.values().map(connections).sum();
    // PostgreSQL's default of 100, less three for the superuser.
    assert!(sum <= 97, "{sum} connections");
}
