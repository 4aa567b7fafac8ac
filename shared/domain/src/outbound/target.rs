//! URLs that may be called, as far as their text tells.

use std::{fmt, net::IpAddr};

use url::{Host, Url};

use super::{Allowed, Refusal, refusal_of};

/// The longest URL, in bytes.
pub const LONGEST_URL: usize = 2_048;

/// Ports above 1023 where something else than HTTP listens, which could be made to believe what an HTTP client says.
/// Source: the Fetch standard's "bad port" list.
const BAD_PORTS: &[u16] = &[
    1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
];

/// An `http` or `https` URL without a user, with a host in its usual form and a port where HTTP may be spoken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target(Url);

impl Target {
    /// Reads a URL.
    ///
    /// # Errors
    /// When one of the rules of [`Refusal`] is broken, that of addresses excepted: see [`Self::check`].
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        // What browsers drop or turn around without a word: white space, control characters, backslashes.
        let odd = |b: u8| b <= b' ' || b == 0x7f || b == b'\\';
        if text.len() > LONGEST_URL || text.bytes().any(odd) {
            return Err(Refusal::Malformed);
        }
        let (scheme, rest) = text.split_once("://").ok_or(Refusal::Scheme)?;
        if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
            return Err(Refusal::Scheme);
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(Refusal::UserInfo);
        }
        // The URL standard passes over further slashes, and finds the host behind them.
        if authority.is_empty() {
            return Err(Refusal::Host);
        }
        let url = Url::parse(text).map_err(|_| Refusal::Host)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::UserInfo);
        }
        if !is_usual(&url, authority) {
            return Err(Refusal::Host);
        }
        let target = Self(url);
        match target.port() {
            80 | 443 => Ok(target),
            port if port < 1024 || BAD_PORTS.contains(&port) => Err(Refusal::Port(port)),
            _ => Ok(target),
        }
    }

    /// Judges the host as far as that is possible without asking anybody: an address, or a name that can only be this machine.
    ///
    /// # Errors
    /// [`Refusal::Address`].
    pub fn check(&self, allowed: &Allowed) -> Result<(), Refusal> {
        let address = self.address().or_else(|| {
            // RFC 6761, section 6.3.
            let name = self.host().trim_end_matches('.');
            let local = name == "localhost" || name.ends_with(".localhost");
            local.then_some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST))
        });
        match address.and_then(|address| refusal_of(address, Some(self.host()), allowed)) {
            Some(refusal) => Err(refusal),
            None => Ok(()),
        }
    }

    /// The host: a name, or an address (one of IPv6 in brackets).
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The address, where the host is one.
    pub fn address(&self) -> Option<IpAddr> {
        match self.0.host()? {
            Host::Ipv4(v4) => Some(v4.into()),
            Host::Ipv6(v6) => Some(v6.into()),
            Host::Domain(_) => None,
        }
    }

    /// The port, said or implied.
    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or_default()
    }

    /// Is it spoken to under TLS?
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// For the `Host` header: host and, unless it is the usual one, port.
    pub fn authority(&self) -> String {
        self.0.port().map_or_else(|| self.host().to_owned(), |port| format!("{}:{port}", self.host()))
    }

    /// For the request line: path and query.
    pub fn path_and_query(&self) -> &str {
        &self.0[url::Position::BeforePath..url::Position::AfterQuery]
    }

    /// The whole URL.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Is the host written as it is meant? The URL standard reads `0x7f.1`, `2130706433`, `0177.0.0.1` and `%31.1.1.1` as
/// addresses; nobody who means well writes them so.
fn is_usual(url: &Url, authority: &str) -> bool {
    let written = match authority.find(']') {
        Some(end) => &authority[..=end],
        None => authority.split(':').next().unwrap_or_default(),
    };
    match url.host() {
        Some(Host::Ipv4(v4)) => written == v4.to_string(),
        Some(Host::Ipv6(_)) => written.starts_with('['),
        Some(Host::Domain(name)) => {
            !written.contains('%') && !name.trim_end_matches('.').is_empty() && name.len() <= 253
        }
        None => false,
    }
}
