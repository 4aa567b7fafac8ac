//! Is the simulation worth anything? The platform with a fault in one statement, made on the wire: the seeds must find it.

use halyard_tests::{environment::variable, routes::repository};

use super::{on_ground, run::run, world::Ground};

/// What is said in the place of something else.
#[derive(Debug, Clone, Copy)]
pub struct Mutant {
    pub name: &'static str,
    /// In the statement.
    pub from: &'static str,
    pub to: &'static str,
}

const fn mutant(name: &'static str, from: &'static str, to: &'static str) -> Mutant {
    Mutant { name, from, to }
}

const MUTANTS: [Mutant; 20] = [
    mutant(
        "ends and renewals of stale attempts are taken",
        "t.lease_until is not null and t.fence = g.fence",
        "t.lease_until is not null",
    ),
    mutant("a retry owes no doorbell", "from done where ended_at is null", "from done where false"),
    mutant("a claim does not count its fence", "fence = t.fence + 1,", "fence = t.fence,"),
    mutant(
        "a claim leaves the doorbell",
        "delete from outbox where task_id = any (array(select id from picked))",
        "delete from outbox where false and task_id = any (array(select id from picked))",
    ),
    mutant(
        "steps do not learn that others have ended",
        "set waits_for = s.waits_for - g.by",
        "set waits_for = s.waits_for",
    ),
    mutant(
        "workers signal no ends of steps",
        "where workflow_id is not null and ended_at is not null",
        "where workflow_id is null and ended_at is not null",
    ),
    mutant(
        "the ends of steps are heard again",
        "where s.workflow_id = $1 and s.id = any ($6)",
        "where false and s.workflow_id = $1 and s.id = any ($6)",
    ),
    mutant(
        "concurrency keys do not limit",
        "else least($2, concurrency_room(groups.user_id, groups.key, groups.most))",
        "else $2",
    ),
    mutant(
        "cancelled tasks are not counted",
        "select user_id, task_type, date_trunc('hour', ended_at, 'UTC'), count(*) from ended",
        "select user_id, task_type, date_trunc('hour', ended_at, 'UTC'), 0 from ended",
    ),
    mutant(
        "cancelling takes what has ended",
        "(target.state in ('queued', 'scheduled', 'retrying') or ($5 and target.state = 'running'))",
        "(target.state <> 'running' or $5)",
    ),
    mutant(
        "the history forgets the ends of attempts",
        "select id, now, state, attempt, message from done",
        "select id, now, state, attempt, message from done where state <> 'retrying'",
    ),
    mutant(
        "what waits is not rung for again",
        "where ring_at <= coalesce($3::timestamptz, statement_timestamp()) - make_interval(secs => $1)",
        "where ring_at is null and $3::timestamptz is not null and make_interval(secs => $1) is not null",
    ),
    mutant(
        "leases do not run out",
        "where state = 'running' and lease_until < coalesce($2::timestamptz, statement_timestamp())",
        "where state = 'running' and lease_until is null and $2::timestamptz is not null",
    ),
    mutant(
        "what a webhook's endpoint refuses counts as taken",
        "claimed = false, state = j.becomes,",
        "claimed = false, state = case when j.becomes = 'owed' then 'owed' else 'delivered' end,",
    ),
    mutant(
        "two notifiers get one delivery",
        "due_at = at.now + make_interval(secs => $6)",
        "due_at = at.now + 0 * make_interval(secs => $6)",
    ),
    mutant(
        "a webhook whose notifier is killed is forgotten",
        "due_at = at.now + make_interval(secs => $6)",
        "due_at = '9999-12-31Z'::timestamptz + 0 * make_interval(secs => $6)",
    ),
    mutant(
        "a stale attempt's checkpoint is taken",
        "where t.id = g.id and t.id = any ($1) and t.lease_until is not null and t.fence = g.fence",
        "where t.id = g.id and t.id = any ($1) and t.lease_until is not null",
    ),
    mutant(
        "a checkpoint is dropped when its task is to be tried again",
        "checkpoint = coalesce(g.checkpoint::json, t.checkpoint),",
        "checkpoint = case when g.delay is null then coalesce(g.checkpoint::json, t.checkpoint) end,",
    ),
    mutant("nobody keeps what an attempt saves", "coalesce(g.checkpoint::json, t.checkpoint)", "t.checkpoint"),
    mutant(
        "whoever goes on begins anew",
        "t.checkpoint, t.created_at, t.available_at",
        "null::json as checkpoint, t.created_at, t.available_at",
    ),
];

/// Seeds within which each is found.
const WITHIN: u64 = 100;

fn is_found(mutant: Mutant) -> Option<u64> {
    on_ground(async |ground| {
        let ground = std::rc::Rc::new(Ground { mutant: Some(mutant), ..Ground::clone(&ground) });
        for seed in 0..WITHIN {
            let outcome = run(&ground, seed).await;
            if let Some(broken) = outcome.broken {
                eprintln!("{}: seed {seed}: {}", mutant.name, broken.lines().next().unwrap_or_default());
                return Some(seed);
            }
        }
        None
    })
}

/// A statement that is worded anew leaves its mutant without effect, which is found here and not in the night.
#[test]
fn each_fault_is_one_in_a_statement_that_is_there() {
    let queries = std::fs::read_dir(repository(".sqlx")).expect("what scripts/sqlx-prepare wrote");
    let query = |entry: std::io::Result<std::fs::DirEntry>| {
        let text = std::fs::read_to_string(entry.expect("an entry").path()).expect("a file");
        let said: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        said["query"].as_str().expect("a query").to_owned()
    };
    let queries: Vec<String> = queries.map(query).collect();
    let idle = MUTANTS.iter().filter(|mutant| !queries.iter().any(|query| query.contains(mutant.from)));
    assert_eq!(idle.map(|mutant| mutant.name).collect::<Vec<_>>(), Vec::<&str>::new());
}

/// `SIMULATION_MUTANTS=all`, or a part of their names: takes minutes, for one that is hard to find needs many seeds.
#[test]
fn the_seeds_find_what_is_wrong_on_purpose() {
    let Some(which) = variable("SIMULATION_MUTANTS") else { return };
    let asked = |mutant: &Mutant| which == "all" || mutant.name.contains(&which);
    let missed: Vec<&str> =
        MUTANTS.into_iter().filter(asked).filter(|m| is_found(*m).is_none()).map(|m| m.name).collect();
    assert!(missed.is_empty(), "not found: {missed:#?}");
}
