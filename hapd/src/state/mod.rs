//! What outlives the process: one directory, mode 0700, with one file of mode 0600 per camera.
//!
//! ```text
//! STATE/lock                       held by the running daemon
//! STATE/cameras/<id>.json          keys, pairings, port, configuration number
//! STATE/cameras/<id>.setup-code    the setup code, for showing the QR code again; may be deleted
//! ```
//!
//! A file is replaced by writing a new one beside it, fsync, rename, fsync of the directory: whoever kills the
//! daemon finds the old state or the new one. A file that cannot be understood is never overwritten.

mod atomic;
mod hex;
mod record;
mod recording;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use hap_proto::SetupCode;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

pub use record::{CameraRecord, SoundRecord};
pub use recording::Picture;

/// Why the state could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// Reading or writing failed.
    #[error("{path}: {error}", path = path.display())]
    Io {
        /// What was read or written.
        path: PathBuf,
        /// Why it failed.
        error: std::io::Error,
    },
    /// A state file is damaged or from a newer version.
    #[error(
        "{path} cannot be used: {reason}\nIt was left as it is. Put back a backup, or run \"hapd reset\" for that camera \
         (its pairings are lost and it must be added to Home again).",
        path = path.display()
    )]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Another daemon uses the directory.
    #[error("{path} is in use by a running hapd; stop it first, or give this one its own --state-dir", path = .0.display())]
    InUse(PathBuf),
}

impl StateError {
    fn io(path: &Path, error: std::io::Error) -> Self {
        Self::Io {
            path: path.into(),
            error,
        }
    }
}

/// The state directory.
#[derive(Debug, Clone)]
pub struct StateDir {
    root: PathBuf,
}

/// Held while a daemon runs; released by the kernel however it ends.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
}

impl StateDir {
    /// The directory that is used when none is named: `$STATE_DIRECTORY` (set by systemd), else
    /// `$XDG_STATE_HOME/hapd`, else `~/.local/state/hapd`.
    #[must_use]
    pub fn default_path() -> PathBuf {
        let var = |name| {
            std::env::var_os(name)
                .filter(|v| !v.is_empty())
                .map(PathBuf::from)
        };
        var("STATE_DIRECTORY")
            .or_else(|| var("XDG_STATE_HOME").map(|p| p.join("hapd")))
            .or_else(|| var("HOME").map(|p| p.join(".local/state/hapd")))
            .unwrap_or_else(|| PathBuf::from("/var/lib/hapd"))
    }

    /// Opens the directory, which is made if it is not there, and makes it private.
    ///
    /// # Errors
    /// [`StateError::Io`].
    pub fn open(root: &Path) -> Result<Self, StateError> {
        for path in [root.to_path_buf(), root.join("cameras")] {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
            made.map_err(|e| StateError::io(&path, e))?;
            let private = std::fs::Permissions::from_mode(0o700);
            std::fs::set_permissions(&path, private).map_err(|e| StateError::io(&path, e))?;
        }
        Ok(Self { root: root.into() })
    }

    /// Keeps every other daemon out.
    ///
    /// # Errors
    /// [`StateError::InUse`] when another one is in.
    pub fn lock(&self) -> Result<StateLock, StateError> {
        let path = self.root.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path);
        let file = file.map_err(|e| StateError::io(&path, e))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(StateLock { _file: file }),
            Err(Errno::WOULDBLOCK) => Err(StateError::InUse(self.root.clone())),
            Err(e) => Err(StateError::io(&path, e.into())),
        }
    }

    /// Where the running daemon listens for commands.
    #[must_use]
    pub fn control_socket(&self) -> PathBuf {
        self.root.join("control")
    }

    fn record_path(&self, id: &str) -> PathBuf {
        self.root.join("cameras").join(format!("{id}.json"))
    }

    fn code_path(&self, id: &str) -> PathBuf {
        self.root.join("cameras").join(format!("{id}.setup-code"))
    }

    /// The state of camera `id`; `None` when there is none yet.
    ///
    /// # Errors
    /// [`StateError::Broken`] for a file that cannot be understood.
    pub fn load(&self, id: &str) -> Result<Option<CameraRecord>, StateError> {
        let path = self.record_path(id);
        match std::fs::read(&path) {
            Ok(bytes) => {
                let record = CameraRecord::from_json(&zeroize::Zeroizing::new(bytes));
                record
                    .map(Some)
                    .map_err(|reason| StateError::Broken { path, reason })
            }
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(StateError::io(&path, e)),
        }
    }

    /// Replaces the state of camera `id`; it is on the disk when this returns.
    ///
    /// # Errors
    /// [`StateError::Io`]; the old state is then still there.
    pub fn save(&self, id: &str, record: &CameraRecord) -> Result<(), StateError> {
        let path = self.record_path(id);
        atomic::replace(&path, &record.to_json()).map_err(|e| StateError::io(&path, e))
    }

    /// The setup code of camera `id`, unless it was deleted.
    ///
    /// # Errors
    /// [`StateError::Broken`] for a file that holds no setup code.
    pub fn load_code(&self, id: &str) -> Result<Option<SetupCode>, StateError> {
        let path = self.code_path(id);
        match std::fs::read_to_string(&path) {
            Ok(text) => match text.trim().parse() {
                Ok(code) => Ok(Some(code)),
                Err(e) => Err(StateError::Broken {
                    path,
                    reason: e.to_string(),
                }),
            },
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(StateError::io(&path, e)),
        }
    }

    /// Keeps the setup code of camera `id`.
    ///
    /// # Errors
    /// [`StateError::Io`].
    pub fn save_code(&self, id: &str, code: &SetupCode) -> Result<(), StateError> {
        let path = self.code_path(id);
        let text = zeroize::Zeroizing::new(format!("{}\n", code.as_str()));
        atomic::replace(&path, text.as_bytes()).map_err(|e| StateError::io(&path, e))
    }

    /// The ids of all cameras that have state, sorted.
    ///
    /// # Errors
    /// [`StateError::Io`].
    pub fn ids(&self) -> Result<Vec<String>, StateError> {
        let path = self.root.join("cameras");
        let entries = std::fs::read_dir(&path).map_err(|e| StateError::io(&path, e))?;
        let mut ids: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter_map(|name| name.strip_suffix(".json").map(str::to_owned))
            .filter(|id| !id.starts_with('.'))
            .collect();
        ids.sort();
        Ok(ids)
    }

    /// Forgets camera `id`: keys, pairings and setup code.
    ///
    /// # Errors
    /// [`StateError::Io`].
    pub fn remove(&self, id: &str) -> Result<(), StateError> {
        for path in [self.code_path(id), self.record_path(id)] {
            match std::fs::remove_file(&path) {
                Err(e) if e.kind() != ErrorKind::NotFound => return Err(StateError::io(&path, e)),
                _ => {}
            }
        }
        Ok(())
    }
}
