//! Tokens that somebody made or changed, at every place that looks at one (RFC 8725, RFC 9068).

use halyard_auth::encoding::{from_base64url, to_base64url};
use halyard_tests::TestApp;
use http::Method;
use serde_json::{Value, json};

use super::forge::{Forge, PLACES, refused, refused_everywhere};

async fn unlimited() -> TestApp {
    TestApp::builder().without_rate_limits().spawn().await
}

/// What the other tests change is good before they change it.
#[tokio::test]
async fn an_unchanged_copy_is_good() {
    let app = unlimited().await;
    let admin = app.admin().await;
    let forge = Forge::of(&admin);
    let copy = forge.sign(&forge.header.to_string(), &forge.claims.to_string());
    admin.with_token(&copy).get("/api/protected").await.expect(200);
    admin.with_token(&copy).get("/auth/validate").await.expect(200);
}

#[tokio::test]
async fn a_token_without_a_signature_is_refused_however_it_spells_that() {
    let app = unlimited().await;
    let forge = Forge::of(&app.admin().await);
    let (_, signature) = forge.genuine.rsplit_once('.').expect("a signature");
    for alg in ["none", "None", "NONE", "nOnE", "none ", "", "null"] {
        for mut header in [json!({"alg": alg}), json!({"alg": alg, "typ": "at+jwt"}), forge.header.clone()] {
            header["alg"] = json!(alg);
            let input = format!("{}.{}", to_base64url(header.to_string()), to_base64url(forge.claims.to_string()));
            refused_everywhere(&app, &format!("{header}"), &format!("{input}.")).await;
            refused_everywhere(&app, &format!("{header} with a signature"), &format!("{input}.{signature}")).await;
        }
    }
    for alg in [json!(null), json!(["EdDSA"]), json!(1), json!("eddsa"), json!("Ed448"), json!("RS256"), json!("ES256")]
    {
        refused_everywhere(&app, &format!("alg {alg}"), &forge.with_header("alg", alg)).await;
    }
}

#[tokio::test]
async fn the_public_key_is_no_shared_secret_in_any_form() {
    let app = unlimited().await;
    let forge = Forge::of(&app.admin().await);
    for secret in Forge::public_forms() {
        for alg in ["HS256", "EdDSA"] {
            for kid in [json!("test-key"), json!("hs256"), Value::Null] {
                let header = json!({"typ": "at+jwt", "alg": alg, "kid": kid});
                let token = forge.tagged(&header, &secret);
                refused_everywhere(&app, &format!("{header} under {} bytes", secret.len()), &token).await;
            }
        }
    }
}

#[tokio::test]
async fn a_kid_is_a_name_and_not_a_path_a_query_or_an_address() {
    let app = unlimited().await;
    let forge = Forge::of(&app.admin().await);
    let huge = "k".repeat(2500);
    let names = [
        "",
        "other",
        "TEST-KEY",
        "test-key ",
        "test-key\0",
        "test-key\0.pem",
        "../../../../dev/null",
        "/dev/null",
        "file:///dev/null",
        "' or '1'='1",
        "test-key' union select 'x",
        "test-key|cat /etc/passwd",
        "$(id)",
        "{{7*7}}",
        "http://169.254.169.254/",
        "https://attacker.example/jwks.json",
        "set",
        "token_keys",
        "\u{202e}yek-tset",
        huge.as_str(),
    ];
    for name in names {
        let what = format!("kid {:?}", name.chars().take(40).collect::<String>());
        refused_everywhere(&app, &what, &forge.with_header("kid", json!(name))).await;
    }
    for kid in [json!(null), json!(["test-key"]), json!({"kid": "test-key"}), json!(0), json!(true)] {
        refused_everywhere(&app, &format!("kid {kid}"), &forge.with_header("kid", kid)).await;
    }
}

