//! Mail, as far as it shows outside of mailboxes.

use halyard_tests::target;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn whoever_forgot_a_password_is_told_the_same_with_an_account_and_without() {
    let target = target!();
    let user = target.user("e2e-forgot").await;
    let profile = user.get("/auth/profile").await.expect(200).json();
    let known = profile["data"]["user"]["email"].as_str().expect("an address").to_owned();
    let ask = async |address: &str| {
        target.anonymous().post("/auth/password/forgot", json!({ "email": address })).await.expect(200).json()
    };
    assert_eq!(ask(&known).await, ask(&format!("nobody-{known}")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_no_mail_carried_is_good_for_nothing() {
    let target = target!();
    let token = format!("hm_{}", "A".repeat(43));
    let verify = target.anonymous().post("/auth/email/verify", json!({ "token": token })).await;
    verify.expect_problem(422, "token_invalid");
    let reset = json!({"token": token, "new_password": "a password that nobody has"});
    target.anonymous().post("/auth/password/reset", reset).await.expect_problem(422, "token_invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_links_of_mails_open_pages_that_keep_to_themselves() {
    let target = target!();
    for path in ["/auth/password/reset", "/auth/email/verify"] {
        let page = target.anonymous().get(path).await.expect(200);
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8", "{path}");
        assert_eq!(page.header("referrer-policy"), "no-referrer", "{path}");
        assert!(page.header("content-security-policy").contains("script-src 'nonce-"), "{path}: {page:?}");
    }
}
