//! The thread that listens to the controller and keeps the deadlines of RTCP.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use super::socket::{RECEIVE_BUFFER, Socket};

/// What the thread calls. Nothing is locked while it does.
pub(crate) trait Listener: Send + 'static {
    /// Datagrams of the controller, several at a time where they came so.
    fn datagram(&self, datagram: &mut [u8]);
    /// Time has passed or datagrams came; returns the next deadline.
    fn update(&self) -> Option<Instant>;
}

/// Runs until dropped.
#[derive(Debug)]
pub(crate) struct ReceiveThread {
    socket: Arc<Socket>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl ReceiveThread {
    pub(crate) fn start(socket: Arc<Socket>, listener: impl Listener) -> io::Result<Self> {
        let ends = Arc::new(AtomicBool::new(false));
        let thread = Builder::new().name("hapsrtpsink".into()).spawn({
            let (socket, ends) = (socket.clone(), ends.clone());
            move || run(&socket, &ends, &listener)
        })?;
        Ok(Self {
            socket,
            ends,
            thread: Some(thread),
        })
    }

    /// The deadline may have come nearer.
    pub(crate) fn wake(&self) {
        self.socket.wake();
    }
}

impl Drop for ReceiveThread {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Release);
        self.socket.wake();
        let thread = self.thread.take();
        // An application that stops the element from one of our own messages cannot wait for us;
        // the thread then ends by itself.
        if let Some(thread) = thread.filter(|t| t.thread().id() != std::thread::current().id()) {
            // A panic in there has been reported by its own hook.
            let _ = thread.join();
        }
    }
}

fn run(socket: &Socket, ends: &AtomicBool, listener: &impl Listener) {
    let mut buffer = vec![0; RECEIVE_BUFFER];
    while !ends.load(Ordering::Acquire) {
        let deadline = listener.update();
        match socket.wait(deadline) {
            Ok(wakeup) if wakeup.readable => {
                socket.receive(&mut buffer, |datagram| listener.datagram(datagram));
            }
            Ok(_) => {}
            // Only a lack of memory in the kernel can cause it: better deaf than spinning.
            Err(_) => return,
        }
    }
}
