//! `vnc.users_file`: names of viewers' users, and what their passwords are compared with.
//!
//! A line is `NAME:HASH`, the hash being Argon2's in the PHC string format, as `xenvnc password` and the reference
//! implementation's `argon2 -e` write it. Empty lines and lines that begin with `#` do not count.

use std::collections::BTreeMap;
use std::fmt;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};

use crate::rfb::message::vencrypt::{PASSWORD_BYTES, USER_BYTES};
use crate::rfb::security::Credentials;

/// The most memory that a hash may ask for, in KiB: at most [`CHECKS`](super::logins::CHECKS) are computed at a time.
const MEMORY_KIB_MAX: u32 = 256 * 1024;

/// The most passes over that memory, for the time of it.
const PASSES_MAX: u32 = 64;

/// The bytes of a salt of ours.
const SALT_BYTES: usize = 16;

/// What is wrong with a users file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum UsersError {
    #[error("line {line}: want NAME:HASH, as `xenvnc password` prints it")]
    Form { line: usize },
    #[error("line {line}: a name has 1 to {USER_BYTES} bytes")]
    Name { line: usize },
    #[error("line {line}: {user:?} is there twice")]
    Twice { line: usize, user: String },
    #[error("line {line}: the hash is not Argon2's in the PHC string format: {reason}")]
    Hash { line: usize, reason: String },
    #[error(
        "line {line}: the hash asks for {memory} KiB and {passes} passes; at most {MEMORY_KIB_MAX} and {PASSES_MAX} are computed"
    )]
    Cost { line: usize, memory: u32, passes: u32 },
    #[error("there is no user in it")]
    Empty,
}

/// The users of a file. Hashes are never printed.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Users {
    hashes: BTreeMap<Vec<u8>, PasswordHash>,
    /// What the password of a name that is not there is compared with, so that it takes as long as with one that is.
    decoy: PasswordHash,
}

impl Users {
    /// The users of a file's text.
    pub(super) fn parse(text: &str) -> Result<Self, UsersError> {
        let mut hashes = BTreeMap::new();
        for (line, content) in (1..).zip(text.lines().map(str::trim_end)) {
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            let (user, hash) = content.split_once(':').ok_or(UsersError::Form { line })?;
            if !(1..=USER_BYTES).contains(&user.len()) {
                return Err(UsersError::Name { line });
            }
            let hash = parse_hash(line, hash)?;
            if hashes.insert(user.as_bytes().to_vec(), hash).is_some() {
                return Err(UsersError::Twice { line, user: user.to_owned() });
            }
        }
        let decoy = hashes.values().next().cloned().ok_or(UsersError::Empty)?;
        Ok(Self { hashes, decoy })
    }

    /// Whether these are one of them and its password. Takes as much time and memory as the hash asks for: not for a task
    /// that has something else to do.
    pub(super) fn verify(&self, credentials: &Credentials) -> bool {
        let known = self.hashes.get(credentials.user());
        let hash = known.unwrap_or(&self.decoy);
        let right = Argon2::default().verify_password(credentials.password(), hash).is_ok();
        right && known.is_some()
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Users({})", self.hashes.len())
    }
}

fn parse_hash(line: usize, text: &str) -> Result<PasswordHash, UsersError> {
    let wrong = |reason: String| UsersError::Hash { line, reason };
    let hash = PasswordHash::new(text).map_err(|error| wrong(error.to_string()))?;
    Algorithm::try_from(hash.algorithm.as_str()).map_err(|error| wrong(error.to_string()))?;
    if let Some(version) = hash.version {
        Version::try_from(version).map_err(|error| wrong(error.to_string()))?;
    }
    if hash.salt.is_none() || hash.hash.is_none() {
        return Err(wrong("it has no salt or no hash".to_owned()));
    }
    let params = Params::try_from(&hash).map_err(|error| wrong(error.to_string()))?;
    let (memory, passes) = (params.m_cost(), params.t_cost());
    if memory > MEMORY_KIB_MAX || passes > PASSES_MAX {
        return Err(UsersError::Cost { line, memory, passes });
    }
    Ok(hash)
}

/// Why no line for a users file can be made.
#[derive(Debug, thiserror::Error)]
pub enum UserLineError {
    /// The name cannot be one.
    #[error(
        "a name has 1 to {USER_BYTES} bytes, no colon and no control character, and does not begin with #"
    )]
    Name,
    /// The password cannot be one.
    #[error("a password has 1 to {PASSWORD_BYTES} bytes")]
    Password,
    /// The system has no random bytes for the salt.
    #[error("no random bytes: {0}")]
    Random(getrandom::Error),
    /// The hash cannot be computed.
    #[error("no hash: {0}")]
    Hash(argon2::password_hash::Error),
}

