//! What runs in the name of this repository is pinned: a tag can be moved, a commit cannot.

use std::path::{Path, PathBuf};

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|e| e == "yml" || e == "yaml") {
            found.push(path);
        }
    }
}

/// What is wrong with a reference to an action, as it stands after `uses:`.
fn complaint(reference: &str) -> Option<&'static str> {
    if reference.starts_with("./") {
        return None;
    }
    let (action, comment) = reference.split_once('#').unwrap_or((reference, ""));
    let Some((_, commit)) = action.trim().split_once('@') else { return Some("names no commit") };
    if commit.len() != 40 || !commit.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        return Some("is not pinned by a full commit");
    }
    let version = comment.trim().strip_prefix('v').is_some_and(|v| v.starts_with(|c: char| c.is_ascii_digit()));
    (!version).then_some("does not say its version in a comment")
}

#[test]
fn every_action_is_pinned_by_its_commit() {
    let mut found = Vec::new();
    files(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.github")), &mut found);
    let mut seen = 0;
    for file in &found {
        for line in std::fs::read_to_string(file).expect("a workflow").lines() {
            let Some((_, reference)) = line.split_once("uses:") else { continue };
            seen += 1;
            if let Some(complaint) = complaint(reference.trim()) {
                panic!("{}: {} {complaint}", file.display(), reference.trim());
            }
        }
    }
    assert!(seen > 10, "only {seen} actions in {} files", found.len());
}

#[test]
fn what_is_not_pinned_is_noticed() {
    let commit = "3d3c42e5aac5ba805825da76410c181273ba90b1";
    let cases = [
        (format!("actions/checkout@{commit} # v7.0.1"), None),
        ("./.github/actions/setup".to_owned(), None),
        ("actions/checkout@v7".to_owned(), Some("is not pinned by a full commit")),
        (format!("actions/checkout@{} # v7", &commit[..39]), Some("is not pinned by a full commit")),
        (format!("actions/checkout@{commit}"), Some("does not say its version in a comment")),
        ("actions/checkout".to_owned(), Some("names no commit")),
    ];
    for (reference, expected) in cases {
        assert_eq!(complaint(&reference), expected, "{reference}");
    }
}

/// The jobs of a workflow: their names and their lines.
fn jobs(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut jobs: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in text.split("\njobs:\n").nth(1).expect("jobs").lines() {
        match line.strip_prefix("  ").filter(|rest| !rest.starts_with([' ', '#'])) {
            Some(name) if !name.is_empty() => jobs.push((name.trim_end_matches(':'), Vec::new())),
            _ => jobs.last_mut().into_iter().for_each(|(_, lines)| lines.push(line)),
        }
    }
    jobs
}

/// What a job may do, as it says: nothing but rights one by one.
fn rights<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let at = lines.iter().position(|line| line.starts_with("    permissions:")).expect("a job says what it may do");
    assert_eq!(lines[at], "    permissions:", "rights are listed one by one");
    let listed = lines[at + 1..].iter().take_while(|line| line.starts_with("      "));
    listed.map(|line| line.trim()).filter(|line| !line.starts_with('#')).collect()
}

#[test]
fn no_job_has_more_rights_than_it_needs() {
    let mut found = Vec::new();
    files(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.github/workflows")), &mut found);
    let mut writers = Vec::new();
    for file in &found {
        let name = file.file_stem().and_then(|name| name.to_str()).expect("a name");
        let text = std::fs::read_to_string(file).expect("a workflow");
        assert!(text.contains("\npermissions: {}\n"), "{name}: by default a job may do nothing");
        for (job, lines) in jobs(&text) {
            let rights = rights(&lines);
            assert_eq!(rights.first(), Some(&"contents: read"), "{name}/{job}");
            writers.extend(rights[1..].iter().map(|right| format!("{name}/{job} {right}")));
        }
    }
    assert_eq!(writers, ["deploy/deploy id-token: write"]);
}

#[test]
fn nothing_is_deployed_by_a_push_before_its_tests_are_green() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../.github/workflows/deploy.yml");
    let text = std::fs::read_to_string(path).expect("a workflow");
    let jobs = jobs(&text);
    let lines = |name: &str| &jobs.iter().find(|(job, _)| *job == name).expect("a job").1;
    assert!(lines("checks").contains(&"    uses: ./.github/workflows/ci.yml"));
    assert!(lines("deploy").contains(&"    needs: [checks, package]"));
    let condition = lines("deploy").iter().find(|line| line.starts_with("    if:")).expect("a condition");
    assert!(condition.contains("needs.checks.result == 'success'"), "{condition}");
}
