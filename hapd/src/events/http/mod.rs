//! Triggers by HTTP, for webhooks of cameras, NVRs and scripts.
//!
//! ```text
//! POST /cameras/NAME/motion       body: on, off, pulse, {"motion": true}
//! GET  /cameras/NAME/motion?state=on
//! POST /cameras/NAME/ring
//! GET  /cameras
//! ```

mod answer;
mod guard;
mod route;

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::AbortHandle;
use tracing::{debug, info, warn};

use super::cameras::Cameras;
use crate::config::{HttpConfig, Listen};
use answer::Site;

/// Connections at once. The oldest makes room for the next: a request takes a moment, so whoever holds a connection
/// for long sends nothing.
const MAX_CONNECTIONS: usize = 128;
/// Time for a request's head, and between two requests of one connection.
const HEAD: Duration = Duration::from_secs(10);
/// Bytes of a request's head.
const MAX_HEAD: usize = 8192;
const MAX_HEADERS: usize = 64;

/// A socket that is bound and not yet served.
pub(super) struct Listener {
    socket: Socket,
    config: HttpConfig,
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

/// The file of a Unix socket; it goes away with this.
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Listener {
    /// Binds the socket that `config` names.
    ///
    /// # Errors
    /// When it cannot be had.
    pub(super) fn bind(config: &HttpConfig) -> anyhow::Result<Self> {
        let socket = match &config.listen {
            Listen::Tcp(address) => Socket::Tcp(tcp(*address)?),
            Listen::Unix(path) => unix(path)?,
        };
        Ok(Self {
            socket,
            config: config.clone(),
        })
    }

    /// Serves until the task is aborted.
    pub(super) async fn serve(self, cameras: Cameras) {
        let local = matches!(self.socket, Socket::Unix(..));
        let site = Arc::new(Site::new(cameras, self.config.token, local));
        let mut open = Open::default();
        match &self.socket {
            Socket::Tcp(listener) => loop {
                match listener.accept().await {
                    Ok((stream, _)) => open.take(stream, &site),
                    Err(error) => rest(&error).await,
                }
            },
            Socket::Unix(listener, _file) => loop {
                match listener.accept().await {
                    Ok((stream, _)) => open.take(stream, &site),
                    Err(error) => rest(&error).await,
                }
            },
        }
    }
}

fn tcp(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(address)
        .with_context(|| format!("http = \"{address}\": cannot listen there"))?;
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    info!(address = %listener.local_addr()?, "triggers by HTTP");
    Ok(listener)
}

fn unix(path: &Path) -> anyhow::Result<Socket> {
    let failed = || format!("http = \"unix:{}\": cannot listen there", path.display());
    remove_left_over(path).with_context(failed)?;
    let listener = UnixListener::bind(path).with_context(failed)?;
    let file = SocketFile(path.into());
    // Owner and group, so that another service can be let in by its group.
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o660)).with_context(failed)?;
    info!(path = %path.display(), "triggers by HTTP");
    Ok(Socket::Unix(listener, file))
}

/// Removes the socket of a daemon that was killed; nothing else, and not one that is served.
fn remove_left_over(path: &Path) -> std::io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(there) if !there.file_type().is_socket() => Err(ErrorKind::AlreadyExists.into()),
        Ok(_) if std::os::unix::net::UnixStream::connect(path).is_ok() => {
            Err(ErrorKind::AddrInUse.into())
        }
        Ok(_) => std::fs::remove_file(path),
        Err(_) => Ok(()),
    }
}

/// Out of file descriptors, mostly.
async fn rest(error: &std::io::Error) {
    warn!(%error, "cannot accept an HTTP connection");
    tokio::time::sleep(Duration::from_millis(200)).await;
}

/// The connections being served, oldest first; they end with this.
#[derive(Default)]
struct Open(VecDeque<AbortHandle>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

impl Open {
    fn take<S>(&mut self, stream: S, site: &Arc<Site>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.0.retain(|task| !task.is_finished());
        if self.0.len() >= MAX_CONNECTIONS {
            self.0.pop_front().inspect(AbortHandle::abort);
        }
        let task = tokio::spawn(connection(stream, site.clone()));
        self.0.push_back(task.abort_handle());
    }
}

async fn connection<S>(stream: S, site: Arc<Site>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let site = site.clone();
        async move { Ok::<_, std::convert::Infallible>(site.answer(request).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        debug!(%error, "HTTP connection");
    }
}
