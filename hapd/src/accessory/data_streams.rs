//! The HomeKit Data Stream connections of one camera: their port, the sessions that wait for one, and those that run.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use hap_proto::ConnId;
use hds_proto::{Event, Pending, SessionKeys};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle};
use tracing::{debug, info, warn};

use super::actor::Message;
use super::data_stream::{self, Command, Receiver, Sender};
use super::listener::bind;

/// Connections that have not said yet which session they are for. The oldest gives way.
const MAX_STRANGERS: usize = 32;

/// All data streams of one camera. Dropping them ends them.
pub(super) struct DataStreams {
    name: String,
    actor: mpsc::WeakSender<Message>,
    sessions: Arc<Mutex<Sessions>>,
    listening: Option<Listening>,
    next_token: u64,
}

struct Listening {
    port: u16,
    task: JoinHandle<()>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Shared with the tasks of connections.
#[derive(Default)]
struct Sessions {
    pending: Arc<Mutex<Pending>>,
    /// By token: the HAP connection that set it up, and both ends of its commands.
    open: HashMap<u64, Session>,
    strangers: VecDeque<(u64, AbortHandle)>,
    next_stranger: u64,
}

struct Session {
    owner: ConnId,
    sender: Sender,
    /// Taken by the connection's task.
    receiver: Option<Receiver>,
}

impl DataStreams {
    pub(super) fn new(name: &str, actor: mpsc::WeakSender<Message>) -> Self {
        Self {
            name: name.to_owned(),
            actor,
            sessions: Arc::default(),
            listening: None,
            next_token: 1,
        }
    }

    /// A controller set up a session: the port it may connect to.
    ///
    /// # Errors
    /// When there is no port to be had.
    pub(super) fn set_up(&mut self, owner: ConnId, keys: SessionKeys) -> std::io::Result<u16> {
        let port = self.listen()?;
        let token = self.next_token;
        self.next_token += 1;
        let (sender, receiver) = data_stream::channel();
        let session = Session {
            owner,
            sender,
            receiver: Some(receiver),
        };
        let mut sessions = lock(&self.sessions);
        sessions.forget_late();
        let displaced = lock(&sessions.pending).add(token, keys, Instant::now());
        if let Some(displaced) = displaced {
            sessions.open.remove(&displaced);
        }
        sessions.open.insert(token, session);
        Ok(port)
    }

    fn listen(&mut self) -> std::io::Result<u16> {
        if let Some(listening) = &self.listening {
            return Ok(listening.port);
        }
        let listener = bind(0)?;
        let port = listener.local_addr()?.port();
        let task = tokio::spawn(accept(
            self.name.clone(),
            listener,
            self.sessions.clone(),
            self.actor.clone(),
        ));
        self.listening = Some(Listening { port, task });
        Ok(port)
    }

    /// Tells a connection what to do. `false` when it is gone, or its hub does not read: it is given up then.
    #[must_use]
    pub(super) fn send(&self, token: u64, command: Command) -> bool {
        let mut sessions = lock(&self.sessions);
        let Some(session) = sessions.open.get(&token) else {
            return false;
        };
        let sent = session.sender.send(command);
        if !sent {
            info!(
                camera = self.name,
                "the hub does not read: data stream dropped"
            );
            sessions.open.remove(&token);
        }
        sent
    }

    /// A HAP connection has gone, and its data streams with it; returns their tokens.
    pub(super) fn hap_closed(&self, owner: ConnId) -> Vec<u64> {
        let mut sessions = lock(&self.sessions);
        let owned = sessions.open.iter().filter(|(_, s)| s.owner == owner);
        let tokens: Vec<_> = owned.map(|(token, _)| *token).collect();
        for token in &tokens {
            sessions.open.remove(token);
            lock(&sessions.pending).remove(*token);
        }
        tokens
    }

    /// A connection has ended.
    pub(super) fn ended(&self, token: u64) {
        lock(&self.sessions).open.remove(&token);
    }
}

impl Drop for DataStreams {
    fn drop(&mut self) {
        let mut sessions = lock(&self.sessions);
        sessions.open.clear();
        sessions
            .strangers
            .drain(..)
            .for_each(|(_, task)| task.abort());
    }
}

impl Sessions {
    fn forget_late(&mut self) {
        let late = lock(&self.pending).timeout(Instant::now());
        for token in late {
            self.open.remove(&token);
        }
    }

    fn claim(&mut self, token: u64) -> Option<Receiver> {
        self.open.get_mut(&token)?.receiver.take()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(
    name: String,
    listener: TcpListener,
    sessions: Arc<Mutex<Sessions>>,
    actor: mpsc::WeakSender<Message>,
) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => admit(&name, stream, peer, &sessions, &actor),
            Err(error) => {
                warn!(camera = name, %error, "cannot accept a data stream");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

/// Takes a connection, if anybody is waited for at all.
fn admit(
    name: &str,
    stream: TcpStream,
    peer: SocketAddr,
    sessions: &Arc<Mutex<Sessions>>,
    actor: &mpsc::WeakSender<Message>,
) {
    let mut guard = lock(sessions);
    guard.forget_late();
    if lock(&guard.pending).is_empty() {
        return debug!(camera = name, %peer, "nobody is waited for: data stream refused");
    }
    if guard.strangers.len() >= MAX_STRANGERS {
        if let Some((_, oldest)) = guard.strangers.pop_front() {
            oldest.abort();
        }
    }
    let number = guard.next_stranger;
    guard.next_stranger += 1;
    let task = tokio::spawn(serve(number, stream, sessions.clone(), actor.clone()));
    guard.strangers.push_back((number, task.abort_handle()));
}

async fn serve(
    number: u64,
    stream: TcpStream,
    sessions: Arc<Mutex<Sessions>>,
    actor: mpsc::WeakSender<Message>,
) {
    let pending = lock(&sessions).pending.clone();
    let mut known = None;
    let claimed = |token| {
        let mut sessions = lock(&sessions);
        sessions.strangers.retain(|(n, _)| *n != number);
        let receiver = sessions.claim(token)?;
        known = Some(token);
        let actor = actor.clone();
        Some((receiver, move |event| tell(actor.clone(), token, event)))
    };
    data_stream::serve(stream, pending, claimed).await;
    lock(&sessions).strangers.retain(|(n, _)| *n != number);
    if let (Some(token), Some(actor)) = (known, actor.upgrade()) {
        let _ = actor.send(Message::DataStreamEnded(token)).await;
    }
}

async fn tell(actor: mpsc::WeakSender<Message>, token: u64, event: Event) -> bool {
    match actor.upgrade() {
        Some(actor) => actor.send(Message::DataStream(token, event)).await.is_ok(),
        None => false,
    }
}
