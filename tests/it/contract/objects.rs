//! What every `Objects` keeps. Each test runs against the twin in memory and on files, and against the S3 API.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use halyard_cloud::objects::{
    BucketName, ObjectError, ObjectTwin, Objects, Redeemed, S3Objects,
    limits::{MAX_BYTES, MAX_KEY, MAX_LINK},
};
use halyard_domain::{Clock, Entropy, ManualClock, SystemClock};
use halyard_tests::{
    Receiver, Reply, Scratch,
    environment::Servers,
    transport::{Remote, Transport as _},
};
use http::{Request, Uri};

use super::aws::{settings, settings_for, unique};

const JSON: &str = "application/json";
const MINUTE: Duration = Duration::from_mins(1);
/// How long an object is kept.
const DAYS: u32 = 30;

/// A bucket under test.
struct Rig {
    objects: Arc<dyn Objects>,
    bucket: BucketName,
    now: SystemTime,
    twin: Option<ObjectTwin>,
    _scratch: Option<Scratch>,
}

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).expect("a moment")
}

fn bucket() -> BucketName {
    BucketName("bucket".to_owned())
}

fn on_files(directory: &Path, clock: &Arc<ManualClock>) -> ObjectTwin {
    let clock: Arc<dyn Clock> = clock.clone();
    ObjectTwin::open(directory, clock, Arc::new(Entropy::seeded(1)), [(bucket(), Some(DAYS))]).expect("a directory")
}

fn in_memory(clock: &Arc<ManualClock>) -> ObjectTwin {
    let clock: Arc<dyn Clock> = clock.clone();
    ObjectTwin::in_memory(clock, Arc::new(Entropy::seeded(1)), [(bucket(), Some(DAYS))])
}

impl Rig {
    fn memory() -> Self {
        Self::of(in_memory(&Arc::new(ManualClock::new(start()))), None)
    }

    fn files() -> Self {
        let scratch = Scratch::new("ob");
        let twin = on_files(&scratch.path().join("objects"), &Arc::new(ManualClock::new(start())));
        Self::of(twin, Some(scratch))
    }

    fn of(twin: ObjectTwin, scratch: Option<Scratch>) -> Self {
        let objects = Arc::new(twin.clone());
        Self { objects, bucket: bucket(), now: start().into(), twin: Some(twin), _scratch: scratch }
    }

    async fn s3() -> Self {
        let settings = settings();
        let objects = S3Objects::new(&settings, &settings.sdk_config(), None, None);
        let bucket = BucketName(unique("bucket").to_lowercase());
        objects.make_bucket(&bucket, Some(DAYS)).await.expect("a bucket");
        Self { objects: Arc::new(objects), bucket, now: SystemClock.now().into(), twin: None, _scratch: None }
    }

    async fn put(&self, key: &str, body: impl Into<Bytes>) {
        self.objects.put(&self.bucket, key, body.into(), JSON).await.expect("put");
    }

    async fn get(&self, key: &str) -> Option<Bytes> {
        self.objects.get(&self.bucket, key).await.expect("an answer")
    }

    async fn link(&self, key: &str, valid: Duration, from: SystemTime) -> String {
        self.objects.link(&self.bucket, key, valid, from).await.expect("a link")
    }

    /// What follows a link without any credential: the body and its media type, or a status.
    async fn follow(&self, link: &str) -> Result<(Bytes, String), u16> {
        if let Some(twin) = &self.twin {
            return match twin.redeem(link).expect("a link of the twin's") {
                Redeemed::Found { body, content_type } => Ok((body, content_type)),
                Redeemed::Forbidden => Err(403),
                Redeemed::Missing => Err(404),
            };
        }
        let link: Uri = link.parse().expect("a URL");
        let request = Request::get(link.path_and_query().expect("a path").as_str()).body(Bytes::new());
        let endpoint = Remote::new(Servers::from_env().aws());
        let answer = endpoint.try_send(request.expect("a request")).await.expect("an answer");
        let content_type = answer.header("content-type").to_owned();
        if answer.code() == 200 { Ok((answer.body, content_type)) } else { Err(answer.code()) }
    }
}

