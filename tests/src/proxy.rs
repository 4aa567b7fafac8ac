//! Counts round trips to PostgreSQL where nothing can go past: on the wire. A server ends each answer to a client's
//! `Sync` or simple query with `ReadyForQuery`.
//!
//! Source: PostgreSQL documentation, "Frontend/Backend Protocol", Message Formats.

use std::{
    io::{self, Read, Write},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use crate::scratch::Scratch;

/// A socket in front of a server's socket.
#[derive(Debug)]
pub struct CountingProxy {
    scratch: Scratch,
    count: Arc<AtomicU64>,
    database: String,
}

impl CountingProxy {
    /// In front of the server that `url` names by the directory of its socket (`postgres://user@%2Fdir/db`).
    pub fn before(url: &str) -> Self {
        let (directory, rest) = socket_of(url);
        let scratch = Scratch::new("proxy");
        let listener = UnixListener::bind(scratch.path().join(".s.PGSQL.5432")).expect("a socket to listen on");
        let count = Arc::new(AtomicU64::new(0));
        let server = directory.join(".s.PGSQL.5432");
        let shared = Arc::clone(&count);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (server, count) = (server.clone(), Arc::clone(&shared));
                thread::spawn(move || drop(serve(&client, &server, &count)));
            }
        });
        Self { scratch, count, database: rest }
    }

    /// The same database through the proxy.
    pub fn url(&self) -> String {
        let directory = self.scratch.path().display().to_string().replace('/', "%2F");
        let (user, path) = self.database.split_once('/').expect("a user and a path");
        format!("postgres://{user}@{directory}/{path}")
    }

    /// Round trips so far, those that open a connection included.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }
}

/// `postgres://user@%2Fdir/db` as `/dir` and `user/db`.
fn socket_of(url: &str) -> (PathBuf, String) {
    let rest = url.split_once("://").expect("a URL").1;
    let (user, rest) = rest.split_once('@').expect("a user");
    let (host, path) = rest.split_once('/').expect("a database");
    assert!(host.starts_with("%2F"), "the proxy stands before Unix sockets only: {url}");
    (PathBuf::from(host.replace("%2F", "/")), format!("{user}/{path}"))
}

/// `SSLRequest` and `GSSENCRequest`: eight bytes, answered by one that is no message.
const ENCRYPTION_REQUESTS: [u32; 2] = [80_877_103, 80_877_104];

fn serve(client: &UnixStream, server: &Path, count: &AtomicU64) -> io::Result<()> {
    let server = UnixStream::connect(server)?;
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    loop {
        let mut first = [0; 8];
        from_client.read_exact(&mut first)?;
        to_server.write_all(&first)?;
        if !ENCRYPTION_REQUESTS.contains(&u32::from_be_bytes([first[4], first[5], first[6], first[7]])) {
            break;
        }
        let mut answer = [0];
        (&server).read_exact(&mut answer)?;
        (&*client).write_all(&answer)?;
    }
    thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Both);
    });
    let outcome = answers(server, client, count);
    let _ = client.shutdown(Shutdown::Both);
    outcome
}

/// Every message of a server is a type, a length that counts itself, and a body.
fn answers(server: UnixStream, mut client: &UnixStream, count: &AtomicU64) -> io::Result<()> {
    let mut server = io::BufReader::new(server);
    let mut body = Vec::new();
    loop {
        let mut head = [0; 5];
        server.read_exact(&mut head)?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        body.clear();
        body.extend_from_slice(&head);
        body.resize(length + 1, 0);
        server.read_exact(&mut body[5..])?;
        if head[0] == b'Z' {
            count.fetch_add(1, Ordering::SeqCst);
        }
        client.write_all(&body)?;
    }
}
