//! An object store in files or in memory, for one process. Its links are random tokens, which end with the process.

use std::{
    collections::{BTreeMap, HashMap},
    fmt, io,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use halyard_domain::{Clock, Entropy};

use super::{
    BucketName, ObjectError, Objects, limits,
    shelf::{Object, Shelf, lock},
};
use crate::round_trips;

/// Where links lead, at a gateway that has the twin.
const PATH: &str = "/_objects/";

/// The twin of S3. Clones share the objects; any thread and any runtime may use it.
#[derive(Clone)]
pub struct ObjectTwin(Arc<Inner>);

struct Inner {
    shelf: Shelf,
    /// Each with the days that an object is kept, if they are counted.
    buckets: BTreeMap<BucketName, Option<u32>>,
    links: Mutex<HashMap<String, Link>>,
    /// When what is old was last looked for.
    tidied: Mutex<Option<DateTime<Utc>>>,
    clock: Arc<dyn Clock>,
    entropy: Arc<Entropy>,
}

struct Link {
    name: String,
    until: DateTime<Utc>,
}

/// What comes of following a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redeemed {
    /// The object.
    Found {
        /// Its bytes.
        body: Bytes,
        /// What they are.
        content_type: String,
    },
    /// There is no such link, or not any more.
    Forbidden,
    /// The link is good, and there is no such object.
    Missing,
}

impl fmt::Debug for ObjectTwin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectTwin").field("buckets", &self.0.buckets).finish_non_exhaustive()
    }
}

impl ObjectTwin {
    /// Keeps objects below `dir`, in `buckets`, each with the days after which an object goes. It makes no directory yet.
    ///
    /// # Errors
    /// When there is a directory that cannot be used.
    pub fn open(
        dir: impl Into<PathBuf>,
        clock: Arc<dyn Clock>,
        entropy: Arc<Entropy>,
        buckets: impl IntoIterator<Item = (BucketName, Option<u32>)>,
    ) -> io::Result<Self> {
        Ok(Self::start(Shelf::open(dir.into())?, clock, entropy, buckets))
    }

    /// Keeps objects in memory.
    pub fn in_memory(
        clock: Arc<dyn Clock>,
        entropy: Arc<Entropy>,
        buckets: impl IntoIterator<Item = (BucketName, Option<u32>)>,
    ) -> Self {
        Self::start(Shelf::in_memory(), clock, entropy, buckets)
    }

    fn start(
        shelf: Shelf,
        clock: Arc<dyn Clock>,
        entropy: Arc<Entropy>,
        buckets: impl IntoIterator<Item = (BucketName, Option<u32>)>,
    ) -> Self {
        let buckets = buckets.into_iter().collect();
        let (links, tidied) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { shelf, buckets, links, tidied, clock, entropy }))
    }

    /// Follows a link; `None`: it is none of this kind. Blocks for as long as reading a file takes.
    pub fn redeem(&self, path_and_query: &str) -> Option<Redeemed> {
        let link = path_and_query.strip_prefix(PATH)?;
        let (name, token) = link.split_once("?token=").unwrap_or((link, ""));
        let now = self.0.clock.now();
        let good = lock(&self.0.links).get(token).is_some_and(|link| link.name == name && now < link.until);
        if !good {
            return Some(Redeemed::Forbidden);
        }
        Some(match self.0.shelf.get(name) {
            Ok(Some(Object { body, content_type })) => Redeemed::Found { body, content_type },
            Ok(None) => Redeemed::Missing,
            Err(error) => {
                tracing::error!(%error, name, "an object cannot be read");
                Redeemed::Missing
            }
        })
    }

    fn name(&self, bucket: &BucketName, key: &str) -> Result<String, ObjectError> {
        let known = self.0.buckets.contains_key(bucket);
        known.then(|| format!("{bucket}/{key}")).ok_or_else(|| ObjectError::Refused(format!("no bucket {bucket}")))
    }

    fn keep(&self, name: &str, object: Object) -> io::Result<()> {
        let now = self.0.clock.now();
        self.0.shelf.put(name, object, now.into())?;
        if let Err(error) = self.tidy(now) {
            tracing::warn!(%error, "old objects cannot be deleted");
        }
        Ok(())
    }

    /// Deletes what is older than its bucket keeps, once an hour: S3 takes its time as well.
    fn tidy(&self, now: DateTime<Utc>) -> io::Result<()> {
        {
            let mut tidied = lock(&self.0.tidied);
            if tidied.is_some_and(|last| now - last < TimeDelta::hours(1)) {
                return Ok(());
            }
            *tidied = Some(now);
        }
        let limited = self.0.buckets.iter().filter_map(|(bucket, days)| Some((bucket, (*days)?)));
        for (bucket, days) in limited {
            let before = now - TimeDelta::days(i64::from(days));
            self.0.shelf.forget(&bucket.0, before.into())?;
        }
        Ok(())
    }
}

#[async_trait]
impl Objects for ObjectTwin {
    async fn put(&self, bucket: &BucketName, key: &str, body: Bytes, content_type: &str) -> Result<(), ObjectError> {
        limits::check_put(key, &body, content_type)?;
        let name = self.name(bucket, key)?;
        round_trips::OBJECT.add(1);
        let (twin, object) = (self.clone(), Object { body, content_type: content_type.to_owned() });
        let kept = tokio::task::spawn_blocking(move || twin.keep(&name, object)).await;
        kept.map_err(unavailable)?.map_err(unavailable)
    }

    async fn get(&self, bucket: &BucketName, key: &str) -> Result<Option<Bytes>, ObjectError> {
        limits::check_key(key)?;
        let name = self.name(bucket, key)?;
        round_trips::OBJECT.add(1);
        let twin = self.clone();
        let found = tokio::task::spawn_blocking(move || twin.0.shelf.get(&name)).await;
        Ok(found.map_err(unavailable)?.map_err(unavailable)?.map(|object| object.body))
    }

    async fn link(
        &self,
        bucket: &BucketName,
        key: &str,
        valid: Duration,
        now: SystemTime,
    ) -> Result<String, ObjectError> {
        limits::check_link(key, valid)?;
        let name = self.name(bucket, key)?;
        let token = format!("{:032x}", u128::from_be_bytes(self.0.entropy.bytes()));
        let link = format!("{PATH}{name}?token={token}");
        let (present, until) = (self.0.clock.now(), DateTime::<Utc>::from(now) + valid);
        let mut links = lock(&self.0.links);
        links.retain(|_, link| present < link.until);
        links.insert(token, Link { name, until });
        Ok(link)
    }
}

fn unavailable(error: impl fmt::Display) -> ObjectError {
    ObjectError::Unavailable(error.to_string())
}
