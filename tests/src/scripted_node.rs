//! A node that keeps what it was sent and answers as a test tells it: for faults that no real node can be made to have.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use crate::process::free_port;

/// A request as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// `GET`.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case, in their order.
    pub headers: Vec<(String, String)>,
}

impl Seen {
    /// A header's value, the first one.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// What it does with a request: the whole answer, or `None` to break the connection off.
pub type Script = Box<dyn Fn(&Seen) -> Option<String> + Send + Sync>;

/// The node. It stops when it is dropped.
#[derive(Debug)]
pub struct ScriptedNode {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    stop: Arc<AtomicBool>,
}

impl ScriptedNode {
    /// Starts it on a free port.
    pub fn start(script: Script) -> Self {
        Self::start_at((Ipv4Addr::LOCALHOST, free_port()).into(), script)
    }

    /// Starts it at an address that is free.
    pub fn start_at(address: SocketAddr, script: Script) -> Self {
        let listener = TcpListener::bind(address).expect("a free port");
        let (seen, stop) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let (log, stopped, script) = (Arc::clone(&seen), Arc::clone(&stop), Arc::new(script));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (log, script) = (Arc::clone(&log), Arc::clone(&script));
                thread::spawn(move || {
                    // A client that goes away ends the connection, and that is all.
                    let _ = serve(stream, &log, &script);
                });
            }
        });
        Self { address, seen, stop }
    }

    /// One that answers every request with this status, these header lines (each with its `\r\n`) and this body.
    pub fn answering(status: u16, headers: &str, body: &str) -> Self {
        let answer = answer(status, headers, body);
        Self::start(Box::new(move |_| Some(answer.clone())))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests so far to a path.
    pub fn requests(&self, path: &str) -> Vec<Seen> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().filter(|s| s.target.split('?').next() == Some(path)).cloned().collect()
    }
}

impl Drop for ScriptedNode {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // So that it looks.
        let _ = TcpStream::connect(self.address);
    }
}

/// A whole answer.
pub fn answer(status: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} Scripted\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

fn serve(mut stream: TcpStream, log: &Mutex<Vec<Seen>>, script: &Script) -> io::Result<()> {
    loop {
        let Some(seen) = read(&mut stream)? else { return Ok(()) };
        log.lock().unwrap_or_else(PoisonError::into_inner).push(seen.clone());
        let Some(answer) = script(&seen) else { return Ok(()) };
        stream.write_all(answer.as_bytes())?;
    }
}

/// Head and body of the next request; `None` when there is no more.
fn read(stream: &mut TcpStream) -> io::Result<Option<Seen>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 {
            return Ok(None);
        }
        head.extend(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.lines();
    let mut words = lines.next().unwrap_or_default().split(' ');
    let mut word = || words.next().unwrap_or_default().to_owned();
    let (method, target) = (word(), word());
    let headers = lines.filter_map(|l| l.split_once(": "));
    let headers: Vec<_> = headers.map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned())).collect();
    let seen = Seen { method, target, headers };
    let length = seen.header("content-length").and_then(|v| v.parse().ok()).unwrap_or(0);
    stream.read_exact(&mut vec![0; length])?;
    Ok(Some(seen))
}
