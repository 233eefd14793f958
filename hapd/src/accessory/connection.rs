//! One TCP connection: bytes in to the actor, bytes out to the peer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hap_proto::ConnId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::actor::Message;

/// Most bytes that wait for a peer that does not read; then it is cut off.
const MAX_QUEUED: usize = 4 << 20;
/// A peer that takes nothing for so long is gone.
const WRITE_PATIENCE: Duration = Duration::from_secs(20);
/// Bytes taken from the socket at once.
const READ_CHUNK: usize = 16 << 10;

/// The actor's end of a connection.
pub(super) struct Writer {
    bytes: mpsc::UnboundedSender<Vec<u8>>,
    queued: Arc<AtomicUsize>,
    peer: std::net::SocketAddr,
}

impl Writer {
    /// Queues bytes. `false` when the peer takes none and the queue is full: drop the connection.
    #[must_use]
    pub(super) fn send(&self, bytes: Vec<u8>) -> bool {
        let queued = self.queued.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len();
        queued <= MAX_QUEUED && self.bytes.send(bytes).is_ok()
    }

    pub(super) const fn peer(&self) -> std::net::SocketAddr {
        self.peer
    }
}

/// Serves `stream` until either side ends it. Dropping the returned [`Writer`] ends it after what is queued.
pub(super) fn spawn(
    conn: ConnId,
    stream: TcpStream,
    actor: mpsc::Sender<Message>,
) -> std::io::Result<Writer> {
    stream.set_nodelay(true)?;
    let peer = stream.peer_addr()?;
    let (bytes, queue) = mpsc::unbounded_channel();
    let queued = Arc::new(AtomicUsize::new(0));
    let (reader, writer) = stream.into_split();
    let counter = queued.clone();
    tokio::spawn(async move {
        // Whichever half ends first ends the other: half-open connections help nobody here.
        tokio::select! {
            () = read(conn, reader, &actor) => {}
            () = write(writer, queue, &counter) => {}
        }
        let _ = actor.send(Message::Disconnected(conn)).await;
    });
    Ok(Writer {
        bytes,
        queued,
        peer,
    })
}

async fn read(conn: ConnId, mut reader: OwnedReadHalf, actor: &mpsc::Sender<Message>) {
    let mut buffer = vec![0; READ_CHUNK];
    loop {
        match reader.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(n) => {
                if actor
                    .send(Message::Input(conn, buffer[..n].to_vec()))
                    .await
                    .is_err()
                {
                    return;
                }
            }
        }
    }
}

async fn write(
    mut writer: OwnedWriteHalf,
    mut queue: mpsc::UnboundedReceiver<Vec<u8>>,
    queued: &AtomicUsize,
) {
    while let Some(bytes) = queue.recv().await {
        match timeout(WRITE_PATIENCE, writer.write_all(&bytes)).await {
            Ok(Ok(())) => queued.fetch_sub(bytes.len(), Ordering::Relaxed),
            _ => return,
        };
    }
    let _ = timeout(WRITE_PATIENCE, writer.shutdown()).await;
}
