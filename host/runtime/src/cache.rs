//! Keeps compiled components between runs.
//!
//! ```text
//! <dir>/<sha256 of the component>-<compatibility>-<part>.cwasm    of one part of it: compiled code and memory image, mapped when loaded;
//!                                                                 or a note that it has no such part
//! <dir>/<sha256 of a path>.seen                                   what file stood at the path, and its sha256
//! ```
//!
//! The compatibility is a hash of Wasmtime's version, its settings and the features of the CPU. A `.seen` file
//! spares hashing a component again whose size, inode, and times of modification and change are as they were.
//!
//! Compiled code is executed as it is found, so the directory must be writable by this user alone. Files come to
//! be under their final name only when they are complete.

use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use wasmtime::component::Component;

use crate::composed::Part;
use crate::engine::{Engine, read, read_error};
use crate::error::{LoadError, LoadErrorKind};

/// A file that was changed less than this ago may change again without a trace in its times.
const SETTLED_AFTER: Duration = Duration::from_millis(50);

/// What is kept of a part that a component does not have.
const NO_SUCH_PART: &[u8] = b"no such part\n";

/// A directory of compiled components.
pub struct Cache {
    dir: PathBuf,
    max_bytes: u64,
}

impl Cache {
    /// Opens or makes the directory.
    ///
    /// # Errors
    /// If it cannot be made, belongs to another user, or others can write to it.
    pub fn open(dir: &Path, max_bytes: u64) -> Result<Self, LoadError> {
        let shown = dir.display();
        let io = |error| {
            LoadError::because(
                LoadErrorKind::Io,
                format!("cannot use the cache directory {shown}"),
                error,
            )
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(io)?;
        let metadata = fs::metadata(dir).map_err(io)?;
        let (user, owner) = (rustix::process::geteuid().as_raw(), metadata.uid());
        if owner != user || metadata.mode() & 0o022 != 0 {
            let (mode, message) = (
                metadata.mode() & 0o777,
                "expected a cache directory that only this user can write to",
            );
            return Err(LoadError::new(
                LoadErrorKind::Io,
                format!("{message}, found {shown} of user {owner} with mode {mode:o}"),
            ));
        }
        Ok(Self {
            dir: dir.to_owned(),
            max_bytes,
        })
    }

    /// Returns the compiled form of a part of the component in a file; `None` if it has no such part.
    ///
    /// A file that was compiled before is never held in memory.
    pub(crate) fn load_file(
        &self,
        engine: &Engine,
        path: &Path,
        part: Part,
    ) -> Result<Option<Component>, LoadError> {
        let seen = Seen::of(path)?;
        let seen_path = self.dir.join(format!(
            "{}.seen",
            sha256_hex(seen.path.as_os_str().as_encoded_bytes())
        ));
        if let Some(digest) = seen.read(&seen_path)
            && let Some(found) = self.find(engine, &digest, part)
        {
            return Ok(found);
        }
        let digest = sha256_of_file(path)?;
        let (found, digest) = match self.find(engine, &digest, part) {
            Some(found) => (found, digest),
            // What is kept under a hash is what has that hash, even if the file has changed since.
            None => {
                let bytes = read(path)?;
                let digest = sha256_hex(&bytes);
                (self.compile(engine, &digest, part, &bytes)?, digest)
            }
        };
        if seen.is_settled() {
            // Without the note the file is hashed again next time, which is only slower.
            let _ = self.write(&seen_path, seen.text(&digest).as_bytes());
        }
        Ok(found)
    }

    /// Returns the compiled form of a part of a component; `None` if it has no such part.
    pub(crate) fn load_bytes(
        &self,
        engine: &Engine,
        component: &[u8],
        part: Part,
    ) -> Result<Option<Component>, LoadError> {
        let digest = sha256_hex(component);
        match self.find(engine, &digest, part) {
            Some(found) => Ok(found),
            None => self.compile(engine, &digest, part, component),
        }
    }

    /// Compiles a part of a component, and keeps it, or that there is no such part.
    fn compile(
        &self,
        engine: &Engine,
        digest: &str,
        part: Part,
        component: &[u8],
    ) -> Result<Option<Component>, LoadError> {
        let path = self.compiled_path(engine, digest, part);
        let Some(bytes) = part.of(component) else {
            // Without the note the part is looked for again next time, which is only slower.
            let _ = self.write(&path, NO_SUCH_PART);
            return Ok(None);
        };
        let compiled = engine.precompile(bytes)?;
        if self.write(&path, &compiled).is_ok() {
            self.prune(&path);
            if let Some(found) = self.find(engine, digest, part) {
                return Ok(found);
            }
        }
        // The disk is full or gone; what was compiled still runs.
        deserialize(engine, &compiled).map(Some)
    }

    fn compiled_path(&self, engine: &Engine, digest: &str, part: Part) -> PathBuf {
        let mut hasher = HashBytes(Sha256::new());
        engine
            .raw()
            .precompile_compatibility_hash()
            .hash(&mut hasher);
        let compatibility = hex(&hasher.0.finalize()[..8]);
        self.dir
            .join(format!("{digest}-{compatibility}-{}.cwasm", part.name()))
    }

    /// Returns what is kept of a part, if anything is: its compiled form, or that there is no such part.
    fn find(&self, engine: &Engine, digest: &str, part: Part) -> Option<Option<Component>> {
        let path = self.compiled_path(engine, digest, part);
        let mut file = File::open(&path).ok()?;
        // Marks the file as used, for `prune`. A failure only makes it look older.
        let _ = file.set_modified(SystemTime::now());
        if part == Part::Answerer && is_no_such_part(&mut file) {
            return Some(None);
        }
        deserialize_file(engine, &path).map(Some)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }

    /// Removes what was not used for longest, except `kept`, until the rest fits.
    fn prune(&self, kept: &Path) {
        let Ok(entries) = fs::read_dir(&self.dir) else {
            return;
        };
        let mut files: Vec<(SystemTime, u64, PathBuf)> = entries
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let metadata = entry.metadata().ok()?;
                Some((metadata.modified().ok()?, metadata.len(), entry.path()))
            })
            .collect();
        files.sort();
        let mut total: u64 = files.iter().map(|(_, len, _)| len).sum();
        for (_, len, path) in files {
            if total <= self.max_bytes {
                break;
            }
            if path != kept && fs::remove_file(&path).is_ok() {
                total -= len;
            }
        }
    }
}

