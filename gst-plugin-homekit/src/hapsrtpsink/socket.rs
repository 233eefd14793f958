//! The UDP socket that carries RTP and RTCP.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::net::sockopt::{self, Ipv4PathMtuDiscovery};
use socket2::{Domain, Protocol, Type};

use super::send_buffer::{Batch, SendBuffer};

/// One UDP socket, with a bell that wakes the thread that waits for it, and one that hurries the
/// thread that sends.
#[derive(Debug)]
pub(crate) struct Socket {
    socket: UdpSocket,
    offload: UdpSocketState,
    bell: OwnedFd,
    /// Rings as long as nobody may wait to send.
    halt: OwnedFd,
}

/// Why [`Socket::wait`] returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wakeup {
    /// Datagrams may be waiting.
    pub(crate) readable: bool,
}

/// Room for a key frame that the network takes its time for; the system may grant less.
const SEND_BUFFER: usize = 4 << 20;

/// How long a full send buffer may hold up the media.
const SEND_PATIENCE: Duration = Duration::from_millis(50);

/// Largest coalesced datagram.
pub(crate) const RECEIVE_BUFFER: usize = 65_536;

impl Socket {
    /// Opens a socket on `address`, and on `port` or one the system chooses (0).
    ///
    /// An empty address means all addresses, IPv6 and IPv4; so does `::`.
    pub(crate) fn open(address: &str, port: u16) -> io::Result<Self> {
        let socket = match address {
            "" => bind((Ipv6Addr::UNSPECIFIED, port).into())
                .or_else(|_| bind((Ipv4Addr::UNSPECIFIED, port).into()))?,
            _ => bind(resolve(address, port)?)?,
        };
        let offload = UdpSocketState::new((&socket).into())?;
        allow_fragments(&socket);
        Ok(Self {
            offload,
            socket,
            bell: new_bell()?,
            halt: new_bell()?,
        })
    }

    /// The port it is bound to.
    pub(crate) fn port(&self) -> io::Result<u16> {
        Ok(self.socket.local_addr()?.port())
    }

    /// Finds the address of a peer as this socket can reach it.
    pub(crate) fn peer(&self, host: &str, port: u16) -> io::Result<SocketAddr> {
        let peer = resolve(host, port)?;
        match (self.socket.local_addr()?, peer) {
            (SocketAddr::V6(_), SocketAddr::V4(v4)) => {
                Ok((v4.ip().to_ipv6_mapped(), v4.port()).into())
            }
            (SocketAddr::V4(_), SocketAddr::V6(_)) => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "an IPv4 socket cannot reach an IPv6 address",
            )),
            _ => Ok(peer),
        }
    }

    /// Waits for datagrams, for [`wake`](Self::wake), or for the deadline.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> io::Result<Wakeup> {
        let mut events = [
            PollFd::new(&self.socket, PollFlags::IN),
            PollFd::new(&self.bell, PollFlags::IN),
        ];
        wait(&mut events, deadline)?;
        let readable = !events[0].revents().is_empty();
        if !events[1].revents().is_empty() {
            silence(&self.bell);
        }
        Ok(Wakeup { readable })
    }

    /// Ends a [`wait`](Self::wait), the present or the next one.
    pub(crate) fn wake(&self) {
        ring(&self.bell);
    }

    /// Ends every [`pause`](Self::pause) and all waiting to send, until [`resume`](Self::resume).
    pub(crate) fn halt(&self) {
        ring(&self.halt);
    }

    /// Lets those who send wait again.
    pub(crate) fn resume(&self) {
        silence(&self.halt);
    }

    /// Waits until then; returns whether nothing came in between.
    pub(crate) fn pause(&self, until: Instant) -> bool {
        let mut events = [PollFd::new(&self.halt, PollFlags::IN)];
        while Instant::now() < until {
            // Fails for lack of memory in the kernel: then nothing is worth waiting.
            if wait(&mut events, Some(until)).is_err() || !events[0].revents().is_empty() {
                return false;
            }
        }
        true
    }

    /// Takes waiting datagrams into `buffer` and gives each to `take`. Errors of the network, such
    /// as a port that ICMP says is closed, are no concern of a stream.
    pub(crate) fn receive(&self, buffer: &mut [u8], mut take: impl FnMut(&mut [u8])) {
        for _ in 0..MAX_READS {
            let mut meta = RecvMeta::default();
            let slices = &mut [IoSliceMut::new(buffer)];
            let received = self.offload.recv(
                (&self.socket).into(),
                slices,
                std::slice::from_mut(&mut meta),
            );
            match received {
                Ok(0) => return,
                Ok(_) if meta.len == 0 => take(&mut []),
                Ok(_) => {
                    let datagrams = buffer[..meta.len].chunks_mut(meta.stride.max(1));
                    datagrams.for_each(&mut take);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {}
            }
        }
    }

    /// Sends a batch to `peer`; returns how many datagrams could not be sent.
    fn send_batch(&self, batch: Batch<'_>, peer: SocketAddr, patience: &mut Patience) -> u64 {
        let error = match self.try_send(batch, peer, patience) {
            Ok(()) => return 0,
            Err(error) => error,
        };
        if batch.len() == 1 || !is_due_to_batching(&error) {
            return batch.len() as u64;
        }
        let mut single = |datagram| {
            let batch = Batch {
                bytes: datagram,
                segment_size: datagram.len(),
            };
            u64::from(self.try_send(batch, peer, patience).is_err())
        };
        batch
            .bytes
            .chunks(batch.segment_size)
            .map(&mut single)
            .sum()
    }

    fn try_send(
        &self,
        batch: Batch<'_>,
        peer: SocketAddr,
        patience: &mut Patience,
    ) -> io::Result<()> {
        let transmit = Transmit {
            destination: peer,
            ecn: None,
            contents: batch.bytes,
            segment_size: (batch.len() > 1).then_some(batch.segment_size),
            src_ip: None,
        };
        loop {
            match self.offload.try_send((&self.socket).into(), &transmit) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait_for_room(patience)?;
                }
                result => return result,
            }
        }
    }

    /// Waits until a full send buffer has room again.
    fn wait_for_room(&self, patience: &mut Patience) -> io::Result<()> {
        let deadline = patience.deadline();
        if Instant::now() >= deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let mut events = [
            PollFd::new(&self.socket, PollFlags::OUT),
            PollFd::new(&self.halt, PollFlags::IN),
        ];
        wait(&mut events, Some(deadline))?;
        match events[1].revents().is_empty() {
            true => Ok(()),
            false => Err(io::ErrorKind::Interrupted.into()),
        }
    }
}

