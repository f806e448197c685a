//! HTTP from `after_append`, over `wasi:http`.

use std::fmt::{self, Display};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::wasi::http::outgoing_handler::handle;
use crate::bindings::wasi::http::types::{
    self as wasi, Fields, IncomingBody, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
};
use crate::bindings::wasi::io::streams::StreamError;
use crate::{Error, Result};

/// A request for [`EffectContext::fetch`](crate::EffectContext::fetch).
///
/// It leaves the host only where the operator of the host *and* the `egress` of the processor's configuration allow its method, scheme, host and port.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    timeout: Option<Duration>,
    fault: Option<String>,
}

impl Request {
    /// A request with this method, such as `GET`, for an absolute URL with `http` or `https`.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Request {
        Request { method: method.into(), url: url.into(), headers: vec![], body: vec![], timeout: None, fault: None }
    }

    /// A `GET`.
    pub fn get(url: impl Into<String>) -> Request {
        Request::new("GET", url)
    }

    /// A `POST`.
    pub fn post(url: impl Into<String>) -> Request {
        Request::new("POST", url)
    }

    /// A `PUT`.
    pub fn put(url: impl Into<String>) -> Request {
        Request::new("PUT", url)
    }

    /// A `PATCH`.
    pub fn patch(url: impl Into<String>) -> Request {
        Request::new("PATCH", url)
    }

    /// A `DELETE`.
    pub fn delete(url: impl Into<String>) -> Request {
        Request::new("DELETE", url)
    }

    /// Adds a header. A value may hold [`secret`](crate::EffectContext::secret)s, which the host fills in on the way out.
    pub fn header(mut self, name: impl Into<String>, value: impl Display) -> Request {
        self.headers.push((name.into(), value.to_string()));
        self
    }

    /// The body, as it is.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Request {
        self.body = body.into();
        self
    }

    /// A body of JSON, with its `content-type`. What does not serialise makes the request [`Invalid`](FetchError::Invalid).
    pub fn json(mut self, body: impl Serialize) -> Request {
        match serde_json::to_vec(&body) {
            Ok(body) => self.body = body,
            Err(error) => self.fault = Some(format!("its body: {error}")),
        }
        self.header("content-type", "application/json")
    }

    /// How long to wait for a connection, and then again for each piece of the response. The host's own limits stay.
    pub fn timeout(mut self, timeout: Duration) -> Request {
        self.timeout = Some(timeout);
        self
    }

    /// The method.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The headers, in the order in which they were added.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// The bytes of the body.
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }
}

/// What a server answered, whatever its status.
#[derive(Clone, Debug)]
pub struct Response {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Response {
    /// A response for [`testing::Host::on_fetch`](crate::testing::Host::on_fetch).
    pub fn new(status: u16) -> Response {
        Response { status, headers: vec![], body: vec![] }
    }

    /// With this header too.
    pub fn with_header(mut self, name: &str, value: &str) -> Response {
        self.headers.push((name.to_ascii_lowercase(), value.into()));
        self
    }

    /// With this body.
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Response {
        self.body = body.into();
        self
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether the status is one of success: 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The response itself if its status is one of success, else an error that shows status and body.
    pub fn success(self) -> Result<Response> {
        if self.is_success() {
            return Ok(self);
        }
        let body: String = String::from_utf8_lossy(&self.body).chars().take(500).collect();
        Err(Error::new(format_args!("the server answered {}: {body}", self.status)))
    }

    /// The first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// All headers, their names in lower case.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// The bytes of the body.
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// The body as text. Fails where it is not UTF-8.
    pub fn text(&self) -> Result<&str> {
        Ok(std::str::from_utf8(&self.body)?)
    }

    /// The body as a `T`. Fails where it is no JSON of that shape, and says where.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| Error::from(error).during("the body of the response"))
    }
}

/// Why there is no response. The text is for people; decide by the case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchError {
    /// The host does not let it out: a rule of the operator's or of the processor's own `egress` is missing, a secret is unknown or not for this
    /// host, or the call has sent as many as it may. The host's log says which. It will not succeed unchanged.
    Denied(String),
    /// The URL, the method, a header or the body is malformed. It will not succeed unchanged.
    Invalid(String),
    /// The request or the response is larger than the host allows.
    TooLarge(String),
    /// The server was too slow. It may succeed later.
    Timeout(String),
    /// The name is unknown, the connection failed or broke off. It may succeed later.
    Failed(String),
}

