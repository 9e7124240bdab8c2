//! Lives here: PostgreSQL for a scenario: a database on the server that all tests share, or a server of its own that may
//! be stopped and killed. Never here: what the daemon makes of it.
//!
//! A world on PostgreSQL is `Plan::simple().stored_at(&database.url())`; what it is stored in must outlive it.

use std::sync::{Arc, Mutex, PoisonError};

use mnara_privatepg::{Blow, Database, Durability, Error, Server, Stop};
use tokio::task::spawn_blocking;

/// A fresh database on the server of `DATABASE_URL`, dropped with its handle.
pub(crate) fn database() -> Database {
    Database::fresh().unwrap_or_else(|error| panic!("{error}"))
}

/// A server of its own with one database. It is gone when dropped.
pub(crate) struct OwnServer {
    server: Arc<Mutex<Server>>,
    /// The database.
    pub(crate) url: String,
}

impl OwnServer {
    /// Starts one.
    pub(crate) async fn start() -> Self {
        let start = || {
            let server = Server::start(Durability::Fast)?;
            let url = server.create_database("mnara")?;
            Ok((server, url))
        };
        let (server, url) = apart(start).await;
        Self {
            server: Arc::new(Mutex::new(server)),
            url,
        }
    }

    /// Stops it and waits for its end.
    pub(crate) async fn stop(&self, how: Stop) {
        self.change(move |server| server.stop(how)).await;
    }

    /// SIGKILL, and waits until no process of it is left.
    pub(crate) async fn kill9(&self, blow: Blow) {
        self.change(move |server| server.kill9(blow)).await;
    }

    /// Starts it again where it was, and waits until it lets sessions in.
    pub(crate) async fn restart(&self) {
        self.change(Server::restart).await;
    }

    async fn change(&self, work: impl FnOnce(&mut Server) -> Result<(), Error> + Send + 'static) {
        let server = Arc::clone(&self.server);
        apart(move || work(&mut server.lock().unwrap_or_else(PoisonError::into_inner))).await;
    }
}

/// Away from the scenario's threads, where simulators and webhook receiver work meanwhile.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> T {
    let done = spawn_blocking(work).await.unwrap();
    done.unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test]
async fn a_scenario_has_a_database_of_its_own_and_a_server_that_it_may_kill() {
    let (one, other) = (database(), database());
    one.run("CREATE TABLE t (n int)").unwrap();
    let tables = "SELECT count(*) FROM pg_tables WHERE tablename = 't'";
    assert_eq!(other.run(tables).unwrap(), "0\n");

    let own = OwnServer::start().await;
    for blow in [Blow::Postmaster, Blow::Everything] {
        own.kill9(blow).await;
        assert!(Database::on(&own.url).is_err());
        own.restart().await;
        Database::on(&own.url).unwrap();
    }
    own.stop(Stop::Fast).await;
    assert!(Database::on(&own.url).is_err());
}
