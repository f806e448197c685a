//! Outgoing HTTP of `after-append`: `wasi:http`, counted, bounded, and handed to a [`Gate`], which knows what may leave the host and how.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use pelton_model::Quotas;
use tokio::sync::watch;
use tracing::Level;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{RequestOptions, WasiBody, WasiHttpHooks, WasiHttpView as _};

use crate::host::Host;
use crate::log::Log;

/// Sends requests of processors, as far as they are allowed.
pub trait Gate: Send + Sync {
    /// Everything that belongs to the request, its connection too, lives no longer than the future, and after it than what it returned.
    fn send(&self, request: HttpRequest) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send>>;
}

/// A gate that nothing passes.
#[derive(Debug, Clone, Copy)]
pub struct Shut;

/// The body of a request or response. The size of all bodies of a call is bounded here.
pub type HttpBody = UnsyncBoxBody<Bytes, HttpError>;

/// A request with an absolute URI, and what it may take.
pub struct HttpRequest {
    pub request: http::Request<HttpBody>,
    /// From looking up the name until the connection, TLS included, is there.
    pub connect_timeout: Duration,
    /// From then on until the response begins.
    pub first_byte_timeout: Duration,
    pub between_bytes_timeout: Duration,
    /// Of the response's headers.
    pub header_bytes_max: usize,
}

/// A response that has begun.
pub struct HttpResponse {
    pub response: http::Response<HttpBody>,
    /// Has to be polled for the rest of the bodies to move.
    pub connection: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// Why a request failed. The guest gets the matching `error-code`, the log the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// It may not leave the host, or not like this.
    #[error("denied: {0}")]
    Denied(String),
    #[error("the name cannot be resolved: {0}")]
    Unresolved(String),
    #[error("no connection: {0}")]
    Unreachable(String),
    #[error("no connection within {millis_max} ms")]
    ConnectTimeout { millis_max: u64 },
    #[error("TLS: {0}")]
    Tls(String),
    #[error("no response within {millis_max} ms")]
    ResponseTimeout { millis_max: u64 },
    #[error("nothing more of the response within {millis_max} ms")]
    ReadTimeout { millis_max: u64 },
    #[error("the connection was closed before the response was complete")]
    Incomplete,
    #[error("the request bodies of one call may have {max} bytes together")]
    RequestTooLarge { max: u64 },
    #[error("the response bodies of one call may have {max} bytes together")]
    ResponseTooLarge { max: u64 },
    #[error("the headers of the request have {found} bytes, the limit is {max}")]
    RequestHeadersTooLarge { max: usize, found: usize },
    #[error("the headers of the response have more than {max} bytes, or are more than 100")]
    ResponseHeadersTooLarge { max: usize },
    /// A coding in which a secret could come back unseen.
    #[error("the response to a request with a secret is coded as {0:?}, although `identity` was asked for")]
    ContentCoding(String),
    #[error("not the HTTP that was expected: {0}")]
    Protocol(String),
    /// The call of `after-append` has ended.
    #[error("the call that sent the request has ended")]
    Ended,
}

impl Gate for Shut {
    fn send(&self, _request: HttpRequest) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send>> {
        Box::pin(async { Err(HttpError::Denied("no HTTP request may be sent from here".to_owned())) })
    }
}

/// Links `wasi:http` for `after-append`.
pub(crate) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    linker.allow_shadowing(true);
    // The original does not know the errors that a response's body ends with.
    linker.instance("wasi:http/types@0.2.12")?.func_wrap(
        "http-error-code",
        |mut store: StoreContextMut<'_, Host>, (error,): (Resource<wasmtime::Error>,)| {
            let host = store.data_mut().http();
            Ok((host.table.get(&error)?.downcast_ref().map(body_error_code),))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Links the types of `wasi:http`, so that a component which imports it loads. Sending is for the caller to forbid.
pub(crate) fn add_to_pure_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    wasmtime_wasi_http::p2::add_only_http_to_linker_sync(linker)
}

/// The host's side of `wasi:http` in one instance.
pub(crate) struct Outgoing {
    /// Absent outside of `after-append`.
    call: Option<Call>,
    log: Log,
}

/// What one call of `after-append` may send, and what is left of it.
struct Call {
    gate: Arc<dyn Gate>,
    requests_max: usize,
    requests: usize,
    header_bytes_max: usize,
    request_bytes: Allowance,
    response_bytes: Allowance,
    connect_timeout: Duration,
    silence_timeout: Duration,
    /// Dropped with the call, which ends everything that it began.
    _ends: watch::Sender<()>,
    ended: watch::Receiver<()>,
}

