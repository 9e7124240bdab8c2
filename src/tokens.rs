//! Lives here: the tokens by which users call: JWT (RFC 7519), signed and checked with the one
//! algorithm that the configuration names; what a token says of itself is not asked for it.
//! Never here: who the user is and what it may do (`store`, `domain::user`), headers.
//!
//! Written by hand on `ring`, which the daemon has for TLS: of the crates that do it, those without
//! `aws-lc-rs` bring RSA and four curves for the two algorithms that are wanted.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use crate::domain::ids::{OrgId, UserId};
use crate::domain::time::Timestamp;

/// Longest life of a token: what a stolen one is good for.
pub const LIFE_MAX: Duration = Duration::from_secs(15 * 60);
/// Octets of a token at most.
const LENGTH_MAX: usize = 4096;
/// How far ahead the issuer's clock may be.
const LEEWAY_S: i64 = 30;
/// Octets of a shared secret at least: those of the hash (RFC 7518, 3.2).
const SECRET_MIN: usize = 32;
/// What stands before the 32 octets of an Ed25519 key in its `SubjectPublicKeyInfo` (RFC 8410, 4).
const ED25519_INFO: [u8; 12] = [
    0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// How tokens are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Ed25519 (RFC 8037): the issuer signs, the daemon may know the public key only.
    EdDsa,
    /// HMAC with SHA-256: issuer and daemon share a secret.
    Hs256,
}

impl Algorithm {
    /// Its name in tokens and in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Hs256 => "HS256",
        }
    }

    /// The algorithm of this name.
    pub fn parse(name: &str) -> Option<Self> {
        let all = [Self::EdDsa, Self::Hs256];
        all.into_iter().find(|one| one.name() == name)
    }
}

/// Why a key file cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// For HS256: too short.
    #[error("a secret for HS256 has at least 32 octets; make one with `openssl rand -hex 32`")]
    Short,
    /// For `EdDSA`: neither kind of PEM.
    #[error(
        "it holds no Ed25519 key in PEM; make one with `openssl genpkey -algorithm ed25519`, or \
         take its public half with `openssl pkey -pubout`"
    )]
    Pem,
}

/// Why a token lets nobody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not one of ours: its form, algorithm, signature, issuer, audience or claims.
    Wrong,
    /// It was good until a time that has passed.
    Expired,
}

/// Whose a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bearer {
    /// The user.
    pub user: UserId,
    /// Its organisation.
    pub org: OrgId,
}

/// Signs and checks tokens.
pub struct Tokens {
    issuer: Box<str>,
    audience: Box<str>,
    key: Key,
}

