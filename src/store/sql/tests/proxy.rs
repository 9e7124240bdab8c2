//! Lives here: wires between the daemon and its server: one that loses a COMMIT or its answer, one
//! that asks for a password.
//! Never here: what the daemon makes of it.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

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

/// A wire that lets in who knows the password, in the server's stead: a server of tests asks nobody.
pub(super) struct Gate {
    pub(super) port: u16,
    password: Arc<Mutex<String>>,
    _tasks: JoinSet<()>,
}

impl Gate {
    pub(super) async fn to(port: u16, password: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let password = Arc::new(Mutex::new(password.to_owned()));
        let shared = Arc::clone(&password);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut sessions = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                sessions.spawn(guard(client, port, Arc::clone(&shared)));
            }
        });
        Self {
            port: own,
            password,
            _tasks: tasks,
        }
    }

    /// From now on this is the password.
    pub(super) fn wants(&self, password: &str) {
        *self.password.lock().unwrap() = password.to_owned();
    }
}

/// The protocol's start, by its manual ("Message Formats"): lengths count themselves.
async fn guard(mut client: TcpStream, port: u16, password: Arc<Mutex<String>>) {
    const SSL_REQUEST: u32 = 80_877_103;
    let startup = loop {
        let length = client.read_u32().await.unwrap();
        let mut rest = vec![0; length as usize - 4];
        client.read_exact(&mut rest).await.unwrap();
        if rest != SSL_REQUEST.to_be_bytes() {
            break [&length.to_be_bytes()[..], &rest].concat();
        }
        client.write_all(b"N").await.unwrap();
    };
    // Its password in clear, please.
    client.write_all(b"R\0\0\0\x08\0\0\0\x03").await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), b'p');
    let length = client.read_u32().await.unwrap();
    let mut given = vec![0; length as usize - 4];
    client.read_exact(&mut given).await.unwrap();
    let wanted = format!("{}\0", password.lock().unwrap());
    if given != wanted.as_bytes() {
        let fields = b"SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed\0L334\0\0";
        let length = u32::try_from(fields.len() + 4).unwrap();
        let refusal = [b"E", &length.to_be_bytes()[..], fields].concat();
        client.write_all(&refusal).await.unwrap();
        return;
    }
    let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    server.write_all(&startup).await.unwrap();
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}
