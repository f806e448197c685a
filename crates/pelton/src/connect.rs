//! The one place that opens connections to the outside, and speaks HTTP/1.1 on them.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::Bytes;
use futures_util::future::{Either, select};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue, USER_AGENT};
use hyper_util::rt::TokioIo;
use pelton_engine::HttpError;
use pelton_model::EgressHost;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::egress::Cleared;

/// Connects to where [`Egress`](crate::egress::Egress) has cleared a request to, and nowhere else.
pub struct Connector {
    tls: Arc<rustls::ClientConfig>,
}

/// An open connection, encrypted where the scheme says so.
pub type Connection = Box<dyn Io>;

pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A response that has begun, and what has to be polled for the rest of the bodies to move.
pub struct Begun {
    pub response: hyper::Response<Incoming>,
    pub connection: Pin<Box<dyn Future<Output = ()> + Send>>,
}

pub const AGENT: &str = concat!("Pelton/", env!("CARGO_PKG_VERSION"));
/// Below this hyper does not go.
const HEADER_BYTES_MIN: usize = 8_192;

impl Connector {
    /// # Errors
    /// Where TLS cannot be set up.
    pub fn new() -> Result<Self, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| error.to_string())?;
        let mut roots = rustls::RootCertStore::empty();
        // A machine without certificates can still reach what needs none.
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "some of the machine's root certificates could not be read");
        }
        let (added, ignored) = roots.add_parsable_certificates(found.certs);
        tracing::debug!(added, ignored, "root certificates of the machine");
        Ok(Self { tls: Arc::new(builder.with_root_certificates(roots).with_no_client_auth()) })
    }

    /// Opens a connection of its own: one that is kept would go on to an address that is not allowed any more.
    ///
    /// # Errors
    /// [`HttpError::Unreachable`] or [`HttpError::Tls`].
    pub async fn connect(&self, cleared: &Cleared) -> Result<Connection, HttpError> {
        let stream = TcpStream::connect(cleared.addresses.as_slice()).await.map_err(|error| HttpError::Unreachable(error.to_string()))?;
        if !matches!(cleared.request.scheme.as_str(), "https" | "wss") {
            return Ok(Box::new(stream));
        }
        let name = match &cleared.request.host {
            EgressHost::Name(name) => ServerName::try_from(name.clone()).map_err(|error| HttpError::Tls(error.to_string()))?,
            EgressHost::Address(address) => ServerName::from(*address),
        };
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(&self.tls));
        let stream = connector.connect(name, stream).await.map_err(|error| HttpError::Tls(error.to_string()))?;
        Ok(Box::new(stream))
    }
}

/// Sends a request and waits for the response to begin. Its headers must not have more than `header_bytes_max`.
///
/// # Errors
/// [`HttpError`]
pub async fn begin<B>(
    connection: Connection,
    cleared: &Cleared,
    mut request: hyper::Request<B>,
    header_bytes_max: usize,
) -> Result<Begun, HttpError>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    address(cleared, &mut request)?;
    let mut builder = http1::Builder::new();
    builder.max_buf_size(header_bytes_max.max(HEADER_BYTES_MIN));
    let failure = |error: hyper::Error| failure(&error, header_bytes_max);
    let (mut sender, connection) = builder.handshake(TokioIo::new(connection)).await.map_err(failure)?;
    let (sending, connection) = (Box::pin(sender.send_request(request)), Box::pin(connection));
    let (response, connection) = match select(sending, connection).await {
        Either::Left((response, connection)) => (response, Some(connection)),
        // What it ended with is the response's error, or the response is there.
        Either::Right((_, sending)) => (sending.await, None),
    };
    let connection = Box::pin(async move {
        if let Some(connection) = connection
            && let Err(error) = connection.await
        {
            tracing::debug!(%error, "a connection ended early, which its body tells");
        }
    });
    Ok(Begun { response: response.map_err(failure)?, connection })
}

/// The response's body with errors of its own.
pub fn body(incoming: Incoming, header_bytes_max: usize) -> impl Body<Data = Bytes, Error = HttpError> {
    incoming.map_err(move |error| failure(&error, header_bytes_max))
}

/// What goes over the wire: the target without scheme and authority, and the host that was cleared.
fn address<B>(cleared: &Cleared, request: &mut hyper::Request<B>) -> Result<(), HttpError> {
    // Written out, one that begins with a query gets its slash.
    let target = request.uri().path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
    *request.uri_mut() = target.parse().map_err(|error| HttpError::Protocol(format!("the request's target: {error}")))?;
    let (host, port) = (&cleared.request.host, cleared.request.port);
    let is_default = matches!((cleared.request.scheme.as_str(), port), ("http" | "ws", 80) | ("https" | "wss", 443));
    let host = if is_default { host.to_string() } else { format!("{host}:{port}") };
    let host = HeaderValue::try_from(host).map_err(|error| HttpError::Protocol(error.to_string()))?;
    request.headers_mut().insert(HOST, host);
    request.headers_mut().entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
    Ok(())
}

fn failure(error: &hyper::Error, header_bytes_max: usize) -> HttpError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        // The request's own body said so.
        if let Some(own) = error.downcast_ref::<HttpError>() {
            return own.clone();
        }
        cause = error.source();
    }
    if error.is_parse_too_large() {
        return HttpError::ResponseHeadersTooLarge { max: header_bytes_max };
    }
    if error.is_parse() {
        return HttpError::Protocol(chain(error));
    }
    HttpError::Incomplete
}

/// An error with what caused it.
fn chain(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use pelton_model::EgressRequest;

    #[test]
    fn a_request_is_for_the_host_that_was_cleared_whatever_it_says_itself() {
        for (uri, target) in [("http://a.example?q=1", "/?q=1"), ("http://a.example", "/"), ("http://other.example/x/../y?q", "/x/../y?q")]
        {
            let host = EgressRequest::new("GET", "http", url::Host::Domain("A.example."), 8080);
            let cleared = Cleared { request: host, addresses: Vec::new() };
            let mut request = hyper::Request::get(uri).header(HOST, "other.example").header(HOST, "third.example").body(()).unwrap();
            address(&cleared, &mut request).unwrap();
            assert_eq!(request.uri().to_string(), target, "{uri}");
            assert_eq!(request.headers().get_all(HOST).iter().collect::<Vec<_>>(), ["a.example:8080"]);
        }
    }
}
