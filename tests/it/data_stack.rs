//! `infra/data.yaml` against what it is for.

use std::collections::BTreeSet;

/// The names directly under a top-level section.
fn names(template: &str, section: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(format!("{}/../infra/{template}", env!("CARGO_MANIFEST_DIR"))).expect(template);
    let lines = text.lines().skip_while(|line| *line != format!("{section}:")).skip(1);
    let lines = lines.take_while(|line| line.is_empty() || line.starts_with([' ', '#']));
    let own = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   ") && line.ends_with(':'));
    own.map(|line| line.trim().trim_end_matches(':').to_owned()).collect()
}

#[test]
fn every_output_of_the_data_stack_is_a_parameter_of_the_application() {
    let (outputs, parameters) = (names("data.yaml", "Outputs"), names("template.yaml", "Parameters"));
    let unknown: Vec<_> = outputs.difference(&parameters).collect();
    assert!(unknown.is_empty(), "the application has no parameters {unknown:?}");
    for needed in ["DatabaseUrl", "RedisUrl", "SecretsPrefix", "SubnetIds", "SecurityGroupIds"] {
        assert!(outputs.contains(needed), "the data stack does not say {needed}");
    }
}

#[test]
fn each_secret_that_a_function_reads_is_made_by_the_data_stack() {
    let read = |name: &str| {
        std::fs::read_to_string(format!("{}/../infra/{name}", env!("CARGO_MANIFEST_DIR"))).expect("a template")
    };
    let (application, data) = (read("template.yaml"), read("data.yaml"));
    let references = application.split("secretsmanager:${SecretsPrefix}/").skip(1);
    let secrets: BTreeSet<&str> = references.filter_map(|rest| rest.split(['#', '"']).next()).collect();
    assert!(secrets.contains("database"), "{secrets:?}");
    for secret in secrets {
        assert!(data.contains(&format!("Name: !Sub ${{SecretsPrefix}}/{secret}\n")), "nobody makes {secret}");
    }
}
