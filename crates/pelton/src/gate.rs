//! The requests that processors send: as far as operator and processor allow, with secrets put in on the way out and masked on the way back.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use hyper::{Method, Response};
use pelton_engine::{BoxFuture, Errand, Gate, HttpBody, HttpError, HttpRequest, HttpResponse, Reveal};
use pelton_model::{EgressHost, EgressRules, Slug, TenantName};
use tokio::sync::Semaphore;
use tokio::time::Sleep;
use url::Url;

use crate::connect::{self, Begun, Connector};
use crate::egress::{Cleared, Denied, Egress, Sender};
use crate::mask::{Masked, Masker};
use crate::placeholder::{Piece, pieces};

/// What the requests of one processor go through.
pub struct ProcessorGate(Arc<Parts>);

struct Parts {
    egress: Arc<Egress>,
    connector: Arc<Connector>,
    tenant: TenantName,
    own: EgressRules,
    secrets: Reveal,
    connections: Arc<Semaphore>,
}

impl ProcessorGate {
    pub fn new(egress: Arc<Egress>, connector: Arc<Connector>, errand: Errand) -> Self {
        let Errand { tenant, egress: own, secrets, connections } = errand;
        Self(Arc::new(Parts { egress, connector, tenant, own, secrets, connections }))
    }
}

impl Gate for ProcessorGate {
    fn send(&self, request: HttpRequest) -> BoxFuture<'static, Result<HttpResponse, HttpError>> {
        let parts = Arc::clone(&self.0);
        Box::pin(async move { parts.send(request).await })
    }
}

impl Parts {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let HttpRequest { mut request, connect_timeout, first_byte_timeout, between_bytes_timeout, header_bytes_max } = request;
        if request.method() == Method::CONNECT {
            return Err(HttpError::Denied("CONNECT makes a tunnel, not a request".to_owned()));
        }
        let url = Url::parse(&request.uri().to_string()).map_err(|error| HttpError::Denied(format!("its URL: {error}")))?;
        let millis_max = millis(connect_timeout);
        let opening = async {
            // Held until the connection has ended, however it does: open files are what all tenants of a host share.
            let place = Arc::clone(&self.connections).acquire_owned().await.map_err(|error| HttpError::Unreachable(error.to_string()))?;
            let sender = Sender { tenant: &self.tenant, own: Some(&self.own) };
            let cleared = self.egress.clear(sender, request.method().as_str(), &url).await.map_err(denied)?;
            let revealed = self.put_secrets_in(request.headers_mut(), &cleared, header_bytes_max)?;
            Ok::<_, HttpError>((self.connector.connect(&cleared).await?, place, cleared, revealed))
        };
        let opened = tokio::time::timeout(connect_timeout, opening).await;
        let (connection, place, cleared, revealed) = opened.map_err(|_| HttpError::ConnectTimeout { millis_max })??;
        let begun = tokio::time::timeout(first_byte_timeout, connect::begin(connection, &cleared, request, header_bytes_max)).await;
        let Begun { response, connection } = begun.map_err(|_| HttpError::ResponseTimeout { millis_max: millis(first_byte_timeout) })??;
        let response = response.map(|incoming| {
            let body = Impatient::new(connect::body(incoming, header_bytes_max).boxed_unsync(), between_bytes_timeout);
            body.boxed_unsync()
        });
        let connection = Box::pin(async move {
            connection.await;
            drop(place);
        });
        Ok(HttpResponse { response: mask(response, &revealed)?, connection })
    }

    /// Puts values in the place of placeholders. Returns what was put in.
    fn put_secrets_in(&self, headers: &mut HeaderMap, cleared: &Cleared, bytes_max: usize) -> Result<Vec<Vec<u8>>, HttpError> {
        let mut opened = BTreeMap::new();
        let mut bytes = 0;
        for (name, value) in headers.iter_mut() {
            let found = pieces(value.as_bytes()).map_err(|problem| HttpError::Denied(format!("header {name}: {problem}")))?;
            bytes += name.as_str().len();
            if !found.iter().any(|piece| matches!(piece, Piece::Secret(_))) {
                bytes += value.len();
                continue;
            }
            let mut filled = Vec::new();
            for piece in found {
                match piece {
                    Piece::Text(text) => filled.extend_from_slice(text),
                    Piece::Secret(name) => filled.extend_from_slice(self.open(name, cleared, &mut opened)?),
                }
                if bytes + filled.len() > bytes_max {
                    return Err(HttpError::RequestHeadersTooLarge { max: bytes_max, found: bytes + filled.len() });
                }
            }
            bytes += filled.len();
            *value = HeaderValue::try_from(filled).map_err(|_| {
                HttpError::Denied(format!("header {name}: the secret in it holds characters that a header cannot, such as a line break"))
            })?;
            value.set_sensitive(true);
        }
        if !opened.is_empty() {
            // Nothing that comes back may be coded such that a secret cannot be seen in it.
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        Ok(opened.into_values().collect())
    }

    fn open<'a>(&self, name: Slug, cleared: &Cleared, opened: &'a mut BTreeMap<Slug, Vec<u8>>) -> Result<&'a [u8], HttpError> {
        if !opened.contains_key(&name) {
            let denied = |problem: String| HttpError::Denied(format!("secret {name}: {problem}"));
            let found = (self.secrets)(&name).map_err(|error| denied(error.to_string()))?;
            let secret = found.ok_or_else(|| denied("the tenant has none of this name".to_owned()))?;
            let host = cleared.request.host.to_string();
            if !secret.hosts.iter().any(|pattern| covers(pattern, &cleared.request.host)) {
                let hosts = if secret.hosts.is_empty() { "no host".to_owned() } else { secret.hosts.join(", ") };
                return Err(denied(format!("it may be sent to {hosts}, and not to {host}")));
            }
            opened.insert(name.clone(), secret.value);
        }
        Ok(&opened[&name])
    }
}

