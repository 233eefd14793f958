//! Writing to a file descriptor of the application's.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::{Errno, retry_on_intr, write};
use rustix::net::{SendFlags, send};

/// Has a write that waits give up.
#[derive(Debug)]
pub(super) struct Halt(OwnedFd);

/// Why not all was written.
#[derive(Debug)]
pub(super) enum WriteError {
    /// [`Halt::ring`] was called.
    Halted,
    Failed(io::Error),
}

impl From<Errno> for WriteError {
    fn from(error: Errno) -> Self {
        Self::Failed(error.into())
    }
}

impl Halt {
    pub(super) fn new() -> io::Result<Self> {
        let flags = EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC;
        Ok(Self(eventfd(0, flags)?))
    }

    /// Ends every write that waits, the present and the next ones.
    pub(super) fn ring(&self) {
        // Fails only if it has rung already.
        let _ = write(&self.0, &1_u64.to_ne_bytes());
    }
}

/// Writes all of `bytes`, however long that takes, unless `halt` rings.
pub(super) fn write_all(fd: RawFd, mut bytes: &[u8], halt: &Halt) -> Result<(), WriteError> {
    // SAFETY: the application promises with the property `fd` that it stays open while the element
    // is above READY; an `fd` it closed all the same is at worst another file of the process.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    while !bytes.is_empty() {
        wait(fd, halt)?;
        match retry_on_intr(|| write_some(fd, bytes)) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Waits for room.
fn wait(fd: BorrowedFd<'_>, halt: &Halt) -> Result<(), WriteError> {
    let mut events = [
        PollFd::new(&fd, PollFlags::OUT),
        PollFd::new(&halt.0, PollFlags::IN),
    ];
    retry_on_intr(|| poll(&mut events, None))?;
    match events[1].revents().is_empty() {
        true => Ok(()),
        false => Err(WriteError::Halted),
    }
}

/// To a socket without a signal if nobody reads, and without waiting; to anything else as it is.
fn write_some(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
    match send(fd, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
        // A pipe that polls writable takes this much without waiting (POSIX: PIPE_BUF).
        Err(Errno::NOTSOCK) => write(fd, &bytes[..bytes.len().min(4096)]),
        sent => sent,
    }
}