/// Bytes that all bodies of a call share.
#[derive(Clone)]
struct Allowance {
    left: Arc<AtomicU64>,
    max: u64,
}

type Sent<T> = Box<dyn Future<Output = Result<T, wasmtime_wasi_http::Error>> + Send>;
type Connection = Box<dyn Future<Output = Result<(), wasmtime_wasi_http::Error>> + Send>;

impl Outgoing {
    pub fn new(log: Log) -> Self {
        Self { call: None, log }
    }

    pub fn begin_call(&mut self, gate: Arc<dyn Gate>, quotas: &Quotas) {
        let (ends, ended) = watch::channel(());
        self.call = Some(Call {
            gate,
            requests_max: quotas.http_requests_max,
            requests: 0,
            header_bytes_max: quotas.http_header_bytes_max,
            request_bytes: Allowance::new(quotas.http_request_bytes_max),
            response_bytes: Allowance::new(quotas.http_response_bytes_max),
            connect_timeout: Duration::from_millis(quotas.http_connect_millis_max),
            silence_timeout: Duration::from_millis(quotas.http_silence_millis_max),
            _ends: ends,
            ended,
        });
    }

    /// Whatever is still under way is given up: nothing goes on that nobody waits for. Whether the call has sent anything.
    pub fn end_call(&mut self) -> bool {
        self.call.take().is_some_and(|call| call.requests > 0)
    }
}

impl Call {
    /// Counts the request and gives what has to be sent, or says why not.
    fn admit(&mut self, request: http::Request<WasiBody>, options: RequestOptions) -> Result<HttpRequest, HttpError> {
        if self.requests >= self.requests_max {
            return Err(HttpError::Denied(format!("one call may send {} requests", self.requests_max)));
        }
        self.requests += 1;
        let (max, found) = (self.header_bytes_max, header_bytes(request.headers()));
        if found > max {
            return Err(HttpError::RequestHeadersTooLarge { max, found });
        }
        let allowance = self.request_bytes.clone();
        let too_large = HttpError::RequestTooLarge { max: allowance.max };
        if request.body().size_hint().lower() > allowance.left() {
            return Err(too_large);
        }
        let shorter = |asked: Option<Duration>, max: Duration| asked.map_or(max, |asked| asked.min(max));
        let request = request.map(|body| Metered { body: body.map_err(from_wasi).boxed_unsync(), allowance, too_large }.boxed_unsync());
        Ok(HttpRequest {
            request,
            connect_timeout: shorter(options.connect_timeout, self.connect_timeout),
            first_byte_timeout: shorter(options.first_byte_timeout, self.silence_timeout),
            between_bytes_timeout: shorter(options.between_bytes_timeout, self.silence_timeout),
            header_bytes_max: self.header_bytes_max,
        })
    }
}

impl WasiHttpHooks for Outgoing {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Connection,
    ) -> Sent<(http::Response<WasiBody>, Connection)> {
        // The linker of `reduce` has no way to here, so this is a second fence.
        let Some(call) = &mut self.call else { return Box::new(async { Err(to_wasi(HttpError::Ended)) }) };
        let log = Failures { log: self.log.clone(), what: what(&request) };
        let ended = call.ended.clone();
        let request = request.map(|body| Taken { body: Some(body), ended }.boxed_unsync());
        let request = match call.admit(request, options.unwrap_or_default()) {
            Ok(request) => request,
            Err(error) => {
                log.failed(&error);
                return Box::new(async { Err(to_wasi(error)) });
            }
        };
        let (gate, allowance, ended) = (Arc::clone(&call.gate), call.response_bytes.clone(), call.ended.clone());
        let header_bytes_max = call.header_bytes_max;
        Box::new(async move {
            let sent = until(ended.clone(), gate.send(request)).await.unwrap_or(Err(HttpError::Ended));
            let received = sent.and_then(|sent| receive(sent, header_bytes_max, allowance));
            let HttpResponse { response, connection } = received.inspect_err(|error| log.failed(error)).map_err(to_wasi)?;
            let response = response.map(|body| body.map_err(move |error| to_wasi(log.told(error))).boxed_unsync());
            let connection: Connection = Box::new(async move {
                until(ended, connection).await;
                Ok(())
            });
            Ok((response, connection))
        })
    }
}

