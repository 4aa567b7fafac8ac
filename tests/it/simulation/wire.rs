//! The database's socket as one environment sees it: each statement waits on the stage.
//!
//! Here nothing can go past, no code of the platform knows of it, and a fault looks as it does in production: a connection
//! that breaks before the statement, or after it. What is not about tasks passes without a word, and so do the messages that
//! open a connection and prepare a statement: they change nothing. A transaction is one call, decided about at its first statement
//! and carried out, or lost, at its last: what it locks until then would have the calls of others wait, which none may.
//!
//! Source: PostgreSQL documentation, "Frontend/Backend Protocol", Message Formats.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use halyard_tests::Scratch;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    task::JoinHandle,
};

use super::{
    mutants::Mutant,
    stage::{HostId, Kind, Passage, Stage},
};

/// What the server says of the connection when it is ready and no transaction is open.
const IDLE: u8 = b'I';

/// One environment's socket.
pub struct Wire {
    scratch: Scratch,
    database: String,
    accepting: JoinHandle<()>,
}

impl Wire {
    /// Before the server that `url` names by the directory of its socket (`postgres://user@%2Fdir/db`).
    pub fn before(url: &str, mutant: Option<Mutant>, stage: &Arc<Stage>, host: HostId) -> Self {
        let (user, rest) = url.split_once("://").expect("a URL").1.split_once('@').expect("a user");
        let (directory, database) = rest.split_once('/').expect("a database");
        let server = PathBuf::from(directory.replace("%2F", "/")).join(".s.PGSQL.5432");
        let scratch = Scratch::new("wire");
        let listener = UnixListener::bind(scratch.path().join(".s.PGSQL.5432")).expect("a socket to listen on");
        let stage = Arc::clone(stage);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (server, stage) = (server.clone(), Arc::clone(&stage));
                tokio::spawn(async move { drop(serve(client, &server, mutant, &stage, host).await) });
            }
        });
        Self { scratch, database: format!("{user}@{{}}/{database}"), accepting }
    }

    /// The same database by way of it.
    pub fn url(&self) -> String {
        let directory = self.scratch.path().display().to_string().replace('/', "%2F");
        format!("postgres://{}", self.database.replace("{}", &directory))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(
    mut client: UnixStream,
    server: &Path,
    mutant: Option<Mutant>,
    stage: &Arc<Stage>,
    host: HostId,
) -> io::Result<()> {
    let opening = stage.aside();
    let mut server = UnixStream::connect(server).await?;
    open(&mut client, &mut server).await?;
    drop(opening);
    let mut known = HashMap::new();
    let mut begun = None;
    loop {
        let (burst, label) = burst(&mut client, mutant, &mut known).await?;
        let named = begun.is_some() || label.is_some();
        let entered = match (begun.take(), label) {
            (Some(entered), _) => entered,
            (None, None) => stage.aside(),
            (None, Some(label)) => match stage.enter(host, Kind::Statement, label).await {
                Some(entered) => entered,
                None => return Ok(()),
            },
        };
        if entered.passage == Passage::Refused {
            return Ok(());
        }
        server.write_all(&burst).await?;
        let answer = until_ready(&mut server).await?;
        if answer.last() != Some(&IDLE) {
            client.write_all(&answer).await?;
            // What only begins it decides nothing.
            begun = named.then_some(entered);
            continue;
        }
        match entered.passage {
            Passage::AnswerLost => return Ok(()),
            Passage::Vanish => {
                drop(entered);
                std::future::pending::<()>().await;
            }
            _ => client.write_all(&answer).await?,
        }
    }
}

/// The first message has no type. On these sockets nobody asks for a password; who asks for encryption (in eight bytes) gets
/// none.
async fn open(client: &mut UnixStream, server: &mut UnixStream) -> io::Result<()> {
    let mut length = client.read_u32().await?;
    while length == 8 {
        client.read_u32().await?;
        client.write_all(b"N").await?;
        length = client.read_u32().await?;
    }
    let mut message = length.to_be_bytes().to_vec();
    message.resize(length as usize, 0);
    client.read_exact(&mut message[4..]).await?;
    server.write_all(&message).await?;
    let answer = until_ready(server).await?;
    client.write_all(&answer).await
}

/// What the server says until it is ready for the next one.
async fn until_ready(server: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    loop {
        if message(server, &mut answer).await? == b'Z' {
            return Ok(answer);
        }
    }
}

/// Reads one message to the end of `into`, and gives its type.
async fn message(from: &mut UnixStream, into: &mut Vec<u8>) -> io::Result<u8> {
    let kind = from.read_u8().await?;
    let length = from.read_u32().await?;
    into.push(kind);
    into.extend_from_slice(&length.to_be_bytes());
    let start = into.len();
    into.resize(start + length as usize - 4, 0);
    from.read_exact(&mut into[start..]).await?;
    Ok(kind)
}

/// Messages up to the one that the server answers, and what they carry out if that is for the stepper to decide about.
async fn burst(
    client: &mut UnixStream,
    mutant: Option<Mutant>,
    known: &mut HashMap<String, String>,
) -> io::Result<(Vec<u8>, Option<String>)> {
    let (mut burst, mut statement, mut label) = (Vec::new(), None, None);
    loop {
        let start = burst.len() + 5;
        match message(client, &mut burst).await? {
            b'P' => {
                let (name, rest) = text(&burst[start..]);
                let (sql, rest) = text(rest);
                if let Some(mutant) = mutant.filter(|mutant| sql.contains(mutant.from)) {
                    let parse =
                        [name.as_bytes(), &[0], sql.replace(mutant.from, mutant.to).as_bytes(), &[0], rest].concat();
                    burst.truncate(start - 4);
                    burst.extend_from_slice(&u32::try_from(parse.len() + 4).unwrap_or_default().to_be_bytes());
                    burst.extend_from_slice(&parse);
                }
                known.insert(name, sql);
            }
            b'B' => statement = Some(text(text(&burst[start..]).1).0),
            b'E' => label = statement.as_ref().and_then(|name| known.get(name)).and_then(|sql| subject(sql)),
            b'Q' => return Ok((burst.clone(), subject(&text(&burst[start..]).0))),
            b'S' => return Ok((burst, label)),
            b'X' => return Err(io::ErrorKind::UnexpectedEof.into()),
            _ => {}
        }
    }
}

/// A text that ends with a zero, and what comes after.
fn text(bytes: &[u8]) -> (String, &[u8]) {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    (String::from_utf8_lossy(&bytes[..end]).into_owned(), bytes.get(end + 1..).unwrap_or_default())
}

/// What a statement must mention so that the stepper decides about it.
const SUBJECTS: [&str; 7] = ["tasks", "outbox", "schedule", "workflow", "stat_deltas", "lanes", "webhook"];

fn subject(sql: &str) -> Option<String> {
    SUBJECTS.iter().any(|word| sql.contains(word)).then(|| {
        let mut hasher = DefaultHasher::new();
        sql.hash(&mut hasher);
        let words: Vec<&str> = sql.split_whitespace().collect();
        let start: String = words.join(" ").chars().take(48).collect();
        format!("{start} #{:04x}", hasher.finish() & 0xffff)
    })
}
