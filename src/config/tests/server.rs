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
