//! `docs/fidelity.md` against the tests: it may name no test that does not exist, and hide none that is left out.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use halyard_tests::left_out::{LEFT_OUT, Profile};

/// The columns of the tables that compare AWS with what plays it.
const COLUMNS: [&str; 5] = ["behaviour", "AWS", "our gateway and twins", "MiniStack", "`cargo lambda watch`"];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn page() -> String {
    fs::read_to_string(repository().join("docs/fidelity.md")).expect("docs/fidelity.md")
}

/// A table: its header and its rows, as cells.
struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

fn cells(line: &str) -> Vec<String> {
    line.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
}

fn tables(page: &str) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        match (line.starts_with('|'), inside) {
            (true, false) => tables.push(Table { header: cells(line), rows: Vec::new() }),
            (true, true) if line.starts_with("|---") => {}
            (true, true) => tables.last_mut().expect("a table").rows.push(cells(line)),
            (false, _) => {}
        }
        inside = line.starts_with('|');
    }
    tables
}

/// The sections of the page that compare AWS with what plays it.
const SECTIONS: [&str; 10] = [
    "API Gateway, HTTP API",
    "Lambda authorizers",
    "Lambda",
    "SQS event source mapping",
    "EventBridge",
    "SQS",
    "DynamoDB",
    "S3",
    "SES",
    "Deployment",
];

#[test]
fn every_section_compares_in_the_same_columns() {
    let page = page();
    let header = format!("| {} |", COLUMNS.join(" | "));
    for section in SECTIONS {
        let text = page.split(&format!("\n## {section}\n")).nth(1);
        let text = text.unwrap_or_else(|| panic!("docs/fidelity.md has no section {section}"));
        assert_eq!(text.lines().find(|line| line.starts_with('|')), Some(header.as_str()), "{section}");
    }
}

/// The rows of the comparison.
fn behaviours(page: &str) -> Vec<Vec<String>> {
    tables(page).into_iter().filter(|table| table.header == COLUMNS).flat_map(|table| table.rows).collect()
}

/// What stands in backquotes and looks like the name of a test.
fn named(text: &str) -> Vec<&str> {
    let is_path = |name: &str| {
        name.contains("::") && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | ' ' | '-'))
    };
    text.split('`').skip(1).step_by(2).filter(|name| is_path(name)).collect()
}

/// The tests of this program, by its own account.
fn own_tests() -> BTreeSet<String> {
    let program = std::env::current_exe().expect("this program");
    let listed = Command::new(program).args(["--list", "--format", "terse"]).output().expect("a list");
    let listed = String::from_utf8(listed.stdout).expect("text");
    listed.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect()
}

/// The tests of the other packages, as nextest names them: `package::program module::test`.
fn tests_of_others() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let metadata = cargo_metadata::MetadataCommand::new().no_deps().exec().expect("cargo metadata");
    for package in metadata.packages.iter().filter(|package| package.name.as_str() != env!("CARGO_PKG_NAME")) {
        for target in package.targets.iter().filter(|target| target.is_test()) {
            let root = target.src_path.as_std_path();
            let program = format!("{}::{}", package.name, target.name);
            found.extend(functions(root).into_iter().map(|test| format!("{program} {test}")));
            // A program of several files has a directory of its own, with a module in each file.
            if root.file_name().is_some_and(|name| name == "main.rs") {
                for file in fs::read_dir(root.parent().expect("a directory")).expect("read").flatten() {
                    let module = file.path().file_stem().expect("a name").to_string_lossy().into_owned();
                    let inside = functions(&file.path()).into_iter();
                    found.extend(inside.map(|test| format!("{program} {module}::{test}")));
                }
            }
        }
    }
    found
}

/// The functions of a file that are marked as tests.
fn functions(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).expect("a source file");
    let mut marked = false;
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            marked = true;
        } else if let Some((_, rest)) = line.split_once("fn ")
            && std::mem::take(&mut marked)
        {
            found.extend(rest.split(['(', '<']).next().map(str::to_owned));
        }
    }
    found
}

#[test]
fn every_test_that_is_named_exists() {
    let page = page();
    let tests: BTreeSet<String> = own_tests().into_iter().chain(tests_of_others()).collect();
    let missing: Vec<&str> = named(&page).into_iter().filter(|name| !tests.contains(*name)).collect();
    assert!(missing.is_empty(), "docs/fidelity.md names tests that do not exist: {missing:#?}");
}

#[test]
fn every_behaviour_says_where_it_is_documented_and_what_proves_it() {
    let page = page();
    let rows = behaviours(&page);
    assert!(rows.len() > 40, "{} rows", rows.len());
    for row in &rows {
        assert_eq!(row.len(), COLUMNS.len(), "cells: {row:?}");
        let [behaviour, aws, ours, ministack, watch] = row.as_slice() else { unreachable!("counted above") };
        assert!(![behaviour, aws, watch].iter().any(|cell| cell.is_empty()), "an empty cell: {row:?}");
        assert!(aws.contains("](https://docs.aws.amazon.com/"), "no page of AWS: {row:?}");
        assert!(!named(ours).is_empty(), "nothing proves ours: {row:?}");
        let left_out = |name: &str| LEFT_OUT.iter().any(|left| left.profile == Profile::Emulated && left.test == name);
        let ran = |name: &&str| {
            let there = ["e2e::", "emulated::", "contract::"].iter().any(|group| name.starts_with(group));
            there && !name.contains("::twin::") && !left_out(name)
        };
        let says = ministack.contains("**Differs**") || ministack.contains("not tried");
        assert!(
            says || named(ministack).iter().any(ran),
            "nothing ran against MiniStack, and nothing is said: {row:?}"
        );
    }
}

#[test]
fn what_is_left_out_is_said_with_its_reason() {
    let page = page();
    let tables = tables(&page);
    let table = tables.iter().find(|table| table.header == ["profile", "test", "reason"]).expect("the table");
    let said: Vec<(String, String, String)> =
        table.rows.iter().map(|row| (row[0].clone(), row[1].trim_matches('`').to_owned(), row[2].clone())).collect();
    let listed: Vec<(String, String, String)> =
        LEFT_OUT.iter().map(|left| (left.profile.to_string(), left.test.to_owned(), left.reason.to_owned())).collect();
    assert_eq!(said, listed, "docs/fidelity.md and tests/src/left_out.rs");
    let tests = own_tests();
    for left in LEFT_OUT {
        assert!(tests.contains(left.test) && left.test.starts_with("e2e::"), "{} is no end-to-end test", left.test);
    }
}

/// A contract that no row speaks of is a behaviour that somebody relies on and nobody wrote down.
#[test]
fn every_group_of_contract_tests_is_named() {
    let page = page();
    let group = |name: &str| name.rsplit_once("::").map(|(group, _)| group.to_owned());
    let written: BTreeSet<String> = named(&page).into_iter().filter_map(group).collect();
    let groups: BTreeSet<String> =
        own_tests().iter().filter(|name| name.starts_with("contract::")).filter_map(|name| group(name)).collect();
    let missing: Vec<&String> = groups.iter().filter(|group| !written.contains(*group)).collect();
    assert!(missing.is_empty(), "docs/fidelity.md names no test of {missing:?}");
}
