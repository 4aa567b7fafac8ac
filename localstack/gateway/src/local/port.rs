//! The port to listen on, taken before anything is started so that a port in use costs nothing.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, TcpListener},
};

use super::error::LocalError;

/// The first port that Linux hands out for outgoing connections.
const EPHEMERAL: u16 = 32_768;

/// Refuses a port that cannot be ours for long.
///
/// # Errors
/// [`LocalError::PortRange`].
pub fn check(port: u16) -> Result<(), LocalError> {
    if (1..EPHEMERAL).contains(&port) { Ok(()) } else { Err(LocalError::PortRange(port)) }
}

/// Binds to loopback.
///
/// # Errors
/// When the port is out of range, in use or not ours to take.
pub fn bind(port: u16) -> Result<TcpListener, LocalError> {
    check(port)?;
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            let other = if port + 1 < EPHEMERAL { port + 1 } else { port - 1 };
            Err(LocalError::PortInUse { port, other })
        }
        Err(source) => Err(LocalError::Listen { port, source }),
    }
}
