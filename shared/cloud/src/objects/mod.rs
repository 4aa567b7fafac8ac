//! Objects with the semantics of S3 that Halyard uses: stored whole under a key, replaced by the next one of the same key, read by
//! whoever has a link.

pub mod limits;
mod s3;
mod shelf;
mod twin;

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;

pub use s3::S3Objects;
pub use twin::{ObjectTwin, Redeemed};

/// A bucket's name, as `infra/template.yaml` gives it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BucketName(pub String);

impl fmt::Display for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why an object could not be had or stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObjectError {
    /// The request breaks a limit (64 MiB an object, characters of keys) or names no bucket.
    #[error("the object store refused the request: {0}")]
    Refused(String),
    /// The service did not answer, or said that it cannot now. A put may or may not have happened.
    #[error("the object store is unavailable: {0}")]
    Unavailable(String),
}

impl ObjectError {
    /// May the same request succeed at another time?
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// An object store.
#[async_trait]
pub trait Objects: Send + Sync + fmt::Debug {
    /// Stores an object whole, or not at all; one of the same key is replaced.
    async fn put(&self, bucket: &BucketName, key: &str, body: Bytes, content_type: &str) -> Result<(), ObjectError>;

    /// Reads an object. `None`: there is none. (S3 says so only to who may list the bucket; to others it is unavailable.)
    async fn get(&self, bucket: &BucketName, key: &str) -> Result<Option<Bytes>, ObjectError>;

    /// A URL from which whoever has it may read the object for `valid` from `now`, up to seven days. Nobody is asked whether there
    /// is one. The twin's is relative: it leads to the gateway that it is followed at.
    async fn link(
        &self,
        bucket: &BucketName,
        key: &str,
        valid: Duration,
        now: SystemTime,
    ) -> Result<String, ObjectError>;
}
