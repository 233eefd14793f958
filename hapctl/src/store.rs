//! The store: who this controller is, and which accessories it is paired with.
//!
//! One directory, mode 0700. `controller.json` holds the controller's pairing identifier and
//! long-term secret; `accessories/ALIAS.json` holds one pairing each, so that two runs at once
//! never overwrite each other's pairings. Files are 0600 and replaced atomically, with fsync.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use hap_crypto::{AccessoryPairing, ControllerKeypair};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::failure::{Failure, Kind, Result};
use crate::hex;

/// Format of the files; a higher one is refused, never rewritten.
const VERSION: u32 = 1;
/// No file of the store is near this size.
const MAX_FILE: u64 = 64 * 1024;

/// A pairing with one accessory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The name chosen by the person.
    pub alias: String,
    /// Address it was last reached at, `HOST:PORT`.
    pub address: String,
    /// Pairing identifier and long-term public key of the accessory.
    pub pairing: AccessoryPairing,
}

#[derive(Serialize, Deserialize)]
struct ControllerFile {
    version: u32,
    id: String,
    secret: String,
}

impl Drop for ControllerFile {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

#[derive(Serialize, Deserialize)]
struct AccessoryFile {
    version: u32,
    alias: String,
    device_id: String,
    public_key: String,
    address: String,
}

/// An open store.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
}

impl Store {
    /// Opens the store in `dir`, creating it with mode 0700.
    ///
    /// # Errors
    /// [`Kind::Store`] when the directory cannot be made or others may read it.
    pub fn open(dir: &Path) -> Result<Self> {
        let store = Self { dir: dir.into() };
        make_dir(&store.dir)?;
        make_dir(&store.accessories_dir())?;
        Ok(store)
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn accessories_dir(&self) -> PathBuf {
        self.dir.join("accessories")
    }

    fn accessory_file(&self, alias: &str) -> Result<PathBuf> {
        check_alias(alias)?;
        Ok(self.accessories_dir().join(format!("{alias}.json")))
    }

    /// The controller's identity; made and stored on first use.
    ///
    /// # Errors
    /// [`Kind::Store`] when the file is unreadable or damaged. It is never overwritten then.
    pub fn controller(&self) -> Result<ControllerKeypair> {
        let path = self.dir.join("controller.json");
        match read(&path)? {
            Some(text) => parse_controller(&text).map_err(|why| damaged(&path, &why)),
            None => self.create_controller(&path),
        }
    }

    fn create_controller(&self, path: &Path) -> Result<ControllerKeypair> {
        let keys = ControllerKeypair::generate(random_uuid()?);
        let mut seed = keys.seed();
        let file = ControllerFile {
            version: VERSION,
            id: keys.id.clone(),
            secret: hex::encode(&seed),
        };
        seed.zeroize();
        // Two first runs at once: the loser takes the winner's identity.
        if write(path, &file, Overwrite::No)? {
            Ok(keys)
        } else {
            self.controller()
        }
    }

    /// The pairing named `alias`.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is none; [`Kind::Store`] when its file is damaged.
    pub fn load(&self, alias: &str) -> Result<Record> {
        let path = self.accessory_file(alias)?;
        let text = read(&path)?.ok_or_else(|| self.unknown(alias))?;
        parse_accessory(&text).map_err(|why| damaged(&path, &why))
    }

    fn unknown(&self, alias: &str) -> Failure {
        let known = self.aliases().unwrap_or_default();
        let hint = if known.is_empty() {
            "pair first: hapctl pair --address HOST:PORT --code XXX-XX-XXX --alias NAME".into()
        } else {
            format!("known here: {}", known.join(", "))
        };
        let dir = self.dir.display();
        Failure::new(
            Kind::NotFound,
            format!("no pairing named {alias:?} in {dir}"),
        )
        .hint(hint)
    }

    /// True when there is a pairing named `alias`.
    ///
    /// # Errors
    /// [`Kind::Usage`] when `alias` cannot be a name.
    pub fn contains(&self, alias: &str) -> Result<bool> {
        Ok(self.accessory_file(alias)?.exists())
    }

    /// Stores `record`, replacing an older one of the same alias.
    ///
    /// # Errors
    /// [`Kind::Store`] when it cannot be written durably.
    pub fn save(&self, record: &Record) -> Result<()> {
        let path = self.accessory_file(&record.alias)?;
        let file = AccessoryFile {
            version: VERSION,
            alias: record.alias.clone(),
            device_id: record.pairing.pairing_id.clone(),
            public_key: hex::encode(&record.pairing.ltpk),
            address: record.address.clone(),
        };
        write(&path, &file, Overwrite::Yes).map(drop)
    }

    /// Forgets the pairing named `alias`; nothing happens if there is none.
    ///
    /// # Errors
    /// [`Kind::Store`] when the file cannot be removed.
    pub fn remove(&self, alias: &str) -> Result<()> {
        let path = self.accessory_file(alias)?;
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(unwritable(&path, &e)),
            _ => sync_dir(&self.accessories_dir()),
        }
    }

