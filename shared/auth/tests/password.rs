//! Passwords. The cost is low here: what is tested is not Argon2.
#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

use halyard_auth::password::{Hasher, HashingCost, PasswordError};
use halyard_domain::Entropy;

const LOW: HashingCost = HashingCost { memory_kib: 64, iterations: 1, parallelism: 1 };

fn hasher() -> Hasher {
    Hasher::new(LOW, 2).unwrap()
}

#[tokio::test]
async fn the_right_password_verifies_and_another_does_not() {
    let stored = hasher().hash("correct horse", &Entropy::seeded(1)).await.unwrap();
    assert!(stored.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{stored}");
    assert_eq!(hasher().verify("correct horse", Some(&stored)).await, Ok(true));
    assert_eq!(hasher().verify("correct horsf", Some(&stored)).await, Ok(false));
    assert_eq!(hasher().verify("", Some(&stored)).await, Ok(false));
}

#[tokio::test]
async fn a_known_answer_of_the_reference_implementation_verifies() {
    // phc-winner-argon2, test.c: argon2id, v=19, t=2, m=2^8, p=1, "password", "somesalt".
    let stored = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
    assert_eq!(hasher().verify("password", Some(stored)).await, Ok(true));
}

#[tokio::test]
async fn two_hashes_of_one_password_differ() {
    let entropy = Entropy::seeded(1);
    let hasher = hasher();
    let (a, b) = (hasher.hash("password", &entropy).await.unwrap(), hasher.hash("password", &entropy).await.unwrap());
    assert_ne!(a, b);
}

#[tokio::test]
async fn nobody_signs_in_as_an_unknown_user() {
    for password in ["", "password", "\0\0\0\0"] {
        assert_eq!(hasher().verify(password, None).await, Ok(false));
    }
}

#[tokio::test]
async fn a_stored_text_that_is_no_hash_is_an_error_and_never_a_match() {
    let greedy = "$argon2id$v=19$m=4194304,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
    for stored in ["", "plain", "$2b$12$abcdefghijklmnopqrstuv", greedy] {
        assert_eq!(hasher().verify("plain", Some(stored)).await, Err(PasswordError::Stored), "{stored}");
    }
}

#[tokio::test]
async fn a_hash_of_another_cost_is_to_be_made_anew() {
    let stored = hasher().hash("password", &Entropy::seeded(1)).await.unwrap();
    assert!(!hasher().needs_rehash(&stored));
    let dearer = Hasher::new(HashingCost { iterations: 2, ..LOW }, 2).unwrap();
    assert!(dearer.needs_rehash(&stored));
    assert_eq!(dearer.verify("password", Some(&stored)).await, Ok(true));
    assert!(dearer.needs_rehash("plain"));
}

#[tokio::test]
async fn many_at_once_wait_for_their_turn() {
    let hasher = std::sync::Arc::new(Hasher::new(LOW, 1).unwrap());
    let stored = hasher.hash("password", &Entropy::seeded(1)).await.unwrap();
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (hasher, stored) = (std::sync::Arc::clone(&hasher), stored.clone());
        all.spawn(async move { hasher.verify("password", Some(&stored)).await });
    }
    while let Some(answer) = all.join_next().await {
        assert_eq!(answer.unwrap(), Ok(true));
    }
}

#[test]
fn senseless_costs_are_refused() {
    assert!(Hasher::new(HashingCost { memory_kib: 1, ..LOW }, 1).is_err());
    assert!(Hasher::new(HashingCost { iterations: 0, ..LOW }, 1).is_err());
    assert!(Hasher::new(HashingCost { memory_kib: u32::MAX, ..LOW }, 1).is_err());
}

/// Hashers of several environments share the threads; each environment has its own runtime.
#[test]
fn hashers_in_many_runtimes_at_once_all_get_their_turn() {
    let environments: Vec<_> = (0..16)
        .map(|seed| {
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let stored = hasher().hash("password", &Entropy::seeded(seed)).await?;
                    hasher().verify("password", Some(&stored)).await
                })
            })
        })
        .collect();
    for environment in environments {
        assert_eq!(environment.join().unwrap(), Ok(true));
    }
}

/// Whoever goes away in the middle takes no thread along.
#[tokio::test]
async fn a_caller_who_goes_away_leaves_the_threads_free() {
    let hasher = hasher();
    for _ in 0..50 {
        let gone = tokio::time::timeout(std::time::Duration::ZERO, hasher.verify("password", None)).await;
        drop(gone);
    }
    assert_eq!(hasher.verify("password", None).await, Ok(false));
}

/// A thread's memory still holds what the hash before it left there, and more of it than is asked for.
#[tokio::test]
async fn what_was_hashed_before_changes_no_hash() {
    let large = Hasher::new(HashingCost { memory_kib: 1024, ..LOW }, 1).unwrap();
    let stored = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
    for seed in 0..8 {
        large.hash("another", &Entropy::seeded(seed)).await.unwrap();
        assert_eq!(hasher().verify("password", Some(stored)).await, Ok(true));
        assert_eq!(hasher().verify("passwore", Some(stored)).await, Ok(false));
    }
}