/// A response that is read no further than the call may. One that says that it is longer is not begun.
fn receive(response: HttpResponse, header_bytes_max: usize, allowance: Allowance) -> Result<HttpResponse, HttpError> {
    let HttpResponse { response, connection } = response;
    if header_bytes(response.headers()) > header_bytes_max {
        return Err(HttpError::ResponseHeadersTooLarge { max: header_bytes_max });
    }
    let too_large = HttpError::ResponseTooLarge { max: allowance.max };
    if response.body().size_hint().lower() > allowance.left() {
        return Err(too_large);
    }
    let response = response.map(|body| Metered { body, allowance, too_large }.boxed_unsync());
    Ok(HttpResponse { response, connection })
}

/// `None` where the call ended first.
async fn until<F: Future>(mut ended: watch::Receiver<()>, future: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        // Nothing is ever sent: this is the sender being dropped.
        _ = ended.changed() => None,
        output = future => Some(output),
    }
}

/// Writes down what became of a request that failed, under the processor's name.
struct Failures {
    log: Log,
    what: String,
}

impl Failures {
    fn failed(&self, error: &HttpError) {
        if *error != HttpError::Ended {
            self.log.line(Level::WARN, &format!("{}: {error}", self.what));
        }
    }

    fn told(&self, error: HttpError) -> HttpError {
        self.failed(&error);
        error
    }
}

/// Method and place, without a query: it may hold what is nobody's business.
fn what<B>(request: &http::Request<B>) -> String {
    let uri = request.uri();
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    // What stands before an @ is a password.
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{} {}://{host}{}", request.method(), uri.scheme_str().unwrap_or_default(), uri.path())
}

fn header_bytes(headers: &http::HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

impl Allowance {
    fn new(max: usize) -> Self {
        Self { left: Arc::new(AtomicU64::new(max as u64)), max: max as u64 }
    }

    fn left(&self) -> u64 {
        self.left.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes as u64)).is_ok()
    }
}

/// A body that ends in an error where it has more than is left of its call's allowance.
struct Metered {
    body: HttpBody,
    allowance: Allowance,
    too_large: HttpError,
}

impl http_body::Body for Metered {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) if !self.allowance.take(frame.data_ref().map_or(0, Bytes::len)) => {
                Poll::Ready(Some(Err(self.too_large.clone())))
            }
            _ => polled,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A request's body that is taken from the guest to its end, also where nobody sends it any more. What became of the request is said by the response; a
/// guest whose writing failed first would have to know that, and the libraries of some languages do not.
struct Taken {
    /// Absent once it is over.
    body: Option<WasiBody>,
    ended: watch::Receiver<()>,
}

impl http_body::Body for Taken {
    type Data = Bytes;
    type Error = wasmtime_wasi_http::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(context);
        if let Poll::Ready(None | Some(Err(_))) = polled {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), http_body::Body::size_hint)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let Some(mut body) = self.body.take().filter(|body| !body.is_end_stream()) else { return };
        let rest = until(self.ended.clone(), async move { while let Some(Ok(_)) = body.frame().await {} });
        // Without a runtime the host is shutting down.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(rest);
        }
    }
}

fn body_error_code(error: &wasmtime_wasi_http::Error) -> ErrorCode {
    use wasmtime_wasi_http::Error;
    match error {
        Error::HttpResponseBodySize(max) => ErrorCode::HttpResponseBodySize(*max),
        Error::ConnectionReadTimeout => ErrorCode::ConnectionReadTimeout,
        Error::HttpResponseIncomplete => ErrorCode::HttpResponseIncomplete,
        Error::ConnectionTerminated => ErrorCode::ConnectionTerminated,
        Error::HttpProtocolError => ErrorCode::HttpProtocolError,
        other => ErrorCode::InternalError(Some(other.to_string())),
    }
}

fn from_wasi(error: wasmtime_wasi_http::Error) -> HttpError {
    match error {
        // What the guest announced as the length is not what it wrote, or it gave the body up.
        wasmtime_wasi_http::Error::HttpProtocolError => HttpError::Protocol("the guest did not finish the request's body".to_owned()),
        error => HttpError::Protocol(error.to_string()),
    }
}