/// The line of `vnc.users_file` for a user with this password: Argon2id with 19 MiB and two passes, which is OWASP's
/// recommendation and takes a few hundredths of a second.
///
/// # Errors
/// [`UserLineError`].
pub fn user_line(user: &str, password: &[u8]) -> Result<String, UserLineError> {
    let fits = (1..=USER_BYTES).contains(&user.len()) && !user.starts_with('#');
    if !fits || user.chars().any(|c| c == ':' || c.is_control()) {
        return Err(UserLineError::Name);
    }
    if !(1..=PASSWORD_BYTES).contains(&password.len()) {
        return Err(UserLineError::Password);
    }
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt).map_err(UserLineError::Random)?;
    let hash = Argon2::default().hash_password_with_salt(password, &salt).map_err(UserLineError::Hash)?;
    Ok(format!("{user}:{hash}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the reference implementation, the password being "sesame": `argon2 somesalt -id -m 12 -t 2 -p 1 -e`, and alike
    /// for Argon2i and Argon2d.
    const REFERENCE: &str = "\
        ann:$argon2id$v=19$m=4096,t=2,p=1$c29tZXNhbHQ$lfacCkgYYXQAUGaDAoGVIRNH89Xiq1HR2B/QfZnQD7w\n\
        ben:$argon2i$v=19$m=1024,t=3,p=2$YW5vdGhlcnNhbHQh$6ECJOK5NWJ+eOOCsJcNDfLEqYFI+60Sx+/6N8sBpFI8\n\
        eve:$argon2d$v=19$m=512,t=1,p=1$dGhpcmRzYWx0$tueqeNnG4RdnHCUbi0EPi1iWCHJifskHxP2mMy+CkVU";

    fn login(user: &str, password: &str) -> Credentials {
        Credentials::new(user.as_bytes(), password.as_bytes())
    }

    #[test]
    fn hashes_of_the_reference_implementation_are_understood() {
        let users = Users::parse(REFERENCE).unwrap();
        for user in ["ann", "ben", "eve"] {
            assert!(users.verify(&login(user, "sesame")), "{user}");
            assert!(!users.verify(&login(user, "Sesame")), "{user}");
        }
        // The first line's password, by a name that is not there.
        assert!(!users.verify(&login("dan", "sesame")));
        assert!(!users.verify(&login("", "sesame")));
    }

    #[test]
    fn lines_of_ours_are_understood_and_salted() {
        let line = || user_line("ann", b"open: sesame").unwrap();
        let (first, second) = (line(), line());
        assert_ne!(first, second);
        assert!(first.starts_with("ann:$argon2id$v=19$m=19456,t=2,p=1$"), "{first}");
        assert!(Users::parse(&first).unwrap().verify(&login("ann", "open: sesame")));
        for name in ["", "a:b", "a\n", "#a", &"x".repeat(257)] {
            assert!(matches!(user_line(name, b"x"), Err(UserLineError::Name)), "{name:?}");
        }
        assert!(matches!(user_line("a", b""), Err(UserLineError::Password)));
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        let good = user_line("ann", b"x").unwrap();
        let cases = [
            (String::new(), "no user"),
            ("# nobody\n\n".to_owned(), "no user"),
            (format!("{good}\nben"), "line 2: want NAME:HASH"),
            (format!("{good}\n\n{good}"), "line 3: \"ann\" is there twice"),
            (good.replace("ann", ""), "line 1: a name has"),
            (good.replace("argon2id", "argon2x"), "line 1: the hash is not Argon2's"),
            ("ann:secret".to_owned(), "line 1: the hash is not Argon2's"),
            ("ann:$6$salt$hash".to_owned(), "line 1: the hash is not Argon2's"),
            (good.replace("m=19456", "m=4000000"), "line 1: the hash asks for 4000000 KiB and 2 passes"),
            (good.replace("t=2", "t=65"), "line 1: the hash asks for 19456 KiB and 65 passes"),
        ];
        for (text, wanted) in cases {
            let error = Users::parse(&text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{text}: {error}");
            // A hash is worth guessing at.
            assert!(!error.contains("$argon2"), "{error}");
        }
    }

    #[test]
    fn hashes_are_not_printed() {
        let users = Users::parse(&user_line("ann", b"x").unwrap()).unwrap();
        assert_eq!(format!("{users:?}"), "Users(1)");
    }
}