enum Key {
    Hs256(hmac::Key),
    /// The public key, and the pair if it is ours to sign.
    EdDsa(UnparsedPublicKey<Vec<u8>>, Option<Ed25519KeyPair>),
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    /// Whatever is critical is unknown here (RFC 7515, 4.1.11).
    crit: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    sub: Uuid,
    org: Uuid,
    iat: i64,
    exp: i64,
    nbf: Option<i64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Tokens {
    /// With a key as it stands in its file.
    ///
    /// # Errors
    /// [`KeyFault`].
    pub fn new(
        (issuer, audience): (&str, &str),
        algorithm: Algorithm,
        file: &[u8],
    ) -> Result<Self, KeyFault> {
        let key = match algorithm {
            Algorithm::Hs256 => {
                let secret = file.trim_ascii();
                if secret.len() < SECRET_MIN {
                    return Err(KeyFault::Short);
                }
                Key::Hs256(hmac::Key::new(hmac::HMAC_SHA256, secret))
            }
            Algorithm::EdDsa => ed25519(file)?,
        };
        Ok(Self {
            issuer: issuer.into(),
            audience: audience.into(),
            key,
        })
    }

    /// A token for a user, good for `life` (at most [`LIFE_MAX`]); `None`: only the public key is
    /// known here.
    pub fn sign(&self, bearer: Bearer, now: Timestamp, life: Duration) -> Option<SecretString> {
        let iat = now.0.div_euclid(1000);
        let life = i64::try_from(life.min(LIFE_MAX).as_secs()).unwrap_or_default();
        let header = json!({"alg": self.algorithm().name(), "typ": "JWT"});
        let claims = json!({
            "iss": self.issuer, "aud": self.audience, "sub": bearer.user.0, "org": bearer.org.0,
            "iat": iat, "exp": iat + life,
        });
        let encode = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature = match &self.key {
            Key::Hs256(key) => URL_SAFE_NO_PAD.encode(hmac::sign(key, signed.as_bytes())),
            Key::EdDsa(_, pair) => URL_SAFE_NO_PAD.encode(pair.as_ref()?.sign(signed.as_bytes())),
        };
        Some(format!("{signed}.{signature}").into())
    }

    /// Whose a token is, if it is good now.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn check(&self, token: &str, now: Timestamp) -> Result<Bearer, Fault> {
        let claims = self.verified(token).ok_or(Fault::Wrong)?;
        let claims: Claims = serde_json::from_slice(&claims).map_err(|_| Fault::Wrong)?;
        let for_us = match &claims.aud {
            Audience::One(audience) => **audience == *self.audience,
            Audience::Several(all) => all.iter().any(|audience| **audience == *self.audience),
        };
        let now = now.0.div_euclid(1000);
        let begun = claims.nbf.unwrap_or(claims.iat).max(claims.iat) <= now + LEEWAY_S;
        let life = claims.exp.checked_sub(claims.iat);
        let short = life.is_some_and(|life| (0..=LIFE_MAX.as_secs() as i64).contains(&life));
        if *claims.iss != *self.issuer || !for_us || !begun || !short {
            return Err(Fault::Wrong);
        }
        if claims.exp <= now {
            return Err(Fault::Expired);
        }
        Ok(Bearer {
            user: UserId(claims.sub),
            org: OrgId(claims.org),
        })
    }

