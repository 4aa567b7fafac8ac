//! What a migration may say. What takes something away that the last release may use is a contract step, and says so in
//! its name and in its first line; what would stop writers for long is done without.

use std::collections::BTreeSet;

use super::statements::{items, split};

/// What is wrong with a script as an expand step, one sentence each.
pub fn objections(sql: &str) -> Vec<String> {
    let statements = split(sql);
    let words: Vec<Vec<&str>> = statements.iter().map(|s| s.iter().map(String::as_str).collect()).collect();
    // A table that the same script makes holds nothing yet, and nobody knows it.
    let made: BTreeSet<&str> = words.iter().filter_map(|words| made_table(words)).collect();
    let objection = |(statement, words): (&Vec<String>, &Vec<&str>)| {
        let why = judge(statement, words, &made)?;
        Some(format!("{why}: {}", statement.join(" ")))
    };
    statements.iter().zip(&words).filter_map(objection).collect()
}

fn made_table<'a>(words: &[&'a str]) -> Option<&'a str> {
    let at = words.iter().position(|word| *word == "table")?;
    let makes = words.first() == Some(&"create") && at <= 2;
    let name = words[at + 1..].iter().find(|word| !["if", "not", "exists"].contains(word));
    makes.then(|| name.copied()).flatten()
}

fn judge(statement: &[String], words: &[&str], made: &BTreeSet<&str>) -> Option<&'static str> {
    match words {
        ["drop", ..] => Some("drops something"),
        ["truncate" | "delete", ..] => Some("deletes rows"),
        ["with", ..] if words.contains(&"delete") => Some("deletes rows"),
        ["do", ..] => Some("does what cannot be read here"),
        ["revoke", ..] => Some("takes a right away"),
        ["cluster" | "vacuum" | "lock", ..] => Some("locks out readers"),
        ["alter", "table", ..] => {
            let table = 2 + words[2..].iter().position(|w| !["if", "exists", "only"].contains(w))?;
            let actions = || items(&statement[table + 1..]).into_iter().find_map(judge_action);
            (!made.contains(words[table])).then(actions).flatten()
        }
        ["alter", ..] if words.contains(&"rename") => Some("renames something"),
        ["alter", ..] => Some("changes something other than a table"),
        ["create", "unique", "index", ..] | ["create", "index", ..] => judge_index(words, made),
        ["create", "trigger", ..] | ["create", "or", "replace", "trigger", ..] => {
            let table = words.iter().position(|word| *word == "on").and_then(|at| words.get(at + 1))?;
            (!made.contains(table)).then_some("changes what writes do")
        }
        _ => None,
    }
}

/// One of the actions of `alter table t ...`.
fn judge_action(action: &[String]) -> Option<&'static str> {
    let words: Vec<&str> = action.iter().map(String::as_str).collect();
    let has = |run: &[&str]| words.windows(run.len()).any(|window| window == run);
    match words.as_slice() {
        ["drop", ..] => Some("drops something"),
        ["rename", ..] | ["set", "schema", ..] => Some("renames something"),
        ["set", "logged" | "unlogged" | "access" | "tablespace", ..] => Some("locks out readers"),
        ["alter", ..] if has(&["type"]) => Some("changes a type"),
        ["alter", ..] if has(&["set", "not", "null"]) => Some("refuses nulls that the last release may write"),
        ["alter", ..] if has(&["drop", "not", "null"]) => Some("allows nulls that the last release cannot read"),
        ["alter", ..] if has(&["drop"]) => Some("drops something"),
        ["add", what, ..] if ["constraint", "check", "unique", "primary", "foreign", "exclude"].contains(what) => {
            Some("refuses rows that the last release may write")
        }
        // A constant is kept once; anything computed is written into every row, and nobody gets in meanwhile.
        ["add", ..] if computes(&words) => Some("locks out readers"),
        ["add", ..] => {
            let filled = has(&["default"]);
            let refuses =
                has(&["not", "null"]) && !filled || has(&["unique"]) || has(&["check"]) || has(&["references"]);
            refuses.then_some("refuses rows that the last release may write")
        }
        ["disable" | "enable" | "force" | "no" | "inherit" | "attach" | "detach" | "owner", ..] => {
            Some("changes what reads or writes do")
        }
        _ => None,
    }
}

