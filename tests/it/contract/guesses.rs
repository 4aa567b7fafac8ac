//! Tallies in a real Redis against the pure ones.

use chrono::Duration;
use halyard_cloud::redis::{End, Guesses, SignIn};
use halyard_domain::{
    UserId,
    guesses::{KNOWN, SIGNED_IN, STORM, STRANGERS, Tally},
};
use proptest::{prelude::*, test_runner::TestRunner};

use super::redis::{shared, start};

fn somebody(device: Option<&str>, address: &str) -> SignIn {
    SignIn { account: "maria".to_owned(), address: address.to_owned(), device: device.map(str::to_owned) }
}

#[test]
fn redis_tallies_as_the_pure_tally_does() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let gaps = prop::collection::vec((0..200_000_i64, 0..4_u8), 1..40);
    let mut runner = TestRunner::new(ProptestConfig { cases: 24, ..ProptestConfig::default() });
    let ran = runner.run(&(gaps, any::<bool>()), |(gaps, known)| {
        runtime.block_on(async {
            let guesses = Guesses::new(shared());
            let (mut password, mut code, mut now) = (None, None, start());
            let ladder = if known { KNOWN } else { STRANGERS };
            let sign_in = somebody(known.then_some("phone"), "192.0.2.1");
            for (gap, end) in gaps {
                now += Duration::milliseconds(gap);
                let charged = guesses.attempt(&sign_in, now).await.expect("an answer");
                match Tally::attempt(password, &ladder, now) {
                    Ok(after) => {
                        prop_assert!(charged.wait.is_zero());
                        prop_assert_eq!((charged.known, charged.failures), (known, after.failures));
                        password = Some(after);
                        match end {
                            0 => {
                                guesses.ended(&sign_in, &charged, End::Right, now).await.expect("an answer");
                                password = None;
                            }
                            1 => {
                                guesses.ended(&sign_in, &charged, End::Undecided, now).await.expect("an answer");
                                password = after.undecided(now);
                            }
                            _ => {}
                        }
                    }
                    Err(wait) => prop_assert_eq!(charged.wait, wait.to_std().expect("a wait")),
                }
                let charged = guesses.attempt_by(UserId(7), known, now).await.expect("an answer");
                match Tally::attempt(code, &SIGNED_IN, now) {
                    Ok(after) => {
                        prop_assert!(charged.wait.is_zero());
                        prop_assert_eq!(charged.failures, after.failures);
                        code = Some(after);
                        if end == 2 {
                            guesses.ended_by(UserId(7), known, End::Undecided, now).await.expect("an answer");
                            code = after.undecided(now);
                        }
                    }
                    Err(wait) => prop_assert_eq!(charged.wait, wait.to_std().expect("a wait")),
                }
            }
            Ok(())
        })
    });
    ran.unwrap_or_else(|error| panic!("{error}"));
}

#[tokio::test]
async fn an_address_is_known_for_a_month_after_it_has_signed_in() {
    let guesses = Guesses::new(shared());
    let home = somebody(None, "192.0.2.1");
    let first = guesses.attempt(&home, start()).await.expect("an answer");
    assert!(!first.known);
    guesses.ended(&home, &first, End::SignedIn, start()).await.expect("an answer");
    let month = Duration::days(30);
    let before = guesses.attempt(&home, start() + month - Duration::seconds(1)).await.expect("an answer");
    let after = guesses.attempt(&home, start() + month).await.expect("an answer");
    assert_eq!((before.known, after.known), (true, false));
    assert!(!guesses.attempt(&somebody(None, "192.0.2.2"), start()).await.expect("an answer").known);
}

#[tokio::test]
async fn in_a_storm_strangers_wait_after_the_second_failure_and_known_devices_do_not() {
    let guesses = Guesses::new(shared());
    for n in 0..=STORM {
        let one = SignIn { account: format!("a{n}"), address: format!("10.0.{}.{}", n / 250, n % 250), device: None };
        guesses.attempt(&one, start()).await.expect("an answer");
    }
    let attempt = async |who: &SignIn| guesses.attempt(who, start()).await.expect("an answer").wait.as_secs();
    let (stranger, phone) = (somebody(None, "192.0.2.1"), somebody(Some("phone"), "192.0.2.1"));
    assert_eq!((attempt(&stranger).await, attempt(&stranger).await, attempt(&stranger).await), (0, 0, 1));
    for _ in 0..5 {
        assert_eq!(attempt(&phone).await, 0);
    }
}
