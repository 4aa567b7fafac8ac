//! Execution environments: frozen or not, how many, how they end.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use halyard_gateway::{InvokeError, Limits, invoke::FailureKind};
use halyard_platform::function::{Answer, Event};
use serde_json::{Value, json};
use tokio::sync::{Barrier, Notify, Semaphore};

use crate::support::{Fixture, NEVER, SOON, plain};

fn answer(result: Result<Answer, InvokeError>) -> Value {
    match result {
        Ok(Answer::Plain(value)) => value,
        other => panic!("not a plain answer: {other:?}"),
    }
}

fn kind(result: Result<Answer, InvokeError>) -> FailureKind {
    match result {
        Err(InvokeError::Function { kind, .. }) => kind,
        other => panic!("not a failed function: {other:?}"),
    }
}

fn event(value: Value) -> Event {
    Event::Plain(value)
}

/// A function whose first invocation leaves a task behind: when rung, it knocks.
fn leaves_a_task_behind(fixture: Fixture) -> (Fixture, Arc<Notify>, mpsc::Receiver<()>) {
    let (bell, (knock, heard)) = (Arc::new(Notify::new()), mpsc::channel());
    let rung = Arc::clone(&bell);
    let fixture = fixture.with("tick", move || {
        let (rung, knock) = (Arc::clone(&rung), knock.clone());
        plain(move |event| {
            let (rung, knock) = (Arc::clone(&rung), knock.clone());
            async move {
                if event == "leave" {
                    tokio::spawn(async move {
                        rung.notified().await;
                        knock.send(()).expect("the test listens");
                    });
                }
                // The task gets as far as waiting for the bell, or hears it.
                for _ in 0..64 {
                    tokio::task::yield_now().await;
                }
                Ok(event)
            }
        })
    });
    (fixture, bell, heard)
}

#[tokio::test]
async fn in_standard_mode_what_a_handler_leaves_behind_stands_still_until_the_next_invocation() {
    let (fixture, bell, heard) = leaves_a_task_behind(Fixture::new());
    let gateway = fixture.start().await;
    answer(gateway.invoke("Tick", event(json!("leave"))).await);
    bell.notify_one();
    assert!(heard.recv_timeout(NEVER).is_err(), "it was polled although no invocation was outstanding");
    answer(gateway.invoke("Tick", event(json!("thaw"))).await);
    assert!(heard.recv_timeout(SOON).is_ok(), "it goes on once the environment thaws");
    assert_eq!(gateway.counts("Tick").started, 1, "all in one environment");
    gateway.shutdown(SOON).await;
}

#[tokio::test]
async fn in_managed_mode_it_goes_on() {
    let (fixture, bell, heard) = leaves_a_task_behind(Fixture::managed(4));
    let gateway = fixture.start().await;
    answer(gateway.invoke("Tick", event(json!("leave"))).await);
    bell.notify_one();
    assert!(heard.recv_timeout(SOON).is_ok());
    gateway.shutdown(SOON).await;
}