    /// The aliases, sorted.
    ///
    /// # Errors
    /// [`Kind::Store`] when the directory cannot be read.
    pub fn aliases(&self) -> Result<Vec<String>> {
        let dir = self.accessories_dir();
        let entries = fs::read_dir(&dir).map_err(|e| unreadable(&dir, &e))?;
        let mut out: Vec<String> = entries
            .filter_map(|e| e.ok()?.file_name().into_string().ok())
            .filter_map(|name| Some(name.strip_suffix(".json")?.to_owned()))
            .filter(|name| check_alias(name).is_ok())
            .collect();
        out.sort();
        Ok(out)
    }
}

/// Letters, digits, `-`, `_` and `.`, at most 64, not starting with a dot: safe as a file name.
fn check_alias(alias: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let good =
        (1..=64).contains(&alias.len()) && !alias.starts_with('.') && alias.chars().all(allowed);
    if good {
        return Ok(());
    }
    Err(
        Failure::new(Kind::Usage, format!("{alias:?} cannot be an alias"))
            .hint("use letters, digits, '-', '_' and '.', at most 64"),
    )
}

fn parse_controller(text: &str) -> std::result::Result<ControllerKeypair, String> {
    let file: ControllerFile = serde_json::from_str(text).map_err(|e| e.to_string())?;
    check_version(file.version)?;
    let mut seed: [u8; 32] = hex::decode(&file.secret)
        .and_then(|v| v.try_into().ok())
        .ok_or("the secret is not 32 bytes of hex")?;
    let keys = ControllerKeypair::from_seed(file.id.clone(), seed);
    seed.zeroize();
    Ok(keys)
}

fn parse_accessory(text: &str) -> std::result::Result<Record, String> {
    let file: AccessoryFile = serde_json::from_str(text).map_err(|e| e.to_string())?;
    check_version(file.version)?;
    let ltpk = hex::decode(&file.public_key)
        .and_then(|v| v.try_into().ok())
        .ok_or("the public key is not 32 bytes of hex")?;
    Ok(Record {
        alias: file.alias,
        address: file.address,
        pairing: AccessoryPairing {
            pairing_id: file.device_id,
            ltpk,
        },
    })
}

fn check_version(version: u32) -> std::result::Result<(), String> {
    if version == VERSION {
        return Ok(());
    }
    Err(format!("format {version}, this program knows {VERSION}"))
}

fn make_dir(dir: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|e| unwritable(dir, &e))?;
    let mode = fs::metadata(dir)
        .map_err(|e| unreadable(dir, &e))?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        let shown = dir.display();
        return Err(Failure::new(
            Kind::Store,
            format!("{shown} is open to other users (mode {:03o})", mode & 0o777),
        )
        .hint(format!("it holds keys; run: chmod 700 {shown}")));
    }
    Ok(())
}

fn read(path: &Path) -> Result<Option<Zeroizing<String>>> {
    let file = match File::open(path) {
        Ok(f) => f,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(unreadable(path, &e)),
    };
    let mut text = Zeroizing::new(String::with_capacity(4096));
    file.take(MAX_FILE)
        .read_to_string(&mut text)
        .map_err(|e| unreadable(path, &e))?;
    Ok(Some(text))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Overwrite {
    Yes,
    No,
}

/// Writes `value` to `path` through a temporary file; false if it exists and must not be replaced.
fn write(path: &Path, value: &impl Serialize, overwrite: Overwrite) -> Result<bool> {
    let text = serde_json::to_string_pretty(value).map(Zeroizing::new);
    let text = text.map_err(|e| Failure::new(Kind::Store, e.to_string()))?;
    let temporary = path.with_extension(format!("{}.tmp", random_uuid()?));
    let placed =
        write_new(&temporary, text.as_bytes()).and_then(|()| place(&temporary, path, overwrite));
    // After a successful rename there is nothing left to remove.
    let _ = fs::remove_file(&temporary);
    let placed = placed.map_err(|e| unwritable(path, &e))?;
    sync_dir(path.parent().unwrap_or(Path::new(".")))?;
    Ok(placed)
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.write_all(b"\n")?;
    file.sync_all()
}

fn place(temporary: &Path, path: &Path, overwrite: Overwrite) -> io::Result<bool> {
    if overwrite == Overwrite::Yes {
        return fs::rename(temporary, path).map(|()| true);
    }
    match fs::hard_link(temporary, path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        other => other.map(|()| true),
    }
}

pub(crate) fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir)
        .and_then(|d| d.sync_all())
        .map_err(|e| unwritable(dir, &e))
}