/// They are refused, so nothing is fetched: there is nothing in the system that could.
#[tokio::test]
async fn a_header_that_brings_its_own_key_or_wants_to_be_understood_is_refused() {
    let app = unlimited().await;
    let forge = Forge::of(&app.admin().await);
    let (_, jwk) = halyard_auth::keys::generate("attacker", [66; 32]).expect("a key");
    let members = [
        ("jwk", jwk),
        ("jku", json!("http://127.0.0.1:1/jwks.json")),
        ("x5u", json!("http://127.0.0.1:1/cert.pem")),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("AAAA")),
        ("x5t#S256", json!("AAAA")),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("cty", json!("JWT")),
        ("enc", json!("A256GCM")),
        ("p2c", json!(1_000_000_000)),
        ("constructor", json!({"prototype": {}})),
    ];
    for (member, value) in members {
        refused_everywhere(&app, member, &forge.with_header(member, value)).await;
    }
}

#[tokio::test]
async fn another_kind_issuer_or_audience_is_refused() {
    let app = unlimited().await;
    let forge = Forge::of(&app.admin().await);
    for typ in
        [json!("JWT"), json!("at+JWT"), json!("application/at+jwt"), json!("refresh+jwt"), json!("id+jwt"), json!(null)]
    {
        refused_everywhere(&app, &format!("typ {typ}"), &forge.with_header("typ", typ)).await;
    }
    let claims = [
        ("iss", json!("")),
        ("iss", json!("halyard/")),
        ("iss", json!("https://attacker.example")),
        ("iss", json!(["halyard"])),
        ("aud", json!("other-api")),
        ("aud", json!(["halyard-api"])),
        ("aud", json!(["halyard-api", "other-api"])),
        ("aud", json!(null)),
        ("sub", json!(1)),
        ("sub", json!("1 or 1=1")),
        ("sub", json!("99999999999999999999")),
        ("sub", json!("-0x1")),
        ("sid", json!("sess_")),
        ("sid", json!("../sessions")),
        ("role", json!("root")),
        ("username", json!(["admin"])),
    ];
    for (claim, value) in claims {
        refused_everywhere(&app, &format!("{claim} {value}"), &forge.with_claim(claim, value)).await;
    }
}

#[tokio::test]
async fn times_are_whole_numbers_in_their_order() {
    let app = unlimited().await;
    let forge = Forge::of(&app.admin().await);
    let now = app.now().timestamp();
    let claims = [
        ("exp", json!(now - 5)),
        ("exp", json!(0)),
        ("exp", json!(-1)),
        ("exp", json!(i64::MIN)),
        ("exp", json!("9999999999")),
        ("exp", json!(9_999_999_999.5)),
        ("exp", json!(1e300)),
        ("exp", json!(u64::MAX)),
        ("exp", json!(null)),
        ("exp", json!([now + 60])),
        ("nbf", json!(now + 60)),
        ("nbf", json!(i64::MAX)),
        ("nbf", json!("0")),
        ("iat", json!(now + 60)),
        ("iat", json!(1.5)),
        ("auth_time", json!("now")),
    ];
    for (claim, value) in claims {
        refused_everywhere(&app, &format!("{claim} {value}"), &forge.with_claim(claim, value)).await;
    }
    // The last moment that there is, is one: it overflows nothing, and the session ends it.
    let endless = forge.with_claim("exp", json!(i64::MAX));
    let answer = app.anonymous().with_token(&endless).get("/auth/validate").await;
    assert!([200, 401].contains(&answer.code()), "{}", answer.text());
}

