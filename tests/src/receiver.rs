//! Somebody who receives webhooks: an HTTP server of a few lines that remembers what it hears and answers what it is told.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{BufRead as _, BufReader, Read, Write},
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use aws_lc_rs::{
    hmac,
    signature::{ED25519, UnparsedPublicKey},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

/// A request that was heard.
#[derive(Debug, Clone)]
pub struct Heard {
    /// Its path.
    pub path: String,
    /// Its headers, in lower case.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Heard {
    /// The webhook's id.
    pub fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// What was signed, by Standard Webhooks: `id.timestamp.body`.
    fn message(&self) -> Vec<u8> {
        let head = format!("{}.{}.", self.id(), self.headers["webhook-timestamp"]);
        [head.as_bytes(), &self.body].concat()
    }

    fn signatures(&self, version: &str) -> Vec<Vec<u8>> {
        let all = self.headers["webhook-signature"].split(' ').map(|one| one.split_once(',').expect("a version"));
        all.filter(|(v, _)| *v == version).map(|(_, text)| STANDARD.decode(text).expect("base 64")).collect()
    }

    /// How many of its signatures are made with this shared secret (`whsec_..`).
    pub fn signed_with(&self, secret: &str) -> usize {
        let secret = STANDARD.decode(secret.strip_prefix("whsec_").expect("a secret")).expect("base 64");
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        self.signatures("v1").iter().filter(|mac| hmac::verify(&key, &self.message(), mac).is_ok()).count()
    }

    /// How many of its signatures this public key (`whpk_..`) verifies.
    pub fn verified_by(&self, public_key: &str) -> usize {
        let key = STANDARD.decode(public_key.strip_prefix("whpk_").expect("a public key")).expect("base 64");
        let key = UnparsedPublicKey::new(&ED25519, key);
        self.signatures("v1a").iter().filter(|signature| key.verify(&self.message(), signature).is_ok()).count()
    }
}

/// What is answered.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    silent: bool,
}

impl Reply {
    /// This status.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), silent: false }
    }

    /// Nothing, for ever.
    pub fn silence() -> Self {
        Self { silent: true, ..Self::status(200) }
    }

    /// With this header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}

#[derive(Debug, Default)]
struct Shared {
    heard: Vec<Heard>,
    replies: VecDeque<Reply>,
    otherwise: Option<Reply>,
    held: bool,
}

#[derive(Debug, Default)]
struct Desk {
    shared: Mutex<Shared>,
    released: Condvar,
}

/// The receiver, until the process ends.
#[derive(Debug, Clone)]
pub struct Receiver {
    address: SocketAddr,
    scheme: &'static str,
    desk: Arc<Desk>,
}

impl Receiver {
    /// Starts one on a port of its own; it answers 200 until it is told otherwise.
    ///
    /// # Panics
    /// When there is no port.
    pub fn start() -> Self {
        Self::listening("http", None)
    }

    /// Likewise, over TLS, as `localhost` by this certificate (PEM).
    ///
    /// # Panics
    /// When there is no port, or the certificate is none.
    pub fn start_tls(certificate: &Path, key: &Path) -> Self {
        Self::listening("https", Some(crate::tls::server(certificate, key)))
    }

    fn listening(scheme: &'static str, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let this = Self { address: listener.local_addr().expect("an address"), scheme, desk: Arc::default() };
        let desk = Arc::clone(&this.desk);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (desk, tls) = (Arc::clone(&desk), tls.clone());
                std::thread::spawn(move || match tls {
                    None => serve(stream, &desk),
                    Some(config) => {
                        let connection = ServerConnection::new(config).expect("a configuration of our own");
                        serve(StreamOwned::new(connection, stream), &desk);
                    }
                });
            }
        });
        this
    }

    /// A URL of it.
    pub fn url(&self, path: &str) -> String {
        match self.scheme {
            // A certificate is a name's.
            "https" => format!("https://localhost:{}{path}", self.address.port()),
            scheme => format!("{scheme}://{}{path}", self.address),
        }
    }

    /// Answers the next request like this, and the one after the next like the next.
    pub fn reply(&self, reply: Reply) {
        self.lock().replies.push_back(reply);
    }

    /// Answers all others like this.
    pub fn otherwise(&self, reply: Reply) {
        self.lock().otherwise = Some(reply);
    }

    /// Keeps its answers to itself until they are released.
    pub fn hold(&self) {
        self.lock().held = true;
    }

    /// Gives all answers that it has kept, and from now on each at once.
    pub fn release(&self) {
        self.lock().held = false;
        self.desk.released.notify_all();
    }

    /// What was heard so far, and is forgotten.
    pub fn take(&self) -> Vec<Heard> {
        std::mem::take(&mut self.lock().heard)
    }

    /// How many requests were heard since.
    pub fn count(&self) -> usize {
        self.lock().heard.len()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.desk.lock()
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn serve(mut stream: impl Read + Write, desk: &Desk) {
    let Some(heard) = read(&mut stream) else { return };
    let reply = {
        let mut shared = desk.lock();
        shared.heard.push(heard);
        let held = desk.released.wait_while(shared, |shared| shared.held);
        let mut shared = held.unwrap_or_else(PoisonError::into_inner);
        let next = shared.replies.pop_front();
        next.or_else(|| shared.otherwise.clone()).unwrap_or_else(|| Reply::status(200))
    };
    if reply.silent {
        // Until the other side gives up.
        let _ = stream.read(&mut [0]);
        return;
    }
    let first = format!("HTTP/1.1 {} Said\r\ncontent-length: {}\r\n", reply.status, reply.body.len());
    let headers: Vec<String> = reply.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let _ = stream.write_all(&[first.as_bytes(), headers.concat().as_bytes(), b"\r\n", &reply.body].concat());
}

fn read(stream: &mut impl Read) -> Option<Heard> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Heard { path, headers, body })
}
