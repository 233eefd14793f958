//! A file that appears whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};
use crate::store;

/// A file under way: mode 0600, under another name until [`NewFile::finish`].
#[derive(Debug)]
pub struct NewFile {
    path: PathBuf,
    temporary: PathBuf,
    file: File,
}

impl NewFile {
    /// Starts a file that will be `path`.
    ///
    /// # Errors
    /// When its directory cannot be written.
    pub fn create(path: &Path) -> Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = path.with_file_name(format!(".{name}.{}.part", store::random_uuid()?));
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(|e| Failure::from(e).context(path.display()))?;
        Ok(Self {
            path: path.into(),
            temporary,
            file,
        })
    }

    /// Puts the file in its place, durably.
    ///
    /// # Errors
    /// When the disk fails; nothing is left then.
    pub fn finish(self) -> Result<()> {
        let placed = self
            .file
            .sync_all()
            .and_then(|()| fs::rename(&self.temporary, &self.path));
        placed.map_err(|e| Failure::from(e).context(self.path.display()))?;
        match self.path.parent() {
            Some(dir) if dir != Path::new("") => store::sync_dir(dir),
            _ => store::sync_dir(Path::new(".")),
        }
    }

    /// Writes `bytes` as `path`.
    ///
    /// # Errors
    /// As [`NewFile::create`] and [`NewFile::finish`].
    pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
        let mut file = Self::create(path)?;
        file.write_all(bytes)?;
        file.finish()
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // Nothing is there when it was put in its place.
        let _ = fs::remove_file(&self.temporary);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn files_appear_whole_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clip.mp4");
        let mut file = NewFile::create(&path).unwrap();
        file.write_all(b"half").unwrap();
        assert!(!path.exists());
        file.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"half");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_is_dropped_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = NewFile::create(&folder.path().join("clip.mp4")).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(NewFile::create(&folder.path().join("none/clip.mp4")).is_err());
    }
}