impl Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (case, text) = match self {
            FetchError::Denied(text) => ("denied by the host, whose log says why", text),
            FetchError::Invalid(text) => ("invalid", text),
            FetchError::TooLarge(text) => ("too large", text),
            FetchError::Timeout(text) => ("too slow", text),
            FetchError::Failed(text) => ("failed", text),
        };
        write!(f, "request {case}: {text}")
    }
}

impl std::error::Error for FetchError {}

/// Sends it and reads all of the response.
pub(crate) fn send(request: &Request) -> Result<Response, FetchError> {
    // Without a query, for that may hold what no log should.
    let url = request.url.split(['?', '#']).next().unwrap_or_default();
    let failed = |code: wasi::ErrorCode| failure(&code, &format!("{} {url}", request.method));
    let (outgoing, options) = (outgoing(request)?, options(request.timeout));
    let body = if request.body.is_empty() { None } else { outgoing.body().ok() };
    let future = handle(outgoing, Some(options)).map_err(failed)?;
    if let Some(body) = body {
        write(body, &request.body).map_err(failed)?;
    }
    future.subscribe().block();
    let answered = future.get().and_then(|once| once.ok());
    let response =
        answered.ok_or_else(|| FetchError::Failed(format!("{} {url}: the host gave no answer", request.method)))?.map_err(failed)?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Response {
        status: response.status(),
        headers: response.headers().entries().into_iter().map(|(name, value)| (name, text(value))).collect(),
        body: read(&response.consume().map_err(|()| failed(wasi::ErrorCode::InternalError(None)))?).map_err(failed)?,
    })
}

fn outgoing(request: &Request) -> Result<OutgoingRequest, FetchError> {
    let invalid = |problem: &str| FetchError::Invalid(format!("{problem} ({} {})", request.method, request.url));
    if let Some(fault) = &request.fault {
        return Err(invalid(fault));
    }
    let (scheme, rest) = request.url.split_once("://").ok_or_else(|| invalid("expected an absolute URL"))?;
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        _ => return Err(invalid("expected a URL with http or https")),
    };
    let rest = rest.split('#').next().unwrap_or_default();
    let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };

    let fields = Fields::new();
    for (name, value) in &request.headers {
        let refused = |error: wasi::HeaderError| invalid(&format!("header {name}: {error}"));
        fields.append(name, value.as_bytes()).map_err(refused)?;
    }
    if !request.body.is_empty() && !fields.has("content-length") {
        fields.append("content-length", request.body.len().to_string().as_bytes()).map_err(|error| invalid(&error.to_string()))?;
    }
    let outgoing = OutgoingRequest::new(fields);
    outgoing.set_method(&method(&request.method)).map_err(|()| invalid("expected a method"))?;
    outgoing.set_scheme(Some(&scheme)).map_err(|()| invalid("expected a scheme"))?;
    outgoing.set_authority(Some(authority)).map_err(|()| invalid("expected a host"))?;
    outgoing.set_path_with_query(Some(&target)).map_err(|()| invalid("expected a path and query of ASCII, percent-encoded"))?;
    Ok(outgoing)
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "OPTIONS" => Method::Options,
        "PATCH" => Method::Patch,
        other => Method::Other(other.into()),
    }
}

