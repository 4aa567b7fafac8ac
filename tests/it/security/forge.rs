//! Tokens as an attacker makes them; with the real key in hand where a test asks what happens behind the signature.

use aws_lc_rs::hmac;
use halyard_auth::{
    SigningKey,
    encoding::{from_base64url, to_base64url},
};
use halyard_tests::{Actor, TestApp, response, seed};
use http::Method;
use serde_json::{Value, json};

/// Header and claims of a token that was really issued, and the key that signed it.
pub struct Forge {
    pub header: Value,
    pub claims: Value,
    pub genuine: String,
    key: SigningKey,
}

impl Forge {
    /// From the token of somebody signed in.
    pub fn of(actor: &Actor) -> Self {
        let genuine = actor.access_token.clone().expect("a token");
        let parts = response::token(&genuine).expect("a JWT");
        let key = SigningKey::from_jwk(&seed::token_keys().0).expect("the tests' key");
        Self { header: parts["header"].clone(), claims: parts["claims"].clone(), genuine, key }
    }

    /// Signs texts as they are with the real key.
    pub fn sign(&self, header: &str, claims: &str) -> String {
        let input = format!("{}.{}", to_base64url(header), to_base64url(claims));
        let signature = to_base64url(self.key.sign(input.as_bytes()));
        format!("{input}.{signature}")
    }

    /// With one member of the header changed.
    pub fn with_header(&self, member: &str, value: Value) -> String {
        let mut header = self.header.clone();
        header[member] = value;
        self.sign(&header.to_string(), &self.claims.to_string())
    }

    /// With one claim changed.
    pub fn with_claim(&self, claim: &str, value: Value) -> String {
        let mut claims = self.claims.clone();
        claims[claim] = value;
        self.sign(&self.header.to_string(), &claims.to_string())
    }

    /// With an HMAC instead of a signature.
    pub fn tagged(&self, header: &Value, secret: &[u8]) -> String {
        let input = format!("{}.{}", to_base64url(header.to_string()), to_base64url(self.claims.to_string()));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), input.as_bytes());
        format!("{input}.{}", to_base64url(tag))
    }

    /// The public key in each form in which one could hand it to a careless verifier as a secret.
    pub fn public_forms() -> Vec<Vec<u8>> {
        let (_, set) = seed::token_keys();
        let jwk = serde_json::from_str::<Value>(&set).expect("a set")["keys"][0].take();
        let x = jwk["x"].as_str().expect("x").to_owned();
        let raw = from_base64url(&x).expect("32 bytes");
        // SubjectPublicKeyInfo of Ed25519 (RFC 8410, section 4).
        let mut der = vec![0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        der.extend(&raw);
        let base64 = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, &der);
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{base64}\n-----END PUBLIC KEY-----");
        let texts = [x, jwk.to_string(), set, pem.clone(), pem + "\n", base64, String::new()];
        texts.into_iter().map(String::into_bytes).chain([raw, der]).collect()
    }
}

/// Where a credential is looked at.
pub const PLACES: [(Method, &str); 3] =
    [(Method::GET, "/api/protected"), (Method::GET, "/auth/validate"), (Method::POST, "/auth/refresh")];

/// Shows a token wherever one is looked at: each time a 401 problem, and never anything else.
pub async fn refused_everywhere(app: &TestApp, what: &str, token: &str) {
    let stranger = app.anonymous();
    let value = format!("Bearer {token}");
    let Ok(value) = http::HeaderValue::from_bytes(value.as_bytes()) else { panic!("{what}: no header value") };
    for (method, path) in PLACES {
        let answer = stranger.request(method, path).header_value("authorization", value.clone()).send().await;
        refused(&answer, &format!("{what} at {path}"));
    }
    let answer = stranger.post("/auth/refresh", json!({"refresh_token": token})).await;
    refused(&answer, &format!("{what} in the body of a refresh"));
}

/// A 401 problem with its challenge.
pub fn refused(answer: &response::TestResponse, what: &str) {
    assert_eq!(answer.code(), 401, "{what}: {}", answer.text());
    assert_eq!(answer.header("content-type"), "application/problem+json", "{what}");
    assert!(answer.header("www-authenticate").starts_with("Bearer"), "{what}");
    assert!(answer.json()["error"].as_str().is_some_and(|code| code.starts_with("token_")), "{what}");
}
