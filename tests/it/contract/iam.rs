//! The table of permissions against what the adapters really ask, on the wire.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use halyard_cloud::{
    iam::{ObjectOperation, QueueOperation, READ_SECRET, TableOperation},
    objects::{BucketName, Objects as _, S3Objects},
    queue::{Queue as _, QueueName, SqsQueue},
    secrets::Secrets,
    table::{Condition, DynamoTable, Table as _},
};
use halyard_domain::{Clock as _, SystemClock};
use halyard_tests::recorder::Recorder;

use super::{
    aws::{queues, settings, settings_for, table, unique},
    queue::message,
    table::item,
};

/// The permission that an operation of AWS needs: of its own name, but for the batches of SQS.
fn permissions(operations: BTreeSet<String>) -> Vec<String> {
    let permission = |operation: String| match operation.strip_suffix("Batch") {
        Some(single) if operation.starts_with("sqs:") => single.to_owned(),
        _ => operation,
    };
    operations.into_iter().map(permission).collect()
}

async fn recorder() -> Recorder {
    Recorder::before(&settings().endpoint.expect("an endpoint")).await
}

#[tokio::test]
async fn each_operation_of_a_queue_needs_the_permission_that_the_table_names() {
    let (_, name, _) = queues(30).await;
    let recorder = recorder().await;
    let config = settings_for(Some(recorder.endpoint())).sdk_config();
    let queue = SqsQueue::with_urls(&config, [format!("{}/000000000000/{name}", recorder.endpoint())]);
    let asked = |operation: QueueOperation| {
        assert_eq!(permissions(recorder.take_operations()), [operation.action()], "{operation:?}");
    };
    queue.send(&name, &[message("x")]).await.expect("sent");
    asked(QueueOperation::Send);
    let received = queue.receive(&name, 1, Duration::from_secs(1), None).await.expect("received");
    asked(QueueOperation::Receive);
    let handle = received[0].receipt_handle.clone();
    queue.change_visibility(&name, &handle, Duration::from_secs(5)).await.expect("changed");
    asked(QueueOperation::ChangeVisibility);
    queue.delete(&name, &[handle]).await.expect("deleted");
    asked(QueueOperation::Delete);
    queue.depth(&name).await.expect("a depth");
    asked(QueueOperation::Depth);
    queue.purge(&name).await.expect("purged");
    asked(QueueOperation::Purge);
    let unknown = queue.depth(&QueueName("nobody".to_owned())).await;
    assert!(unknown.is_err() && recorder.take().is_empty(), "an unknown queue is refused before anybody is asked");
}

#[tokio::test]
async fn each_operation_of_a_table_needs_the_permission_that_the_table_names() {
    let name = table().await;
    let recorder = recorder().await;
    let store = DynamoTable::new(&settings_for(Some(recorder.endpoint())).sdk_config());
    let asked = |operation: TableOperation| {
        let calls = recorder.take();
        assert!(calls.iter().all(|call| call.resource == name.0), "{calls:?}");
        let operations = calls.into_iter().map(|call| format!("{}:{}", call.service, call.operation)).collect();
        assert_eq!(permissions(operations), [operation.action()], "{operation:?}");
    };
    // Every condition: none of them may need a permission of its own.
    store.put(&name, item("p", "s", 1), Condition::NotExists).await.expect("put");
    asked(TableOperation::Put);
    store.put(&name, item("p", "s", 2), Condition::VersionIs(1)).await.expect("put");
    asked(TableOperation::Put);
    store.get(&name, "p", "s").await.expect("got").expect("an item");
    asked(TableOperation::Get);
    store.put_all(&name, (0..30).map(|n| item("q", &format!("{n:02}"), 1)).collect()).await.expect("put");
    asked(TableOperation::PutAll);
    store.query(&name, "q", Some("03"), 5).await.expect("a page");
    asked(TableOperation::Query);
    store.delete(&name, "p", "s", Condition::VersionIs(2)).await.expect("deleted");
    asked(TableOperation::Delete);
}

/// S3 names its operations by method and path.
#[tokio::test]
async fn each_operation_of_a_bucket_needs_the_permission_that_the_table_names() {
    let recorder = recorder().await;
    let settings = settings_for(Some(recorder.endpoint()));
    let objects = S3Objects::new(&settings, &settings.sdk_config(), Some(&recorder.endpoint()), None);
    let bucket = BucketName(unique("bucket").to_lowercase());
    objects.make_bucket(&bucket, None).await.expect("a bucket");
    recorder.take();
    let key = "results/one/1.json";
    let asked = |operation: ObjectOperation, action: &str, method: &str| {
        assert_eq!(operation.action(), action);
        let calls: Vec<String> = recorder.take().into_iter().map(|call| call.operation).collect();
        assert_eq!(calls, [format!("{method} /{bucket}/{key}")], "{operation:?}");
    };
    objects.put(&bucket, key, Bytes::from_static(b"{}"), "application/json").await.expect("put");
    asked(ObjectOperation::Put, "s3:PutObject", "PUT");
    objects.get(&bucket, key).await.expect("got").expect("an object");
    asked(ObjectOperation::Get, "s3:GetObject", "GET");
    objects.link(&bucket, key, Duration::from_mins(5), SystemClock.now().into()).await.expect("a link");
    assert!(recorder.take().is_empty(), "a link asks nobody; who follows it reads");
    assert_eq!(ObjectOperation::Link.action(), ObjectOperation::Get.action());
}

#[tokio::test]
async fn a_secret_needs_the_permission_to_read_it() {
    let recorder = recorder().await;
    let secrets = Secrets::new(&settings_for(Some(recorder.endpoint())).sdk_config());
    secrets.get("halyard/nowhere").await.expect_err("there is none");
    assert_eq!(permissions(recorder.take_operations()), [READ_SECRET]);
}