#[tokio::test]
async fn a_future_that_lost_a_select_is_dropped_before_the_answer_and_never_polled_again() {
    struct Polled(Arc<AtomicUsize>, Arc<AtomicBool>);
    impl Future for Polled {
        type Output = ();
        fn poll(self: std::pin::Pin<&mut Self>, context: &mut std::task::Context<'_>) -> std::task::Poll<()> {
            self.0.fetch_add(1, Ordering::SeqCst);
            context.waker().wake_by_ref();
            std::task::Poll::Pending
        }
    }
    impl Drop for Polled {
        fn drop(&mut self) {
            self.1.store(true, Ordering::SeqCst);
        }
    }
    let (polls, dropped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let (seen, gone) = (Arc::clone(&polls), Arc::clone(&dropped));
    let gateway = Fixture::new()
        .with("tick", move || {
            let (polls, dropped) = (Arc::clone(&polls), Arc::clone(&dropped));
            plain(move |event| {
                let loser = Polled(Arc::clone(&polls), Arc::clone(&dropped));
                async move {
                    tokio::select! {
                        biased;
                        () = loser => {}
                        () = tokio::task::yield_now() => {}
                    }
                    Ok(event)
                }
            })
        })
        .start()
        .await;
    answer(gateway.invoke("Tick", event(json!(1))).await);
    assert!(gone.load(Ordering::SeqCst));
    let before = seen.load(Ordering::SeqCst);
    answer(gateway.invoke("Tick", event(json!(2))).await);
    assert!(before > 0 && seen.load(Ordering::SeqCst) <= 2 * before, "only the second one's own was polled");
    gateway.shutdown(SOON).await;
}

/// A function that answers once `n` invocations are there together.
fn meets(fixture: Fixture, n: usize) -> Fixture {
    let barrier = Arc::new(Barrier::new(n));
    fixture.with("tick", move || {
        let barrier = Arc::clone(&barrier);
        plain(move |event| {
            let barrier = Arc::clone(&barrier);
            async move {
                if event == "meet" {
                    barrier.wait().await;
                }
                Ok(event)
            }
        })
    })
}

#[tokio::test]
async fn standard_mode_needs_an_environment_for_each_invocation_at_a_time_and_reuses_the_youngest() {
    let gateway = meets(Fixture::new(), 2).start().await;
    let meet = || gateway.invoke("Tick", event(json!("meet")));
    let (one, two) = tokio::join!(meet(), meet());
    answer(one);
    answer(two);
    assert_eq!(gateway.environments("Tick"), 2);
    for _ in 0..20 {
        answer(gateway.invoke("Tick", event(json!("alone"))).await);
    }
    let counts = gateway.counts("Tick");
    assert_eq!((counts.started, counts.environments, counts.invocations), (2, 2, 22));
    gateway.shutdown(SOON).await;
}

#[tokio::test]
async fn managed_mode_takes_them_all_in_one() {
    let gateway = meets(Fixture::managed(8), 8).start().await;
    let all = (0..8).map(|_| gateway.invoke("Tick", event(json!("meet"))));
    futures::future::join_all(all).await.into_iter().for_each(|result| drop(answer(result)));
    assert_eq!(gateway.counts("Tick").started, 1);
    gateway.shutdown(SOON).await;
}

/// A function that waits for the test.
fn waits(fixture: Fixture) -> (Fixture, Arc<Semaphore>, Arc<Semaphore>) {
    let (inside, open) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (entered, opened) = (Arc::clone(&inside), Arc::clone(&open));
    let fixture = fixture.with("work", move || {
        let (entered, opened) = (Arc::clone(&entered), Arc::clone(&opened));
        plain(move |event| {
            let (entered, opened) = (Arc::clone(&entered), Arc::clone(&opened));
            async move {
                entered.add_permits(1);
                opened.acquire().await.expect("open").forget();
                Ok(event)
            }
        })
    });
    (fixture, inside, open)
}

#[tokio::test]
async fn beyond_the_reserved_concurrency_invocations_are_throttled() {
    let (fixture, inside, open) = waits(Fixture::new());
    let gateway = Arc::new(fixture.start().await);
    let busy: Vec<_> = (0..8)
        .map(|n| {
            let gateway = Arc::clone(&gateway);
            tokio::spawn(async move { gateway.invoke("Work", event(json!(n))).await })
        })
        .collect();
    inside.acquire_many(8).await.expect("all are inside").forget();
    assert_eq!(gateway.environments("Work"), 8);
    let refused = gateway.invoke("Work", event(json!("one too many"))).await;
    assert!(matches!(refused, Err(InvokeError::Throttled)), "{refused:?}");
    assert_eq!(gateway.counts("Work").throttles, 1);
    open.add_permits(8);
    for one in busy {
        answer(one.await.expect("no panic"));
    }
    open.add_permits(1);
    answer(gateway.invoke("Work", event(json!("there is room again"))).await);
    assert_eq!(gateway.counts("Work").started, 8);
}

#[tokio::test]
async fn who_may_wait_is_served_when_an_environment_is_free() {
    let (mut fixture, inside, open) = waits(Fixture::new());
    fixture.limits = Limits { patience: SOON, ..fixture.limits };
    let gateway = Arc::new(fixture.start().await);
    let all: Vec<_> = (0..20)
        .map(|n| {
            let gateway = Arc::clone(&gateway);
            tokio::spawn(async move { gateway.invoke("Work", event(json!(n))).await })
        })
        .collect();
    inside.acquire_many(8).await.expect("eight are inside").forget();
    open.add_permits(20);
    for one in all {
        answer(one.await.expect("no panic"));
    }
    assert_eq!(gateway.counts("Work").started, 8, "the others waited");
}

#[tokio::test]
async fn a_panic_ends_the_environment_and_only_that() {
    let gateway = Fixture::new()
        .with("tick", || {
            plain(|event| async move {
                assert_ne!(event, "panic", "as asked");
                Ok(event)
            })
        })
        .start()
        .await;
    answer(gateway.invoke("Tick", event(json!("fine"))).await);
    assert_eq!(kind(gateway.invoke("Tick", event(json!("panic"))).await), FailureKind::Crash);
    assert_eq!(gateway.environments("Tick"), 0);
    answer(gateway.invoke("Tick", event(json!("fine"))).await);
    assert_eq!(gateway.counts("Tick").started, 2);
    gateway.shutdown(SOON).await;
}

#[tokio::test]
async fn a_timeout_ends_the_environment() {
    for fixture in [Fixture::new(), Fixture::managed(4)] {
        let gateway = fixture
            .with("tick", || {
                plain(|event| async move {
                    if event == "hang" {
                        std::future::pending::<()>().await;
                    }
                    Ok(event)
                })
            })
            .start()
            .await;
        assert_eq!(kind(gateway.invoke("Tick", event(json!("hang"))).await), FailureKind::Timeout);
        assert_eq!(gateway.environments("Tick"), 0);
        answer(gateway.invoke("Tick", event(json!("fine"))).await);
        gateway.shutdown(SOON).await;
    }
}

#[tokio::test]
async fn a_function_that_cannot_start_says_so_and_is_tried_again() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let mut fixture = Fixture::new();
    let counted = Arc::clone(&attempts);
    fixture.registry = fixture.registry.with("tick", move |_| {
        let attempt = counted.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            match attempt {
                0 => Err(halyard_platform::InitError::Other("no configuration".to_owned())),
                1 => panic!("at the first look"),
                _ => Ok(plain(|event| async move { Ok(event) })),
            }
        })
    });
    let gateway = fixture.start().await;
    let first = gateway.invoke("Tick", event(json!(1))).await;
    assert!(
        matches!(&first, Err(InvokeError::Function { kind: FailureKind::Init, message }) if message == "no configuration")
    );
    assert_eq!(kind(gateway.invoke("Tick", event(json!(2))).await), FailureKind::Init);
    answer(gateway.invoke("Tick", event(json!(3))).await);
    assert_eq!((gateway.counts("Tick").failures, gateway.environments("Tick")), (2, 1));
    gateway.shutdown(SOON).await;
}

