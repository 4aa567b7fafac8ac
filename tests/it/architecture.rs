//! The arrows of the design, read from `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// What each room may build on. A room that is not listed here is new: think about its place first.
const ALLOWED: &[(&str, &[&str])] = &[
    ("halyard-domain", &[]),
    ("halyard-config", &["halyard-domain"]),
    ("halyard-auth", &["halyard-domain"]),
    ("halyard-reference", &[]),
    ("halyard-store", &["halyard-domain"]),
    ("halyard-cloud", &["halyard-domain"]),
    ("halyard-jobs", &["halyard-domain", "halyard-store", "halyard-cloud"]),
    ("halyard-mail", &["halyard-domain", "halyard-auth", "halyard-store", "halyard-cloud"]),
    ("halyard-webhook", &["halyard-domain"]),
    ("halyard-http", &["halyard-domain", "halyard-auth"]),
    ("halyard-platform", &["halyard-domain", "halyard-auth", "halyard-config", "halyard-cloud", "halyard-http"]),
    ("halyard-authorizer", &["halyard-domain", "halyard-auth", "halyard-config", "halyard-cloud", "halyard-platform"]),
];

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .other_options(vec!["--offline".to_owned(), "--locked".to_owned()])
        .exec()
        .expect("cargo metadata works")
}

/// Each workspace member with the members that its ordinary code depends on.
fn arrows(metadata: &Metadata) -> BTreeMap<String, BTreeSet<String>> {
    let members: BTreeSet<&str> = metadata.workspace_packages().iter().map(|p| p.name.as_str()).collect();
    metadata
        .workspace_packages()
        .into_iter()
        .map(|package| {
            let to = package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal);
            let to = to.filter(|d| members.contains(d.name.as_str())).map(|d| d.name.clone()).collect();
            (package.name.to_string(), to)
        })
        .collect()
}

/// Everything that a member's ordinary code links on this platform, by name.
fn linked(member: &str) -> BTreeSet<String> {
    let mut tree = std::process::Command::new(env!("CARGO"));
    tree.args([
        "tree",
        "--offline",
        "--locked",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--format",
        "{lib}",
        "-p",
        member,
    ]);
    let out = tree.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).output().expect("cargo tree runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).lines().map(|line| line.trim().replace('_', "-")).collect()
}

#[test]
fn every_arrow_points_towards_the_domain() {
    let arrows = arrows(&metadata());
    let mut wrong = Vec::new();
    for (from, tos) in &arrows {
        let allowed = ALLOWED.iter().find(|(room, _)| room == from).map(|(_, to)| *to);
        for to in tos {
            let fine = match allowed {
                Some(allowed) => allowed.contains(&to.as_str()),
                None if from.starts_with("halyard-fn-") => !to.starts_with("halyard-gateway") && to != "halyard-tests",
                None if from == "halyard-gateway" => to != "halyard-tests",
                None => from == "halyard-tests",
            };
            if !fine {
                wrong.push(format!("{from} -> {to}"));
            }
        }
    }
    assert!(wrong.is_empty(), "the design has no such arrows: {wrong:#?}");
}

#[test]
fn no_function_depends_on_another() {
    let arrows = arrows(&metadata());
    let is_function = |name: &str| name.starts_with("halyard-fn-") || name == "halyard-authorizer";
    for (from, tos) in arrows.iter().filter(|(from, _)| is_function(from)) {
        let others: Vec<_> = tos.iter().filter(|to| is_function(to)).collect();
        assert!(others.is_empty(), "{from} depends on the functions {others:?}");
    }
}

#[test]
fn the_authorizer_links_no_database_driver() {
    let linked = linked("halyard-authorizer");
    let drivers: Vec<_> = linked.iter().filter(|n| n.starts_with("sqlx") || *n == "halyard-store").collect();
    assert!(drivers.is_empty(), "the authorizer links {drivers:?}");
}

#[test]
fn the_domain_knows_no_io_no_async_and_no_framework() {
    let linked = linked("halyard-domain");
    for forbidden in ["tokio", "async-trait", "futures", "axum", "http", "hyper", "sqlx", "redis", "lambda-runtime"] {
        assert!(!linked.contains(forbidden), "the domain links {forbidden}");
    }
}

#[test]
fn the_auth_library_knows_no_http() {
    let linked = linked("halyard-auth");
    for forbidden in ["axum", "http", "hyper", "lambda-http"] {
        assert!(!linked.contains(forbidden), "halyard-auth links {forbidden}");
    }
}

#[test]
fn there_is_one_tls_stack_and_one_crypto_provider() {
    let all: BTreeSet<String> = metadata().workspace_packages().iter().flat_map(|p| linked(&p.name)).collect();
    for forbidden in ["ring", "openssl", "openssl-sys", "native-tls"] {
        assert!(!all.contains(forbidden), "{forbidden} is linked");
    }
}

#[test]
fn no_file_is_longer_than_five_hundred_lines() {
    let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut long = Vec::new();
    let mut todo: Vec<_> =
        ["authorizer", "functions", "localstack", "shared", "tests"].iter().map(|room| root.join(room)).collect();
    while let Some(directory) = todo.pop() {
        for entry in std::fs::read_dir(&directory).expect("a room").flatten() {
            let path = entry.path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let lines = std::fs::read_to_string(&path).expect("source text").lines().count();
                if lines > 500 {
                    long.push(format!("{}: {lines} lines", path.display()));
                }
            }
        }
    }
    assert!(long.is_empty(), "too long for one job: {long:#?}");
}