#[tokio::test]
async fn what_comes_twice_is_refused() {
    let app = unlimited().await;
    let forge = Forge::of(&app.admin().await);
    let (header, claims) = (forge.header.to_string(), forge.claims.to_string());
    let twice = |text: &str, member: &str| format!("{{{member},{}", &text[1..]);
    for member in
        [r#""sub":"2""#, r#""exp":9999999999"#, r#""sid":"sess_00000000000000000000000000""#, r#""aud":"other""#]
    {
        refused_everywhere(&app, member, &forge.sign(&header, &twice(&claims, member))).await;
    }
    for member in [r#""alg":"none""#, r#""alg":"HS256""#, r#""kid":"other""#, r#""typ":"JWT""#] {
        refused_everywhere(&app, member, &forge.sign(&twice(&header, member), &claims)).await;
    }
}

/// Above 10,240 bytes of headers the gateway answers by itself; a body may have more, and is looked at no longer.
#[tokio::test]
async fn tokens_of_any_size_are_refused() {
    let app = unlimited().await;
    let forge = Forge::of(&app.admin().await);
    for size in [3_500, 5_000, 6_000] {
        refused_everywhere(&app, &format!("{size} characters"), &"a".repeat(size)).await;
        refused_everywhere(&app, &format!("{size} dots"), &".".repeat(size)).await;
        let padded = forge.with_claim("padding", json!("x".repeat(size)));
        refused_everywhere(&app, &format!("a good token with {size} bytes more"), &padded).await;
    }
    refused_everywhere(&app, "8 KB", &"a".repeat(8_192)).await;
    for size in [16_384, 1 << 20] {
        let token = forge.with_claim("padding", json!("x".repeat(size)));
        for (method, path) in PLACES {
            let answer = app.anonymous().request(method, path).bearer(&token).send().await;
            assert_eq!(answer.code(), 431, "{size} at {path}: {}", answer.text());
        }
        let answer = app.anonymous().post("/auth/refresh", json!({"refresh_token": token})).await;
        refused(&answer, &format!("{size} in a body"));
    }
}

#[tokio::test]
async fn another_spelling_of_a_good_token_is_another_token() {
    let app = unlimited().await;
    let forge = Forge::of(&app.admin().await);
    let good = &forge.genuine;
    let parts: Vec<&str> = good.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("three parts") };
    let standard = |text: &str| text.replace('-', "+").replace('_', "/");
    // The last of 86 characters carries four bits: the two others must be zero (RFC 4648, section 3.5).
    let last = signature.chars().last().expect("a character");
    let next = char::from_u32(u32::from(last) + 1).expect("a character");
    let loose = format!("{}{next}", &signature[..signature.len() - 1]);
    let all = [
        format!("{good}="),
        format!("{good}=="),
        format!("{header}=.{claims}.{signature}"),
        format!("{header}.{claims}=.{signature}"),
        format!("{header}.{claims}.{loose}"),
        format!("{header}.{claims}.{signature}AA"),
        format!("{header}.{claims}.{}", &signature[..85]),
        format!("{header}.{claims}.{}/+", standard(&signature[..84])),
        format!("{header}.{claims}."),
        format!("{header}..{signature}"),
        format!(".{claims}.{signature}"),
        format!("{header}.{signature}"),
        format!("{header}.{claims}"),
        format!("{header}.{claims}.{signature}.{signature}"),
        // Five parts: a JWE in compact form (RFC 7516, section 7.1).
        format!("{header}.{claims}.{signature}.{claims}.{signature}"),
        "....".to_owned(),
        "..".to_owned(),
        ".".to_owned(),
        format!("{header} .{claims}.{signature}"),
        format!("{header}.\t{claims}.{signature}"),
        format!("{good},{good}"),
        format!("{good};"),
        format!("\"{good}\""),
        good.to_uppercase(),
        "%00.%00.%00".to_owned(),
    ];
    for token in &all {
        refused_everywhere(&app, token, token).await;
    }
}

/// Ed25519 with S + L in place of S is the same equation (RFC 8032, section 8.4): a verifier must check that S is reduced.
#[tokio::test]
async fn a_signature_has_one_form() {
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let app = unlimited().await;
    let forge = Forge::of(&app.admin().await);
    let (input, signature) = forge.genuine.rsplit_once('.').expect("a signature");
    let mut bytes = from_base64url(signature).expect("64 bytes");
    let mut carry = 0;
    for (byte, l) in bytes[32..].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(l) + carry;
        (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
    }
    refused_everywhere(&app, "S + L", &format!("{input}.{}", to_base64url(&bytes))).await;
    refused_everywhere(&app, "zeros", &format!("{input}.{}", to_base64url([0; 64]))).await;
    // The neutral element for R and zero for S, which verifies under keys of small order.
    let mut neutral = [0; 64];
    neutral[0] = 1;
    refused_everywhere(&app, "the neutral element", &format!("{input}.{}", to_base64url(neutral))).await;
}

