//! The table twin on a file: what was answered is there after `kill -9`, and the sweep.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use chrono::DateTime;
use halyard_cloud::table::{Condition, Item, Table as _, TableError, TableName, TableTwin};
use halyard_tests::{environment::variable, scratch::Scratch};

use super::table::item;

/// Set for the process that the test kills.
const VICTIM: &str = "HALYARD_TEST_TABLE_FILE";

fn name() -> TableName {
    TableName("table".to_owned())
}

fn open(path: &Path) -> TableTwin {
    TableTwin::open(path, [name()]).expect("the file opens")
}

/// Writes from several tasks until it is killed; says each key once its put was answered.
async fn write_until_killed(path: &Path) {
    let twin = open(path);
    let writer = |task: usize| {
        let twin = twin.clone();
        async move {
            for n in 0.. {
                let key = format!("{task}-{n}");
                twin.put(&name(), item("p", &key, n), Condition::NotExists).await.expect("put");
                let mut out = std::io::stdout().lock();
                writeln!(out, "put {key}").and_then(|()| out.flush()).expect("said");
            }
        }
    };
    tokio::join!(writer(0), writer(1), writer(2));
}

#[tokio::test]
async fn what_was_answered_survives_a_kill() {
    if let Some(path) = variable(VICTIM) {
        return write_until_killed(Path::new(&path)).await;
    }
    let scratch = Scratch::new("tf");
    let path = scratch.path().join("tables.redb");
    // In the names of tests the crate's own name is left out.
    let module = module_path!().split_once("::").map_or("", |(_, module)| module);
    let mut victim = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", &format!("{module}::what_was_answered_survives_a_kill"), "--nocapture"])
        .env(VICTIM, &path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a second process");
    let mut said = Vec::new();
    let lines = BufReader::new(victim.stdout.take().expect("its output")).lines();
    for line in lines.map_while(Result::ok) {
        said.extend(line.split_once("put ").map(|(_, key)| key.to_owned()));
        if said.len() == 200 {
            victim.kill().expect("killed");
        }
    }
    victim.wait().expect("it has ended");
    assert!(said.len() >= 200, "it wrote {} items only", said.len());
    let twin = open(&path);
    for key in said {
        assert!(twin.get(&name(), "p", &key).await.expect("read").is_some(), "{key} was lost");
    }
}

#[tokio::test]
async fn what_was_put_is_there_when_the_file_is_opened_again() {
    let scratch = Scratch::new("tf");
    let path = scratch.path().join("tables.redb");
    let twin = open(&path);
    twin.put(&name(), item("p", "s", 3), Condition::NotExists).await.expect("put");
    drop(twin);
    let twin = open(&path);
    assert_eq!(twin.get(&name(), "p", "s").await.expect("read"), Some(item("p", "s", 3)));
}

#[tokio::test]
async fn a_file_that_is_open_elsewhere_is_refused_with_its_name() {
    let scratch = Scratch::new("tf");
    let path = scratch.path().join("tables.redb");
    let _first = open(&path);
    let second = TableTwin::open(&path, [name()]);
    let Err(TableError::Unavailable(why)) = second else { panic!("opened twice: {second:?}") };
    assert!(why.contains("tables.redb"), "{why}");
}

#[tokio::test]
async fn the_sweep_deletes_what_has_expired_and_nothing_else() {
    let twin = TableTwin::in_memory([name()]).expect("a twin");
    let expiring = |key: String, at: i64| Item { expires_at: Some(at), ..item("p", &key, 1) };
    let mut items: Vec<Item> = (0..1200).map(|n| expiring(format!("old-{n}"), 999)).collect();
    items.extend([expiring("now".to_owned(), 1000), expiring("later".to_owned(), 1001), item("p", "never", 1)]);
    twin.put_all(&name(), items).await.expect("put");
    let now = DateTime::from_timestamp(1000, 0).expect("a moment");
    assert_eq!(twin.sweep(now).await.expect("swept"), 1200);
    let left = twin.query(&name(), "p", None, 10).await.expect("queried").items;
    assert_eq!(left.iter().map(|i| i.sk.as_str()).collect::<Vec<_>>(), ["later", "never", "now"]);
    assert_eq!(twin.sweep(now).await.expect("swept"), 0);
}

#[test]
fn many_threads_with_runtimes_of_their_own_write_side_by_side() {
    let twin = TableTwin::in_memory([name()]).expect("a twin");
    block_on(twin.put(&name(), item("p", "s", 0), Condition::Always)).expect("put");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    increment(&twin);
                }
            });
        }
    });
    assert_eq!(block_on(twin.get(&name(), "p", "s")).expect("read").map(|i| i.version), Some(400));
}

fn increment(twin: &TableTwin) {
    loop {
        let read = block_on(twin.get(&name(), "p", "s")).expect("read").expect("an item").version;
        match block_on(twin.put(&name(), item("p", "s", read + 1), Condition::VersionIs(read))) {
            Ok(()) => return,
            Err(TableError::ConditionFailed) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}
