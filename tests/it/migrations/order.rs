//! Contract steps come at least one release after their expand step.

use halyard_store::migrator;

use super::{released::Released, rules::objections};

/// A migration, as its file has it.
struct Step<'a> {
    version: i64,
    description: &'a str,
    sql: &'a str,
}

/// What is wrong with a step. `released`: the versions that the last release brought.
///
/// A contract step is called `NNNN_contract_....sql` and begins with `-- contract of MMMM: why nothing uses it any more`,
/// where MMMM is the expand step, which is in an earlier release.
///
/// An expand step may do what is objected to when it says why the last release survives it, in a line
/// `-- accepted, <objection>: <why>`.
fn complaints(step: &Step<'_>, released: &[i64]) -> Vec<String> {
    let name = format!("{:04}_{}.sql", step.version, step.description.replace(' ', "_"));
    let objections = objections(step.sql);
    if !step.description.starts_with("contract ") {
        let accepted: Vec<&str> = accepted(step.sql).collect();
        let refused = objections.iter().filter(|o| !accepted.iter().any(|a| o.starts_with(a)));
        let idle = accepted.iter().filter(|a| !objections.iter().any(|o| o.starts_with(**a)));
        let refused = refused.map(|o| format!("{name} {o}"));
        return refused.chain(idle.map(|a| format!("{name} accepts what it does not do: {a}"))).collect();
    }
    let first = step.sql.lines().next().unwrap_or_default();
    let declared = first.strip_prefix("-- contract of ").and_then(|rest| rest.split_once(": "));
    let expand = declared.filter(|(_, why)| !why.trim().is_empty()).and_then(|(number, _)| number.parse::<i64>().ok());
    match expand {
        None => vec![format!("{name} does not begin with `-- contract of <version>: <why>`")],
        Some(expand) if !released.contains(&expand) => {
            vec![format!("{name} takes away what {expand:04} began, which is in no earlier release")]
        }
        Some(_) if objections.is_empty() => vec![format!("{name} takes nothing away: it is no contract step")],
        Some(_) => Vec::new(),
    }
}

/// The objections that a step accepts with a reason.
fn accepted(sql: &str) -> impl Iterator<Item = &str> {
    let declared = sql.lines().filter_map(|line| line.strip_prefix("-- accepted, ")?.split_once(": "));
    declared.filter(|(_, why)| !why.trim().is_empty()).map(|(objection, _)| objection)
}

#[test]
fn migrations_expand_and_contract_only_what_an_earlier_release_has_left() {
    let released: Vec<i64> = Released::load().migrations.iter().map(|m| m.version).collect();
    let steps =
        migrator().iter().map(|m| Step { version: m.version, description: &m.description, sql: m.sql.as_str() });
    let complaints: Vec<String> = steps.flat_map(|step| complaints(&step, &released)).collect();
    assert!(complaints.is_empty(), "expand first, contract a release later:\n{}", complaints.join("\n"));
}

#[test]
fn versions_have_four_digits_and_no_gaps() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations");
    let names = std::fs::read_dir(directory).expect("migrations").flatten().map(|f| f.file_name());
    let mut names: Vec<String> = names.map(|n| n.to_string_lossy().into_owned()).collect();
    names.sort();
    for (index, name) in names.iter().enumerate() {
        assert!(name.starts_with(&format!("{:04}_", index + 1)), "{name} at {}", index + 1);
    }
    assert_eq!(names.len(), migrator().iter().count());
}

#[test]
fn a_contract_step_says_so_and_waits_for_a_release() {
    let drop = "alter table tasks drop column error";
    let marked = format!("-- contract of 0002: nothing reads it since 0.2.0\n{drop}");
    let too_early = format!("-- contract of 0009: nothing reads it\n{drop}");
    let no_reason = format!("-- contract of 0002: \n{drop}");
    let cases = [
        ("task errors", drop, "drops something"),
        ("contract task errors", drop, "does not begin with"),
        ("contract task errors", &no_reason, "does not begin with"),
        ("contract task errors", &too_early, "in no earlier release"),
        ("contract nothing", "-- contract of 0002: nothing\nselect 1", "takes nothing away"),
        ("task errors", &marked, "drops something"),
    ];
    for (description, sql, expected) in cases {
        let found = complaints(&Step { version: 10, description, sql }, &[1, 2, 3]).join("\n");
        assert!(found.contains(expected), "{description}, {sql}: {found}");
    }
    let fine = Step { version: 10, description: "contract task errors", sql: &marked };
    assert_eq!(complaints(&fine, &[1, 2, 3]), Vec::<String>::new());
}

#[test]
fn an_expand_step_may_do_what_it_gives_a_reason_for_and_nothing_more() {
    let trigger = "create trigger t before insert on tasks for each row execute function f()";
    let objection = "changes what writes do";
    let cases = [
        (format!("-- accepted, {objection}: it only adds a time\n{trigger}"), vec![]),
        (format!("-- accepted, {objection}: \n{trigger}"), vec![objection]),
        (
            format!("-- accepted, drops something: nobody reads it\n{trigger}"),
            vec![objection, "accepts what it does not"],
        ),
        (
            format!("-- accepted, {objection}: it only adds a time\n{trigger}; drop table tasks"),
            vec!["drops something"],
        ),
    ];
    for (sql, expected) in cases {
        let found = complaints(&Step { version: 10, description: "task times", sql: &sql }, &[1, 2, 3]);
        assert_eq!(found.len(), expected.len(), "{sql}: {found:?}");
        assert!(expected.iter().all(|text| found.iter().any(|f| f.contains(text))), "{sql}: {found:?}");
    }
}
