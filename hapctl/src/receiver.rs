//! A UDP socket with its [`Track`].

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::delay::Delays;
use crate::failure::{Failure, Kind, Result};
use crate::feedback::Feedback;
use crate::report::TrackReport;
use crate::spread::Spread;
use crate::track::Track;

/// Longest datagram: more than any MTU asked for.
const MAX_DATAGRAM: usize = 65_536;
/// Room for a key frame that comes in one burst while this program is not scheduled.
const RECEIVE_BUFFER: usize = 4 << 20;
/// Datagrams taken before others get their turn.
const BURST: usize = 64;

/// The address this machine uses towards `peer`.
///
/// # Errors
/// [`Kind::Unreachable`] when there is no route.
pub async fn local_address(peer: SocketAddr) -> Result<SocketAddr> {
    let any: IpAddr = match peer {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // Connecting a UDP socket sends nothing; it makes the kernel choose the address.
    let probe = async {
        let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
        socket.connect(peer).await?;
        socket.local_addr()
    };
    let mut address = probe.await.map_err(|e: io::Error| {
        Failure::new(Kind::Unreachable, format!("no route to {peer}: {e}"))
    })?;
    address.set_port(0);
    Ok(address)
}

/// Opens a socket on `address`, at a port the system chooses.
///
/// # Errors
/// [`Kind::Other`] when the system refuses.
pub async fn open(address: SocketAddr) -> Result<UdpSocket> {
    let socket = UdpSocket::bind(address)
        .await
        .map_err(|e| Failure::from(e).context(format_args!("UDP socket on {address}")))?;
    // The system may grant less; then a burst may be lost and is counted as lost.
    let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER);
    Ok(socket)
}

/// A track that receives in the background until it is finished or dropped.
pub struct Receiver {
    track: Arc<Mutex<Track>>,
    feedback: mpsc::Sender<Vec<Feedback>>,
    wake: Arc<tokio::sync::Notify>,
    task: JoinHandle<()>,
}

impl Receiver {
    /// Receives from `socket` into `track`.
    #[must_use]
    pub fn spawn(socket: UdpSocket, track: Track) -> Self {
        let track = Arc::new(Mutex::new(track));
        let wake = Arc::new(tokio::sync::Notify::new());
        let (feedback, requests) = mpsc::channel(8);
        let task = tokio::spawn(receive(
            socket,
            Arc::clone(&track),
            requests,
            Arc::clone(&wake),
        ));
        Self {
            track,
            feedback,
            wake,
            task,
        }
    }

    /// The Start command goes out at `now`.
    pub fn started(&self, now: Instant) {
        lock(&self.track).started(now);
        self.wake.notify_one();
    }

    /// Sends `feedback` to the camera in one packet.
    pub async fn send(&self, feedback: Vec<Feedback>) {
        // The task ends only with this receiver.
        let _ = self.feedback.send(feedback).await;
    }

    /// What was learnt so far.
    #[must_use]
    pub fn summary(&self) -> TrackReport {
        lock(&self.track).summary()
    }

    /// How much later this video comes than the sound of the same moment.
    #[must_use]
    pub fn offset_to(&self, audio: &Self) -> Option<Spread> {
        let (video, audio) = (lock(&self.track), lock(&audio.track));
        Delays::offset(video.delays(), audio.delays())
    }

    /// True once the camera said BYE.
    #[must_use]
    pub fn said_bye(&self) -> bool {
        lock(&self.track).said_bye()
    }

    /// Stops receiving and closes the file.
    ///
    /// # Errors
    /// When the file could not be written.
    pub fn finish(&self) -> io::Result<()> {
        self.task.abort();
        lock(&self.track).finish(Instant::now())
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A panic elsewhere does not make the figures less true.
fn lock(track: &Mutex<Track>) -> MutexGuard<'_, Track> {
    track.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn receive(
    socket: UdpSocket,
    track: Arc<Mutex<Track>>,
    mut requests: mpsc::Receiver<Vec<Feedback>>,
    wake: Arc<tokio::sync::Notify>,
) {
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        let due = lock(&track).due();
        tokio::select! {
            readable = socket.readable() => match readable {
                Ok(()) => take_burst(&socket, &track, &mut buffer),
                Err(e) => tracing::warn!("UDP socket: {e}"),
            },
            () = until(due) => lock(&track).timeout(Instant::now()),
            Some(feedback) = requests.recv() => lock(&track).feedback(&feedback, Instant::now()),
            () = wake.notified() => {}
        }
        send(&socket, &track).await;
        tokio::task::yield_now().await;
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

fn take_burst(socket: &UdpSocket, track: &Mutex<Track>, buffer: &mut [u8]) {
    for _ in 0..BURST {
        match socket.try_recv_from(buffer) {
            Ok((length, from)) => {
                let now = Instant::now();
                lock(track).datagram(&mut buffer[..length], from, now);
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
            // An ICMP error of something we sent; the next datagram may be fine.
            Err(e) => tracing::debug!("UDP receive: {e}"),
        }
    }
}

/// Sends what the track wants sent.
async fn send(socket: &UdpSocket, track: &Mutex<Track>) {
    let remote = lock(track).remote();
    while let Some(packet) = transmit(track) {
        if let Err(e) = socket.send_to(&packet, remote).await {
            tracing::debug!("to {remote}: {e}");
        }
    }
}

fn transmit(track: &Mutex<Track>) -> Option<Vec<u8>> {
    lock(track).transmit()
}
