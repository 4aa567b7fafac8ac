//! What deliveries are signed with.

use std::{collections::HashMap, sync::Arc};

use halyard_auth::{account_key::Sealed, webhook::WebhookKeys};
use halyard_domain::UserId;
use halyard_store::{
    Connection, Now, StoreError,
    webhooks::{self, Claimed, NewSecret},
};

use crate::handler::Notifier;

/// The keys of a user that count, the newest first; none when they cannot be opened.
pub type Signing = Arc<Vec<WebhookKeys>>;

/// Each delivery with its user's keys. A user who has none gets some: nobody has seen the secret then, but whoever has the
/// public key can verify.
pub async fn of_each(
    notifier: &Notifier,
    conn: &mut Connection,
    claimed: Vec<Claimed>,
    now: Now,
) -> Result<Vec<(Claimed, Signing)>, StoreError> {
    let mut known = HashMap::<UserId, Signing>::new();
    let mut out = Vec::with_capacity(claimed.len());
    for mut delivery in claimed {
        let user = delivery.user_id;
        let signing = if let Some(signing) = known.get(&user) {
            Arc::clone(signing)
        } else {
            if delivery.secrets.is_empty() {
                delivery.secrets.extend(first(notifier, conn, user, now).await?);
            }
            let signing = Arc::new(opened(notifier, user, &delivery.secrets));
            known.insert(user, Arc::clone(&signing));
            signing
        };
        out.push((delivery, signing));
    }
    Ok(out)
}

async fn first(
    notifier: &Notifier,
    conn: &mut Connection,
    user: UserId,
    now: Now,
) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(keys) = WebhookKeys::generate(&notifier.entropy) else { return Ok(None) };
    let sealed = notifier.account_key.seal_as(Sealed::WebhookSecret, user, keys.as_bytes(), &notifier.entropy);
    let secret = NewSecret { user, sealed: &sealed, public_key: &keys.public_key(), hint: &keys.hint() };
    webhooks::keep_first(conn, &secret, now).await.map(Some)
}

fn opened(notifier: &Notifier, user: UserId, sealed: &[Vec<u8>]) -> Vec<WebhookKeys> {
    let open = |sealed: &Vec<u8>| {
        let bytes = notifier.account_key.open_as(Sealed::WebhookSecret, user, sealed)?;
        WebhookKeys::from_bytes(&bytes)
    };
    let opened: Vec<WebhookKeys> = sealed.iter().filter_map(open).collect();
    if opened.len() < sealed.len() {
        tracing::error!(%user, "a webhook secret cannot be opened: ACCOUNT_KEY lacks the text that sealed it");
    }
    opened
}
