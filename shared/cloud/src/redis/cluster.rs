//! Which server to ask. One server answers everything. A cluster's servers have some of the 16,384 slots each and send
//! whoever asks the wrong one on: the first time, the whole map is asked for; from then on the right one is found at once.
//!
//! Not the client's own cluster mode: that keeps its map fresh in the background, and an environment may be frozen; and
//! limits and look-ups are bounded by the time limit of one server, not by retries over all.
//!
//! Source: <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>, "Redirection and resharding" and
//! "Key distribution model".

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use redis::{Arg, Client, Cmd, ConnectionAddr, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};

use super::node::{Node, Request};
use crate::round_trips::Counter;

const SLOTS: u16 = 16_384;
/// How often one request is sent on: a server that left, the new one, one that has the slot in passing.
const HOPS: usize = 4;

/// The servers. Without a map there is one.
pub(super) struct Cluster {
    seed: Arc<Node>,
    map: Mutex<Map>,
}

/// What is known of a cluster; empty for a single server.
#[derive(Default)]
struct Map {
    nodes: BTreeMap<Address, Arc<Node>>,
    /// The last slot of each range and who has it, ascending.
    ranges: BTreeMap<u16, Address>,
}

type Address = (String, u16);

impl Cluster {
    pub fn new(client: Client) -> Self {
        Self { seed: Arc::new(Node::new(client)), map: Mutex::default() }
    }

    /// Opens the first connection.
    pub async fn connect(&self) -> RedisResult<()> {
        self.seed.connection().await.map(drop)
    }

    /// Sends a request to whoever has its key, and on to where that one sends it.
    pub async fn send(&self, request: Request<'_>, trips: &Counter) -> RedisResult<Value> {
        let mut node = self.owner(request);
        let (mut asking, mut silent) = (false, Vec::new());
        for hop in 1.. {
            let sent = if asking { Request::Asking(&request) } else { request };
            let error = match node.attempt_twice(sent, trips).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let next = match error.kind() {
                ErrorKind::Server(ServerErrorKind::Moved) => self.moved(&error, &node, trips).await,
                ErrorKind::Server(ServerErrorKind::Ask) => self.target(&error, &node),
                // The rest says something of the request, or that there is nobody to ask.
                ErrorKind::Server(kind) if kind != ServerErrorKind::ReadOnly => None,
                // Its slots may be another one's by now.
                _ => {
                    silent.push(Arc::clone(&node));
                    self.forget(&silent)
                }
            };
            asking = error.kind() == ErrorKind::Server(ServerErrorKind::Ask);
            match next.filter(|_| hop < HOPS) {
                Some(next) => node = next,
                None => return Err(error),
            }
        }
        Err((ErrorKind::Io, "sent on for ever").into())
    }

    fn owner(&self, request: Request<'_>) -> Arc<Node> {
        let map = self.map();
        if map.ranges.is_empty() {
            return Arc::clone(&self.seed);
        }
        let slot = request.commands().first().and_then(|command| key(command)).map(slot);
        let owner = slot.and_then(|slot| map.ranges.range(slot..).next()).and_then(|(_, owner)| map.nodes.get(owner));
        Arc::clone(owner.unwrap_or(&self.seed))
    }

    /// Where a redirection points.
    fn target(&self, error: &RedisError, from: &Node) -> Option<Arc<Node>> {
        let (host, port) = error.redirect_node()?.0.rsplit_once(':')?;
        self.node(host, port.parse().ok()?, from)
    }

    /// Where a redirection points, the map having been asked for there.
    async fn moved(&self, error: &RedisError, from: &Node, trips: &Counter) -> Option<Arc<Node>> {
        let target = self.target(error, from)?;
        let mut ask = redis::cmd("CLUSTER");
        ask.arg("SLOTS");
        match target.attempt_twice(Request::One(&ask), trips).await {
            Ok(answer) => self.learn(&answer, &target),
            Err(error) => tracing::warn!(%error, "the map of the cluster is not to be had"),
        }
        Some(target)
    }

