//! The files that a configuration names and that prove something: passwords, users, certificates and keys. Each is read
//! once, when the configuration is; what was read stays valid until it is read again, whatever becomes of the files.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::users::Users;
use crate::rfb::security::PASSWORD_BYTES;
use crate::rfb::security::tls::{ServerTls, TlsConfigError, Trust};

/// The largest password file, in bytes; a VNC password has 8.
const MAX_PASSWORD_FILE_BYTES: usize = 4096;

/// The largest file of certificates, or of a key: the authorities of the whole web are 250 KiB.
const MAX_PEM_BYTES: usize = 1 << 20;

/// The largest users file: some ten thousand users.
const MAX_USERS_FILE_BYTES: usize = 1 << 20;

/// A password's text. Wiped when dropped, never printed.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(Zeroizing<String>);

impl Secret {
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    pub(super) fn text(&self) -> Zeroizing<String> {
        self.0.clone()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What was made of files, beside what was in them, by which it is compared.
#[derive(Debug, Clone)]
pub(super) struct Made<T> {
    /// What was made.
    pub(super) value: T,
    source: Arc<[Zeroizing<Vec<u8>>]>,
}

impl<T> PartialEq for Made<T> {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

/// What was read so far, by file.
#[derive(Debug, Clone, Default)]
pub(super) struct Secrets {
    passwords: BTreeMap<PathBuf, Secret>,
    users: BTreeMap<PathBuf, Arc<Users>>,
    identities: BTreeMap<(PathBuf, PathBuf), Made<ServerTls>>,
    authorities: BTreeMap<PathBuf, Made<Trust>>,
}

impl Secrets {
    /// The only line of a password file.
    pub(super) fn password(&mut self, path: &Path) -> Result<Secret, String> {
        cached(&mut self.passwords, path.to_owned(), || read_password(path))
    }

    /// The users of a users file.
    pub(super) fn users(&mut self, path: &Path) -> Result<Arc<Users>, String> {
        cached(&mut self.users, path.to_owned(), || {
            let bytes = read(path, MAX_USERS_FILE_BYTES)?;
            let text = std::str::from_utf8(&bytes).map_err(|_| named(path, "is not UTF-8"))?;
            Ok(Arc::new(Users::parse(text).map_err(|error| named(path, &error.to_string()))?))
        })
    }

    /// A certificate and its key; the error has the key of the configuration whose file is at fault.
    pub(super) fn identity(
        &mut self,
        certificate: &Path,
        key: &Path,
    ) -> Result<Made<ServerTls>, (&'static str, String)> {
        const CERTIFICATE: &str = "vnc.tls_certificate";
        const KEY: &str = "vnc.tls_key";
        cached(&mut self.identities, (certificate.to_owned(), key.to_owned()), || {
            let pem = read(certificate, MAX_PEM_BYTES).map_err(|message| (CERTIFICATE, message))?;
            let key_pem = read(key, MAX_PEM_BYTES).map_err(|message| (KEY, message))?;
            let value = ServerTls::from_pem(&pem, &key_pem).map_err(|error| match error {
                TlsConfigError::NoKey | TlsConfigError::BadKey(_) | TlsConfigError::OtherKey => {
                    (KEY, named(key, &error.to_string()))
                }
                other => (CERTIFICATE, named(certificate, &other.to_string())),
            })?;
            Ok(Made { value, source: [pem, key_pem].into() })
        })
    }

    /// The certificates that prove who a server is.
    pub(super) fn authorities(&mut self, path: &Path) -> Result<Made<Trust>, String> {
        cached(&mut self.authorities, path.to_owned(), || {
            let pem = read(path, MAX_PEM_BYTES)?;
            let value = Trust::authorities(&pem).map_err(|error| named(path, &error.to_string()))?;
            Ok(Made { value, source: [pem].into() })
        })
    }
}

/// The value of a key, made if it is not there.
fn cached<K: Ord, T: Clone, E>(
    known: &mut BTreeMap<K, T>,
    key: K,
    make: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    if let Some(value) = known.get(&key) {
        return Ok(value.clone());
    }
    let value = make()?;
    known.insert(key, value.clone());
    Ok(value)
}

fn named(path: &Path, message: &str) -> String {
    format!("{}: {message}", path.display())
}

/// A whole file. Its memory is wiped when it is dropped.
fn read(path: &Path, most: usize) -> Result<Zeroizing<Vec<u8>>, String> {
    let unreadable = |error| format!("cannot read {}: {error}", path.display());
    // As large as it may become, so that growing leaves no copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(most.min(64 * 1024)));
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() > most {
        return Err(format!("{} has more than {most} bytes", path.display()));
    }
    Ok(bytes)
}

/// The first line of the password file.
fn read_password(path: &Path) -> Result<Secret, String> {
    let bytes = read(path, MAX_PASSWORD_FILE_BYTES)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| format!("{} is not UTF-8", path.display()))?;
    let mut lines = text.lines();
    let line = Zeroizing::new(lines.next().unwrap_or_default().to_owned());
    if line.is_empty() {
        return Err(format!("{} is empty: want one line with the password", path.display()));
    }
    if lines.next().is_some() {
        return Err(format!("{} has more than one line", path.display()));
    }
    if line.chars().any(char::is_control) {
        return Err(format!("{} holds a control character", path.display()));
    }
    if line.len() > PASSWORD_BYTES {
        tracing::warn!(file = %path.display(), "only the first {PASSWORD_BYTES} bytes of a VNC password count");
    }
    Ok(Secret(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_only_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "secret\n").unwrap();
        assert_eq!(read_password(file.path()).unwrap().as_bytes(), b"secret");
        fs::write(file.path(), vec![b'x'; MAX_PASSWORD_FILE_BYTES + 1]).unwrap();
        assert!(read_password(file.path()).unwrap_err().contains("more than 4096 bytes"));
    }
}