/// `*.example.com` is all names below it.
fn covers(pattern: &str, host: &EgressHost) -> bool {
    let host = host.to_string();
    match pattern.strip_prefix("*.") {
        Some(above) => host.strip_suffix(above).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        None => host == pattern,
    }
}

/// The response without the values that were sent.
fn mask(mut response: Response<HttpBody>, revealed: &[Vec<u8>]) -> Result<Response<HttpBody>, HttpError> {
    if revealed.is_empty() {
        return Ok(response);
    }
    let mut masker = Masker::new(revealed);
    for (name, plain) in [(CONTENT_ENCODING, "identity"), (TRANSFER_ENCODING, "chunked")] {
        let coded = response.headers().get_all(name).iter().find(|value| !value.as_bytes().eq_ignore_ascii_case(plain.as_bytes()));
        if let Some(coding) = coded {
            let masked = masker.all(coding.as_bytes());
            return Err(HttpError::ContentCoding(String::from_utf8_lossy(&masked).chars().take(100).collect()));
        }
    }
    for value in response.headers_mut().values_mut() {
        let masked = HeaderValue::try_from(masker.all(value.as_bytes()));
        *value = masked.map_err(|error| HttpError::Protocol(error.to_string()))?;
    }
    Ok(response.map(|body| Masked::new(body, masker).boxed_unsync()))
}

fn denied(denied: Denied) -> HttpError {
    match denied {
        Denied::Unresolved { .. } => HttpError::Unresolved(denied.to_string()),
        Denied::Url(_) | Denied::NoRule { .. } | Denied::NotOwn { .. } | Denied::PrivateAddress { .. } => {
            HttpError::Denied(denied.to_string())
        }
    }
}

/// A body that ends in an error where nothing of it comes for too long while somebody waits.
struct Impatient {
    body: HttpBody,
    timeout: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Impatient {
    fn new(body: HttpBody, timeout: Duration) -> Self {
        Self { body, timeout, waiting: None }
    }
}

impl Body for Impatient {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.waiting = None;
            return Poll::Ready(frame);
        }
        let timeout = self.timeout;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        waiting.as_mut().poll(context).map(|()| Some(Err(HttpError::ReadTimeout { millis_max: millis(timeout) })))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;

    fn answer(headers: &[(&str, &str)], value: &str) -> Result<Response<HttpBody>, HttpError> {
        let body = http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync();
        let mut response = Response::new(body);
        for (name, value) in headers {
            response.headers_mut().append(hyper::header::HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        mask(response, &[value.as_bytes().to_vec()])
    }

    #[test]
    fn a_value_that_comes_back_as_a_coding_is_not_told() {
        for name in ["content-encoding", "transfer-encoding"] {
            let refused = answer(&[(name, "s3cret")], "s3cret").err();
            assert_eq!(refused, Some(HttpError::ContentCoding("******".to_owned())));
        }
    }

    #[tokio::test]
    async fn a_connection_has_its_place_until_it_has_ended() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let rule = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nit goes on").await.unwrap();
                open.push(stream);
            }
        });
        let connections = Arc::new(Semaphore::new(1));
        let errand = Errand {
            tenant: TenantName::new("acme").unwrap(),
            egress: EgressRules::everything(),
            secrets: Arc::new(|_| Ok(None)),
            connections: Arc::clone(&connections),
        };
        let egress = Egress::new(vec![rule.parse().unwrap()]);
        let gate = ProcessorGate::new(Arc::new(egress), Arc::new(Connector::new().unwrap()), errand);
        let send = || {
            let body = http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync();
            gate.send(HttpRequest {
                request: hyper::Request::get(&rule).body(body).unwrap(),
                connect_timeout: Duration::MAX,
                first_byte_timeout: Duration::MAX,
                between_bytes_timeout: Duration::MAX,
                header_bytes_max: 1_000,
            })
        };
        let first = send().await.ok().unwrap();
        assert_eq!(connections.available_permits(), 0);
        let mut second = send();
        assert!(futures_util::FutureExt::now_or_never(&mut second).is_none());
        drop(first);
        assert!(second.await.is_ok());
        assert_eq!(connections.available_permits(), 1);
    }
}
