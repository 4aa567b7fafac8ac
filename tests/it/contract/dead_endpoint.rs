//! A service that is down is known to be down soon, and by its name.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use halyard_cloud::{
    queue::{Queue as _, QueueError, QueueName, SqsQueue},
    redis::{Redis, RedisError},
    table::{Condition, DynamoTable, Table as _, TableError, TableName},
};

use super::{aws::settings_for, queue::message, table::item};

/// The time limit of an operation is 2 s.
const SOON: Duration = Duration::from_millis(3500);

/// An address where connections are taken and nothing is ever said; once the listener is dropped, nobody is there.
fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    (listener, address)
}

async fn both_are_unavailable(endpoint: String) {
    let config = settings_for(Some(endpoint.clone())).sdk_config();
    let (queue, table) = (SqsQueue::with_prefix(&config, &format!("{endpoint}/1")), DynamoTable::new(&config));
    let (name, table_name) = (QueueName("q".to_owned()), TableName("t".to_owned()));
    let start = Instant::now();
    let messages = [message("x")];
    let (sent, received, read, written) = tokio::join!(
        queue.send(&name, &messages),
        queue.receive(&name, 1, Duration::ZERO, None),
        table.get(&table_name, "p", "s"),
        table.put(&table_name, item("p", "s", 1), Condition::NotExists),
    );
    assert!(matches!(sent, Err(QueueError::Unavailable(_))), "{sent:?}");
    assert!(matches!(received, Err(QueueError::Unavailable(_))), "{received:?}");
    assert!(matches!(read, Err(TableError::Unavailable(_))), "{read:?}");
    assert!(matches!(written, Err(TableError::Unavailable(_))), "{written:?}");
    assert!(start.elapsed() < SOON, "it took {:?}", start.elapsed());
}

#[tokio::test]
async fn a_closed_port_is_unavailable_soon() {
    let (_, address) = silent();
    for scheme in ["http", "https"] {
        both_are_unavailable(format!("{scheme}://{address}")).await;
    }
}

#[tokio::test]
async fn a_silent_server_is_unavailable_soon() {
    let (_listener, address) = silent();
    for scheme in ["http", "https"] {
        both_are_unavailable(format!("{scheme}://{address}")).await;
    }
}

#[tokio::test]
async fn a_silent_redis_is_unavailable_soon() {
    let (_listener, address) = silent();
    for scheme in ["redis", "rediss"] {
        let redis = Redis::new(&format!("{scheme}://{address}"), "test").expect("a good URL");
        let start = Instant::now();
        let answer = redis.ping().await;
        assert!(matches!(answer, Err(RedisError::Unavailable(_))), "{scheme}: {answer:?}");
        assert!(start.elapsed() < Duration::from_millis(1500), "{scheme} took {:?}", start.elapsed());
    }
}
