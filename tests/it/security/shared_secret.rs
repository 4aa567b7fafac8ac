//! HS256: nothing of it is believed unless a secret is configured, and then only what that secret made.

use halyard_tests::TestApp;
use serde_json::json;

use super::forge::{Forge, refused_everywhere};

const SECRET: &str = "b6tWq0v3nT8xKc1LrZ5hPq7sYd2fGj4m";

#[tokio::test]
async fn without_a_configured_secret_no_hmac_is_believed() {
    let app = TestApp::builder().without_rate_limits().spawn().await;
    let forge = Forge::of(&app.admin().await);
    for header in [json!({"typ": "at+jwt", "alg": "HS256"}), json!({"typ": "at+jwt", "alg": "HS256", "kid": "hs256"})] {
        for secret in [SECRET.as_bytes(), b"", b"secret", b"your-256-bit-secret"] {
            refused_everywhere(&app, &header.to_string(), &forge.tagged(&header, secret)).await;
        }
    }
}

#[tokio::test]
async fn with_one_its_tokens_are_good_for_sessions_that_exist_and_for_nothing_else() {
    let app = TestApp::builder().without_rate_limits().var("TOKEN_HS256_SECRET", SECRET).spawn().await;
    let admin = app.admin().await;
    let mut forge = Forge::of(&admin);
    let header = json!({"typ": "at+jwt", "alg": "HS256"});
    let token = forge.tagged(&header, SECRET.as_bytes());
    for path in ["/api/protected", "/auth/validate"] {
        admin.with_token(&token).get(path).await.expect(200);
    }
    let named = json!({"typ": "at+jwt", "alg": "HS256", "kid": "test-key"});
    refused_everywhere(&app, "a public key's name", &forge.tagged(&named, SECRET.as_bytes())).await;
    for secret in Forge::public_forms() {
        refused_everywhere(&app, "a public key for a secret", &forge.tagged(&header, &secret)).await;
    }
    forge.claims["sid"] = json!("sess_00000000000000000000000000");
    refused_everywhere(&app, "no session", &forge.tagged(&header, SECRET.as_bytes())).await;
    // Its own tokens are signed as before, and the published keys say nothing of it.
    assert_eq!(Forge::of(&app.admin().await).header["alg"], "EdDSA");
    let keys = app.anonymous().get("/.well-known/jwks.json").await.expect(200);
    assert_eq!(keys.json()["keys"].as_array().map(Vec::len), Some(1));
}