    /// Reads the answer to `CLUSTER SLOTS`: first slot, last slot, the owner's address, its replicas.
    fn learn(&self, answer: &Value, from: &Node) {
        let Value::Array(ranges) = answer else { return };
        let read = |range: &Value| {
            let Value::Array(range) = range else { return None };
            let [_, Value::Int(last), Value::Array(owner), ..] = range.as_slice() else { return None };
            let [host, Value::Int(port), ..] = owner.as_slice() else { return None };
            let host = match host {
                Value::BulkString(bytes) => std::str::from_utf8(bytes).ok()?,
                Value::SimpleString(text) => text,
                _ => "",
            };
            let (host, port) = address(host, u16::try_from(*port).ok()?, from)?;
            self.node(&host, port, from)?;
            Some((u16::try_from(*last).ok()?, (host, port)))
        };
        let ranges: BTreeMap<u16, Address> = ranges.iter().filter_map(read).collect();
        let mut map = self.map();
        map.nodes.retain(|address, _| ranges.values().any(|owner| owner == address));
        map.ranges = ranges;
    }

    /// Forgets who has which slot, because some do not answer; gives somebody else to ask.
    fn forget(&self, silent: &[Arc<Node>]) -> Option<Arc<Node>> {
        let mut map = self.map();
        map.ranges.clear();
        let mut others = map.nodes.values().chain([&self.seed]);
        others.find(|node| !silent.iter().any(|failed| Arc::ptr_eq(node, failed))).map(Arc::clone)
    }

    /// The server at an address, with the user, password and TLS of the first one.
    fn node(&self, host: &str, port: u16, from: &Node) -> Option<Arc<Node>> {
        let address = address(host, port, from)?;
        let mut map = self.map();
        if let Some(known) = map.nodes.get(&address) {
            return Some(Arc::clone(known));
        }
        let like = self.seed.client().get_connection_info();
        if own_address(&self.seed).is_some_and(|(host, port)| host == address.0 && port == address.1) {
            map.nodes.insert(address, Arc::clone(&self.seed));
            return Some(Arc::clone(&self.seed));
        }
        let to = match like.addr().clone() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
                ConnectionAddr::TcpTls { host: address.0.clone(), port: address.1, insecure, tls_params }
            }
            _ => ConnectionAddr::Tcp(address.0.clone(), address.1),
        };
        let node = Arc::new(Node::new(Client::open(like.clone().set_addr(to)).ok()?));
        map.nodes.insert(address, Arc::clone(&node));
        Some(node)
    }

    fn map(&self) -> MutexGuard<'_, Map> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An address as a server gives it: without a host it is the server's own.
fn address(host: &str, port: u16, from: &Node) -> Option<Address> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = if host.is_empty() || host == "?" { own_address(from)?.0 } else { host };
    Some((host.to_owned(), port))
}

fn own_address(node: &Node) -> Option<(&str, u16)> {
    match node.client().get_connection_info().addr() {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => Some((host, *port)),
        _ => None,
    }
}

/// The first key of a command. Scripts name theirs after the script and the number of keys.
fn key(command: &Cmd) -> Option<&[u8]> {
    let simple = |n: usize| match command.args_iter().nth(n)? {
        Arg::Simple(bytes) => Some(bytes),
        _ => None,
    };
    match simple(0)? {
        b"EVAL" | b"EVALSHA" => simple(3),
        _ => simple(1),
    }
}

/// The slot of a key: of what stands between the first `{` and the next `}`, if that is something, else of all of it.
fn slot(key: &[u8]) -> u16 {
    let open = key.iter().position(|b| *b == b'{');
    let tag = open.and_then(|open| {
        let rest = &key[open + 1..];
        rest.iter().position(|b| *b == b'}').filter(|end| *end > 0).map(|end| &rest[..end])
    });
    crc16(tag.unwrap_or(key)) % SLOTS
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc: u16, byte| {
        (0..8).fold(
            crc ^ (u16::from(*byte) << 8),
            |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
            },
        )
    })
}
