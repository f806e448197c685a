//! Secrets: sealed before they reach the disk, opened only where they leave the host.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use pelton_model::{Slug, TenantName, Timestamp};
use pelton_store::{SecretWrite, Store, StoreError, Write};
use serde::{Deserialize, Serialize};

use crate::AppendError;
use crate::writer::{WriterQueue, now};

/// A secret as anybody may see it: everything but its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Secret {
    pub id: String,
    pub name: Slug,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where the value may be sent: host names, `*.` for all below one. Nowhere if empty, besides signatures, which do not show it.
    #[serde(default)]
    pub hosts: Vec<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What is asked to be kept.
#[derive(Debug, Clone)]
pub struct NewSecret {
    pub name: Slug,
    pub value: String,
    pub description: Option<String>,
    pub hosts: Vec<String>,
}

/// A secret that is about to leave the host.
pub struct Revealed {
    pub value: Vec<u8>,
    /// Where it may be sent.
    pub hosts: Vec<String>,
}

/// Opens a secret of one tenant; `None` if there is none of that name.
pub type Reveal = Arc<dyn Fn(&Slug) -> Result<Option<Revealed>, SecretError> + Send + Sync>;

/// Why a secret cannot be kept or opened.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error("expected at most {max} secrets, found {max} already")]
    TooMany { max: usize },
    #[error("secret {name} cannot be opened: it was sealed with another master key, or its row is damaged")]
    Unsealable { name: Slug },
    #[error("no randomness is to be had from the system: {0}")]
    Random(String),
}

/// Why the master key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    #[error("master key file {path}: {source}")]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("master key file {path}: expected 64 hexadecimal digits, found something else")]
    Malformed { path: PathBuf },
    #[error("master key file {path}: expected a file that only its owner can read (mode 0600), found mode {mode:04o}")]
    TooOpen { path: PathBuf, mode: u32 },
}

/// Seals and opens with the host's master key.
pub struct Vault {
    cipher: XChaCha20Poly1305,
}

/// What a row holds. The name is the row's key.
#[derive(Serialize, Deserialize)]
struct Row {
    secret: Secret,
    nonce: String,
    sealed: String,
}

const SECRETS_MAX: usize = 1_000;

impl Vault {
    /// Reads the master key, or makes one where there is none.
    ///
    /// # Errors
    /// Where the file cannot be read or made, holds something else, or others can read it.
    pub fn open(path: &Path) -> Result<Self, MasterKeyError> {
        let io = |source| MasterKeyError::Io { path: path.to_owned(), source };
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => create(path).map_err(io)?,
            Err(error) => return Err(io(error)),
        };
        let mode = fs::metadata(path).map_err(io)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(MasterKeyError::TooOpen { path: path.to_owned(), mode });
        }
        let key = key(text.trim()).ok_or_else(|| MasterKeyError::Malformed { path: path.to_owned() })?;
        Ok(Self { cipher: XChaCha20Poly1305::new(&key.into()) })
    }

    fn seal(&self, tenant: &TenantName, secret: Secret, value: &str) -> Result<Row, SecretError> {
        let nonce: [u8; 24] = random()?;
        let payload = Payload { msg: value.as_bytes(), aad: &bound_to(tenant, &secret) };
        // The cipher fails only beyond 256 GiB.
        let sealed =
            self.cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| SecretError::Unsealable { name: secret.name.clone() })?;
        Ok(Row { secret, nonce: BASE64.encode(nonce), sealed: BASE64.encode(sealed) })
    }

    fn unseal(&self, tenant: &TenantName, row: &Row) -> Option<Vec<u8>> {
        let nonce: [u8; 24] = BASE64.decode(&row.nonce).ok()?.try_into().ok()?;
        let sealed = BASE64.decode(&row.sealed).ok()?;
        self.cipher.decrypt(&XNonce::from(nonce), Payload { msg: &sealed, aad: &bound_to(tenant, &row.secret) }).ok()
    }

    /// The value of a secret; `None` if there is none of that name.
    ///
    /// # Errors
    /// Where the row cannot be read or opened.
    pub fn reveal(&self, store: &Store, tenant: &TenantName, name: &Slug) -> Result<Option<Revealed>, SecretError> {
        let Some(row) = row(store, name)? else { return Ok(None) };
        let value = self.unseal(tenant, &row).ok_or_else(|| SecretError::Unsealable { name: name.clone() })?;
        Ok(Some(Revealed { value, hosts: row.secret.hosts }))
    }

    /// Keeps a secret, or replaces the one of that name. Whether it is a new one.
    pub(crate) async fn set(
        &self,
        store: &Store,
        writer: &WriterQueue,
        tenant: &TenantName,
        new: NewSecret,
    ) -> Result<(Secret, bool), SecretError> {
        let before = row(store, &new.name)?;
        if before.is_none() && store.secrets()?.len() >= SECRETS_MAX {
            return Err(SecretError::TooMany { max: SECRETS_MAX });
        }
        let (is_new, at) = (before.is_none(), now());
        let (id, created_at) = match before {
            Some(row) => (row.secret.id, row.secret.created_at),
            None => (format!("sec_{}", hex(&random::<12>()?)), at),
        };
        let secret = Secret { id, name: new.name, description: new.description, hosts: new.hosts, created_at, updated_at: at };
        let row = self.seal(tenant, secret, &new.value)?;
        let name = row.secret.name.to_string();
        let sealed = pelton_model::Json::of(&row).as_str().as_bytes().to_vec();
        writer.write(Write { secret: Some(SecretWrite::Put { name, sealed }), ..Write::default() }).await?;
        Ok((row.secret, is_new))
    }
}

