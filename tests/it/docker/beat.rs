use halyard_tests::{Actor, Target};

use super::stack::{BEATS, Stack, WORKERS, completed_once, submit};

/// Tasks whose bells are lost, with nobody at work to hear them: only beat rings again.
async fn unheard(stack: &Stack, target: &Target) -> (Actor, Vec<String>) {
    let user = target.new_user("unheard").await;
    for worker in WORKERS {
        stack.stop(worker);
    }
    let ids = submit(&user, 3, 0).await;
    stack.forget_messages();
    (user, ids)
}

async fn back_to_work(stack: &Stack) {
    for worker in WORKERS {
        stack.start(worker).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_one_beat_killed_the_other_rings_for_what_nobody_heard() {
    let stack = Stack::find().await;
    let target = stack.target();
    stack.kill("beat-1");
    let (user, ids) = unheard(&stack, &target).await;
    back_to_work(&stack).await;
    completed_once(&target, &user, &ids).await;
    stack.start("beat-1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_both_beats_killed_they_come_back_and_ring() {
    let stack = Stack::find().await;
    let target = stack.target();
    let (user, ids) = unheard(&stack, &target).await;
    for beat in BEATS {
        stack.kill(beat);
    }
    back_to_work(&stack).await;
    for id in &ids {
        assert_eq!(user.state_of(id).await, "queued", "nobody rings");
    }
    for beat in BEATS {
        stack.start(beat).await;
    }
    completed_once(&target, &user, &ids).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_beat_is_started_again() {
    let stack = Stack::find().await;
    for beat in BEATS {
        stack.crash(beat).await;
        stack.until_healthy(beat).await;
    }
}