#[expect(
    unsafe_code,
    reason = "the fence around compiled code, which is executed as it is found"
)]
fn deserialize_file(engine: &Engine, path: &Path) -> Option<Component> {
    // SAFETY: `Cache::open` checked that only this user can write to the directory, and `Cache::write` gives a file
    // its name when it is complete. Wasmtime itself refuses code made by other versions or for other CPUs.
    unsafe { Component::deserialize_file(engine.raw(), path) }.ok()
}

#[expect(
    unsafe_code,
    reason = "the fence around compiled code, which is executed as it is found"
)]
fn deserialize(engine: &Engine, compiled: &[u8]) -> Result<Component, LoadError> {
    // SAFETY: the bytes come from this engine's compiler, in this process.
    unsafe { Component::deserialize(engine.raw(), compiled) }.map_err(|error| {
        let message = "the compiled component cannot be mapped";
        LoadError::because(LoadErrorKind::Engine, message, error.into_boxed_dyn_error())
    })
}

/// What tells a file that has not changed from one that has.
struct Seen {
    path: PathBuf,
    identity: String,
    changed_at: SystemTime,
}

impl Seen {
    fn of(path: &Path) -> Result<Self, LoadError> {
        let io = |error| read_error(path, error);
        let path = path.canonicalize().map_err(io)?;
        let metadata = fs::metadata(&path).map_err(io)?;
        let identity = format!(
            "{} {} {} {}.{:09} {}.{:09}",
            metadata.dev(),
            metadata.ino(),
            metadata.size(),
            metadata.mtime(),
            metadata.mtime_nsec(),
            metadata.ctime(),
            metadata.ctime_nsec(),
        );
        let since_epoch = Duration::new(
            metadata.ctime().max(0) as u64,
            metadata.ctime_nsec().max(0) as u32,
        );
        Ok(Self {
            path,
            identity,
            changed_at: SystemTime::UNIX_EPOCH + since_epoch,
        })
    }

    fn is_settled(&self) -> bool {
        self.changed_at
            .elapsed()
            .is_ok_and(|age| age >= SETTLED_AFTER)
    }

    fn text(&self, digest: &str) -> String {
        format!("{digest}\n{}\n", self.identity)
    }

    fn read(&self, seen_path: &Path) -> Option<String> {
        let text = fs::read_to_string(seen_path).ok()?;
        let mut lines = text.lines();
        let digest = lines.next().filter(|digest| digest.len() == 64)?;
        (lines.next() == Some(self.identity.as_str())).then(|| digest.to_owned())
    }
}

struct HashBytes(Sha256);

impl Hasher for HashBytes {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

fn is_no_such_part(file: &mut File) -> bool {
    let mut start = [0; NO_SUCH_PART.len()];
    file.read_exact(&mut start).is_ok() && start == NO_SUCH_PART
}

/// How many bytes of a file are hashed before other threads may go first: about 0.1 ms.
const HASHED_BYTES: u64 = 128 << 10;

/// Hashes a file piece by piece.
fn sha256_of_file(path: &Path) -> Result<String, LoadError> {
    let hash = || {
        let (mut file, mut hasher) = (File::open(path)?, Sha256::new());
        while std::io::copy(&mut (&mut file).take(HASHED_BYTES), &mut hasher)? > 0 {
            // Versions are loaded beside those that answer calls, which a kernel may keep waiting until its next tick otherwise.
            thread::yield_now();
        }
        Ok(hex(&hasher.finalize()))
    };
    hash().map_err(|error| read_error(path, error))
}

fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
