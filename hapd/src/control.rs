//! Commands to the running daemon: a Unix socket in the state directory, one JSON object per line each way.

use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tracing::warn;

use crate::accessory::AccessoryHandle;
use crate::events::{Cameras, Change, Kind, Signal};
use crate::state::StateDir;

/// Most bytes of one request.
const MAX_REQUEST: u64 = 4096;

/// What a client asks.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "command")]
pub enum Request {
    /// Remove all pairings of one camera, or of all.
    Unpair {
        /// Name or id.
        camera: Option<String>,
    },
    /// Tell a camera that something happened.
    Trigger {
        /// Name or id.
        camera: String,
        /// What happened.
        kind: Kind,
        /// How it changed.
        change: Option<Change>,
    },
}

/// What the daemon answers.
#[derive(Debug, Serialize, Deserialize)]
pub struct Reply {
    /// What was done, for people.
    pub done: Vec<String>,
    /// Why nothing was done.
    pub error: Option<String>,
}

impl Reply {
    fn refused(reason: impl ToString) -> Self {
        Self {
            done: Vec::new(),
            error: Some(reason.to_string()),
        }
    }
}

/// The listening socket; it goes away with this.
pub struct Control {
    path: PathBuf,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Control {
    fn drop(&mut self) {
        self.task.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Listens for commands.
///
/// # Errors
/// When the socket cannot be made.
pub fn serve(
    state: &StateDir,
    cameras: Vec<AccessoryHandle>,
    targets: Cameras,
) -> anyhow::Result<Control> {
    let path = state.control_socket();
    // The state directory is locked by this process: what is there belongs to a daemon that was killed.
    let _ = std::fs::remove_file(&path);
    let reached = Reached::of(&path)?;
    let listener = UnixListener::bind(&reached.path)
        .with_context(|| format!("cannot listen on {}", path.display()))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (cameras, targets) = (cameras.clone(), targets.clone());
            tokio::spawn(async move {
                if let Err(error) = answer(stream, &cameras, &targets).await {
                    warn!(%error, "control connection failed");
                }
            });
        }
    });
    Ok(Control { path, task })
}

async fn answer(
    stream: UnixStream,
    cameras: &[AccessoryHandle],
    targets: &Cameras,
) -> anyhow::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    BufReader::new(read.take(MAX_REQUEST))
        .read_line(&mut line)
        .await?;
    let reply = match serde_json::from_str(&line) {
        Ok(Request::Unpair { camera }) => unpair(cameras, camera.as_deref()).await,
        Ok(Request::Trigger {
            camera,
            kind,
            change,
        }) => trigger(targets, &camera, kind, change),
        Err(e) => Reply::refused(format!("not understood: {e}")),
    };
    write
        .write_all(format!("{}\n", serde_json::to_string(&reply)?).as_bytes())
        .await?;
    Ok(())
}

fn trigger(targets: &Cameras, camera: &str, kind: Kind, change: Option<Change>) -> Reply {
    let signal = match Signal::new(kind, change) {
        Ok(signal) => signal,
        Err(reason) => return Reply::refused(reason),
    };
    let told = targets
        .find(camera)
        .and_then(|target| target.tell(signal, "command").map(|()| target));
    match told {
        Ok(target) => Reply {
            done: vec![format!("{}: {signal}", target.name())],
            error: None,
        },
        Err(refused) => Reply::refused(refused),
    }
}

async fn unpair(cameras: &[AccessoryHandle], which: Option<&str>) -> Reply {
    let chosen: Vec<_> = cameras
        .iter()
        .filter(|c| which.is_none_or(|w| w == c.name || w == c.id))
        .collect();
    if chosen.is_empty() {
        let names: Vec<_> = cameras.iter().map(|c| c.name.as_str()).collect();
        return Reply::refused(format!(
            "there is no such camera; there are: {}",
            names.join(", ")
        ));
    }
    let mut done = Vec::new();
    for camera in chosen {
        match camera.unpair().await {
            Ok(count) => done.push(format!("{}: {count} pairing(s) removed", camera.name)),
            Err(e) => {
                return Reply {
                    done,
                    error: Some(format!("{}: {e}", camera.name)),
                };
            }
        }
    }
    Reply { done, error: None }
}

/// A way to a socket that fits into its address, which holds 108 bytes (unix(7)), however deep the directory lies.
struct Reached {
    path: PathBuf,
    /// The way leads through this.
    _directory: Option<std::fs::File>,
}

impl Reached {
    const LONGEST: usize = 107;

    fn of(socket: &Path) -> std::io::Result<Self> {
        let (Some(directory), Some(name)) = (socket.parent(), socket.file_name()) else {
            return Err(std::io::ErrorKind::InvalidInput.into());
        };
        if socket.as_os_str().len() <= Self::LONGEST {
            return Ok(Self {
                path: socket.to_owned(),
                _directory: None,
            });
        }
        let directory = std::fs::File::open(directory)?;
        let path = format!("/proc/self/fd/{}", directory.as_raw_fd());
        Ok(Self {
            path: Path::new(&path).join(name),
            _directory: Some(directory),
        })
    }
}

/// Asks the running daemon; `None` when none runs.
///
/// # Errors
/// When it runs and may not be asked, or does not answer.
pub async fn ask(state: &StateDir, request: &Request) -> anyhow::Result<Option<Reply>> {
    let path = state.control_socket();
    let reached = Reached::of(&path).with_context(|| path.display().to_string())?;
    let mut stream = match UnixStream::connect(&reached.path).await {
        Ok(stream) => stream,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(e) => return Err(e).with_context(|| path.display().to_string()),
    };
    stream
        .write_all(format!("{}\n", serde_json::to_string(request)?).as_bytes())
        .await?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).await?;
    Ok(Some(
        serde_json::from_str(&line).context("the running hapd did not answer")?,
    ))
}