macro_rules! contract {
    ($($test:ident),* $(,)?) => {
        mod memory { $( #[tokio::test] async fn $test() { super::$test(super::Rig::memory()).await } )* }
        mod files { $( #[tokio::test] async fn $test() { super::$test(super::Rig::files()).await } )* }
        mod s3 { $( #[tokio::test] async fn $test() { super::$test(super::Rig::s3().await).await } )* }
    };
}

contract! {
    an_object_comes_back_as_it_was_put,
    an_object_of_megabytes_comes_back_whole,
    what_was_never_put_is_not_there,
    a_put_replaces_the_whole_object,
    a_link_leads_whoever_has_it_to_one_object,
    a_link_ends_with_its_time,
    a_link_to_nothing_leads_nowhere,
    an_unknown_bucket_is_refused,
    what_is_no_key_is_refused,
    an_object_that_no_environment_could_hold_is_refused,
    a_link_lives_a_second_to_seven_days,
}

async fn an_object_comes_back_as_it_was_put(rig: Rig) {
    let body = Bytes::from_static(b"\n{\"bytes\": \"\xff\x00\"}\r\n");
    for key in ["results/01J00000000000000000000000/1.json", "one", "a-b_c.d/e"] {
        rig.put(key, body.clone()).await;
        assert_eq!(rig.get(key).await, Some(body.clone()), "{key}");
    }
    rig.put("empty", "").await;
    assert_eq!(rig.get("empty").await, Some(Bytes::new()));
}

async fn an_object_of_megabytes_comes_back_whole(rig: Rig) {
    let body: Bytes = (0..6_000_000_u32).map(|n| n.to_le_bytes()[usize::from(n % 3 == 0)]).collect();
    rig.put("results/x/1.json", body.clone()).await;
    assert!(rig.get("results/x/1.json").await == Some(body.clone()), "other bytes than were put");
    let link = rig.link("results/x/1.json", MINUTE, rig.now).await;
    assert!(rig.follow(&link).await == Ok((body, JSON.to_owned())), "other bytes than were put");
}

async fn what_was_never_put_is_not_there(rig: Rig) {
    rig.put("results/x/1.json", "1").await;
    for key in ["results/x/2.json", "results/y/1.json", "results/x", "other"] {
        assert_eq!(rig.get(key).await, None, "{key}");
    }
}

async fn a_put_replaces_the_whole_object(rig: Rig) {
    rig.put("key", "a long text").await;
    let put = rig.objects.put(&rig.bucket, "key", Bytes::from_static(b"short"), "text/plain; charset=utf-8").await;
    put.expect("put");
    assert_eq!(rig.get("key").await, Some(Bytes::from_static(b"short")));
    let link = rig.link("key", MINUTE, rig.now).await;
    assert_eq!(rig.follow(&link).await, Ok(("short".into(), "text/plain; charset=utf-8".to_owned())));
}

async fn a_link_leads_whoever_has_it_to_one_object(rig: Rig) {
    rig.put("results/x/1.json", "1").await;
    rig.put("results/x/2.json", "2").await;
    let link = rig.link("results/x/1.json", MINUTE, rig.now).await;
    for _ in 0..2 {
        assert_eq!(rig.follow(&link).await, Ok(("1".into(), JSON.to_owned())));
    }
    assert_eq!(rig.follow(&link.replace("/1.json?", "/2.json?")).await, Err(403));
    let (known, last) = link.split_at(link.len() - 1);
    assert_eq!(rig.follow(&format!("{known}{}", if last == "0" { "1" } else { "0" })).await, Err(403));
}

async fn a_link_ends_with_its_time(rig: Rig) {
    rig.put("key", "1").await;
    let ended = rig.link("key", MINUTE, rig.now - MINUTE - Duration::from_secs(1)).await;
    assert_eq!(rig.follow(&ended).await, Err(403));
    let good = rig.link("key", 2 * MINUTE, rig.now - MINUTE).await;
    assert!(rig.follow(&good).await.is_ok());
}

async fn a_link_to_nothing_leads_nowhere(rig: Rig) {
    let link = rig.link("results/x/1.json", MINUTE, rig.now).await;
    assert_eq!(rig.follow(&link).await, Err(404));
}

fn refused<T: std::fmt::Debug>(answer: &Result<T, ObjectError>) {
    assert!(matches!(answer, Err(ObjectError::Refused(_))), "{answer:?}");
}

async fn an_unknown_bucket_is_refused(rig: Rig) {
    let unknown = BucketName(unique("nowhere").to_lowercase());
    refused(&rig.objects.put(&unknown, "key", Bytes::new(), JSON).await);
    refused(&rig.objects.get(&unknown, "key").await);
}

async fn what_is_no_key_is_refused(rig: Rig) {
    rig.put(&"k".repeat(200), "a long one").await;
    let too_long = "k/".repeat(MAX_KEY / 2) + "k";
    for key in ["", "/a", "a/", "a//b", "..", "a/../b", ".a", "a b", "a?b", "a%2Fb", "ä", "a\\b", "a\0", &too_long] {
        refused(&rig.objects.put(&rig.bucket, key, Bytes::new(), JSON).await);
        refused(&rig.objects.get(&rig.bucket, key).await);
        refused(&rig.objects.link(&rig.bucket, key, MINUTE, rig.now).await);
    }
    for media_type in ["", "text/plain\r\nx: y", "ä"] {
        refused(&rig.objects.put(&rig.bucket, "key", Bytes::new(), media_type).await);
    }
}

async fn an_object_that_no_environment_could_hold_is_refused(rig: Rig) {
    refused(&rig.objects.put(&rig.bucket, "key", vec![0_u8; MAX_BYTES + 1].into(), JSON).await);
    assert_eq!(rig.get("key").await, None);
}

async fn a_link_lives_a_second_to_seven_days(rig: Rig) {
    rig.put("key", "1").await;
    for valid in [Duration::from_secs(1), MAX_LINK] {
        rig.link("key", valid, rig.now).await;
    }
    for valid in [Duration::ZERO, Duration::from_millis(999), MAX_LINK + Duration::from_secs(1)] {
        refused(&rig.objects.link(&rig.bucket, "key", valid, rig.now).await);
    }
}

#[tokio::test]
async fn what_was_put_is_there_when_the_directory_is_opened_again_and_its_links_are_not() {
    let (scratch, clock) = (Scratch::new("ob"), Arc::new(ManualClock::new(start())));
    let directory = scratch.path().join("objects");
    let twin = on_files(&directory, &clock);
    twin.put(&bucket(), "results/x/1.json", "1".into(), JSON).await.expect("put");
    let link = twin.link(&bucket(), "results/x/1.json", MINUTE, start().into()).await.expect("a link");
    // What a killed process was writing.
    std::fs::write(directory.join(".new-7"), "half").expect("a file");
    let again = on_files(&directory, &clock);
    assert_eq!(again.get(&bucket(), "results/x/1.json").await, Ok(Some("1".into())));
    assert_eq!(again.redeem(&link), Some(Redeemed::Forbidden));
    assert_eq!(again.redeem("/tasks"), None);
    assert!(!directory.join(".new-7").exists());
}

#[tokio::test]
async fn the_twin_deletes_what_is_older_than_its_bucket_keeps_when_another_is_put() {
    let (scratch, clock) = (Scratch::new("ob"), Arc::new(ManualClock::new(start())));
    let directory = scratch.path().join("objects");
    for twin in [on_files(&directory, &clock), in_memory(&clock)] {
        let put = async |key: &str| twin.put(&bucket(), key, "1".into(), JSON).await.expect("put");
        let there = async |key: &str| twin.get(&bucket(), key).await.expect("an answer").is_some();
        put("results/old/1.json").await;
        clock.advance(TimeDelta::days(i64::from(DAYS)) - TimeDelta::minutes(1));
        put("results/young/1.json").await;
        assert!(there("results/old/1.json").await);
        clock.advance(TimeDelta::minutes(2));
        put("results/another/1.json").await;
        assert!(there("results/old/1.json").await, "it was looked for a moment ago");
        clock.advance(TimeDelta::hours(1));
        put("results/another/2.json").await;
        assert!(!there("results/old/1.json").await && there("results/young/1.json").await);
    }
    assert!(!directory.join("bucket/results/old").exists(), "no empty directory is left");
}

#[tokio::test]
async fn a_bucket_may_be_made_again_and_says_how_long_objects_are_kept() {
    let mut settings = settings();
    // In the first region of all a bucket has no place of its own.
    for region in ["us-east-1", "eu-central-1"] {
        region.clone_into(&mut settings.region);
        let objects = S3Objects::new(&settings, &settings.sdk_config(), None, None);
        let bucket = BucketName(unique("bucket").to_lowercase());
        for days in [7, DAYS] {
            objects.make_bucket(&bucket, Some(days)).await.expect("a bucket");
        }
        let scope = format!(
            "AWS4-HMAC-SHA256 Credential=test/20260101/{region}/s3/aws4_request, SignedHeaders=host, Signature=0"
        );
        let request = Request::get(format!("/{bucket}?lifecycle")).header("authorization", scope);
        let endpoint = Remote::new(Servers::from_env().aws());
        let rules = endpoint.try_send(request.body(Bytes::new()).expect("a request")).await.expect("an answer");
        assert!(rules.text().contains(&format!("<Days>{DAYS}</Days>")), "{}", rules.text());
    }
}

/// A client of a server that answers what the test tells it.
fn client_of(receiver: &Receiver) -> S3Objects {
    let settings = settings_for(Some(receiver.url("")));
    S3Objects::new(&settings, &settings.sdk_config(), None, None)
}

#[tokio::test]
async fn a_service_that_is_busy_is_asked_again_and_one_that_refuses_is_not() {
    let receiver = Receiver::start();
    let objects = client_of(&receiver);
    let said = |status: u16, code: &str| {
        let body = format!("<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>Why.</Message></Error>");
        Reply::status(status).header("connection", "close").body(body)
    };
    receiver.reply(said(503, "SlowDown"));
    receiver.reply(said(400, "RequestTimeout"));
    receiver.reply(said(200, ""));
    objects.put(&bucket(), "key", "1".into(), JSON).await.expect("put");
    let heard = receiver.take();
    assert!(heard.len() == 3 && heard.iter().all(|one| one.path == "/bucket/key" && one.body == b"1"), "{heard:?}");
    assert!(heard.iter().all(|one| one.headers.contains_key("x-amz-content-sha256")), "{heard:?}");

    receiver.reply(said(403, "AccessDenied"));
    let denied = objects.put(&bucket(), "key", "1".into(), JSON).await;
    assert_eq!(denied, Err(ObjectError::Unavailable("403 AccessDenied: Why.".to_owned())));
    receiver.reply(said(404, "NoSuchBucket"));
    let refused = objects.put(&bucket(), "key", "1".into(), JSON).await;
    assert_eq!(refused, Err(ObjectError::Refused("404 NoSuchBucket: Why.".to_owned())));
    assert_eq!(receiver.count(), 2, "asked once each");

    receiver.otherwise(said(503, "SlowDown"));
    let busy = objects.put(&bucket(), "key", "1".into(), JSON).await;
    assert_eq!(busy, Err(ObjectError::Unavailable("503 SlowDown: Why.".to_owned())));
}

#[tokio::test]
async fn a_service_that_is_not_there_is_unavailable() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
    let settings = settings_for(Some(format!("http://{nobody}")));
    let objects = S3Objects::new(&settings, &settings.sdk_config(), None, None);
    let put = objects.put(&bucket(), "key", "1".into(), JSON).await;
    assert!(put.as_ref().is_err_and(ObjectError::is_unavailable), "{put:?}");
    let got = objects.get(&bucket(), "key").await;
    assert!(got.as_ref().is_err_and(ObjectError::is_unavailable), "{got:?}");
}

#[tokio::test]
async fn a_link_names_the_bucket_as_a_host_on_aws_and_as_a_path_where_clients_reach_an_emulator() {
    let link = async |region: &str, endpoint: Option<&str>, public: Option<&str>| {
        let mut settings = settings_for(None);
        region.clone_into(&mut settings.region);
        let objects = S3Objects::new(&settings, &settings.sdk_config(), endpoint, public);
        let link = objects.link(&bucket(), "results/x/1.json", MINUTE, start().into()).await.expect("a link");
        let (at, query) = link.split_once('?').expect("a query");
        assert!(query.contains("X-Amz-Expires=60") && query.contains("X-Amz-SignedHeaders=host"), "{link}");
        assert!(query.contains(&format!("Credential=test%2F20260921%2F{region}%2Fs3%2Faws4_request")), "{link}");
        at.to_owned()
    };
    let inside = "http://emulator:4566";
    assert_eq!(link("eu-west-1", None, None).await, "https://bucket.s3.eu-west-1.amazonaws.com/results/x/1.json");
    let in_china = "https://bucket.s3.cn-north-1.amazonaws.com.cn/results/x/1.json";
    assert_eq!(link("cn-north-1", None, None).await, in_china);
    assert_eq!(link("us-east-1", Some(inside), None).await, format!("{inside}/bucket/results/x/1.json"));
    let outside = "https://localhost:8443";
    let public = link("us-east-1", Some(inside), Some(&format!("{outside}/"))).await;
    assert_eq!(public, format!("{outside}/bucket/results/x/1.json"));
}
