//! From a listening socket to requests: how many connections, how long a client may take for its headers, and how it all ends.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::http::{Connection, stops};

/// What is asked of clients.
#[derive(Debug, Clone, Copy)]
pub struct Manners {
    /// How long the headers of a request may take, and how long a connection may be idle between two requests.
    pub header_timeout: Duration,
    /// Connections at a time. Beyond it the next ones wait, not accepted, until one ends.
    pub connections_max: u32,
}

const HEADERS_MAX: usize = 100;
/// Bytes of a request's headers, and what of a body is read ahead. More of them is answered with 431.
const BUFFER_BYTES_MAX: usize = 64 << 10;
/// After an error that concerns the listener and not one connection, such as too many open files, this long nothing is accepted.
const PAUSE: Duration = Duration::from_millis(500);

/// Serves until `stopping` becomes true and then until every connection has ended.
pub async fn serve(listener: TcpListener, app: Router, manners: Manners, mut stopping: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(manners.connections_max as usize));
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(manners.header_timeout).max_headers(HEADERS_MAX).max_buf_size(BUFFER_BYTES_MAX);
    let ended = stopping.clone();
    loop {
        tokio::select! {
            (stream, place) = accept(&listener, &places) => {
                tokio::spawn(connection(stream, server.clone(), app.clone(), Connection(Arc::new(place)), ended.clone()));
            }
            () = stops(&mut stopping) => break,
        }
    }
    drop(listener);
    if places.acquire_many(manners.connections_max).await.is_err() {
        tracing::debug!("the places were closed");
    }
}

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    loop {
        let Ok(place) = Arc::clone(places).acquire_owned().await else { return std::future::pending().await };
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            Err(error) if is_of_one_connection(&error) => tracing::debug!(%error, "a connection was gone before it was accepted"),
            Err(error) => {
                tracing::error!(%error, "no connection could be accepted; trying again soon");
                drop(place);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionRefused | ConnectionAborted | ConnectionReset)
}

async fn connection(stream: TcpStream, server: http1::Builder, app: Router, held: Connection, mut stopping: watch::Receiver<bool>) {
    // An answer is small and wanted at once.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    let peer = stream.peer_addr().ok();
    let app = TowerToHyperService::new(app);
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(held.clone());
        app.call(request)
    });
    let mut connection = std::pin::pin!(server.serve_connection(TokioIo::new(stream), service).with_upgrades());
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stops(&mut stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, peer = %peer.map_or_else(String::new, |peer: SocketAddr| peer.to_string()), "a connection ended");
    }
}
