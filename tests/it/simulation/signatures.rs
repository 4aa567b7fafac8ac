//! What a receiver verifies of a post, as the README tells it to ("Receiving webhooks").

use std::{slice, time};

use chrono::Duration;
use halyard_auth::webhook::WebhookKeys;
use halyard_domain::Entropy;
use halyard_tests::{Heard, seed};

use super::receiver::Post;

/// So far off a receiver lets a timestamp be.
const TOLERANCE: Duration = Duration::minutes(5);

/// What a user verifies with, of one version.
pub struct Keys {
    /// `whsec_..`
    secret: String,
    /// `whpk_..`
    public_key: String,
}

impl Keys {
    /// As the user is shown them.
    pub fn of(keys: &WebhookKeys) -> Self {
        Self { secret: keys.secret_text(), public_key: keys.public_key_text() }
    }
}

/// Is it signed with one version of the user's keys, by secret and by public key, and sent when it says so?
pub fn verify(post: &Post, keys: &[Keys]) -> Result<(), String> {
    let header = |name: &str| post.heard.headers.get(name).ok_or_else(|| format!("a post has no {name}"));
    let timestamp = header("webhook-timestamp")?;
    let off = timestamp.parse::<i64>().map(|timestamp| post.sent.timestamp().abs_diff(timestamp));
    if !off.is_ok_and(|off| off <= TOLERANCE.num_seconds().unsigned_abs()) {
        return Err(format!("a post of {} says that it is of {timestamp}", post.sent.timestamp()));
    }
    header("webhook-signature")?;
    let signs = |keys: &Keys| post.heard.signed_with(&keys.secret) > 0 && post.heard.verified_by(&keys.public_key) > 0;
    if keys.iter().any(signs) { Ok(()) } else { Err("a post is not signed with its user's keys".to_owned()) }
}

fn signed_by(keys: &WebhookKeys) -> Post {
    let (id, sent, body) = ("id".to_owned(), seed::start(), b"told".to_vec());
    let (timestamp, signature) = (sent.timestamp().to_string(), keys.sign(&id, sent.timestamp(), &body));
    let headers = [("webhook-id", id), ("webhook-timestamp", timestamp), ("webhook-signature", signature)];
    let headers = headers.map(|(name, value)| (name.to_owned(), value)).into();
    let heard = Heard { path: "/told".to_owned(), headers, body };
    Post { heard, limit: time::Duration::ZERO, sent }
}

#[test]
fn a_post_with_a_wrong_signature_or_time_breaks_a_rule() {
    let [keys, others] = [1, 2].map(|n| WebhookKeys::generate(&Entropy::seeded(n)).expect("keys"));
    let (post, own) = (signed_by(&keys), Keys::of(&keys));
    let own = slice::from_ref(&own);
    assert_eq!(verify(&post, own), Ok(()));
    verify(&post, &[Keys::of(&others)]).expect_err("somebody else's keys");
    let mut forged = post.clone();
    forged.heard.body.push(b' ');
    verify(&forged, own).expect_err("another body");
    let late = Post { sent: post.sent + Duration::minutes(6), ..post };
    verify(&late, own).expect_err("another time");
}
