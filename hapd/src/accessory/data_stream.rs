//! One HomeKit Data Stream connection: a task that owns the socket and the protocol machine.
//!
//! Sealing a recording's fragments happens here, beside the camera's task. An idle connection is a sleeping task.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hds_proto::{Connection, DataType, Event, OpenRequest, Pending, Reason};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

use crate::media::Piece;

/// Most bytes of media that wait for a hub: more than a camera makes in the time that a hub is given.
const MAX_QUEUED: usize = 24 << 20;
/// A hub that takes nothing for so long is gone.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);
/// Frames that wait to be written before nothing more is read: a hub that asks has to listen, too.
const MAX_FRAMES: usize = 64;
/// Bytes taken from the socket at once. Hubs send a few hundred.
const READ_CHUNK: usize = 4 << 10;

/// What a connection is told to do.
pub(super) enum Command {
    Accept(OpenRequest),
    Refuse(OpenRequest, Reason),
    Data(Data),
    Close { stream_id: i64, reason: Reason },
}

/// A piece for the hub.
pub(super) struct Data {
    pub(super) stream_id: i64,
    pub(super) data_type: DataType,
    pub(super) sequence: u64,
    pub(super) bytes: Bytes,
    pub(super) end_of_stream: bool,
}

/// Media, or a picture.
pub(super) enum Bytes {
    Piece(Piece),
    Jpeg(Arc<[u8]>),
}

impl Command {
    /// Bytes of media in it.
    fn bytes(&self) -> usize {
        match self {
            Self::Data(data) => data.bytes.as_slice().len(),
            _ => 0,
        }
    }
}

impl Bytes {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Piece(piece) => piece.as_slice(),
            Self::Jpeg(jpeg) => jpeg,
        }
    }
}

/// The camera's end of a connection; dropping it ends the connection after what is queued.
#[derive(Clone)]
pub(super) struct Sender {
    commands: mpsc::UnboundedSender<Command>,
    queued: Arc<AtomicUsize>,
}

/// The connection's end.
pub(super) struct Receiver {
    commands: mpsc::UnboundedReceiver<Command>,
    queued: Arc<AtomicUsize>,
}

/// What the camera tells a connection.
pub(super) fn channel() -> (Sender, Receiver) {
    let (tx, rx) = mpsc::unbounded_channel();
    let queued = Arc::<AtomicUsize>::default();
    let sender = Sender {
        commands: tx,
        queued: queued.clone(),
    };
    (
        sender,
        Receiver {
            commands: rx,
            queued,
        },
    )
}

impl Sender {
    /// Queues a command. `false` when the hub does not read and the queue is full, or the connection has ended.
    #[must_use]
    pub(super) fn send(&self, command: Command) -> bool {
        let bytes = command.bytes();
        if self.queued.fetch_add(bytes, Ordering::Relaxed) + bytes > MAX_QUEUED {
            return false;
        }
        self.commands.send(command).is_ok()
    }
}

/// Serves an accepted connection until either side ends it. `claimed` is asked once, when the connection turns out to
/// belong to a session that was set up; it gives what the camera tells this connection from then on, and where events go.
pub(super) async fn serve<E, F>(
    stream: TcpStream,
    pending: Arc<Mutex<Pending>>,
    claimed: impl FnOnce(u64) -> Option<(Receiver, E)>,
) where
    E: FnMut(Event) -> F,
    F: Future<Output = bool>,
{
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let (read, write) = stream.into_split();
    let mut link = Link {
        connection: Connection::accessory(Instant::now()),
        pending,
        read,
        write,
        out: VecDeque::new(),
        offset: 0,
        moved: Instant::now(),
    };
    let Some(token) = link.greet().await else {
        return;
    };
    if let Some((commands, events)) = claimed(token) {
        link.run(commands, events).await;
    }
}

struct Link {
    connection: Connection,
    pending: Arc<Mutex<Pending>>,
    read: OwnedReadHalf,
    write: OwnedWriteHalf,
    /// Frames that are not written yet, and how much of the first one is.
    out: VecDeque<Vec<u8>>,
    offset: usize,
    /// When bytes were last written, or there were none to write.
    moved: Instant,
}

enum Step {
    Read(usize),
    Wrote(usize),
    Told(Option<Command>),
    Due,
    Broken,
}

impl Link {
    /// Until the session is known.
    async fn greet(&mut self) -> Option<u64> {
        let mut none = None;
        let mut buffer = vec![0; READ_CHUNK];
        loop {
            let step = self.step(&mut none, &mut buffer).await;
            self.apply(step, &buffer).ok()?;
            if let Some(token) = self.connection.token() {
                return Some(token);
            }
        }
    }

