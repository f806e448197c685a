//! Signatures of webhooks as Standard Webhooks has them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// The key that a secret stands for: `whsec_` and base64, or its bytes as they are.
pub(crate) fn key_of(secret: &[u8]) -> Vec<u8> {
    let encoded = secret.strip_prefix(b"whsec_");
    encoded.and_then(|encoded| BASE64.decode(encoded).ok()).unwrap_or_else(|| secret.to_vec())
}

/// The value of `webhook-signature`.
pub(crate) fn sign(key: &[u8], id: &str, timestamp: u64, body: &str) -> String {
    // Every length of key will do for HMAC.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return String::new() };
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification_has_its_signature() {
        let key = key_of(b"whsec_plJ3nmyCDGBKInavdOK15jsl");
        let body = r#"{"event_type":"ping","data":{"success":true}}"#;
        let signature = sign(&key, "msg_loFOjxBNrRLzqYUf", 1_731_705_121, body);
        assert_eq!(signature, "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=");
    }

    #[test]
    fn a_secret_without_the_prefix_is_its_bytes() {
        assert_eq!(key_of(b"abc"), b"abc");
        assert_eq!(key_of(b"whsec_no base64!"), b"whsec_no base64!");
    }
}
