//! Lives here: a wire between the daemon and its server that loses a COMMIT or its answer.
//! Never here: what the daemon makes of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What becomes of the next COMMIT, and then of its connection: it is cut.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    /// It does not reach the server.
    Lost = 1,
    /// It reaches the server, and the answer is lost.
    Unanswered,
}

pub(super) struct Proxy {
    pub(super) port: u16,
    fate: Arc<AtomicU8>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    pub(super) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let fate = Arc::new(AtomicU8::new(0));
        let shared = Arc::clone(&fate);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut pipes = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                pipes.spawn(pipe(client, server, Arc::clone(&shared)));
            }
        });
        Self {
            port: own,
            fate,
            _tasks: tasks,
        }
    }

    pub(super) fn next_commit(&self, fate: Fate) {
        self.fate.store(fate as u8, Ordering::SeqCst);
    }
}

async fn pipe(mut client: TcpStream, mut server: TcpStream, fate: Arc<AtomicU8>) {
    let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(octets @ 1..) = read else { return };
                let commits = up[..octets].windows(8).any(|word| word == b"; commit");
                let fate = if commits { fate.swap(0, Ordering::SeqCst) } else { 0 };
                if fate == Fate::Lost as u8 {
                    return;
                }
                server.write_all(&up[..octets]).await.unwrap();
                if fate == Fate::Unanswered as u8 {
                    // The server has done its work once it begins to answer.
                    let _ = server.read(&mut down).await;
                    return;
                }
            }
            read = server.read(&mut down) => {
                let Ok(octets @ 1..) = read else { return };
                if client.write_all(&down[..octets]).await.is_err() {
                    return;
                }
            }
        }
    }
}
