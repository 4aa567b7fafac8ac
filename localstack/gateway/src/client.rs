//! Who sent a request: the peer, unless the peer is a proxy that is trusted to say.

use std::{net::IpAddr, str::FromStr};

use http::HeaderMap;

use crate::event::Caller;

/// A network of proxies that are believed: an address, or an address and a prefix length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrustedPeers {
    address: IpAddr,
    prefix: u8,
}

/// A text that is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an address or a network (10.0.0.0/8)")]
pub struct InvalidNetwork(String);

impl FromStr for TrustedPeers {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let invalid = || InvalidNetwork(text.to_owned());
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| invalid())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(longest), str::parse).map_err(|_| invalid())?;
        if prefix > longest { Err(invalid()) } else { Ok(Self { address, prefix }) }
    }
}

impl TrustedPeers {
    /// Whether the network has this address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => {
                same_prefix(net.to_bits().into(), ip.to_bits().into(), 32, self.prefix)
            }
            (IpAddr::V6(net), IpAddr::V6(ip)) => same_prefix(net.to_bits(), ip.to_bits(), 128, self.prefix),
            _ => false,
        }
    }
}

fn same_prefix(a: u128, b: u128, bits: u32, prefix: u8) -> bool {
    let shift = bits - u32::from(prefix);
    a.checked_shr(shift).unwrap_or_default() == b.checked_shr(shift).unwrap_or_default()
}

/// The client: the peer, or, from a trusted peer, the last address of `X-Forwarded-For` that is not trusted itself.
pub fn caller(peer: IpAddr, headers: &HeaderMap, trusted: &[TrustedPeers], port: u16) -> Caller {
    let is_trusted = |address: IpAddr| trusted.iter().any(|net| net.contains(address));
    let peer = peer.to_canonical();
    let came: Vec<&str> = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).collect();
    let came = came.join(",");
    let forwarded_for = if came.is_empty() { peer.to_string() } else { format!("{came},{peer}") };
    let mut address = peer;
    let mut scheme = "http";
    if is_trusted(peer) {
        for hop in came.rsplit(',').map(str::trim).filter(|hop| !hop.is_empty()) {
            let Ok(hop) = hop.parse::<IpAddr>() else { break };
            address = hop.to_canonical();
            if !is_trusted(address) {
                break;
            }
        }
        if headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https") {
            scheme = "https";
        }
    }
    Caller { address, forwarded_for, scheme, port }
}