/// How long a full send buffer may hold up its user, all in all.
#[derive(Debug)]
pub(crate) struct Patience {
    span: Duration,
    deadline: Option<Instant>,
}

impl Patience {
    /// For media: a pause of the network should not cost a picture.
    pub(crate) fn of_media() -> Self {
        Self {
            span: SEND_PATIENCE,
            deadline: None,
        }
    }

    /// For what comes again soon.
    pub(crate) fn none() -> Self {
        Self {
            span: Duration::ZERO,
            deadline: None,
        }
    }

    fn deadline(&mut self) -> Instant {
        *self
            .deadline
            .get_or_insert_with(|| Instant::now() + self.span)
    }
}

/// Whether a batch may fail where its datagrams do not: no segmentation offload on this device
/// (EIO, EINVAL), or a path MTU below the segment size (EMSGSIZE).
fn is_due_to_batching(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let number = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(number, Some(Errno::IO | Errno::INVAL | Errno::MSGSIZE))
}

fn new_bell() -> io::Result<OwnedFd> {
    Ok(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?)
}

fn ring(bell: &OwnedFd) {
    // Fails only when the bell has been rung 2^64 times unheard.
    let _ = rustix::io::write(bell, &1u64.to_ne_bytes());
}

fn silence(bell: &OwnedFd) {
    // Nothing to read means that someone else read it: all the same.
    let _ = rustix::io::read(bell, &mut [0; 8]);
}

/// Datagrams read in a row, before deadlines are looked after again.
const MAX_READS: usize = 64;

/// A socket with the address packets go to.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) socket: Arc<Socket>,
    pub(crate) address: SocketAddr,
}

impl Peer {
    /// Sends the datagrams of `range`; returns how many could not be sent.
    pub(crate) fn send(
        &self,
        packets: &SendBuffer,
        range: Range<usize>,
        mut patience: Patience,
    ) -> u64 {
        let max_segments = self.socket.offload.max_gso_segments();
        let send = |batch| self.socket.send_batch(batch, self.address, &mut patience);
        packets.batches(range, max_segments).map(send).sum()
    }
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let domain = Domain::for_address(address);
    let socket = socket2::Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    // A smaller buffer only makes losses more likely.
    let _ = socket.set_send_buffer_size(SEND_BUFFER);
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Lets the system fragment what a path does not take whole, which `quinn-udp` forbids: late is
/// better than never for a picture.
fn allow_fragments(socket: &UdpSocket) {
    // Where it fails, packets above the path MTU are lost and counted.
    let _ = sockopt::set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::WANT);
}

/// Reads an address, with a zone where it is link-local, or asks the resolver for a name.
fn resolve(host: &str, port: u16) -> io::Result<SocketAddr> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok((address, port).into());
    }
    let mut addresses = (host, port).to_socket_addrs()?;
    addresses
        .next()
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such host"))
}