/// All secrets without their values, in the order of their names.
pub(crate) fn list(store: &Store) -> Result<Vec<Secret>, StoreError> {
    let rows = store.secrets()?;
    Ok(rows.iter().filter_map(|(name, row)| decode(name, row)).map(|row| row.secret).collect())
}

/// Deletes the secret with this id or name. Whether there was one.
pub(crate) async fn delete(store: &Store, writer: &WriterQueue, id: &str) -> Result<bool, SecretError> {
    let Some(secret) = list(store)?.into_iter().find(|secret| secret.id == id || secret.name.as_str() == id) else { return Ok(false) };
    let name = secret.name.to_string();
    writer.write(Write { secret: Some(SecretWrite::Delete { name }), ..Write::default() }).await?;
    Ok(true)
}

fn row(store: &Store, name: &Slug) -> Result<Option<Row>, StoreError> {
    Ok(store.secret(name.as_str())?.and_then(|row| decode(name.as_str(), &row)))
}

fn decode(name: &str, row: &[u8]) -> Option<Row> {
    serde_json::from_slice(row).inspect_err(|error| tracing::error!(secret = name, %error, "the row of a secret is damaged")).ok()
}

/// A sealed value opens only as what it was sealed as, so that rows cannot be exchanged.
fn bound_to(tenant: &TenantName, secret: &Secret) -> Vec<u8> {
    format!("{tenant}\0{}\0{}", secret.name, secret.id).into_bytes()
}

fn create(path: &Path) -> std::io::Result<String> {
    let key: [u8; 32] = random().map_err(std::io::Error::other)?;
    let text = hex(&key);
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    // A file is found after a crash only if its directory is on disk too.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()?;
    Ok(text)
}

fn key(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut key = [0; 32];
    for (byte, at) in key.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(key)
}

fn random<const N: usize>() -> Result<[u8; N], SecretError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| SecretError::Random(error.to_string()))?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(name: &str) -> Secret {
        Secret {
            id: "sec_1".to_owned(),
            name: Slug::new(name).unwrap(),
            description: None,
            hosts: Vec::new(),
            created_at: Timestamp::from_millis(0),
            updated_at: Timestamp::from_millis(0),
        }
    }

    #[test]
    fn a_value_opens_only_with_its_key_and_as_what_it_was_sealed() {
        let directory = std::env::temp_dir().join(format!("pelton-vault-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let (one, other) = (directory.join("one"), directory.join("other"));
        let (vault, acme) = (Vault::open(&one).unwrap(), TenantName::new("acme").unwrap());
        let mut row = vault.seal(&acme, secret("a"), "s3cret").unwrap();
        assert_eq!(Vault::open(&one).unwrap().unseal(&acme, &row).unwrap(), b"s3cret");
        assert!(Vault::open(&other).unwrap().unseal(&acme, &row).is_none());
        assert!(vault.unseal(&TenantName::new("evil").unwrap(), &row).is_none());
        row.secret = secret("b");
        assert!(vault.unseal(&acme, &row).is_none());
        assert!(!pelton_model::Json::of(&row).as_str().contains("s3cret"));
        assert_eq!(fs::metadata(&one).unwrap().permissions().mode() & 0o777, 0o600);

        fs::set_permissions(&one, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(Vault::open(&one), Err(MasterKeyError::TooOpen { mode: 0o644, .. })));
        fs::write(&other, "no key").unwrap();
        assert!(matches!(Vault::open(&other), Err(MasterKeyError::Malformed { .. })));
        fs::remove_dir_all(&directory).unwrap();
    }
}