    /// What a token says, if it is signed as it must be.
    fn verified(&self, token: &str) -> Option<Vec<u8>> {
        if token.len() > LENGTH_MAX {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header = URL_SAFE_NO_PAD.decode(header).ok()?;
        let header: Header = serde_json::from_slice(&header).ok()?;
        if header.alg != self.algorithm().name() || header.crit.is_some() {
            return None;
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        match &self.key {
            Key::Hs256(key) => hmac::verify(key, signed.as_bytes(), &signature),
            Key::EdDsa(public, _) => public.verify(signed.as_bytes(), &signature),
        }
        .ok()?;
        URL_SAFE_NO_PAD.decode(claims).ok()
    }

    const fn algorithm(&self) -> Algorithm {
        match &self.key {
            Key::Hs256(_) => Algorithm::Hs256,
            Key::EdDsa(..) => Algorithm::EdDsa,
        }
    }
}

/// Whether a text has the form of a token. No key has: its characters and dots are others.
pub fn is_token(text: &str) -> bool {
    text.starts_with("eyJ") && text.bytes().filter(|octet| *octet == b'.').count() == 2
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .field("algorithm", &self.algorithm())
            .finish_non_exhaustive()
    }
}

fn ed25519(file: &[u8]) -> Result<Key, KeyFault> {
    if let Ok(private) = PrivatePkcs8KeyDer::from_pem_slice(file) {
        // What openssl writes has no public key in it to be checked against.
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(private.secret_pkcs8_der());
        let pair = pair.map_err(|_| KeyFault::Pem)?;
        let public = pair.public_key().as_ref().to_vec();
        return Ok(Key::EdDsa(
            UnparsedPublicKey::new(&ED25519, public),
            Some(pair),
        ));
    }
    let public = SubjectPublicKeyInfoDer::from_pem_slice(file).map_err(|_| KeyFault::Pem)?;
    let public = public.strip_prefix(&ED25519_INFO).ok_or(KeyFault::Pem)?;
    if public.len() != 32 {
        return Err(KeyFault::Pem);
    }
    Ok(Key::EdDsa(
        UnparsedPublicKey::new(&ED25519, public.to_vec()),
        None,
    ))
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use secrecy::ExposeSecret;

    use super::*;

    const OURS: (&str, &str) = ("https://console.duka.tz", "mnara");
    const NOW: Timestamp = Timestamp(1_700_000_000_000);
    /// RFC 8037, A.1.
    const SEED: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
    const PUBLIC: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn pem(kind: &str, der: &[u8]) -> String {
        let text = STANDARD.encode(der);
        format!("-----BEGIN {kind}-----\n{text}\n-----END {kind}-----\n")
    }

    fn private() -> String {
        let head = [
            0x30, 0x2E, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x04, 0x22,
            0x04, 0x20,
        ];
        let seed = URL_SAFE_NO_PAD.decode(SEED).unwrap();
        pem("PRIVATE KEY", &[&head[..], &seed].concat())
    }

    fn public() -> String {
        let octets = URL_SAFE_NO_PAD.decode(PUBLIC).unwrap();
        pem("PUBLIC KEY", &[&ED25519_INFO[..], &octets].concat())
    }

    fn bearer() -> Bearer {
        Bearer {
            user: UserId(Uuid::from_u128(1)),
            org: OrgId(Uuid::from_u128(2)),
        }
    }

    fn all() -> [Tokens; 2] {
        let secret = "0123456789abcdef0123456789abcdef\n";
        [
            Tokens::new(OURS, Algorithm::EdDsa, private().as_bytes()).unwrap(),
            Tokens::new(OURS, Algorithm::Hs256, secret.as_bytes()).unwrap(),
        ]
    }

    fn signed(tokens: &Tokens, at: Timestamp) -> String {
        let token = tokens.sign(bearer(), at, LIFE_MAX).unwrap();
        token.expose_secret().to_owned()
    }

    #[test]
    fn the_examples_of_the_rfcs_are_verified() {
        let ed25519 = Tokens::new(OURS, Algorithm::EdDsa, public().as_bytes()).unwrap();
        let token = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnL\
                     WG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        let said = ed25519.verified(token).expect("RFC 8037, A.5");
        assert_eq!(said, b"Example of Ed25519 signing");
        let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1\
                   Z9CAow";
        let key = URL_SAFE_NO_PAD.decode(key).unwrap();
        let hs256 = Tokens::new(OURS, Algorithm::Hs256, &key).unwrap();
        let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4M\
                     TkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27\
                     uhbUJU1p1r_wW1gFWFOEjXk";
        assert!(hs256.verified(token).is_some(), "RFC 7515, A.1");
        assert!(ed25519.verified(token).is_none(), "the algorithm is pinned");
    }

    #[test]
    fn a_token_is_good_for_its_life_and_for_nobody_else() {
        for tokens in all() {
            let token = signed(&tokens, NOW);
            assert!(is_token(&token), "{token}");
            let at = |seconds: i64| tokens.check(&token, Timestamp(NOW.0 + seconds * 1000));
            assert_eq!(at(0), Ok(bearer()));
            assert_eq!(at(899), Ok(bearer()));
            assert_eq!(at(900), Err(Fault::Expired));
            assert_eq!(at(-30), Ok(bearer()), "clocks differ");
            assert_eq!(at(-31), Err(Fault::Wrong));
            for (place, _) in token.char_indices() {
                let mut changed = token.clone().into_bytes();
                changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
                let changed = String::from_utf8(changed).unwrap();
                assert_eq!(tokens.check(&changed, NOW), Err(Fault::Wrong), "{place}");
            }
        }
        let [eddsa, hs256] = all();
        assert_eq!(eddsa.check(&signed(&hs256, NOW), NOW), Err(Fault::Wrong));
        assert_eq!(hs256.check(&signed(&eddsa, NOW), NOW), Err(Fault::Wrong));
    }

    #[test]
    fn what_is_signed_for_others_or_for_too_long_lets_nobody_in() {
        let [_, tokens] = all();
        let Key::Hs256(key) = &tokens.key else {
            panic!("the other")
        };
        let iat = NOW.0 / 1000;
        let fine = json!({"iss": OURS.0, "aud": ["x", OURS.1], "sub": Uuid::from_u128(1),
            "org": Uuid::from_u128(2), "iat": iat, "exp": iat + 900});
        let with = |change: &dyn Fn(&mut serde_json::Value), header: &str| {
            let mut claims = fine.clone();
            change(&mut claims);
            let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
            let said = format!("{}.{}", encode(header), encode(&claims.to_string()));
            let signature = URL_SAFE_NO_PAD.encode(hmac::sign(key, said.as_bytes()));
            tokens.check(&format!("{said}.{signature}"), NOW)
        };
        let header = r#"{"alg":"HS256"}"#;
        assert_eq!(with(&|_| {}, header), Ok(bearer()));
        for (field, value) in [
            ("iss", json!("https://other.tz")),
            ("aud", json!("other")),
            ("aud", json!([])),
            ("exp", json!(iat + 901)),
            ("exp", json!(iat - 1)),
            ("iat", json!(i64::MIN)),
            ("nbf", json!(iat + 31)),
            ("sub", json!("asha")),
            ("org", json!(null)),
        ] {
            let told = with(&|claims| claims[field] = value.clone(), header);
            assert_eq!(told, Err(Fault::Wrong), "{field} {value}");
        }
        for header in [
            r#"{"alg":"none"}"#,
            r#"{"alg":"EdDSA"}"#,
            r#"{"alg":"HS256","crit":["exp"]}"#,
            "{}",
        ] {
            assert_eq!(with(&|_| {}, header), Err(Fault::Wrong), "{header}");
        }
    }

    #[test]
    fn nothing_that_is_sent_instead_of_a_token_is_taken_for_one() {
        for tokens in all() {
            let long = format!("eyJ{}.a.b", "x".repeat(LENGTH_MAX));
            for text in [
                "",
                ".",
                "..",
                "a.b.c",
                "eyJ.é.x",
                "eyJhbGciOiJub25lIn0..",
                &long,
            ] {
                assert_eq!(tokens.check(text, NOW), Err(Fault::Wrong), "{text:.20}");
            }
        }
        assert!(!is_token("sk_live_mw_8472910") && !is_token("eyJ") && !is_token("a.b.c"));
    }

    #[test]
    fn a_public_key_checks_and_signs_nothing_and_wrong_files_are_named() {
        let theirs = Tokens::new(OURS, Algorithm::EdDsa, private().as_bytes()).unwrap();
        let ours = Tokens::new(OURS, Algorithm::EdDsa, public().as_bytes()).unwrap();
        assert!(ours.sign(bearer(), NOW, LIFE_MAX).is_none());
        assert_eq!(ours.check(&signed(&theirs, NOW), NOW), Ok(bearer()));
        for (algorithm, file, fault) in [
            (Algorithm::Hs256, "too short", KeyFault::Short),
            (Algorithm::EdDsa, "", KeyFault::Pem),
            (
                Algorithm::EdDsa,
                "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
                KeyFault::Pem,
            ),
            (
                Algorithm::EdDsa,
                "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
                KeyFault::Pem,
            ),
        ] {
            let told = Tokens::new(OURS, algorithm, file.as_bytes());
            assert_eq!(told.err(), Some(fault), "{file}");
        }
        let shown = format!("{theirs:?}");
        assert!(shown.contains("EdDsa") && !shown.contains(SEED), "{shown}");
    }
}
