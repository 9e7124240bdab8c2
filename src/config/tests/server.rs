//! Lives here: tests of what a database that is a server's is configured by.
//! Never here: tests of the rest.

use secrecy::ExposeSecret;

use super::*;

#[test]
fn a_server_s_url_may_come_from_the_environment_and_its_password_from_a_file_and_neither_is_shown()
{
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "hidden one\n").unwrap();
    let section = "url = \"sqlite:data/mnara.db\"";
    let named = format!(
        "url = \"postgres://mnara@[::1]:1/mnara?sslmode=verify-full\"\npassword_file = \"{}\"",
        file.display()
    );
    let config = check(&BASE.replacen(section, &named, 1)).unwrap();
    let password = config.store.password_file.as_ref().unwrap().read().unwrap();
    assert_eq!(password.expose_secret(), "hidden one");
    assert_eq!(config.admin.token_path, Path::new("data/admin.token"));
    assert!(!format!("{config:?}").contains("hidden"));

    let url = "postgresql://mnara:hidden%20two@127.0.0.1/mnara".to_owned();
    let environment = [("MNARA__STORE__URL".to_owned(), url.clone())];
    let config = parse(BASE, Path::new("mnara.toml"), environment.clone()).unwrap();
    assert_eq!(config.store.url, url);
    assert!(!format!("{config:?}").contains("hidden"));
    let admin = parse_admin(BASE, Path::new("mnara.toml"), environment).unwrap();
    assert_eq!(admin.token_path, config.admin.token_path);
}

#[test]
fn a_database_that_cannot_be_named_so_is_refused_and_no_password_is_shown() {
    for (named, told) in [
        (
            "url = \"mysql:x\"",
            "mnara.toml:6:7: [store] url cannot be used: it begins neither with sqlite: nor with",
        ),
        (
            "url = \"sqlite:\"",
            "mnara.toml:6:7: store.url must be sqlite: and a file's path",
        ),
        (
            "url = \"sqlite:data/mnara.db\"\npassword_file = \"pw\"",
            "mnara.toml:7:17: store.password_file goes with a postgres:// url",
        ),
        (
            "url = \"postgres://mnara@db/mnara\"\npassword_file = \"/nowhere/pw\"",
            "mnara.toml:7:17: the password of [store] password_file cannot be read: /nowhere/pw: No such file",
        ),
        (
            "url = \"postgres://mnara@db/mnara\"\npassword_file = \"/dev/null\"",
            "mnara.toml:7:17: the password of [store] password_file cannot be read: /dev/null: its first line is empty",
        ),
        (
            "url = \"postgres://mnara:hidden@db/mnara\"\npassword_file = \"/dev/null\"",
            "mnara.toml:7:17: store.url holds a password and store.password_file names one",
        ),
        (
            "url = \"postgres://mnara@db/mnara?sslrootcert=/nowhere/ca\"",
            "mnara.toml:6:7: [store] url cannot be used: sslrootcert names /nowhere/ca",
        ),
        (
            "url = \"postgres://mnara:5432/hidden@db/mnara\"",
            "mnara.toml:6:7: [store] url cannot be used: the name of its database holds an @",
        ),
        (
            "url = \"postgres://mnara:hidden@db:port/mnara\"",
            "mnara.toml:6:7: [store] url cannot be used: ",
        ),
        (
            "url = \"postgres://mnara@db/mnara?pasword=hidden\"",
            "mnara.toml:6:7: [store] url cannot be used: it has a parameter that is none of",
        ),
    ] {
        let text = BASE.replacen("url = \"sqlite:data/mnara.db\"", named, 1);
        let error = check(&text).unwrap_err().to_string();
        assert!(error.starts_with(told), "{error}");
        assert!(!error.contains("hidden"), "{error}");
    }
}
