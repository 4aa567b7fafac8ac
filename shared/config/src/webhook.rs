//! Webhooks, and whatever else goes where a user says.

use halyard_domain::outbound::{Allowed, Callable};

use crate::{FromVars, Reader, mail::public_url};

/// The queue of webhooks that are due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackQueueConfig {
    /// `QUEUE_CALLBACKS_URL`.
    pub url: String,
}

impl FromVars for CallbackQueueConfig {
    fn read(r: &mut Reader<'_>) -> Option<Self> {
        Some(Self { url: r.text("QUEUE_CALLBACKS_URL")? })
    }
}

/// Where requests may go that users ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboundConfig {
    /// Private hosts and networks that may be called (`OUTBOUND_ALLOW_PRIVATE`): this machine in the local environment, else
    /// none unless somebody says so.
    pub allowed: Allowed,
}

impl FromVars for OutboundConfig {
    fn read(r: &mut Reader<'_>) -> Option<Self> {
        let default = if r.is_local() { Allowed::loopback() } else { Allowed::default() };
        Some(Self { allowed: r.parsed_or("OUTBOUND_ALLOW_PRIVATE", default)? })
    }
}

/// Lambda functions that tasks may invoke.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallableConfig {
    /// Which (`TASK_FUNCTIONS`); none unless somebody says so.
    pub functions: Callable,
}

impl FromVars for CallableConfig {
    fn read(r: &mut Reader<'_>) -> Option<Self> {
        Some(Self { functions: r.parsed_or("TASK_FUNCTIONS", Callable::default())? })
    }
}

/// How a webhook names the platform that sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceConfig {
    /// Where clients reach the API, without a slash at the end.
    pub public_url: String,
}

impl FromVars for SourceConfig {
    fn read(r: &mut Reader<'_>) -> Option<Self> {
        Some(Self { public_url: public_url(r)? })
    }
}