fn options(timeout: Option<Duration>) -> RequestOptions {
    let options = RequestOptions::new();
    if let Some(timeout) = timeout {
        let nanos = u64::try_from(timeout.as_nanos()).ok();
        // A host that does not know one of these has a limit of its own.
        for set in [RequestOptions::set_connect_timeout, RequestOptions::set_first_byte_timeout, RequestOptions::set_between_bytes_timeout]
        {
            set(&options, nanos).ok();
        }
    }
    options
}

fn write(body: OutgoingBody, bytes: &[u8]) -> Result<(), wasi::ErrorCode> {
    /// As much as the interface takes at once.
    const CHUNK: usize = 4_096;
    {
        let Ok(stream) = body.write() else { return Err(wasi::ErrorCode::InternalError(None)) };
        for chunk in bytes.chunks(CHUNK) {
            // Why it is not taken is what the response says.
            if stream.blocking_write_and_flush(chunk).is_err() {
                return Ok(());
            }
        }
    }
    OutgoingBody::finish(body, None)
}

fn read(body: &IncomingBody) -> Result<Vec<u8>, wasi::ErrorCode> {
    const CHUNK: u64 = 64 << 10;
    let Ok(stream) = body.stream() else { return Err(wasi::ErrorCode::InternalError(None)) };
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(CHUNK) {
            Ok(mut chunk) => bytes.append(&mut chunk),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(StreamError::LastOperationFailed(error)) => {
                return Err(wasi::http_error_code(&error).unwrap_or(wasi::ErrorCode::HttpResponseIncomplete));
            }
        }
    }
}

fn failure(code: &wasi::ErrorCode, what: &str) -> FetchError {
    use wasi::ErrorCode;
    let text = |problem: &str| format!("{what}: {problem}");
    match code {
        ErrorCode::HttpRequestDenied => FetchError::Denied(what.to_owned()),
        ErrorCode::HttpRequestMethodInvalid | ErrorCode::HttpRequestUriInvalid => FetchError::Invalid(text("not a request")),
        ErrorCode::HttpRequestBodySize(_) => FetchError::TooLarge(text("the request's body")),
        ErrorCode::HttpRequestHeaderSectionSize(_) => FetchError::TooLarge(text("the request's headers")),
        ErrorCode::HttpResponseBodySize(_) => FetchError::TooLarge(text("the response's body")),
        ErrorCode::HttpResponseHeaderSectionSize(_) => FetchError::TooLarge(text("the response's headers")),
        ErrorCode::DnsTimeout | ErrorCode::ConnectionTimeout => FetchError::Timeout(text("no connection in time")),
        ErrorCode::HttpResponseTimeout | ErrorCode::ConnectionReadTimeout => FetchError::Timeout(text("no response in time")),
        ErrorCode::DnsError(_) => FetchError::Failed(text("the name is not known")),
        ErrorCode::ConnectionRefused => FetchError::Failed(text("no connection")),
        ErrorCode::HttpResponseIncomplete => FetchError::Failed(text("the connection was closed before the response was complete")),
        other => FetchError::Failed(text(&other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[test]
    fn a_response_is_read_by_its_status_headers_and_body() {
        let response = Response::new(404).with_header("X-Why", "gone").with_body(r#"{"a":1}"#);
        assert_eq!((response.status(), response.is_success(), response.header("x-why")), (404, false, Some("gone")));
        assert_eq!(response.json::<crate::Value>().unwrap(), json!({ "a": 1 }));
        assert_eq!(response.text().unwrap(), r#"{"a":1}"#);
        assert!(response.json::<u64>().unwrap_err().to_string().starts_with("the body of the response: invalid type"));
        assert_eq!(response.success().unwrap_err().to_string(), r#"the server answered 404: {"a":1}"#);
    }

    #[test]
    fn a_failure_names_the_request_and_what_it_was() {
        let failure = failure(&wasi::ErrorCode::HttpRequestDenied, "GET https://example.com/a");
        assert_eq!(failure.to_string(), "request denied by the host, whose log says why: GET https://example.com/a");
    }
}