fn wait(events: &mut [PollFd<'_>], deadline: Option<Instant>) -> io::Result<()> {
    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    let timeout = left.and_then(|left| Timespec::try_from(left).ok());
    match poll(events, timeout.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(sizes: &[usize]) -> SendBuffer {
        let mut buffer = SendBuffer::default();
        for (n, &size) in sizes.iter().enumerate() {
            let write = |out: &mut Vec<u8>| {
                out.resize(out.len() + size, n as u8);
                Ok::<_, ()>(())
            };
            buffer.push(write).unwrap();
        }
        buffer
    }

    fn send(peer: &Peer, sizes: &[usize]) -> u64 {
        peer.send(&buffer(sizes), 0..sizes.len(), Patience::of_media())
    }

    fn exchange(from: &str, to: &str) {
        let receiver = Socket::open(to, 0).unwrap();
        let sender = Arc::new(Socket::open(from, 0).unwrap());
        let host = match to {
            "" => "127.0.0.1",
            _ => to,
        };
        let address = sender.peer(host, receiver.port().unwrap()).unwrap();
        let peer = Peer {
            socket: sender,
            address,
        };
        let sizes = [30, 1378, 1378, 1378, 500, 1378];
        assert_eq!(send(&peer, &sizes), 0);

        let mut received = Vec::new();
        let mut memory = vec![0; RECEIVE_BUFFER];
        while received.len() < sizes.len() {
            let deadline = Some(Instant::now() + Duration::from_secs(10));
            assert!(receiver.wait(deadline).unwrap().readable, "nothing came");
            receiver.receive(&mut memory, |datagram| {
                received.push((datagram[0], datagram.len()));
            });
        }
        let expected = sizes.iter().enumerate().map(|(n, &size)| (n as u8, size));
        assert_eq!(received, expected.collect::<Vec<_>>());
    }

    #[test]
    fn batches_arrive_as_single_datagrams() {
        exchange("127.0.0.1", "127.0.0.1");
    }

    #[test]
    fn one_socket_reaches_both_families() {
        exchange("", "127.0.0.1");
        exchange("", "::1");
        exchange("127.0.0.1", "");
    }

    #[test]
    fn a_socket_of_one_family_says_what_it_cannot_reach() {
        let socket = Socket::open("127.0.0.1", 0).unwrap();
        let error = socket.peer("::1", 9).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(socket.peer("not an address", 9).is_err());
    }

    #[test]
    fn a_used_port_is_an_error() {
        let socket = Socket::open("127.0.0.1", 0).unwrap();
        let error = Socket::open("127.0.0.1", socket.port().unwrap()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn waiting_ends_with_the_bell_and_with_the_deadline() {
        let socket = Socket::open("127.0.0.1", 0).unwrap();
        socket.wake();
        assert_eq!(socket.wait(None).unwrap(), Wakeup { readable: false });
        let deadline = Instant::now() + Duration::from_millis(5);
        assert_eq!(
            socket.wait(Some(deadline)).unwrap(),
            Wakeup { readable: false }
        );
        assert!(Instant::now() >= deadline);
    }

    #[test]
    fn datagrams_the_system_refuses_are_counted() {
        let socket = Arc::new(Socket::open("127.0.0.1", 0).unwrap());
        let address = SocketAddr::from(([127, 0, 0, 1], 9));
        let peer = Peer { socket, address };
        // Longer than UDP can carry.
        assert_eq!(send(&peer, &[70_000, 10]), 1);
    }

    #[test]
    fn a_pause_ends_in_time_and_at_a_halt() {
        let socket = Socket::open("127.0.0.1", 0).unwrap();
        let start = Instant::now();
        assert!(socket.pause(start + Duration::from_millis(5)));
        assert!(start.elapsed() >= Duration::from_millis(5));
        socket.halt();
        assert!(!socket.pause(start + Duration::from_secs(3600)));
        assert!(!socket.pause(start + Duration::from_secs(3600)), "it lasts");
        socket.resume();
        assert!(socket.pause(Instant::now() + Duration::from_millis(1)));
    }

    #[test]
    fn a_full_socket_is_waited_for_once_and_not_at_all_after_a_halt() {
        let socket = Socket::open("127.0.0.1", 0).unwrap();
        let mut patience = Patience {
            span: Duration::from_secs(3600),
            deadline: None,
        };
        assert!(socket.wait_for_room(&mut patience).is_ok());
        socket.halt();
        let error = socket.wait_for_room(&mut patience).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
        let error = socket.wait_for_room(&mut Patience::none()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
