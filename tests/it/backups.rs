//! `make backup` and `make restore`, with any database by its URL.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use halyard_tests::{PrivatePostgres, Scratch, TestApp, routes::repository};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

/// Each table with the number of its rows and a checksum of everything in them.
pub const CONTENT: &str = "select format('%s %s %s', tablename, (xpath('/row/n/text()', answer))[1], \
     (xpath('/row/sum/text()', answer))[1]) from pg_tables, lateral query_to_xml(format( \
     'select count(*) n, md5(string_agg(t::text, chr(10) order by t::text)) sum from public.%I t', tablename), \
     false, true, '') answer where schemaname = 'public' order by 1";

/// A server with an application's database in it, full of what an application writes.
struct Subject {
    server: PrivatePostgres,
    app: TestApp,
    files: Scratch,
}

impl Subject {
    async fn new() -> Self {
        let server = PrivatePostgres::start().await;
        let app = TestApp::builder().postgres(&server).live().spawn().await;
        let user = app.user().await;
        for number in 0..5 {
            let message = format!("number {number}: 'quoted', \\. and \n lines, ünïcode");
            let id = user.submit(json!({"task_type": "sample", "data": {"message": message}})).await;
            app.until_state(&user, &id, "completed", Duration::from_secs(30)).await;
        }
        Self { server, app, files: Scratch::new("backup") }
    }

    fn url(&self) -> String {
        self.app.database().url()
    }

    fn run(&self, script: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(repository(script));
        command.args(arguments).env("DATABASE_URL", self.url()).env_remove("SOURCE");
        command.output().expect("the script runs")
    }

    fn backup(&self) -> PathBuf {
        let made = self.run("scripts/backup", &[&self.files.path().display().to_string()]);
        assert!(made.status.success(), "{}", words(&made));
        String::from_utf8_lossy(&made.stdout).trim().into()
    }

    fn restore(&self, dump: &Path, options: &[&str]) -> Output {
        self.run("scripts/restore", &[&[&*dump.display().to_string()], options].concat())
    }

    async fn content(&self, database: &str) -> Vec<String> {
        let (base, _) =
            self.server.url().rsplit_once('/').map(|(base, name)| (base.to_owned(), name.to_owned())).expect("a URL");
        let mut connection = PgConnection::connect(&format!("{base}/{database}")).await.expect("the database");
        sqlx::query_scalar(CONTENT).fetch_all(&mut connection).await.expect("the content")
    }

    async fn databases(&self) -> Vec<String> {
        let mut connection = PgConnection::connect(&self.server.url()).await.expect("the server");
        let names = sqlx::query_scalar("select datname::text from pg_database order by 1");
        names.fetch_all(&mut connection).await.expect("the databases")
    }

    fn name(&self) -> String {
        self.url().rsplit_once('/').expect("a URL").1.to_owned()
    }
}

fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_restored_into_a_fresh_database_holds_the_same_rows() {
    let subject = Subject::new().await;
    let dump = subject.backup();
    let before = subject.content(&subject.name()).await;
    let text = fs::read_to_string(dump.with_extension("json")).expect("what the backup says of itself");
    let about: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(about["schema_version"], halyard_store::migrator().iter().map(|m| m.version).max().unwrap_or_default());
    assert_eq!(about["rows"]["public.tasks"], 5, "{about}");

    let restored = subject.restore(&dump, &["--into", "fresh"]);
    assert!(restored.status.success(), "{}", words(&restored));
    let after = subject.content("fresh").await;
    assert!(before.len() > 5 && before.iter().any(|line| line.starts_with("tasks 5 ")), "{before:#?}");
    assert_eq!(after, before);
    // And again: that one holds data now.
    let again = subject.restore(&dump, &["--into", "fresh"]);
    assert!(!again.status.success() && words(&again).contains("was not touched"), "{}", words(&again));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_backup_is_refused_before_anything_is_made() {
    let subject = Subject::new().await;
    let dump = subject.backup();
    let databases = subject.databases().await;
    for file in [dump.clone(), dump.with_extension("json")] {
        let good = fs::read(&file).expect("the file");
        let mut bad = good.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 1;
        fs::write(&file, bad).expect("it is written");
        let refused = subject.restore(&dump, &["--into", "fresh"]);
        assert!(!refused.status.success() && words(&refused).contains("is damaged"), "{}", words(&refused));
        fs::write(&file, &good[..middle]).expect("it is written");
        let refused = subject.restore(&dump, &["--into", "fresh"]);
        assert!(!refused.status.success() && words(&refused).contains("is damaged"), "{}", words(&refused));
        fs::write(&file, good).expect("it is written");
    }
    fs::remove_file(dump.with_extension("sha256")).expect("it is there");
    let refused = subject.restore(&dump, &["--into", "fresh"]);
    assert!(!refused.status.success() && words(&refused).contains("is not there"), "{}", words(&refused));
    assert_eq!(subject.databases().await, databases);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_with_tables_is_replaced_only_when_told_and_kept_even_then() {
    let subject = Subject::new().await;
    let dump = subject.backup();
    let (name, then) = (subject.name(), subject.content(&subject.name()).await);
    let mut connection = subject.app.database().connect().await;
    sqlx::query("delete from task_events").execute(&mut connection).await.expect("something is lost");
    let now = subject.content(&name).await;
    assert_ne!(now, then);

    let refused = subject.restore(&dump, &[]);
    assert!(!refused.status.success() && words(&refused).contains("was not touched"), "{}", words(&refused));
    assert_eq!(subject.content(&name).await, now);

    let replaced = subject.restore(&dump, &["--replace"]);
    assert!(replaced.status.success(), "{}", words(&replaced));
    assert_eq!(subject.content(&name).await, then);
    let databases = subject.databases().await;
    let kept = databases.iter().find(|d| d.starts_with(&format!("{name}_before_"))).expect("the old one is kept");
    assert_eq!(subject.content(kept).await, now);
    // Whoever was connected comes back by themselves.
    subject.app.until_ok("/health/status").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_newer_schema_is_refused() {
    let subject = Subject::new().await;
    let mut connection = subject.app.database().connect().await;
    sqlx::query(
        "update _sqlx_migrations set version = 999999 where version = (select max(version) from _sqlx_migrations)",
    )
    .execute(&mut connection)
    .await
    .expect("a version of the future");
    let refused = subject.restore(&subject.backup(), &["--into", "fresh"]);
    assert!(!refused.status.success() && words(&refused).contains("version 999999"), "{}", words(&refused));
}
