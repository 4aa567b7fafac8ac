//! Payload 2.0: what a request becomes, what an answer becomes, and that JSON text changes neither.

use std::{collections::BTreeMap, convert::Infallible, net::IpAddr};

use bytes::Bytes;
use halyard_gateway::event::{
    Caller, RequestFacts, Response, authorizer_event, event_to_json, function_event, identity_values,
    response_from_json, response_from_typed,
};
use halyard_platform::function::Event;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::BodyExt as _;
use lambda_http::{
    IntoResponse as _, LambdaEvent, Service as _, aws_lambda_events::apigw::ApiGatewayV2httpRequest,
    request::LambdaRequest,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn event(request: Request<&'static [u8]>) -> ApiGatewayV2httpRequest {
    let (parts, body) = request.into_parts();
    let variables = BTreeMap::new();
    let facts = RequestFacts {
        api_id: "Api",
        account: "000000000000",
        route_key: "POST /things/{id}",
        stage_variables: &variables,
        path_parameters: vec![("id".to_owned(), "a/b".to_owned())],
        request_id: "JKJaXmPLvHcESHA=".to_owned(),
        trace_id: "Root=1-00000000-000000000000000000000000".to_owned(),
        now: chrono::DateTime::from_timestamp_millis(1_795_446_245_123).expect("a time"),
        caller: Caller {
            address: IpAddr::from([192, 0, 2, 7]),
            forwarded_for: "192.0.2.7".to_owned(),
            scheme: "http",
            port: 8080,
        },
    };
    function_event(parts, Bytes::from_static(body), facts)
}

fn as_json(event: ApiGatewayV2httpRequest) -> Value {
    event_to_json(&Event::Http(Box::new(event))).expect("JSON")
}

#[test]
fn a_request_becomes_the_documented_payload() {
    let request = Request::post("/things/a%2Fb?x=1&x=2&y=a+b%26c&flag")
        .header("Host", "api.example.com:8080")
        .header("User-Agent", "curl/8")
        .header("Cookie", "a=1; b=2")
        .header("Cookie", "c=3")
        .header("X-Many", "one")
        .header("X-Many", "two")
        .header("Content-Type", "application/json")
        .body(br#"{"n":1}"#.as_slice())
        .expect("a request");
    let expected = json!({
        "version": "2.0",
        "routeKey": "POST /things/{id}",
        "rawPath": "/things/a%2Fb",
        "rawQueryString": "x=1&x=2&y=a+b%26c&flag",
        "cookies": ["a=1", "b=2", "c=3"],
        "headers": {
            "host": "api.example.com:8080",
            "user-agent": "curl/8",
            "x-many": "one,two",
            "content-type": "application/json",
            "x-forwarded-for": "192.0.2.7",
            "x-forwarded-port": "8080",
            "x-forwarded-proto": "http",
            "x-amzn-trace-id": "Root=1-00000000-000000000000000000000000",
        },
        "queryStringParameters": { "x": "1,2", "y": "a b&c", "flag": "" },
        "pathParameters": { "id": "a/b" },
        "stageVariables": {},
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "Api",
            "domainName": "api.example.com",
            "domainPrefix": "api",
            "http": {
                "method": "POST",
                "path": "/things/a%2Fb",
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.7",
                "userAgent": "curl/8",
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": "POST /things/{id}",
            "stage": "$default",
            "time": "23/Nov/2026:15:04:05 +0000",
            "timeEpoch": 1_795_446_245_123_i64,
        },
        "body": "{\"n\":1}",
        "isBase64Encoded": false,
    });
    assert_eq!(as_json(event(request)), expected);
}

#[test]
fn bodies_are_text_or_base64_by_their_type() {
    let cases: [(&str, &'static [u8], &str, bool); 9] = [
        ("application/json; charset=utf-8", b"{}", "{}", false),
        ("text/csv", b"a,b", "a,b", false),
        ("application/problem+json", b"{}", "{}", false),
        ("Application/XML", b"<a/>", "<a/>", false),
        ("application/x-www-form-urlencoded", b"a=b", "YT1i", true),
        ("multipart/form-data; boundary=x", b"--x", "LS14", true),
        ("application/octet-stream", b"\x00\x01", "AAE=", true),
        ("text/plain", b"\xff", "/w==", true),
        ("", b"plain", "plain", false),
    ];
    for (content_type, body, expected, encoded) in cases {
        let mut request = Request::post("/").body(body).expect("a request");
        if !content_type.is_empty() {
            request.headers_mut().insert("content-type", HeaderValue::from_static(content_type));
        }
        let event = event(request);
        assert_eq!((event.body.as_deref(), event.is_base64_encoded), (Some(expected), encoded), "{content_type}");
    }
    let none = event(Request::get("/").body(b"".as_slice()).expect("a request"));
    assert_eq!((none.body, none.is_base64_encoded), (None, false));
}

#[test]
fn an_authorizer_gets_the_request_and_its_identity() {
    let request = Request::get("/things/1?key=k&key=l")
        .header("Authorization", "Bearer t")
        .header("Cookie", "s=1")
        .body(b"".as_slice())
        .expect("a request");
    let event = event(request);
    let sources =
        ["$request.header.Authorization", "$request.querystring.key", "$request.header.cookie", "$context.routeKey"];
    let identity = identity_values(&sources.map(str::to_owned), &event).expect("all are there");
    assert_eq!(identity, ["Bearer t", "k,l", "s=1", "POST /things/{id}"]);
    for missing in ["$request.header.x-none", "$request.querystring.none", "$stageVariables.none"] {
        assert_eq!(identity_values(&[missing.to_owned()], &event), None, "{missing}");
    }
    let arn = "arn:aws:execute-api:us-east-1:000000000000:Api/$default/GET/things/1".to_owned();
    let authorizer = authorizer_event(&event, arn.clone(), Some(identity));
    let json = event_to_json(&Event::Authorizer(Box::new(authorizer))).expect("JSON");
    assert_eq!(json["type"], "REQUEST");
    assert_eq!(json["version"], "2.0");
    assert_eq!(json["routeArn"], arn);
    assert_eq!(json["identitySource"][0], "Bearer t");
    assert_eq!(json["queryStringParameters"]["key"], "k,l");
    assert_eq!(json["cookies"], json!(["s=1"]));
    assert_eq!(json["requestContext"]["http"]["method"], "GET");
}

fn answered(payload: Value) -> (u16, Vec<(String, String)>, String) {
    let response = response_from_json(payload).unwrap_or_else(|e| panic!("{e}"));
    let headers = response.headers().iter();
    let headers = headers.map(|(k, v)| (k.to_string(), v.to_str().unwrap_or("?").to_owned())).collect();
    (response.status().as_u16(), headers, String::from_utf8_lossy(response.body()).into_owned())
}

#[test]
fn payloads_become_responses() {
    let (status, headers, body) = answered(json!({
        "statusCode": 201,
        "headers": { "X-One": "1", "Content-Type": "text/html", "n": 5 },
        "cookies": ["a=1; Path=/", "b=2"],
        "body": "aGk=",
        "isBase64Encoded": true,
    }));
    assert_eq!((status, body.as_str()), (201, "hi"));
    for pair in [
        ("x-one", "1"),
        ("content-type", "text/html"),
        ("n", "5"),
        ("set-cookie", "a=1; Path=/"),
        ("set-cookie", "b=2"),
    ] {
        assert!(headers.contains(&(pair.0.to_owned(), pair.1.to_owned())), "{pair:?} in {headers:?}");
    }
    let inferred = |value, text: &str| {
        assert_eq!(answered(value), (200, vec![("content-type".into(), "application/json".into())], text.into()));
    };
    inferred(json!("Hello from Lambda!"), "Hello from Lambda!");
    inferred(json!({ "message": "hi" }), r#"{"message":"hi"}"#);
    inferred(json!([1, 2]), "[1,2]");
    for wrong in [
        json!({ "statusCode": "many" }),
        json!({ "statusCode": 99 }),
        json!({ "statusCode": 101 }),
        json!({ "statusCode": 200, "body": {} }),
        json!({ "statusCode": 200, "body": "!", "isBase64Encoded": true }),
        json!({ "statusCode": 200, "headers": { "bad name": "x" } }),
    ] {
        assert!(response_from_json(wrong.clone()).is_err(), "{wrong}");
    }
}

/// What a handler sees: everything of a request that a router can look at.
async fn seen(request: lambda_http::Request) -> (String, String, HeaderMap, Bytes) {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    (parts.method.to_string(), parts.uri.to_string(), parts.headers, body)
}

fn header_text() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9 ,;=\"/.-]{0,20}".prop_map(|text| text.trim().to_owned())
}

fn arbitrary_request() -> impl Strategy<Value = Request<Vec<u8>>> {
    let method = prop_oneof![Just("GET"), Just("POST"), Just("DELETE"), Just("PATCH")];
    let path = "(/[a-zA-Z0-9%._~-]{0,6}){1,4}".prop_map(|path| path.replace('%', "%41"));
    let query = proptest::option::of("[a-z0-9=&+%]{0,20}".prop_map(|query| query.replace('%', "%2B")));
    let headers = proptest::collection::vec(("x-[a-d]|accept|cookie|content-type", header_text()), 0..8);
    (method, path, query, headers, proptest::collection::vec(any::<u8>(), 0..40), any::<bool>()).prop_map(
        |(method, path, query, headers, body, textual)| {
            let uri = query.map_or(path.clone(), |query| format!("{path}?{query}"));
            let body = if textual { body.iter().map(|b| b & 0x7f).collect() } else { body };
            let mut request = Request::builder().method(method).uri(uri).header("host", "localhost:8080");
            for (name, value) in headers {
                request = request.header(name, value);
            }
            request.body(body).expect("a request")
        },
    )
}

fn arbitrary_response() -> impl Strategy<Value = axum::response::Response> {
    let headers =
        proptest::collection::vec(("x-[a-d]|set-cookie|content-type|etag|vary|connection", header_text()), 0..8);
    let content_type = prop_oneof![
        Just(None),
        Just(Some("application/json")),
        Just(Some("application/problem+json")),
        Just(Some("application/octet-stream")),
        Just(Some("text/plain; charset=utf-8")),
        Just(Some("image/png")),
    ];
    let status = prop_oneof![Just(200_u16), Just(204), Just(303), Just(401), Just(503)];
    (status, headers, content_type, proptest::collection::vec(any::<u8>(), 0..40), any::<bool>()).prop_map(
        |(status, headers, content_type, body, gzip)| {
            let mut response = http::Response::new(axum::body::Body::from(body));
            *response.status_mut() = StatusCode::from_u16(status).expect("a status");
            let map = response.headers_mut();
            for (name, value) in headers {
                let name = http::HeaderName::from_bytes(name.as_bytes()).expect("a name");
                map.append(name, HeaderValue::from_str(&value).expect("a value"));
            }
            if let Some(content_type) = content_type {
                map.insert("content-type", HeaderValue::from_static(content_type));
            }
            if gzip {
                map.insert("content-encoding", HeaderValue::from_static("gzip"));
            }
            response
        },
    )
}

fn comparable(response: Response) -> (StatusCode, Vec<(String, Vec<u8>)>, Bytes) {
    let (parts, body) = response.into_parts();
    let mut headers: Vec<_> =
        parts.headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
    headers.sort();
    (parts.status, headers, body)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

proptest! {
    #[test]
    fn a_handler_sees_the_same_request_typed_and_through_json_text(request in arbitrary_request()) {
        let (parts, body) = request.into_parts();
        let event = event(Request::from_parts(parts, body.leak()));
        let text = serde_json::to_string(&as_json(event.clone())).expect("JSON text");
        let through_text = lambda_http::request::from_str(&text).expect("an event");
        let typed: lambda_http::Request = LambdaRequest::ApiGatewayV2(event).into();
        let (typed, through_text) = block_on(async { (seen(typed).await, seen(through_text).await) });
        prop_assert_eq!(typed, through_text);
    }

    #[test]
    fn a_client_gets_the_same_answer_typed_and_through_json_text(response in arbitrary_response()) {
        let (typed, through_text) = block_on(async {
            let (parts, body) = response.into_parts();
            let body = body.collect().await.expect("a body").to_bytes();
            let again = || http::Response::from_parts(parts.clone(), axum::body::Body::from(body.clone()));
            let typed = response_from_typed(again().into_response().await);
            // lambda_http's own way to the payload.
            let service = lambda_http::service_fn(|_: lambda_http::Request| {
                let response = again();
                async move { Ok::<_, Infallible>(response.into_response().await) }
            });
            let request = event(Request::get("/").body(b"".as_slice()).expect("a request"));
            let call = LambdaEvent::new(LambdaRequest::ApiGatewayV2(request), lambda_http::Context::default());
            let payload = lambda_http::Adapter::from(service).call(call).await.expect("an answer");
            let text = serde_json::to_string(&payload).expect("JSON text");
            (typed, response_from_json(serde_json::from_str(&text).expect("JSON")))
        });
        prop_assert_eq!(typed.map(comparable), through_text.map(comparable));
    }
}