fn to_wasi(error: HttpError) -> wasmtime_wasi_http::Error {
    use wasmtime_wasi_http::Error;
    let size = |max: usize| u32::try_from(max).ok();
    match error {
        HttpError::Denied(_) => Error::HttpRequestDenied,
        HttpError::Unresolved(problem) => Error::DnsError { rcode: Some(problem), info_code: None },
        HttpError::Unreachable(_) => Error::ConnectionRefused,
        HttpError::ConnectTimeout { .. } => Error::ConnectionTimeout,
        HttpError::Tls(_) => Error::TlsProtocolError,
        HttpError::ResponseTimeout { .. } => Error::HttpResponseTimeout,
        HttpError::ReadTimeout { .. } => Error::ConnectionReadTimeout,
        HttpError::Incomplete => Error::HttpResponseIncomplete,
        HttpError::RequestTooLarge { max } => Error::HttpRequestBodySize(Some(max)),
        HttpError::ResponseTooLarge { max } => Error::HttpResponseBodySize(Some(max)),
        HttpError::RequestHeadersTooLarge { found, .. } => Error::HttpRequestHeaderSectionSize(size(found)),
        HttpError::ResponseHeadersTooLarge { max } => Error::HttpResponseHeaderSectionSize(size(max)),
        HttpError::ContentCoding(coding) => Error::HttpResponseContentCoding(Some(coding)),
        HttpError::Protocol(_) => Error::HttpProtocolError,
        HttpError::Ended => Error::ConnectionTerminated,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(quotas: &Quotas) -> Outgoing {
        let mut outgoing = Outgoing::new(Log::new(None, "after-append", quotas));
        outgoing.begin_call(Arc::new(Shut), quotas);
        outgoing
    }

    fn request(body: &'static str) -> http::Request<WasiBody> {
        let body = http_body_util::Full::new(Bytes::from_static(body.as_bytes())).map_err(|never| match never {}).boxed_unsync();
        http::Request::builder().uri("https://user:pass@example.com/a?token=1").header("a", "bcd").body(body).expect("it is a request")
    }

    #[test]
    fn a_call_may_send_so_many_requests_of_such_a_size() {
        let quotas = Quotas { http_requests_max: 2, http_header_bytes_max: 4, http_request_bytes_max: 3, ..Quotas::default() };
        let mut outgoing = call(&quotas);
        let call = outgoing.call.as_mut().unwrap();
        assert!(call.admit(request("abc"), RequestOptions::default()).is_ok());
        assert_eq!(call.admit(request("abcd"), RequestOptions::default()).err(), Some(HttpError::RequestTooLarge { max: 3 }));
        let denied = call.admit(request(""), RequestOptions::default()).err();
        assert_eq!(denied, Some(HttpError::Denied("one call may send 2 requests".to_owned())));
        call.requests = 0;
        call.header_bytes_max = 3;
        let too_large = call.admit(request(""), RequestOptions::default()).err();
        assert_eq!(too_large, Some(HttpError::RequestHeadersTooLarge { max: 3, found: 4 }));
    }

    /// What a guest writes.
    struct Pieces(tokio::sync::mpsc::Receiver<Bytes>);

    impl http_body::Body for Pieces {
        type Data = Bytes;
        type Error = wasmtime_wasi_http::Error;

        fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
        }
    }

    #[tokio::test]
    async fn what_nobody_sends_is_taken_from_the_guest_all_the_same_until_its_call_ends() {
        let quotas = Quotas { http_requests_max: 0, ..Quotas::default() };
        let mut outgoing = call(&quotas);
        let (sender, pieces) = tokio::sync::mpsc::channel(1);
        let request = request("").map(|_| Pieces(pieces).boxed_unsync());
        let sent = Box::into_pin(outgoing.send_request(request, None, Box::new(async { Ok(()) }))).await;
        assert!(sent.is_err());
        for _ in 0..100 {
            sender.send(Bytes::from_static(b"piece")).await.expect("it is taken");
        }
        outgoing.end_call();
        sender.closed().await;
    }

    #[test]
    fn a_guest_can_only_shorten_its_timeouts() {
        let quotas = Quotas { http_connect_millis_max: 100, http_silence_millis_max: 100, ..Quotas::default() };
        let asked = |millis| Some(Duration::from_millis(millis));
        let options = RequestOptions { connect_timeout: asked(5), first_byte_timeout: asked(500), between_bytes_timeout: None };
        let admitted = call(&quotas).call.as_mut().unwrap().admit(request(""), options).ok().unwrap();
        let timeouts = [admitted.connect_timeout, admitted.first_byte_timeout, admitted.between_bytes_timeout];
        assert_eq!(timeouts.map(|timeout| timeout.as_millis()), [5, 100, 100]);
    }

    #[test]
    fn what_is_logged_of_a_request_holds_no_password() {
        assert_eq!(what(&request("")), "GET https://example.com/a");
    }
}
