//! What AWS' own transform makes of the template: with a canary, and without.

use std::process::Command;

use halyard_tests::routes::repository;
use serde_json::Value;

/// The transform gets parameters, as CloudFormation gives them; code has been uploaded before it.
const TRANSFORM: &str = r"
import json, logging, os, sys
from types import SimpleNamespace
logging.disable(logging.CRITICAL)
os.environ['AWS_DEFAULT_REGION'] = 'eu-central-1'
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse
template = yaml_parse(open(sys.argv[1]).read())
for resource in template['Resources'].values():
    if resource['Type'] == 'AWS::Serverless::Function':
        resource['Properties']['CodeUri'] = 's3://bucket/' + os.path.basename(resource['Properties']['CodeUri'])
print(json.dumps(transform(template, json.loads(sys.argv[2]), SimpleNamespace(load=dict))['Resources'], default=str))
";

/// The resources of the transformed template.
fn transformed(parameters: &str) -> Value {
    let python = repository(".local/venv/bin/python");
    assert!(python.exists(), "this test needs AWS' transform: run it with `make test`, which installs it");
    let template = repository("infra/template.yaml");
    let done =
        Command::new(python).args(["-c", TRANSFORM]).arg(template).arg(parameters).output().expect("python runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).expect("resources")
}

fn of_kind<'r>(resources: &'r Value, kind: &str) -> Vec<(&'r str, &'r Value)> {
    let all = resources.as_object().expect("resources").iter();
    all.filter(|(_, resource)| resource["Type"] == kind).map(|(id, resource)| (id.as_str(), resource)).collect()
}

fn alias<'r>(resources: &'r Value, function: &str) -> &'r Value {
    &resources[format!("{function}Aliaslive")]
}

const GRADUAL: [&str; 7] = [
    "AuthFunction",
    "AuthorizerFunction",
    "NotifierFunction",
    "StatusFunction",
    "TasksFunction",
    "UsersFunction",
    "WorkerFunction",
];

#[test]
fn without_a_canary_there_is_nothing_of_codedeploy() {
    let resources = transformed("{}");
    let all = resources.as_object().expect("resources").values();
    let kinds: Vec<&str> = all.filter_map(|resource| resource["Type"].as_str()).collect();
    assert!(!kinds.iter().any(|kind| kind.starts_with("AWS::CodeDeploy::")), "{kinds:?}");
    assert_eq!(of_kind(&resources, "AWS::Lambda::Alias").len(), 9);
    for (id, alias) in of_kind(&resources, "AWS::Lambda::Alias") {
        assert!(alias["UpdatePolicy"].is_null(), "{id}");
    }
}

#[test]
fn a_canary_moves_each_function_that_callers_see_and_alarms_take_it_back() {
    let resources = transformed(r#"{"Canary": "Canary10Percent5Minutes"}"#);
    let groups = of_kind(&resources, "AWS::CodeDeploy::DeploymentGroup");
    let ids: Vec<&str> = groups.iter().map(|(id, _)| id.strip_suffix("DeploymentGroup").expect("a name")).collect();
    assert_eq!(ids, GRADUAL);
    for (id, group) in groups {
        let alarms = &group["Properties"]["AlarmConfiguration"]["Fn::If"];
        assert_eq!(alarms[0], "Gradual", "{id}");
        let names = alarms[1]["Alarms"].as_array().expect("alarms");
        assert!((2..=10).contains(&names.len()), "{id}: AWS takes ten at most: {names:?}");
        for name in names {
            let alarm = &resources[name["Name"]["Ref"].as_str().expect("an alarm of this template")];
            assert_eq!(alarm["Type"], "AWS::CloudWatch::Alarm", "{id}: {name}");
            // It stays up for as long as a dead letter lies there.
            assert_ne!(alarm["Properties"]["MetricName"], "ApproximateNumberOfMessagesVisible", "{id}: {name}");
        }
        let back = &group["Properties"]["AutoRollbackConfiguration"];
        assert!(back["Events"].to_string().contains("DEPLOYMENT_STOP_ON_ALARM"), "{id}: {back}");
    }
    for function in GRADUAL {
        assert!(alias(&resources, function)["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"].is_object(), "{function}");
    }
    for function in ["BeatFunction", "MigrateFunction"] {
        assert!(alias(&resources, function)["UpdatePolicy"].is_null(), "{function} moves at once");
    }
    assert!(resources["CodeDeployServiceRole"].is_null(), "SAM's own role may move more than these functions");
}

#[test]
fn a_new_release_publishes_a_new_version_of_every_function() {
    let versions = |release: &str| -> Vec<String> {
        let resources = transformed(&format!(r#"{{"Release": "{release}"}}"#));
        of_kind(&resources, "AWS::Lambda::Version").into_iter().map(|(id, _)| id.to_owned()).collect()
    };
    let (one, other) = (versions("0123456789abcdef"), versions("fedcba9876543210"));
    assert_eq!((one.len(), other.len()), (9, 9));
    assert!(one.iter().all(|version| !other.contains(version)), "{one:?} {other:?}");
    assert_eq!(one, versions("0123456789abcdef"), "the same release is the same version");
}

#[test]
fn the_schedule_and_every_queue_invoke_the_alias() {
    let resources = transformed("{}");
    let (mappings, rules) =
        (of_kind(&resources, "AWS::Lambda::EventSourceMapping"), of_kind(&resources, "AWS::Events::Rule"));
    assert_eq!((mappings.len(), rules.len()), (5, 1));
    for (id, mapping) in mappings {
        let of_webhooks = mapping["Properties"]["EventSourceArn"]["Fn::GetAtt"][0] == "CallbacksQueue";
        let function = if of_webhooks { "NotifierFunctionAliaslive" } else { "WorkerFunctionAliaslive" };
        assert_eq!(mapping["Properties"]["FunctionName"]["Ref"], function, "{id}");
    }
    for (id, rule) in rules {
        assert_eq!(rule["Properties"]["Targets"][0]["Arn"]["Ref"], "BeatFunctionAliaslive", "{id}");
    }
}
