//! The HAP port: one socket for IPv4 and IPv6.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;

/// The interfaces on which connections are taken.
#[derive(Debug, Clone, Default)]
pub struct Interfaces {
    names: Vec<String>,
}

impl Interfaces {
    /// The named ones; none named means all.
    #[must_use]
    pub fn new(names: &[String]) -> Self {
        Self {
            names: names.to_vec(),
        }
    }

    /// Whether a connection that reached us at `local` is to be taken. Asked for each one, since addresses
    /// come and go.
    #[must_use]
    pub fn allow(&self, local: IpAddr) -> bool {
        let local = local.to_canonical();
        let own = |i: if_addrs::Interface| self.names.contains(&i.name) && i.ip() == local;
        self.names.is_empty() || if_addrs::get_if_addrs().is_ok_and(|all| all.into_iter().any(own))
    }
}

/// Listens on `port` (0: any free one) at every address, IPv6 and IPv4 on one socket where the system has IPv6.
///
/// # Errors
/// When the port is taken or not permitted.
pub fn bind(port: u16) -> io::Result<TcpListener> {
    let dual = listen(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
    let socket = match dual {
        Err(e) if e.kind() != io::ErrorKind::AddrInUse => {
            listen(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))?
        }
        other => other?,
    };
    TcpListener::from_std(socket.into())
}

fn listen(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // A restarted daemon takes its port back although old connections linger.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_socket_takes_both_families() {
        let listener = bind(0).unwrap();
        let port = listener.local_addr().unwrap().port();
        for address in ["127.0.0.1", "::1"] {
            let connected = tokio::net::TcpStream::connect((address, port)).await;
            assert!(connected.is_ok(), "{address}: {connected:?}");
            listener.accept().await.unwrap();
        }
        assert_eq!(bind(port).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn interfaces_are_matched_by_address() {
        let lo = Interfaces::new(&["lo".into()]);
        assert!(lo.allow("127.0.0.1".parse().unwrap()));
        assert!(lo.allow("::ffff:127.0.0.1".parse().unwrap()));
        assert!(!lo.allow("192.0.2.1".parse().unwrap()));
        assert!(Interfaces::default().allow("192.0.2.1".parse().unwrap()));
    }
}
