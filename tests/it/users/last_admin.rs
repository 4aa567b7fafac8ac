//! There is always an administrator who can sign in.

use serde_json::json;

use super::{app, path_of, read, with_rights};
use crate::assert_snapshot;

const ADMINS: &str = "select count(*) from users where role = 'admin' and status = 'active'";

#[tokio::test]
async fn the_last_administrator_can_neither_be_disabled_nor_demoted() {
    let app = app().await;
    let admin = app.admin().await;
    // Somebody who may do everything and is no administrator.
    let owner = with_rights(&app, &admin, "owner", json!({"permissions": ["*"]})).await;
    let disable = json!({"account_status": "disabled"});
    assert_snapshot!("last", owner.patch(&path_of(&admin), disable.clone()).await.expect(409));
    owner.patch(&path_of(&admin), json!({"role": "operator"})).await.expect_problem(409, "last_admin");
    // One that is disabled does not count.
    let other = with_rights(&app, &admin, "other", json!({"role": "admin"})).await;
    owner.patch(&path_of(&other), disable.clone()).await.expect(200);
    owner.patch(&path_of(&admin), disable.clone()).await.expect_problem(409, "last_admin");
    admin.get("/api/protected").await.expect(200);
    // With another one it may go.
    owner.patch(&path_of(&other), json!({"account_status": "active"})).await.expect(200);
    owner.patch(&path_of(&admin), disable).await.expect(200);
    assert_eq!(app.count(ADMINS).await, 1);
}

#[tokio::test]
async fn of_the_last_two_administrators_who_are_demoted_at_once_one_stays() {
    let app = app().await;
    let admin = app.admin().await;
    let owner = with_rights(&app, &admin, "owner", json!({"permissions": ["*"]})).await;
    let other = with_rights(&app, &admin, "other", json!({"role": "admin"})).await;
    for _ in 0..5 {
        let (first, second) = (path_of(&admin), path_of(&other));
        let (one, two) = tokio::join!(
            owner.patch(&first, json!({"role": "user"})),
            owner.patch(&second, json!({"account_status": "disabled"})),
        );
        let mut codes = [one.code(), two.code()];
        codes.sort_unstable();
        assert_eq!(codes, [200, 409], "{} {}", one.text(), two.text());
        assert_eq!(app.count(ADMINS).await, 1);
        for path in [&first, &second] {
            owner.patch(path, json!({"role": "admin", "account_status": "active"})).await.expect(200);
        }
    }
}

#[tokio::test]
async fn of_two_administrators_who_demote_each_other_at_once_one_stays() {
    let app = app().await;
    let (admin, mut other) = (app.admin().await, app.user_named("other").await);
    admin.patch(&path_of(&other), json!({"role": "admin"})).await.expect(200);
    other.sign_in().await;
    let (mut admin, demote) = (admin, json!({"role": "user"}));
    for _ in 0..5 {
        let (first, second) = (path_of(&admin), path_of(&other));
        let (one, two) = tokio::join!(admin.patch(&second, demote.clone()), other.patch(&first, demote.clone()));
        let won = [one.code(), two.code()].into_iter().filter(|code| *code == 200).count();
        assert_eq!(won, 1, "{} {}", one.text(), two.text());
        // Refused by the statement, or, if the other one had come to its end already, by the authorizer.
        let refused = [one.code(), two.code()].into_iter().any(|code| matches!(code, 401 | 403));
        assert!(refused, "{} {}", one.text(), two.text());
        let (winner, loser) = if one.code() == 200 { (&admin, &mut other) } else { (&other, &mut admin) };
        assert_eq!(read(winner, loser).await["role"], "user");
        winner.patch(&path_of(loser), json!({"role": "admin"})).await.expect(200);
        loser.sign_in().await;
    }
}
