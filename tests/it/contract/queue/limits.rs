//! What every `Queue` refuses.

use std::time::Duration;

use halyard_cloud::queue::{Outgoing, QueueError, limits::MAX_BYTES};

use super::{NOW, PATIENCE, Rig, SECOND, both, message};

both! {
    a_message_of_256_kib_is_taken_and_a_byte_more_is_not,
    a_batch_has_one_to_ten_entries,
    delays_and_waits_have_limits,
    a_message_holds_only_characters_of_xml,
}

fn refused<T: std::fmt::Debug>(answer: &Result<T, QueueError>) {
    assert!(matches!(answer, Err(QueueError::Refused(_))), "{answer:?}");
}

async fn a_message_of_256_kib_is_taken_and_a_byte_more_is_not(rig: Rig) {
    let body = "x".repeat(MAX_BYTES);
    rig.send(&body).await;
    assert_eq!(rig.next(&rig.main).await.body.len(), body.len());
    refused(&rig.queue.send(&rig.main, &[message(&format!("{body}x"))]).await);
    let (half, rest) = body.split_at(MAX_BYTES / 2);
    let halves = [message(half), message(&format!("{rest}x"))];
    refused(&rig.queue.send(&rig.main, &halves).await);
    let attributes = vec![("a".to_owned(), "b".to_owned())];
    refused(&rig.queue.send(&rig.main, &[Outgoing { attributes, ..message(&body) }]).await);
}

async fn a_batch_has_one_to_ten_entries(rig: Rig) {
    refused(&rig.queue.send(&rig.main, &[]).await);
    refused(&rig.queue.send(&rig.main, &vec![message("x"); 11]).await);
    refused(&rig.queue.delete(&rig.main, &[]).await);
    for max in [0, 11] {
        refused(&rig.queue.receive(&rig.main, max, NOW, None).await);
    }
}

async fn delays_and_waits_have_limits(rig: Rig) {
    let delay = |seconds| Outgoing { delay: Duration::from_secs(seconds), ..message("x") };
    rig.queue.send(&rig.main, &[delay(900)]).await.expect("15 minutes are fine");
    refused(&rig.queue.send(&rig.main, &[delay(901)]).await);
    refused(&rig.queue.receive(&rig.main, 1, Duration::from_secs(21), None).await);
    refused(&rig.queue.receive(&rig.main, 1, NOW, Some(Duration::from_hours(13))).await);
    rig.send("y").await;
    let got = rig.queue.receive(&rig.main, 1, SECOND, Some(PATIENCE)).await.expect("received");
    let longest = Duration::from_hours(12) + SECOND;
    refused(&rig.queue.change_visibility(&rig.main, &got[0].receipt_handle, longest).await);
}

async fn a_message_holds_only_characters_of_xml(rig: Rig) {
    for bad in ["", "a\u{0}b", "\u{1b}[0m", "\u{ffff}"] {
        refused(&rig.queue.send(&rig.main, &[message(bad)]).await);
    }
    rig.send("tab\tline\r\nfine").await;
    assert_eq!(rig.next(&rig.main).await.body, "tab\tline\r\nfine");
}
