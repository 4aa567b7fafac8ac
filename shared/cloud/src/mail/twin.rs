//! A mail service that keeps what it is given, in a file or in memory: a local inbox of everybody.

use std::{fmt, path::Path, sync::Arc};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use halyard_domain::Clock;
use redb::{
    Builder, Database, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _, TableDefinition,
    backends::InMemoryBackend,
};
use serde::{Deserialize, Serialize};

use super::{MailError, Mailer, Message, address_of, limits};
use crate::round_trips;

/// By number, in the order of arrival.
const MAILS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("mails");
/// Older ones are forgotten.
const MOST: u64 = 1_000;
/// What redb may keep of the file in memory.
const CACHE_BYTES: usize = 1024 * 1024;

/// The twin of SES. Clones share the mails; any thread and any runtime may use it.
#[derive(Clone)]
pub struct MailTwin(Arc<Inner>);

struct Inner {
    database: Database,
    /// Addresses and domains that mail may come from, as SES verifies them.
    verified: Vec<String>,
    clock: Arc<dyn Clock>,
}

/// A mail that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its id.
    pub id: String,
    /// When it was taken.
    pub at: DateTime<Utc>,
    /// The mail.
    #[serde(flatten)]
    pub message: Message,
}

impl fmt::Debug for MailTwin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MailTwin").field("verified", &self.0.verified).finish_non_exhaustive()
    }
}

impl MailTwin {
    /// Opens or creates the file at `path`. Mail may come from `verified` addresses and domains.
    ///
    /// # Errors
    /// [`MailError::Unavailable`]: the file cannot be opened, is damaged, or another process has it open.
    pub fn open(path: impl AsRef<Path>, clock: Arc<dyn Clock>, verified: Vec<String>) -> Result<Self, MailError> {
        let path = path.as_ref();
        let database = Builder::new().set_cache_size(CACHE_BYTES).create(path);
        let database = database.map_err(|e| unavailable(format!("{}: {e}", path.display())))?;
        Self::start(database, clock, verified)
    }

    /// Keeps mails in memory.
    ///
    /// # Errors
    /// [`MailError::Unavailable`].
    pub fn in_memory(clock: Arc<dyn Clock>, verified: Vec<String>) -> Result<Self, MailError> {
        let database = Builder::new().set_cache_size(CACHE_BYTES).create_with_backend(InMemoryBackend::new());
        Self::start(database.map_err(unavailable)?, clock, verified)
    }

    fn start(database: Database, clock: Arc<dyn Clock>, verified: Vec<String>) -> Result<Self, MailError> {
        let made = || -> Result<(), redb::Error> {
            let transaction = database.begin_write()?;
            transaction.open_table(MAILS)?;
            Ok(transaction.commit()?)
        };
        made().map_err(unavailable)?;
        Ok(Self(Arc::new(Inner { database, verified, clock })))
    }

    /// What was taken, the newest first. Blocks for as long as a look into a file takes.
    ///
    /// # Errors
    /// [`MailError::Unavailable`]: the file cannot be read.
    pub fn mails(&self) -> Result<Vec<Kept>, MailError> {
        let read = || -> Result<Vec<Vec<u8>>, redb::Error> {
            let table = self.0.database.begin_read()?.open_table(MAILS)?;
            table.iter()?.rev().map(|entry| Ok(entry?.1.value().to_vec())).collect()
        };
        let mails = read().map_err(unavailable)?;
        mails.iter().map(|mail| serde_json::from_slice(mail).map_err(unavailable)).collect()
    }

    fn may_send(&self, sender: &str) -> bool {
        let address = address_of(sender);
        let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
        self.0
            .verified
            .iter()
            .any(|identity| identity == address || (!identity.contains('@') && identity.eq_ignore_ascii_case(domain)))
    }

    fn keep(&self, message: &Message) -> Result<String, redb::Error> {
        let transaction = self.0.database.begin_write()?;
        let id = {
            let mut table = transaction.open_table(MAILS)?;
            let number = table.last()?.map_or(1, |(last, _)| last.value() + 1);
            let kept = Kept { id: format!("{number}"), at: self.0.clock.now(), message: message.clone() };
            let text = serde_json::to_vec(&kept).unwrap_or_default();
            table.insert(number, text.as_slice())?;
            while table.len()? > MOST {
                table.pop_first()?;
            }
            kept.id
        };
        transaction.commit()?;
        Ok(id)
    }
}

#[async_trait]
impl Mailer for MailTwin {
    async fn send(&self, message: &Message) -> Result<String, MailError> {
        limits::check(message)?;
        round_trips::MAIL.add(1);
        if !self.may_send(&message.from) {
            let why = format!("Email address is not verified: {}", address_of(&message.from));
            return Err(MailError::Refused(why));
        }
        let (twin, message) = (self.clone(), message.clone());
        let kept = tokio::task::spawn_blocking(move || twin.keep(&message)).await;
        kept.map_err(unavailable)?.map_err(unavailable)
    }
}

fn unavailable(error: impl fmt::Display) -> MailError {
    MailError::Unavailable(error.to_string())
}
