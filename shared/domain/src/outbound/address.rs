//! Which addresses are the public's.
//!
//! Sources: IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890 and its successors), and the clouds' pages on
//! instance metadata.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// What an address is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AddressKind {
    /// Anybody's: may be called.
    Public,
    /// A cloud's own services: credentials. No allow-list opens these.
    Metadata,
    /// This host.
    Loopback,
    /// Private networks (RFC 1918), unique local addresses (RFC 4193).
    Private,
    /// Between a provider and its customers (RFC 6598).
    Shared,
    /// One link.
    LinkLocal,
    /// Groups.
    Multicast,
    /// Everybody on a network.
    Broadcast,
    /// Written about, or measured with; never routed.
    Documentation,
    /// Wrapped in another address by a transition mechanism that nobody needs any more: 6to4, Teredo, ISATAP.
    Transition,
    /// Reserved, unspecified, or assigned to something else than hosts.
    Reserved,
}

impl fmt::Display for AddressKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "public",
            Self::Metadata => "cloud metadata",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::Shared => "shared address space",
            Self::LinkLocal => "link-local",
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::Documentation => "documentation or benchmarking",
            Self::Transition => "transition mechanism",
            Self::Reserved => "reserved",
        })
    }
}

/// What an address is for. One that carries an IPv4 address (mapped, RFC 4291; NAT64, RFC 6052) is what that one is.
pub fn kind_of(address: IpAddr) -> AddressKind {
    match address {
        IpAddr::V4(v4) => kind_of_v4(v4),
        IpAddr::V6(v6) => kind_of_v6(v6),
    }
}

/// Networks, the narrower ones first.
const V4: &[([u8; 4], u8, AddressKind)] = &[
    ([169, 254, 169, 254], 32, AddressKind::Metadata), // AWS, Azure, Google and most others
    ([169, 254, 170, 2], 32, AddressKind::Metadata),   // ECS: credentials of a task
    ([169, 254, 170, 23], 32, AddressKind::Metadata),  // EKS: credentials of a pod
    ([168, 63, 129, 16], 32, AddressKind::Metadata),   // Azure: the host
    ([100, 100, 100, 200], 32, AddressKind::Metadata), // Alibaba
    ([192, 0, 0, 192], 32, AddressKind::Metadata),     // Oracle
    ([255, 255, 255, 255], 32, AddressKind::Broadcast),
    ([0, 0, 0, 0], 8, AddressKind::Reserved), // "this network": Linux takes 0.0.0.0 for itself
    ([10, 0, 0, 0], 8, AddressKind::Private),
    ([100, 64, 0, 0], 10, AddressKind::Shared),
    ([127, 0, 0, 0], 8, AddressKind::Loopback),
    ([169, 254, 0, 0], 16, AddressKind::LinkLocal),
    ([172, 16, 0, 0], 12, AddressKind::Private),
    ([192, 0, 0, 0], 24, AddressKind::Reserved),
    ([192, 0, 2, 0], 24, AddressKind::Documentation),
    ([192, 88, 99, 0], 24, AddressKind::Transition),
    ([192, 168, 0, 0], 16, AddressKind::Private),
    ([198, 18, 0, 0], 15, AddressKind::Documentation),
    ([198, 51, 100, 0], 24, AddressKind::Documentation),
    ([203, 0, 113, 0], 24, AddressKind::Documentation),
    ([224, 0, 0, 0], 4, AddressKind::Multicast),
    ([240, 0, 0, 0], 4, AddressKind::Reserved),
];

fn kind_of_v4(address: Ipv4Addr) -> AddressKind {
    let bits = address.to_bits();
    let inside = |net: &[u8; 4], prefix: u8| (bits ^ u32::from_be_bytes(*net)).leading_zeros() >= u32::from(prefix);
    V4.iter().find(|(net, prefix, _)| inside(net, *prefix)).map_or(AddressKind::Public, |(_, _, kind)| *kind)
}

/// Networks, the narrower ones first. What is in none of them and not in `2000::/3` is reserved.
const V6: &[([u16; 8], u8, AddressKind)] = &[
    ([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128, AddressKind::Metadata), // AWS
    ([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23], 128, AddressKind::Metadata),  // EKS
    ([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128, AddressKind::Metadata),  // Google
    ([0, 0, 0, 0, 0, 0, 0, 1], 128, AddressKind::Loopback),
    ([0, 0, 0, 0, 0, 0, 0, 0], 128, AddressKind::Reserved),
    ([0, 0, 0, 0, 0, 0, 0, 0], 96, AddressKind::Transition), // IPv4-compatible
    ([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, AddressKind::Transition), // NAT64 of one network (RFC 8215)
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, AddressKind::Documentation),
    ([0x2001, 2, 0, 0, 0, 0, 0, 0], 48, AddressKind::Documentation),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, AddressKind::Transition), // Teredo
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, AddressKind::Reserved),
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, AddressKind::Transition), // 6to4
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, AddressKind::Documentation),
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, AddressKind::Private),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, AddressKind::LinkLocal),
    ([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, AddressKind::Private), // site-local, deprecated
    ([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, AddressKind::Multicast),
];

fn kind_of_v6(address: Ipv6Addr) -> AddressKind {
    if let Some(v4) = carried(address) {
        return kind_of_v4(v4);
    }
    let bits = address.to_bits();
    let inside = |net: &[u16; 8], prefix: u8| {
        (bits ^ Ipv6Addr::from_segments(*net).to_bits()).leading_zeros() >= u32::from(prefix)
    };
    if let Some((_, _, kind)) = V6.iter().find(|(net, prefix, _)| inside(net, *prefix)) {
        return *kind;
    }
    let segments = address.segments();
    // ISATAP (RFC 5214): the interface names an IPv4 address.
    if matches!(segments[4], 0 | 0x200) && segments[5] == 0x5efe {
        return AddressKind::Transition;
    }
    if segments[0] >> 13 == 1 { AddressKind::Public } else { AddressKind::Reserved }
}

/// The IPv4 address that a connection to this one really goes to.
pub(super) fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
    const NAT64: u128 = 0x0064_ff9b_u128 << 96;
    let bits = address.to_bits();
    #[expect(clippy::cast_possible_truncation, reason = "the last 32 bits are meant")]
    let last = Ipv4Addr::from_bits(bits as u32);
    address.to_ipv4_mapped().or((bits >> 32 == NAT64 >> 32).then_some(last))
}