fn unreadable(path: &Path, e: &io::Error) -> Failure {
    Failure::new(Kind::Store, format!("cannot read {}: {e}", path.display()))
}

fn unwritable(path: &Path, e: &io::Error) -> Failure {
    Failure::new(Kind::Store, format!("cannot write {}: {e}", path.display()))
        .hint("choose another directory with --store DIR")
}

fn damaged(path: &Path, why: &str) -> Failure {
    Failure::new(Kind::Store, format!("{} is damaged: {why}", path.display()))
        .hint("nothing was changed; restore it from a copy, or move it away and pair again")
}

/// A random version-4 UUID in upper case, as Apple's controllers name themselves.
pub(crate) fn random_uuid() -> Result<String> {
    let mut b = [0u8; 16];
    crate::random(&mut b)?;
    b[6] = (b[6] & 0x0F) | 0x40;
    b[8] = (b[8] & 0x3F) | 0x80;
    let h = hex::encode(&b).to_uppercase();
    Ok([&h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..]].join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(alias: &str) -> Record {
        Record {
            alias: alias.into(),
            address: "127.0.0.1:51826".into(),
            pairing: AccessoryPairing {
                pairing_id: "AA:BB:CC:DD:EE:FF".into(),
                ltpk: [7; 32],
            },
        }
    }

    fn fresh() -> (tempfile::TempDir, Store) {
        let tmp = tempfile::tempdir().unwrap();
        let store = Store::open(&tmp.path().join("store")).unwrap();
        (tmp, store)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn identity_is_made_once_and_kept() {
        let (_tmp, store) = fresh();
        let first = store.controller().unwrap();
        assert_eq!(first.id.len(), 36);
        assert!(store.controller().unwrap() == first);
    }

    #[test]
    fn nobody_else_may_read() {
        let (_tmp, store) = fresh();
        store.controller().unwrap();
        store.save(&record("cam")).unwrap();
        assert_eq!(mode(store.dir()), 0o700);
        assert_eq!(mode(&store.dir().join("controller.json")), 0o600);
        assert_eq!(mode(&store.dir().join("accessories/cam.json")), 0o600);
    }

    #[test]
    fn a_directory_open_to_others_is_refused() {
        let (_tmp, store) = fresh();
        fs::set_permissions(store.dir(), fs::Permissions::from_mode(0o755)).unwrap();
        let e = Store::open(store.dir()).unwrap_err();
        assert_eq!(e.kind(), Kind::Store);
        assert!(e.advice().unwrap().contains("chmod 700"));
    }

    #[test]
    fn pairings_come_back_and_go() {
        let (_tmp, store) = fresh();
        store.save(&record("b")).unwrap();
        store.save(&record("a.1")).unwrap();
        assert_eq!(store.aliases().unwrap(), ["a.1", "b"]);
        assert_eq!(store.load("b").unwrap(), record("b"));
        store.remove("b").unwrap();
        store.remove("b").unwrap();
        let e = store.load("b").unwrap_err();
        assert_eq!(e.kind(), Kind::NotFound);
        assert!(e.advice().unwrap().contains("a.1"));
    }

    #[test]
    fn no_temporary_file_is_left_behind() {
        let (_tmp, store) = fresh();
        store.controller().unwrap();
        store.save(&record("cam")).unwrap();
        store.save(&record("cam")).unwrap();
        let names: Vec<_> = fs::read_dir(store.dir())
            .unwrap()
            .chain(fs::read_dir(store.accessories_dir()).unwrap())
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .filter(|n| n.contains("tmp"))
            .collect();
        assert!(names.is_empty(), "{names:?}");
    }

    #[test]
    fn damaged_files_are_reported_and_left_alone() {
        let (_tmp, store) = fresh();
        let path = store.dir().join("controller.json");
        for bad in ["", "{", "{\"version\":2,\"id\":\"x\",\"secret\":\"00\"}"] {
            fs::write(&path, bad).unwrap();
            let e = store.controller().err().unwrap();
            assert_eq!(e.kind(), Kind::Store);
            assert_eq!(fs::read_to_string(&path).unwrap(), bad);
        }
    }

    #[test]
    fn aliases_cannot_leave_the_directory() {
        let (_tmp, store) = fresh();
        for bad in ["", "../x", ".hidden", "a/b", "a b", &"x".repeat(65)] {
            assert_eq!(store.load(bad).unwrap_err().kind(), Kind::Usage, "{bad}");
        }
    }
}