/// Does a column's definition have a default that is not a constant? `now()` counts as one: it is asked once.
fn computes(words: &[&str]) -> bool {
    let default = words.iter().position(|word| *word == "default").map(|at| &words[at + 1..]);
    let called = default.and_then(|value| value.windows(2).find(|pair| pair[1] == "(")).map(|pair| pair[0]);
    words.contains(&"generated") || called.is_some_and(|function| function != "now")
}

fn judge_index(words: &[&str], made: &BTreeSet<&str>) -> Option<&'static str> {
    let table = words.iter().position(|word| *word == "on").and_then(|at| words.get(at + 1))?;
    if made.contains(table) {
        return None;
    }
    if words[1] == "unique" {
        return Some("refuses rows that the last release may write");
    }
    // A file that is one `create index concurrently` begins with `-- no-transaction`.
    (!words.contains(&"concurrently")).then_some("stops writers while the index is built (say concurrently)")
}

const REFUSED: [(&str, &str); 28] = [
    ("drop table nodes", "drops something"),
    ("DROP INDEX tasks_by_user", "drops something"),
    ("drop function if exists duration_bucket", "drops something"),
    ("truncate tasks", "deletes rows"),
    ("delete from tasks", "deletes rows"),
    ("alter table tasks drop column lane", "drops something"),
    ("alter table if exists only tasks add column x int, drop constraint tasks_lane_check", "drops something"),
    ("alter table tasks rename column lane to queue", "renames something"),
    ("alter table tasks rename to jobs", "renames something"),
    ("alter index tasks_by_user rename to x", "renames something"),
    ("alter table tasks alter column lane type varchar(8)", "changes a type"),
    ("alter table tasks alter lane set data type varchar(8)", "changes a type"),
    ("alter table tasks alter column error set not null", "refuses nulls"),
    ("alter table tasks alter column lane drop not null", "allows nulls"),
    ("alter table tasks alter column failures drop default", "drops something"),
    ("alter table tasks add column region text not null", "refuses rows"),
    ("alter table tasks add column a int default 0, add column b int not null", "refuses rows"),
    ("alter table tasks add region text unique", "refuses rows"),
    ("alter table tasks add constraint c check (priority > 0) not valid", "refuses rows"),
    ("create unique index u on tasks (request_id)", "refuses rows"),
    ("create index tasks_by_type on tasks (task_type)", "stops writers"),
    ("with old as (delete from tasks returning *) select * from old", "deletes rows"),
    ("do $$ begin drop table tasks; end $$", "does what cannot be read"),
    ("alter table tasks set schema archive", "renames something"),
    ("alter table tasks set unlogged", "locks out readers"),
    ("alter table tasks add column x uuid default gen_random_uuid()", "locks out readers"),
    ("alter table tasks add column x int generated always as (priority * 2) stored", "locks out readers"),
    ("create trigger t before insert on tasks execute function f()", "changes what writes do"),
];

const ACCEPTED: [&str; 10] = [
    "alter table tasks add column region text",
    "alter table tasks add column hops integer not null default 0, add column seen timestamptz",
    "alter table tasks alter column failures set default 1",
    "alter table tasks set (fillfactor = 70)",
    "create index concurrently if not exists tasks_by_type on tasks (task_type)",
    "create table t (id bigint primary key, name text not null unique); create unique index i on t (name);\
     alter table t add constraint c check (id > 0)",
    "create table t (id bigint); create trigger g before update on t execute function f()",
    "insert into lanes (lane) values ('drop table lanes')",
    "update tasks set progress = '{}' where progress is null",
    "-- drop table tasks\ncreate or replace function f() returns int language sql as $$ select 1; $$",
];

#[test]
fn a_step_that_takes_something_away_is_refused() {
    for (sql, expected) in REFUSED {
        let objections = objections(sql);
        assert!(objections.len() == 1 && objections[0].starts_with(expected), "{sql}: {objections:?}");
    }
}

#[test]
fn a_step_that_adds_is_accepted() {
    for sql in ACCEPTED {
        assert_eq!(objections(sql), Vec::<String>::new(), "{sql}");
    }
}