#[tokio::test]
async fn signed_nonsense_is_still_nonsense() {
    let app = unlimited().await;
    let forge = Forge::of(&app.admin().await);
    let header = forge.header.to_string();
    let claims = forge.claims.to_string();
    let documents = [
        String::new(),
        "null".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        "\"text\"".to_owned(),
        "1".to_owned(),
        claims[..claims.len() - 1].to_owned(),
        format!("{claims}{claims}"),
        format!("{claims}\0"),
        format!("\u{feff}{claims}"),
        format!("{{\"a\":{}", "{\"a\":".repeat(500)),
    ];
    for document in &documents {
        let what: String = document.chars().take(40).collect();
        refused_everywhere(&app, &format!("claims {what:?}"), &forge.sign(&header, document)).await;
        refused_everywhere(&app, &format!("header {what:?}"), &forge.sign(document, &claims)).await;
    }
}

/// Who holds the key may sign what nobody asks for, however deep: it is passed over. Without the key it is not even read.
#[tokio::test]
async fn deeply_nested_claims_are_passed_over() {
    let app = unlimited().await;
    let forge = Forge::of(&app.admin().await);
    let (header, claims) = (forge.header.to_string(), forge.claims.to_string());
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let depth = 900 / open.len();
        let deep = format!("{}1{}", open.repeat(depth), close.repeat(depth));
        let token = forge.sign(&header, &format!(r#"{{"x":{deep},{}"#, &claims[1..]));
        for path in ["/api/protected", "/auth/validate"] {
            app.anonymous().with_token(&token).get(path).await.expect(200);
        }
        let (input, _) = token.rsplit_once('.').expect("a signature");
        refused_everywhere(&app, open, &format!("{input}.{}", to_base64url([0; 64]))).await;
        refused_everywhere(&app, open, &forge.sign(&header, &format!(r#"{{"sub":{deep},{}"#, &claims[1..]))).await;
        refused_everywhere(&app, open, &forge.sign(&format!(r#"{{"x":{deep},{}"#, &header[1..]), &claims)).await;
    }
}

/// No function ever sees them: they are no event of the gateway, which cannot be JSON text with such bytes.
#[tokio::test]
async fn bytes_that_are_no_text_are_refused_by_the_gateway() {
    let app = unlimited().await;
    let genuine = Forge::of(&app.admin().await).genuine;
    for bytes in [&b"\xff\xfe\xfd"[..], b"\xc3\x28.\xc3\x28.\xc3\x28", b"\xe2\x82", "\u{fffd}".as_bytes()] {
        for value in [[b"Bearer ", bytes].concat(), [b"Bearer ", genuine.as_bytes(), bytes].concat(), bytes.to_vec()] {
            let value = http::HeaderValue::from_bytes(&value).expect("a header value");
            for (method, path) in PLACES {
                let draft = app.anonymous().request(method, path).header_value("authorization", value.clone());
                let answer = draft.send().await;
                assert_eq!((answer.code(), answer.text().as_str()), (400, r#"{"message":"Bad Request"}"#), "{path}");
            }
        }
        // In a body they are no JSON.
        let body = [br#"{"refresh_token":""#, bytes, br#""}"#].concat();
        let draft = app.anonymous().request(Method::POST, "/auth/refresh").header("content-type", "application/json");
        let answer = draft.body(body).send().await;
        assert!([400, 401].contains(&answer.code()), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_refresh_token_is_no_access_token_and_the_reverse() {
    let app = unlimited().await;
    let admin = app.admin().await;
    let refresh = admin.refresh_token.clone().expect("a refresh token");
    for path in ["/api/protected", "/auth/validate", "/auth/profile"] {
        admin.with_token(&refresh).get(path).await.expect_problem(401, "token_wrong_kind");
    }
    let access = admin.access_token.clone().expect("an access token");
    admin.post("/auth/refresh", json!({"refresh_token": access})).await.expect_problem(401, "token_wrong_kind");
    let as_bearer = admin.request(Method::POST, "/auth/refresh").bearer(&access).send().await;
    as_bearer.expect_problem(401, "token_wrong_kind");
}

#[tokio::test]
async fn a_refresh_token_that_was_changed_is_refused_and_ends_nothing() {
    let app = unlimited().await;
    let admin = app.admin().await;
    let refresh = admin.refresh_token.clone().expect("a refresh token");
    let bytes = from_base64url(&refresh[3..]).expect("96 bytes");
    let mut changed: Vec<String> = [0, 15, 16, 23, 24, 31, 32, 63, 64, 95]
        .into_iter()
        .map(|at| {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            format!("hr_{}", to_base64url(bytes))
        })
        .collect();
    changed.extend([
        "hr_".to_owned(),
        format!("{refresh}="),
        format!("{refresh}A"),
        refresh[..refresh.len() - 1].to_owned(),
        refresh.to_lowercase(),
        format!("HR_{}", &refresh[3..]),
        format!("hr_{}", "A".repeat(128)),
        format!("hr_{}", "_".repeat(128)),
        format!("hr_{}", "a".repeat(1 << 20)),
        format!("{refresh}\0"),
        format!(" {refresh}"),
    ]);
    for token in &changed {
        let answer = admin.post("/auth/refresh", json!({"refresh_token": token})).await;
        refused(&answer, &token.chars().take(40).collect::<String>());
    }
    admin.get("/api/protected").await.expect(200);
    admin.post("/auth/refresh", json!({"refresh_token": refresh})).await.expect(200);
}

/// Even with the key: a token is worth what its session is worth.
#[tokio::test]
async fn a_token_cannot_claim_more_than_its_session_has() {
    let app = unlimited().await;
    let (admin, maria) = (app.admin().await, app.user_named("maria").await);
    let (hers, his) = (Forge::of(&maria), Forge::of(&admin));
    for (what, token) in [
        ("her session, his number", hers.with_claim("sub", his.claims["sub"].clone())),
        ("his session, her number", hers.with_claim("sid", his.claims["sid"].clone())),
        ("no session", hers.with_claim("sid", json!("sess_00000000000000000000000000"))),
    ] {
        refused_everywhere(&app, what, &token).await;
    }
    let mut claims = hers.claims.clone();
    (claims["role"], claims["scope"], claims["username"]) = (json!("admin"), json!("*"), json!("admin"));
    let promoted = maria.with_token(&hers.sign(&hers.header.to_string(), &claims.to_string()));
    let answer = promoted.get("/auth/validate").await.expect(200);
    assert_eq!((answer.header("x-auth-role"), answer.header("x-auth-username")), ("user", "maria"));
    assert_eq!(answer.header("x-auth-permissions"), "");
    promoted.get("/tasks/queues").await.expect_problem(403, "forbidden");
}

#[tokio::test]
async fn two_credentials_are_none() {
    let app = unlimited().await;
    let (admin, maria) = (app.admin().await, app.user_named("maria").await);
    let bearer = |token: &Option<String>| format!("Bearer {}", token.as_deref().expect("a token"));
    let (his, hers) = (bearer(&admin.access_token), bearer(&maria.access_token));
    for (first, second) in [
        (&hers, &his),
        (&his, &hers),
        (&his, &his),
        (&his, &"Basic YWRtaW46".to_owned()),
        (&"Bearer x".to_owned(), &his),
    ] {
        for (method, path) in [(Method::GET, "/api/protected"), (Method::GET, "/auth/validate")] {
            let draft = app.anonymous().request(method, path);
            let answer = draft.header("authorization", first).header("authorization", second).send().await;
            refused(&answer, &format!("{path}, twice"));
        }
    }
    for inside in [
        format!("{his} {his}"),
        format!("{his}, {hers}"),
        his.replace(' ', "\t"),
        his.replace("Bearer", "Bearer:"),
        his.replace("Bearer", "JWT"),
    ] {
        let answer =
            app.anonymous().request(Method::GET, "/api/protected").header("authorization", &inside).send().await;
        refused(&answer, &inside);
    }
}
