//! Lives here: asking the daemon how messages ended, over its API. Never here: load.

use std::{collections::HashMap, io, net::SocketAddr, time::Duration};

use serde::Deserialize;
use tokio::{net::TcpStream, task::JoinSet};
use uuid::Uuid;

use super::{ProfileError, stage::Stage};
use crate::http;

/// Connections that ask at a time.
const CONNECTIONS: usize = 8;

/// An answer may take this long.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// What the API says of a message.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Told {
    /// `delivered`, `undelivered`, `uncertain`, …
    pub(super) status_detail: String,
    pub(super) possible_duplicate: bool,
}

#[derive(Deserialize)]
struct Answer {
    data: Told,
}

impl Stage<'_> {
    /// What the API says of each of these; a message it does not know is missing.
    pub(super) async fn told(
        &self,
        key: &str,
        ids: &[Uuid],
    ) -> Result<HashMap<Uuid, Told>, ProfileError> {
        let mut asking = JoinSet::new();
        for some in ids.chunks(ids.len().div_ceil(CONNECTIONS).max(1)) {
            asking.spawn(ask(self.api, key.to_owned(), some.to_vec()));
        }
        let mut told = HashMap::with_capacity(ids.len());
        while let Some(some) = asking.join_next().await {
            told.extend(some.map_err(io::Error::other)??);
        }
        Ok(told)
    }
}

async fn ask(addr: SocketAddr, key: String, ids: Vec<Uuid>) -> io::Result<Vec<(Uuid, Told)>> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let mut told = Vec::with_capacity(ids.len());
    for id in ids {
        let path = format!("/v1/messages/{id}");
        let request = http::request("GET", addr, &path, Some(&key), b"");
        let (status, body) = http::exchange(&mut stream, &request, ANSWER_MAX).await?;
        match status {
            200 => told.push((id, serde_json::from_slice::<Answer>(&body)?.data)),
            404 => {}
            other => return Err(io::Error::other(format!("/v1/messages answered {other}"))),
        }
    }
    Ok(told)
}
