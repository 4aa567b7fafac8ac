//! The listening socket, and how it is closed without turning anybody away.
//!
//! The kernel finishes handshakes by itself: whoever comes between the last `accept` and the close holds a connection
//! that nobody ever saw, has perhaps sent a request over it, and is answered with a reset. A balancer may not send a POST
//! again after that. So the door is shut first, for newcomers only, and the socket closed when nobody is left in it.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// How long a handshake that has begun may take to end: one round trip to a client's kernel.
const HANDSHAKE: Duration = Duration::from_millis(50);

/// Lets everybody in who has been promised it, passes each on, and closes the socket.
pub(crate) async fn close(listener: TcpListener, mut let_in: impl FnMut(TcpStream, SocketAddr)) {
    if shut(&listener).is_ok() {
        let _ = timeout(HANDSHAKE, async {
            loop {
                if let Ok((stream, peer)) = listener.accept().await {
                    let_in(stream, peer);
                }
            }
        })
        .await;
    }
    // Whoever is in the queue now, whether the door could be shut or not.
    if let Ok(listener) = listener.into_std() {
        while let Ok((stream, peer)) = listener.accept() {
            if stream.set_nonblocking(true).is_ok()
                && let Ok(stream) = TcpStream::from_std(stream)
            {
                let_in(stream, peer);
            }
        }
    }
}

/// From here on a SYN goes unheard: its client takes the host for gone and, having sent nothing, may turn to another one.
/// What belongs to handshakes that have begun is let through.
#[cfg(target_os = "linux")]
fn shut(listener: &TcpListener) -> io::Result<()> {
    use socket2::{SockFilter, SockRef};
    // Classic BPF over the segment, which begins with the TCP header (RFC 9293, section 3.1); see bpf(4), socket(7).
    const LOAD_BYTE: u16 = 0x30;
    const AND: u16 = 0x54;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const FLAGS: u32 = 13;
    const SYN: u32 = 0x02;
    SockRef::from(listener).attach_filter(&[
        SockFilter::new(LOAD_BYTE, 0, 0, FLAGS),
        SockFilter::new(AND, 0, 0, SYN),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ])
}

/// Other systems have no such thing: there the instant remains.
#[cfg(not(target_os = "linux"))]
fn shut(_: &TcpListener) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
