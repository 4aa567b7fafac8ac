//! What the last release asks of the database, against the schema of this build.

use std::collections::BTreeMap;

use halyard_tests::{TestDatabase, environment::Servers, seed};
use serde::Deserialize;
use sqlx::{AssertSqlSafe, Column as _, Either, Executor as _, PgConnection, SqlSafeStr as _, TypeInfo as _};

/// `tests/data/released.json`, as `scripts/release-queries` writes it.
#[derive(Debug, Deserialize)]
pub struct Released {
    pub release: String,
    pub migrations: Vec<ReleasedMigration>,
    pub queries: Vec<ReleasedQuery>,
}

#[derive(Debug, Deserialize)]
pub struct ReleasedMigration {
    pub version: i64,
    pub description: String,
    /// SHA-384 of the file, as sqlx notes it in the database.
    pub checksum: String,
}

#[derive(Debug, Deserialize)]
pub struct ReleasedQuery {
    pub query: String,
    parameters: Vec<String>,
    /// Name, type, and whether the code reads it as something that may be null; `None` where it was not known.
    columns: Vec<(String, String, Option<bool>)>,
}

impl Released {
    pub fn load() -> Self {
        serde_json::from_str(include_str!("../../data/released.json")).expect("what scripts/release-queries wrote")
    }
}

/// What the release could not do on this schema, one sentence each.
async fn complaints(connection: &mut PgConnection, released: &Released) -> Vec<String> {
    let mut complaints = Vec::new();
    for query in &released.queries {
        if let Err(why) = check(connection, query).await {
            complaints.push(format!("{why}, in: {}", query.query));
        }
    }
    complaints
}

async fn check(connection: &mut PgConnection, query: &ReleasedQuery) -> Result<(), String> {
    let sql = AssertSqlSafe(query.query.as_str()).into_sql_str();
    let now = connection.describe(sql).await.map_err(|e| format!("the database refuses it ({e})"))?;
    let Some(Either::Left(parameters)) = now.parameters() else {
        return Err("the database does not tell the parameters".to_owned());
    };
    let parameters: Vec<&str> = parameters.iter().map(sqlx::TypeInfo::name).collect();
    if parameters != query.parameters {
        return Err(format!("parameters were {:?} and are {parameters:?}", query.parameters));
    }
    if now.columns().len() != query.columns.len() {
        return Err(format!("columns were {} and are {}", query.columns.len(), now.columns().len()));
    }
    for (index, (name, kind, nullable)) in query.columns.iter().enumerate() {
        let column = now.column(index);
        let (is, was) = ((column.name(), column.type_info().name()), (name.as_str(), kind.as_str()));
        if is != was {
            return Err(format!("column {index} was {was:?} and is {is:?}"));
        }
        // Code that takes a null may well never get one; the other way round it fails to decode it.
        if *nullable == Some(false) && now.nullable(index) != Some(false) {
            return Err(format!("{name} was never null and may be now"));
        }
    }
    Ok(())
}

async fn newest() -> TestDatabase {
    TestDatabase::create(&Servers::from_env().database_url, seed::start()).await
}

#[tokio::test]
async fn the_queries_of_the_last_release_work_on_the_newest_schema() {
    let released = Released::load();
    assert!(released.queries.len() > 30, "only {} queries: was scripts/release-queries run?", released.queries.len());
    let database = newest().await;
    let complaints = complaints(&mut database.connect().await, &released).await;
    database.drop_now().await;
    assert!(complaints.is_empty(), "release {} would break:\n{}", released.release, complaints.join("\n\n"));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[test]
fn the_migrations_of_the_last_release_are_still_there_and_unchanged() {
    let present: BTreeMap<i64, String> =
        halyard_store::migrator().iter().map(|m| (m.version, hex(&m.checksum))).collect();
    for migration in Released::load().migrations {
        let name = format!("{:04}_{}", migration.version, migration.description);
        let checksum = present.get(&migration.version).unwrap_or_else(|| panic!("{name} is gone"));
        assert_eq!(*checksum, migration.checksum, "{name} was applied by others already: write a new one instead");
    }
}

/// What must be noticed: a step that the last release would not survive, and what the complaint says.
const BREAKING: [(&str, &str); 7] = [
    ("drop table nodes cascade", "relation \"nodes\" does not exist"),
    ("alter table tasks drop column checkpoint", "does not exist"),
    ("alter table tasks rename column lane to queue", "does not exist"),
    ("alter table users rename to accounts", "relation \"users\" does not exist"),
    ("alter table nodes alter column capacity type bigint", "\"INT4\""),
    ("alter table task_events alter column message drop not null", "message was never null and may be now"),
    ("drop function duration_bucket", "function duration_bucket"),
];

/// What must be let through.
const HARMLESS: [&str; 4] = [
    "alter table tasks add column region text",
    "alter table tasks add column hops integer not null default 0",
    "create table regions (region text primary key)",
    "create index tasks_by_type on tasks (task_type)",
];

#[tokio::test]
async fn a_step_that_the_last_release_would_not_survive_is_noticed() {
    let released = Released::load();
    for (step, expected) in BREAKING {
        let database = newest().await;
        let mut connection = database.connect().await;
        sqlx::raw_sql(step).execute(&mut connection).await.expect(step);
        let complaints = complaints(&mut connection, &released).await.join("\n");
        assert!(complaints.contains(expected), "after `{step}`: {complaints:?}");
        database.drop_now().await;
    }
}

#[tokio::test]
async fn a_step_that_only_adds_is_let_through() {
    let released = Released::load();
    let database = newest().await;
    let mut connection = database.connect().await;
    for step in HARMLESS {
        sqlx::raw_sql(step).execute(&mut connection).await.expect(step);
    }
    assert_eq!(complaints(&mut connection, &released).await, Vec::<String>::new());
    database.drop_now().await;
}
