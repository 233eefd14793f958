//! Where clips and their pictures are kept: open, or sealed with a key apart.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::clip::seal::{ClipKey, Content, Sealer};
use crate::failure::Result;
use crate::new_file::NewFile;

/// The files of one clip: `NAME.mp4` and `NAME.jpg`, or `NAME.mp4.sealed`, `NAME.jpg.sealed` and
/// `NAME.key`.
#[derive(Debug)]
pub struct Files {
    dir: PathBuf,
    name: String,
    key: Option<ClipKey>,
}

impl Files {
    /// For a clip `name` in `dir`, sealed or not.
    ///
    /// # Errors
    /// When there are no random numbers.
    pub fn new(dir: &Path, name: String, sealed: bool) -> Result<Self> {
        Ok(Self {
            dir: dir.into(),
            name,
            key: sealed.then(ClipKey::random).transpose()?,
        })
    }

    fn path(&self, extension: &str) -> PathBuf {
        let sealed = if self.key.is_some() { ".sealed" } else { "" };
        self.dir.join(format!("{}.{extension}{sealed}", self.name))
    }

    /// Starts the clip; its key is kept before anything is sealed with it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn clip(&self) -> Result<KeptClip> {
        let path = self.path("mp4");
        let file = NewFile::create(&path)?;
        let Some(key) = &self.key else {
            let out = Output::Plain(file);
            return Ok(KeptClip {
                path,
                out,
                key: None,
            });
        };
        let text = self.dir.join(format!("{}.key", self.name));
        NewFile::write(&text, key.text().as_bytes())?;
        let sealer = Sealer::new(file, key, Content::Clip)?;
        Ok(KeptClip {
            path,
            out: Output::Sealed(Box::new(sealer)),
            key: Some(text),
        })
    }

    /// Keeps the picture.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn picture(&self, jpeg: &[u8]) -> Result<PathBuf> {
        let path = self.path("jpg");
        let Some(key) = &self.key else {
            return NewFile::write(&path, jpeg).map(|()| path);
        };
        let mut sealer = Sealer::new(NewFile::create(&path)?, key, Content::Picture)?;
        sealer.write_all(jpeg)?;
        sealer.finish()?.finish()?;
        Ok(path)
    }
}

enum Output {
    Plain(NewFile),
    Sealed(Box<Sealer<NewFile>>),
    /// It is in its place.
    None,
}

/// A clip under way; gone when it is dropped before [`KeptClip::finish`].
pub struct KeptClip {
    path: PathBuf,
    out: Output,
    /// The file of the key.
    key: Option<PathBuf>,
}

impl fmt::Debug for KeptClip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptClip")
            .field("path", &self.path)
            .finish()
    }
}

impl KeptClip {
    /// Appends an initialization or a fragment.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.out {
            Output::Plain(file) => file.write_all(bytes)?,
            Output::Sealed(sealer) => sealer.write_all(bytes)?,
            Output::None => {}
        }
        Ok(())
    }

    /// Puts the clip in its place.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn finish(mut self) -> Result<PathBuf> {
        let file = match std::mem::replace(&mut self.out, Output::None) {
            Output::Plain(file) => file,
            Output::Sealed(sealer) => sealer.finish()?,
            Output::None => return Ok(self.path.clone()),
        };
        file.finish()?;
        // It is needed from now on.
        self.key = None;
        Ok(self.path.clone())
    }
}

impl Drop for KeptClip {
    fn drop(&mut self) {
        if let Some(key) = &self.key {
            // A key that opens nothing.
            let _ = std::fs::remove_file(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<String> = entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_clip_and_its_picture_are_sealed_with_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new(folder.path(), "c".into(), true).unwrap();
        let mut clip = files.clip().unwrap();
        clip.append(b"init").unwrap();
        clip.append(b"fragment").unwrap();
        let (clip, picture) = (clip.finish().unwrap(), files.picture(b"jpeg").unwrap());
        assert_eq!(
            names(folder.path()),
            ["c.jpg.sealed", "c.key", "c.mp4.sealed"]
        );
        let text = fs::read_to_string(folder.path().join("c.key")).unwrap();
        let key = ClipKey::parse(&text).unwrap();
        for (path, plain) in [(clip, &b"initfragment"[..]), (picture, b"jpeg")] {
            let mut out = Vec::new();
            let sealed = fs::File::open(path).unwrap();
            crate::clip::seal::open(sealed, &key, &mut out).unwrap();
            assert_eq!(out, plain);
        }
    }

    #[test]
    fn a_clip_given_up_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        for sealed in [false, true] {
            let files = Files::new(folder.path(), "c".into(), sealed).unwrap();
            let mut clip = files.clip().unwrap();
            clip.append(b"init").unwrap();
            drop(clip);
            assert_eq!(names(folder.path()), [""; 0]);
        }
    }

    #[test]
    fn open_clips_are_what_came() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new(folder.path(), "c".into(), false).unwrap();
        let mut clip = files.clip().unwrap();
        clip.append(b"init").unwrap();
        assert_eq!(fs::read(clip.finish().unwrap()).unwrap(), b"init");
        files.picture(b"jpeg").unwrap();
        assert_eq!(names(folder.path()), ["c.jpg", "c.mp4"]);
    }
}
