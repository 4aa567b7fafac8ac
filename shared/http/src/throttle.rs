//! Limits by the account that a request names, which only the handler knows once it has read the body.

use axum::extract::FromRequestParts;
use http::request::Parts;

use crate::{
    Problem, Rate, RequestInfo,
    limit::{Decision, Limit, seconds_up},
};

/// The looser limit on one address, over all accounts, a minute.
const ADDRESS_QUOTA: u32 = 100;
/// The one window of the contract, in seconds.
pub(crate) const WINDOW: u32 = 60;

/// The limits of a route with [`Rate::per_account`]. The handler calls [`Throttle::account`] once it knows the account.
#[derive(Debug, Clone)]
pub struct Throttle(RequestInfo);

impl Throttle {
    /// Applies, in one round trip, the route's limit to this account from this address, and a looser one to the address.
    ///
    /// # Errors
    /// 429 when one of them refuses.
    pub async fn account(&self, account: &str) -> Result<(), Problem> {
        let limits = self.limits(account, 1);
        refuse(&self.0.apply(&limits).await)
    }

    /// Makes a failure cost more than a success: charges the account once more, whatever it has left.
    pub async fn penalise(&self, account: &str) {
        if let Some(limit) = self.limits(account, 1).first() {
            self.0.penalise(limit).await;
        }
    }

    fn limits(&self, account: &str, cost: u32) -> Vec<Limit> {
        let route = self.0.route();
        let (Rate::PerAccount(quota) | Rate::PerCaller(quota)) = route.rate else { return Vec::new() };
        let address = self.0.address().unwrap_or("unknown");
        // Names are compared without case, as accounts are; the length is the client's to choose, the key's is not.
        let account: String = account.chars().take(120).flat_map(char::to_lowercase).collect();
        let id = &*route.id;
        vec![
            Limit { name: "account", key: format!("{id}:n:{account}:{address}"), quota, window: WINDOW, cost },
            Limit { name: "address", key: format!("{id}:a:{address}"), quota: ADDRESS_QUOTA, window: WINDOW, cost },
        ]
    }
}

/// 429 when one decision refuses.
pub(crate) fn refuse(decisions: &[Decision]) -> Result<(), Problem> {
    match decisions.iter().filter(|d| !d.allowed).map(|d| seconds_up(d.retry_after)).max() {
        Some(wait) => Err(Problem::too_many(wait)),
        None => Ok(()),
    }
}

impl<S: Sync> FromRequestParts<S> for Throttle {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        RequestInfo::of(parts).cloned().map(Self)
    }
}
