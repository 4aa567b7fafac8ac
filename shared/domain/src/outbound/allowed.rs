//! Private targets that an operator has opened.

use std::{net::IpAddr, str::FromStr};

use super::{AddressKind, Refusal, address, kind_of};

/// Hosts and networks that may be called although they are not public, separated by commas or white space:
/// `127.0.0.0/8, ::1, receiver.internal`. A host stands for whatever addresses it has. Cloud metadata stays closed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed {
    hosts: Vec<String>,
    networks: Vec<(IpAddr, u8)>,
}

/// Why a text is no such list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a list of host names, addresses and networks (10.1.0.0/16); {0:?} is none")]
pub struct InvalidAllowed(String);

impl Allowed {
    /// This machine: for the local environment.
    pub fn loopback() -> Self {
        Self {
            hosts: Vec::new(),
            networks: vec![([127, 0, 0, 0].into(), 8), (std::net::Ipv6Addr::LOCALHOST.into(), 128)],
        }
    }

    fn has(&self, host: Option<&str>, address: IpAddr) -> bool {
        let named = host.map(|host| host.trim_end_matches('.'));
        named.is_some_and(|host| self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host)))
            || self.networks.iter().any(|(net, prefix)| inside(plain(address), *net, *prefix))
    }
}

/// Why this address may not be called, if it may not. `host` is the name that it was found under, if there is one.
pub fn refusal_of(address: IpAddr, host: Option<&str>, allowed: &Allowed) -> Option<Refusal> {
    match kind_of(address) {
        AddressKind::Public => None,
        kind if kind != AddressKind::Metadata && allowed.has(host, address) => None,
        kind => Some(Refusal::Address(kind)),
    }
}

impl FromStr for Allowed {
    type Err = InvalidAllowed;
    fn from_str(text: &str) -> Result<Self, InvalidAllowed> {
        let mut allowed = Self::default();
        for entry in text.split([',', ' ', '\t', '\n']).filter(|entry| !entry.is_empty()) {
            let invalid = || InvalidAllowed(entry.to_owned());
            let (address, prefix) = entry.split_once('/').map_or((entry, None), |(a, p)| (a, Some(p)));
            match (address.parse::<IpAddr>(), prefix) {
                (Ok(address), None) => allowed.networks.push((address, width(address))),
                (Ok(address), Some(prefix)) => {
                    let prefix = prefix.parse().ok().filter(|n| *n <= width(address)).ok_or_else(invalid)?;
                    allowed.networks.push((address, prefix));
                }
                (Err(_), None) if is_name(entry) => allowed.hosts.push(entry.trim_end_matches('.').to_lowercase()),
                (Err(_), _) => return Err(invalid()),
            }
        }
        Ok(allowed)
    }
}

fn is_name(text: &str) -> bool {
    let letters =
        |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let text = text.trim_end_matches('.');
    // A number that is no address is a mistake, not a name.
    text.len() <= 253 && text.split('.').all(letters) && !text.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The address that a connection goes to.
fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => address::carried(v6).map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

fn inside(address: IpAddr, net: IpAddr, prefix: u8) -> bool {
    match (address, net) {
        (IpAddr::V4(a), IpAddr::V4(n)) => (a.to_bits() ^ n.to_bits()).leading_zeros() >= u32::from(prefix),
        (IpAddr::V6(a), IpAddr::V6(n)) => (a.to_bits() ^ n.to_bits()).leading_zeros() >= u32::from(prefix),
        _ => false,
    }
}
