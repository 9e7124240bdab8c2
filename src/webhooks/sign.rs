//! Lives here: the three signatures of a webhook, over the exact octets that are sent.
//! Never here: HTTP, where the secret comes from.

use std::fmt::Write;

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::SecretString;
use sha2::Sha256;

use crate::domain::endpoint::Secrets;

/// Secrets may have been pasted without their padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A secret is not `whsec_` and base64.
#[derive(Debug, thiserror::Error)]
#[error("the webhook secret is not whsec_ and base64")]
pub(super) struct SecretError;

/// The values of the headers that prove a webhook's origin.
#[derive(Debug)]
pub(super) struct Signed {
    /// `webhook-timestamp`: Unix seconds of this attempt.
    pub(super) timestamp: String,
    /// `webhook-signature` (Standard Webhooks): `v1,` and base64 of HMAC-SHA256 over
    /// `id.timestamp.body`; the key is what the secret's base64 stands for. While two secrets hold, both
    /// sign: the new one first, a space between.
    pub(super) standard: String,
    /// `X-Moaa-Signature`: `sha256=` and 64 hexadecimal digits of HMAC-SHA256 over the body; the
    /// key is the whole secret as shown, as the seeds' snippets take it. One value always (those
    /// snippets throw at another length): the old secret's until the cutover.
    prefixed: String,
}

impl Signed {
    const PREFIX: &'static str = "sha256=";

    /// Signs one attempt.
    pub(super) fn new(
        secrets: Secrets<'_>,
        id: &str,
        seconds: i64,
        body: &[u8],
    ) -> Result<Self, SecretError> {
        let timestamp = seconds.to_string();
        let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
        let mut encoded = String::with_capacity(if secrets.old.is_some() { 96 } else { 48 });
        for secret in [Some(secrets.current), secrets.old].into_iter().flatten() {
            let key = secret.strip_prefix("whsec_").ok_or(SecretError)?;
            let key = LENIENT.decode(key).map_err(|_| SecretError)?;
            let space = if encoded.is_empty() { "" } else { " " };
            encoded.push_str(space);
            encoded.push_str("v1,");
            STANDARD.encode_string(hmac(&key, &signed), &mut encoded);
        }
        let legacy = secrets.old.unwrap_or(secrets.current);
        let mut prefixed = String::with_capacity(Self::PREFIX.len() + 64);
        prefixed.push_str(Self::PREFIX);
        for octet in hmac(legacy.as_bytes(), &[body]) {
            let _ = write!(prefixed, "{octet:02x}");
        }
        Ok(Self {
            timestamp,
            standard: encoded,
            prefixed,
        })
    }

    /// `X-Moaa-Signature`.
    pub(super) fn moaa(&self) -> &str {
        &self.prefixed
    }

    /// `X-MojaWave-Signature`: the digits alone.
    pub(super) fn mojawave(&self) -> &str {
        &self.prefixed[Self::PREFIX.len()..]
    }
}

/// A fresh secret: `whsec_` and base64 of 32 random octets.
pub fn new_secret() -> SecretString {
    format!("whsec_{}", STANDARD.encode(rand::random::<[u8; 32]>())).into()
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn one(current: &str) -> Secrets<'_> {
        Secrets { current, old: None }
    }
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    #[test]
    fn standard_signature_matches_the_specifications_vector() {
        let signed = Signed::new(
            one(SECRET),
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            BODY,
        );
        assert_eq!(
            signed.unwrap().standard,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn legacy_signatures_take_the_whole_secret_and_the_body_alone() {
        let signed = Signed::new(one(SECRET), "evt_1", 1, BODY).unwrap();
        // printf '{"test": 2432232314}' | openssl dgst -sha256 -hmac whsec_MfKQ9r8…
        let digits = "80ec8a89ce3cd22133a1066caecb4d04fea7467657c8514d717ec42c38a5c94c";
        assert_eq!(signed.mojawave(), digits);
        assert_eq!(signed.moaa(), format!("sha256={digits}"));
        assert_eq!(signed.timestamp, "1");
    }

    #[test]
    fn a_secret_of_another_form_is_refused() {
        assert!(Signed::new(one("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), "e", 1, BODY).is_err());
        assert!(Signed::new(one("whsec_***"), "e", 1, BODY).is_err());
        assert!(Signed::new(one("whsec_AAA"), "e", 1, BODY).is_ok());
    }

    #[test]
    fn while_two_secrets_hold_both_sign_and_the_legacy_header_stays_with_the_old_one() {
        const NEW: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let both = Secrets {
            current: NEW,
            old: Some(SECRET),
        };
        let signed = |secrets| Signed::new(secrets, "evt_1", 1, BODY).unwrap();
        let (new, old) = (signed(one(NEW)), signed(one(SECRET)));
        let both = signed(both);
        assert_eq!(both.standard, format!("{} {}", new.standard, old.standard));
        assert_eq!(both.mojawave(), old.mojawave());
        assert_ne!(both.mojawave(), new.mojawave());
        assert_eq!(both.mojawave().len(), 64);
    }

    /// The function is seed 003's own, letter by letter.
    const SNIPPET: &str = r#"
import hmac, hashlib

def verify_signature(payload: bytes, sig: str, secret: str) -> bool:
    expected = hmac.new(
        secret.encode(),
        payload,
        hashlib.sha256
    ).hexdigest()
    return hmac.compare_digest(expected, sig)

import sys
sys.exit(0 if verify_signature(sys.stdin.buffer.read(), sys.argv[1], sys.argv[2]) else 3)
"#;

    #[test]
    fn the_seeds_python_snippet_accepts_our_signature_and_refuses_a_changed_octet() {
        let run = |signature: &str, body: &[u8]| {
            let mut python = Command::new("python3")
                .args(["-c", SNIPPET, signature, SECRET])
                .stdin(Stdio::piped())
                .spawn()
                .expect("this test needs python3 on the PATH: it runs the API guide's own snippet");
            python.stdin.take().unwrap().write_all(body).unwrap();
            python.wait().unwrap().code()
        };
        let body = super::super::envelope::tests::delivered_body();
        let signed = Signed::new(one(SECRET), "evt_1", 1, &body).unwrap();
        assert_eq!(run(signed.mojawave(), &body), Some(0));
        let mut changed = body.to_vec();
        changed[10] ^= 1;
        assert_eq!(run(signed.mojawave(), &changed), Some(3));
    }
}
