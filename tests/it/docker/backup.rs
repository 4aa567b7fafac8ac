use std::fs;

use halyard_tests::{Scratch, wait};

use super::stack::{PATIENCE, Stack, completed_once, submit};
use crate::backups::CONTENT;

/// Tables that change only when somebody asks for something; nodes and statistics go on by themselves.
fn settled(lines: Vec<String>) -> Vec<String> {
    lines.into_iter().filter(|line| ["users ", "tasks ", "task_events "].iter().any(|t| line.starts_with(t))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_the_containers_is_restored_beside_and_in_place() {
    let (stack, files) = (Stack::find().await, Scratch::new("docker-backup"));
    let target = stack.target();
    let user = target.new_user("backed-up").await;
    let ids = submit(&user, 5, 0).await;
    completed_once(&target, &user, &ids).await;

    let made = stack.script("scripts/backup", &[&files.path().display().to_string()]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let dump = String::from_utf8_lossy(&made.stdout).trim().to_owned();
    let restore = |options: &[&str]| stack.script("scripts/restore", &[&[dump.as_str()], options].concat());
    let beside = restore(&["--into", "beside"]);
    assert!(beside.status.success(), "{}", String::from_utf8_lossy(&beside.stderr));
    let (original, copy) = (settled(stack.sql("halyard", CONTENT)), settled(stack.sql("beside", CONTENT)));
    stack.sql("postgres", "drop database beside");
    assert_eq!(original.len(), 3, "{original:?}");
    assert_eq!(copy, original);

    let later = target.new_user("after-backup").await;
    let refused = restore(&[]);
    assert!(!refused.status.success(), "it holds data");
    let replaced = restore(&["--replace"]);
    assert!(replaced.status.success(), "{}", String::from_utf8_lossy(&replaced.stderr));
    for name in stack.sql("postgres", "select datname from pg_database where datname like 'halyard_before_%'") {
        stack.sql("postgres", &format!("drop database {name}"));
    }
    // The nodes connect again by themselves. Who was there is there; who came later never was.
    stack.until_well().await;
    // A node that was connected to the old one says 503 once, and then connects to the new one.
    wait::until("the account to be there", PATIENCE, async || {
        let code = user.try_login().await.code();
        assert!(matches!(code, 200 | 503), "{code}");
        (code == 200).then_some(())
    })
    .await;
    stack.until_settled(&user).await;
    later.try_login().await.expect(401);
    assert_eq!(user.task(&ids[0]).await["status"], "completed");
    let id = submit(&user, 1, 0).await;
    completed_once(&target, &user, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_backup_of_the_containers_is_refused() {
    let (stack, files) = (Stack::find().await, Scratch::new("docker-backup"));
    let made = stack.script("scripts/backup", &[&files.path().display().to_string()]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let dump = String::from_utf8_lossy(&made.stdout).trim().to_owned();
    let mut bytes = fs::read(&dump).expect("the dump");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&dump, bytes).expect("it is written");
    let before = stack.sql("postgres", "select datname from pg_database order by 1");
    let refused = stack.script("scripts/restore", &[&dump, "--replace"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("is damaged"), "{said}");
    assert_eq!(stack.sql("postgres", "select datname from pg_database order by 1"), before);
}