#[tokio::test]
async fn each_environment_has_its_own_state_and_the_templates_variables() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    let mut fixture = Fixture::new();
    fixture.change = Box::new(|config| drop(config.vars.insert("OTHER".to_owned(), "gateway".to_owned())));
    fixture.registry = fixture.registry.with("tick", move |host| {
        let names = ["COLOUR", "OTHER", "AWS_LAMBDA_FUNCTION_NAME", "AWS_REGION", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"];
        let values = names.map(|name| host.vars.get(name).unwrap_or("-").to_owned());
        kept.lock().expect("no panic").push(values);
        Box::pin(async { Ok(plain(|event| async move { Ok(event) })) })
    });
    let gateway = fixture.start().await;
    answer(gateway.invoke("Tick", event(json!(1))).await);
    let expected = ["blue", "gateway", "halyard-Tick", "us-east-1", "128"].map(str::to_owned);
    assert_eq!(*seen.lock().expect("no panic"), [expected]);
    gateway.shutdown(SOON).await;
}

#[tokio::test]
async fn shutdown_waits_for_what_is_under_way_and_drops_the_functions() {
    struct Flag(Arc<AtomicBool>);
    impl Drop for Flag {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let (inside, open) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (entered, opened, dropped) = (Arc::clone(&inside), Arc::clone(&open), Arc::new(AtomicBool::new(false)));
    let gone = Arc::clone(&dropped);
    let fixture = Fixture::new().with("work", move || {
        let state = Arc::new(Flag(Arc::clone(&gone)));
        let (entered, opened) = (Arc::clone(&entered), Arc::clone(&opened));
        plain(move |event| {
            let (entered, opened, state) = (Arc::clone(&entered), Arc::clone(&opened), Arc::clone(&state));
            async move {
                entered.add_permits(1);
                opened.acquire().await.expect("open").forget();
                drop(state);
                Ok(event)
            }
        })
    });
    let gateway = fixture.start().await;
    let (first, ()) = {
        let under_way = gateway.invoke("Work", event(json!("last")));
        let opening = async {
            inside.acquire().await.expect("it is inside").forget();
            open.add_permits(1);
        };
        tokio::join!(under_way, opening)
    };
    assert_eq!(answer(first), json!("last"));
    assert!(!dropped.load(Ordering::SeqCst), "the environment is kept");
    gateway.shutdown(SOON).await;
    assert!(dropped.load(Ordering::SeqCst), "and ends with the gateway");
}

#[tokio::test]
async fn environments_end_with_a_gateway_that_is_only_dropped() {
    struct Farewell(mpsc::Sender<()>);
    impl Drop for Farewell {
        fn drop(&mut self) {
            self.0.send(()).expect("the test listens");
        }
    }
    for fixture in [Fixture::new(), Fixture::managed(4)] {
        let (say, heard) = mpsc::channel();
        let fixture = fixture.with("tick", move || {
            let state = Arc::new(Farewell(say.clone()));
            plain(move |event| {
                let state = Arc::clone(&state);
                async move {
                    drop(state);
                    Ok(event)
                }
            })
        });
        let gateway = fixture.start().await;
        answer(gateway.invoke("Tick", event(json!(1))).await);
        drop(gateway);
        let farewell = tokio::task::spawn_blocking(move || heard.recv_timeout(SOON)).await;
        assert!(farewell.expect("no panic").is_ok());
    }
}

#[tokio::test]
async fn an_environment_that_is_not_needed_for_long_is_ended() {
    let mut fixture = Fixture::new();
    fixture.limits = Limits { idle: Duration::ZERO, ..fixture.limits };
    let gateway = fixture.start().await;
    answer(gateway.invoke("Tick", event(json!(1))).await);
    assert_eq!(gateway.environments("Tick"), 1);
    gateway.reap();
    assert_eq!(gateway.environments("Tick"), 0);
    answer(gateway.invoke("Tick", event(json!(2))).await);
    gateway.shutdown(SOON).await;
}
