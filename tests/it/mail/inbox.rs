use halyard_tests::{TestApp, TestResponse};
use http::Method;

async fn get(app: &TestApp, path: &str) -> TestResponse {
    app.anonymous().get(path).await
}

#[tokio::test]
async fn a_developer_reads_mail_in_a_browser_and_a_test_reads_it_as_json() {
    let app = TestApp::spawn().await;
    assert!(get(&app, "/_local/mail").await.expect(200).text().contains("No mail was sent yet."));
    app.user_named("maria").await;
    app.user_named("hanna").await;
    let mails = get(&app, "/_local/mail.json").await.expect(200).json();
    let mails = mails["mails"].as_array().expect("mails");
    assert_eq!(
        mails.iter().map(|mail| mail["to"].as_str()).collect::<Vec<_>>(),
        [Some("hanna@example.com"), Some("maria@example.com")]
    );
    assert!(mails[0]["text"].as_str().is_some_and(|text| text.contains("#token=hm_")), "{mails:?}");
    let list = get(&app, "/_local/mail").await.expect(200).text();
    let id = mails[1]["id"].as_str().expect("an id");
    assert!(list.contains(&format!("href=\"/_local/mail/{id}\"")), "{list}");
    let mail = get(&app, &format!("/_local/mail/{id}")).await.expect(200);
    assert!(mail.text().contains("maria@example.com") && mail.text().contains("<iframe sandbox="), "{}", mail.text());
    get(&app, "/_local/mail/999").await.expect(404);
}

#[tokio::test]
async fn what_a_mail_says_is_shown_and_does_nothing() {
    let app = TestApp::spawn().await;
    let address = "a&'b@example.com";
    let body =
        serde_json::json!({"username": "maria", "email": address, "password": "correct horse", "full_name": "T & 'J'"});
    app.anonymous().post("/auth/register", body).await.expect(200);
    let list = get(&app, "/_local/mail").await.expect(200);
    assert!(list.text().contains("a&amp;&#39;b@example.com"), "{}", list.text());
    let mail = get(&app, "/_local/mail/1").await.expect(200);
    assert!(mail.text().contains("Hello T &amp; &#39;J&#39;,"), "{}", mail.text());
    let frame = get(&app, "/_local/mail/1/html").await.expect(200);
    let policy = frame.header("content-security-policy");
    assert!(policy.starts_with("sandbox ") && !policy.contains("allow-scripts"), "{policy}");
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'self'"), "{policy}");
    for page in [&list, &mail] {
        assert!(page.header("content-security-policy").contains("default-src 'none'"));
        assert!(page.header("access-control-allow-origin").is_empty(), "no other site may read it");
    }
}

#[tokio::test]
async fn nobody_but_this_machine_looks_into_it() {
    let app = TestApp::spawn().await;
    app.user_named("maria").await;
    let ask = async |name: &'static str, value: &str| {
        let draft = app.anonymous().request(Method::GET, "/_local/mail.json");
        draft.header(name, value).send().await.code()
    };
    for (host, expected) in [
        ("localhost:8000", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("rebound.evil.example", 404),
        ("localhost.evil.example:8000", 404),
    ] {
        assert_eq!(ask("host", host).await, expected, "{host}");
    }
    assert_eq!(ask("x-forwarded-for", "127.0.0.1").await, 404, "a proxy on this machine speaks for others");
    app.anonymous().request(Method::DELETE, "/_local/mail").send().await.expect(405);
}
