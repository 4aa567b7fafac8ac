//! Bytes to a socket as they are, and what came back.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Command, Stdio},
    time::Duration,
};

use halyard_tests::Nginx;

/// As long as a server may take to answer and to close. No test waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends the bytes and reads until the server closes: the last request has to ask for that, or to be unreadable.
pub async fn plain(to: SocketAddr, bytes: impl Into<Vec<u8>>) -> String {
    let bytes = bytes.into();
    blocking(move || {
        let mut stream = TcpStream::connect(to).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        // A server that refuses may close before it has read everything.
        let _ = stream.write_all(&bytes);
        let mut answer = Vec::new();
        if let Err(error) = stream.read_to_end(&mut answer) {
            let waits = error.kind() == std::io::ErrorKind::WouldBlock;
            assert!(!waits, "the server waits for more: {}", String::from_utf8_lossy(&bytes));
        }
        answer
    })
    .await
}

/// The same through TLS, to NGINX.
pub async fn through(nginx: &Nginx, bytes: impl Into<Vec<u8>>) -> String {
    let (address, bytes) = (nginx.site().https.to_string(), bytes.into());
    blocking(move || {
        let limit = PATIENCE.as_secs().to_string();
        let mut client = Command::new("timeout")
            .args([&limit, "openssl", "s_client", "-quiet", "-ign_eof", "-connect", &address])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl");
        let mut input = client.stdin.take().expect("its input");
        let _ = input.write_all(&bytes);
        let output = client.wait_with_output().expect("its output");
        drop(input);
        assert_ne!(output.status.code(), Some(124), "NGINX waits for more: {}", String::from_utf8_lossy(&bytes));
        output.stdout
    })
    .await
}

async fn blocking(exchange: impl FnOnce() -> Vec<u8> + Send + 'static) -> String {
    let answer = tokio::task::spawn_blocking(exchange).await.expect("an exchange");
    String::from_utf8_lossy(&answer).into_owned()
}

/// The status of each answer, in order.
pub fn statuses(answers: &str) -> Vec<u16> {
    answers.split("HTTP/1.").skip(1).filter_map(|line| line.get(2..5)?.parse().ok()).collect()
}
