//! Commands to the running daemon: a Unix socket in the state directory, one JSON object per line each way.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tracing::warn;

use crate::accessory::AccessoryHandle;
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
}

/// What the daemon answers.
#[derive(Debug, Serialize, Deserialize)]
pub struct Reply {
    /// What was done, for people.
    pub done: Vec<String>,
    /// Why nothing was done.
    pub error: Option<String>,
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
pub fn serve(state: &StateDir, cameras: Vec<AccessoryHandle>) -> anyhow::Result<Control> {
    let path = state.control_socket();
    // The state directory is locked by this process: what is there belongs to a daemon that was killed.
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path)
        .with_context(|| format!("cannot listen on {}", path.display()))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let cameras = cameras.clone();
            tokio::spawn(async move {
                if let Err(error) = answer(stream, &cameras).await {
                    warn!(%error, "control connection failed");
                }
            });
        }
    });
    Ok(Control { path, task })
}

async fn answer(stream: UnixStream, cameras: &[AccessoryHandle]) -> anyhow::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    BufReader::new(read.take(MAX_REQUEST))
        .read_line(&mut line)
        .await?;
    let reply = match serde_json::from_str(&line) {
        Ok(Request::Unpair { camera }) => unpair(cameras, camera.as_deref()).await,
        Err(e) => Reply {
            done: Vec::new(),
            error: Some(format!("not understood: {e}")),
        },
    };
    write
        .write_all(format!("{}\n", serde_json::to_string(&reply)?).as_bytes())
        .await?;
    Ok(())
}

async fn unpair(cameras: &[AccessoryHandle], which: Option<&str>) -> Reply {
    let chosen: Vec<_> = cameras
        .iter()
        .filter(|c| which.is_none_or(|w| w == c.name || w == c.id))
        .collect();
    if chosen.is_empty() {
        let names: Vec<_> = cameras.iter().map(|c| c.name.as_str()).collect();
        return Reply {
            done: Vec::new(),
            error: Some(format!(
                "there is no such camera; there are: {}",
                names.join(", ")
            )),
        };
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

/// Asks the running daemon; `None` when none runs.
///
/// # Errors
/// When it runs and does not answer.
pub async fn ask(state: &StateDir, request: &Request) -> anyhow::Result<Option<Reply>> {
    let Ok(mut stream) = UnixStream::connect(state.control_socket()).await else {
        return Ok(None);
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