    async fn run<E, F>(&mut self, receiver: Receiver, mut events: E)
    where
        E: FnMut(Event) -> F,
        F: Future<Output = bool>,
    {
        let mut commands = Some(receiver.commands);
        let mut buffer = vec![0; READ_CHUNK];
        let mut waiting = Waiting::new(receiver.queued);
        loop {
            while let Some(event) = self.connection.poll_event() {
                if !events(event).await {
                    return;
                }
            }
            // What is sealed and not yet written stays small: the rest waits as it is, and can be dropped.
            while self.out.is_empty() && self.connection.queued() == 0 {
                match waiting.next() {
                    Some(command) => self.obey(&command),
                    None if commands.is_none() => return,
                    None => break,
                }
            }
            match self.step(&mut commands, &mut buffer).await {
                Step::Told(Some(command)) => waiting.add(command),
                // The camera has let go: what is queued still goes out.
                Step::Told(None) => commands = None,
                step => {
                    if self.apply(step, &buffer).is_err() {
                        return;
                    }
                }
            }
        }
    }

    async fn step(
        &mut self,
        commands: &mut Option<mpsc::UnboundedReceiver<Command>>,
        buffer: &mut [u8],
    ) -> Step {
        while let Some(frame) = self.connection.poll_output() {
            self.out.push_back(frame);
        }
        if self.out.is_empty() {
            self.moved = Instant::now();
        }
        let due = [
            self.connection.poll_timeout(),
            (!self.out.is_empty()).then(|| self.moved + WRITE_PATIENCE),
        ];
        let due = due.into_iter().flatten().min();
        let front = self.out.front().map(|frame| &frame[self.offset..]);
        tokio::select! {
            read = self.read.read(buffer), if self.out.len() < MAX_FRAMES => match read {
                Ok(0) | Err(_) => Step::Broken,
                Ok(count) => Step::Read(count),
            },
            wrote = self.write.write(front.unwrap_or_default()), if front.is_some() => match wrote {
                Ok(count) if count > 0 => Step::Wrote(count),
                _ => Step::Broken,
            },
            command = told(commands), if commands.is_some() => Step::Told(command),
            () = super::actor::until(due) => Step::Due,
        }
    }

    /// `Err`: the connection has ended.
    fn apply(&mut self, step: Step, buffer: &[u8]) -> Result<(), ()> {
        let now = Instant::now();
        match step {
            Step::Read(count) => {
                let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
                self.connection
                    .input(&buffer[..count], now, &mut pending)
                    .map_err(|error| tracing::debug!(%error, "data stream"))
            }
            Step::Wrote(count) => {
                self.wrote(count, now);
                Ok(())
            }
            Step::Due if !self.out.is_empty() && now >= self.moved + WRITE_PATIENCE => {
                tracing::info!("the hub does not read: data stream dropped");
                Err(())
            }
            Step::Due => self
                .connection
                .timeout(now)
                .map_err(|error| tracing::debug!(%error, "data stream")),
            Step::Told(_) => Ok(()),
            Step::Broken => Err(()),
        }
    }

    fn wrote(&mut self, count: usize, now: Instant) {
        self.moved = now;
        self.offset += count;
        if self
            .out
            .front()
            .is_some_and(|frame| self.offset >= frame.len())
        {
            self.out.pop_front();
            self.offset = 0;
        }
    }

    /// What comes for a stream that the hub has closed meanwhile is dropped by the protocol machine.
    fn obey(&mut self, command: &Command) {
        let connection = &mut self.connection;
        match command {
            Command::Accept(open) => drop(connection.accept(open)),
            Command::Refuse(open, reason) => connection.refuse(open, *reason),
            Command::Close { stream_id, reason } => {
                connection.close_stream(*stream_id, *reason);
            }
            Command::Data(data) => {
                connection.send_data(
                    data.stream_id,
                    data.data_type,
                    data.sequence,
                    data.bytes.as_slice(),
                    data.end_of_stream,
                );
            }
        }
    }
}

/// Commands that wait until what was before them is written.
struct Waiting {
    commands: VecDeque<Command>,
    queued: Arc<AtomicUsize>,
    /// Bytes of media of the command that was carried out last.
    under_way: usize,
}

impl Waiting {
    fn new(queued: Arc<AtomicUsize>) -> Self {
        Self {
            commands: VecDeque::new(),
            queued,
            under_way: 0,
        }
    }

    /// A stream that is closed for any other reason than its end takes what waits for it along.
    fn add(&mut self, command: Command) {
        if let Command::Close { stream_id, reason } = &command {
            if *reason != Reason::Normal {
                self.forget(*stream_id);
            }
        }
        self.commands.push_back(command);
    }

    fn forget(&mut self, stream_id: i64) {
        let of_stream = |c: &Command| matches!(c, Command::Data(d) if d.stream_id == stream_id);
        let dropped: usize = self
            .commands
            .iter()
            .filter(|c| of_stream(c))
            .map(Command::bytes)
            .sum();
        self.commands.retain(|command| !of_stream(command));
        self.queued.fetch_sub(dropped, Ordering::Relaxed);
    }

    /// The next one; all before it has been written.
    fn next(&mut self) -> Option<Command> {
        self.queued.fetch_sub(self.under_way, Ordering::Relaxed);
        let command = self.commands.pop_front();
        self.under_way = command.as_ref().map_or(0, Command::bytes);
        command
    }
}

async fn told(commands: &mut Option<mpsc::UnboundedReceiver<Command>>) -> Option<Command> {
    match commands {
        Some(commands) => commands.recv().await,
        None => std::future::pending().await,
    }
}
