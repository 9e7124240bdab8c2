//! Lives here: tests of the keys about who calls.
//! Never here: tests of the rest.

use super::*;

#[test]
fn proxies_and_users_tokens_are_checked_when_they_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let (key, short) = (folder.path().join("jwt.key"), folder.path().join("short"));
    std::fs::write(&key, "0123456789abcdef0123456789abcdef\n").unwrap();
    std::fs::write(&short, "hidden").unwrap();
    let with = |api: &str, jwt: &str| {
        let api = format!("[api]\n{api}\n");
        check(&format!("{}\n{jwt}", BASE.replacen("[api]\n", &api, 1)))
    };
    let jwt = |issuer: &str, algorithm: &str, key: &Path| {
        let key = key.display();
        format!(
            "[api.jwt]\nissuer = \"{issuer}\"\naudience = \"mnara\"\nalgorithm = \"{algorithm}\"\n\
             key_file = \"{key}\"\n"
        )
    };
    let config = with(
        "trusted_proxies = [\"10.0.0.0/8\", \"::1\"]",
        &jwt("https://x", "HS256", &key),
    )
    .unwrap();
    assert_eq!(config.api.proxies.len(), 2);
    let shown = format!("{:?}", config.api.tokens.as_ref().unwrap());
    assert!(
        shown.contains("Hs256") && !shown.contains("0123"),
        "{shown}"
    );
    assert!(with("", "").unwrap().api.tokens.is_none());
    for (api, jwt, said) in [
        (
            "trusted_proxies = [\"10.0.0.0/33\"]",
            String::new(),
            "api.trusted_proxies takes",
        ),
        ("", jwt("", "HS256", &key), "api.jwt.issuer is empty"),
        (
            "",
            jwt("x", "none", &key),
            "api.jwt.algorithm must be EdDSA or HS256",
        ),
        (
            "",
            jwt("x", "EdDSA", &key),
            "it holds no Ed25519 key in PEM",
        ),
        ("", jwt("x", "HS256", &short), "at least 32 octets"),
        (
            "",
            jwt("x", "HS256", &folder.path().join("none")),
            "No such file",
        ),
        (
            "",
            jwt("x", "HS256", &key) + "secret = 1\n",
            "unknown field `secret`",
        ),
    ] {
        let error = with(api, &jwt).unwrap_err().to_string();
        assert!(error.contains(said) && !error.contains("hidden"), "{error}");
    }
}
