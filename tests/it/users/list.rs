use halyard_tests::Actor;
use serde_json::json;

use super::{app, path_of, with_rights};
use crate::assert_snapshot;

async fn names(admin: &Actor, query: &str) -> (Vec<String>, Option<String>) {
    let data = admin.get(&format!("/api/users{query}")).await.expect(200).json()["data"].take();
    let names = data["items"].as_array().expect("items").iter();
    let names = names.map(|item| item["username"].as_str().expect("a name").to_owned()).collect();
    (names, data["next_cursor"].as_str().map(str::to_owned))
}

#[tokio::test]
async fn accounts_are_listed_in_the_order_of_their_numbers() {
    let app = app().await;
    let admin = app.admin().await;
    app.user_named("zoe").await;
    app.user_named("ann").await;
    assert_snapshot!("all", admin.get("/api/users").await.expect(200));
    assert_eq!(names(&admin, "").await.0, ["admin", "zoe", "ann"]);
}

#[tokio::test]
async fn pages_hold_every_account_once_even_while_new_ones_come() {
    let app = app().await;
    let admin = app.admin().await;
    for n in 0..6 {
        app.user_named(&format!("user-{n}")).await;
    }
    let (mut seen, mut query, mut n) = (Vec::new(), "?limit=3".to_owned(), 6);
    loop {
        let (page, next) = names(&admin, &query).await;
        assert!(page.len() <= 3);
        seen.extend(page);
        if n < 8 {
            app.user_named(&format!("user-{n}")).await;
            n += 1;
        }
        let Some(next) = next else { break };
        query = format!("?limit=3&cursor={next}");
    }
    let expected: Vec<String> =
        std::iter::once("admin".to_owned()).chain((0..8).map(|n| format!("user-{n}"))).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_text_is_found_in_name_address_and_full_name_whatever_its_case_and_holds_no_wildcards() {
    let app = app().await;
    let admin = app.admin().await;
    let (one, two) = (app.user_named("anna_b").await, app.user_named("annaxb").await);
    one.put("/auth/profile", json!({"full_name": "Anna M\u{dc}LLER", "email": "Box_1@example.org"})).await.expect(200);
    two.put("/auth/profile", json!({"full_name": "100 % Anna"})).await.expect(200);
    let cases: [(&str, &[&str]); 12] = [
        ("ANNA", &["anna_b", "annaxb"]),
        ("a_b", &["anna_b"]),
        ("axb", &["annaxb"]),
        ("_", &["anna_b"]),
        ("%25", &["annaxb"]),
        ("%5C", &[]),
        ("m%C3%BCller", &["anna_b"]),
        ("M%C3%9CLLER", &["anna_b"]),
        ("box_1@EXAMPLE", &["anna_b"]),
        ("example.com", &["admin", "annaxb"]),
        ("0%20%25%20a", &["annaxb"]),
        ("nobody", &[]),
    ];
    for (text, expected) in cases {
        let found = names(&admin, &format!("?q={text}")).await.0;
        assert_eq!(found, expected, "{text}");
    }
}

#[tokio::test]
async fn filters_are_combined() {
    let app = app().await;
    let admin = app.admin().await;
    with_rights(&app, &admin, "olga", json!({"role": "operator"})).await;
    let oscar = with_rights(&app, &admin, "oscar", json!({"role": "operator"})).await;
    app.user_named("otto").await;
    admin.patch(&path_of(&oscar), json!({"account_status": "disabled"})).await.expect(200);
    for (query, expected) in [
        ("?role=operator", &["olga", "oscar"][..]),
        ("?role=admin", &["admin"]),
        ("?status=disabled", &["oscar"]),
        ("?role=operator&status=active", &["olga"]),
        ("?role=user&status=disabled", &[]),
        ("?q=ot&role=user", &["otto"]),
        ("?q=o&role=operator&status=disabled", &["oscar"]),
    ] {
        assert_eq!(names(&admin, query).await.0, expected, "{query}");
    }
}

#[tokio::test]
async fn a_bad_filter_is_named() {
    let app = app().await;
    let admin = app.admin().await;
    let long = format!("?q={}", "x".repeat(121));
    for (query, pointer) in [
        ("?role=king", "/role"),
        ("?status=gone", "/status"),
        ("?q=", "/q"),
        ("?q=a%00b", "/q"),
        (&long, "/q"),
        ("?limit=0", "/limit"),
        ("?limit=101", "/limit"),
        ("?cursor=nonsense", "/cursor"),
        ("?cursor=MTIzeA", "/cursor"),
    ] {
        let answer = admin.get(&format!("/api/users{query}")).await.expect_problem(422, "validation_failed").json();
        assert_eq!(answer["errors"][0]["pointer"], pointer, "{query}: {answer}");
    }
}
