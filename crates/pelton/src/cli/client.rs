//! One server, as one tenant.

use std::borrow::Cow;
use std::time::Duration;

use pelton_model::StreamPath;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use url::{Host, Url};

use super::{Failure, Global};

/// A server is silent for at most 15 s while it is followed, and answers everything else sooner than this.
const SILENCE_MAX: Duration = Duration::from_secs(60);
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

pub struct Client {
    http: reqwest::Client,
    base: String,
}

/// Events as the server wrote them, so that no number is rounded and no field changes its place.
pub type Recorded = Box<RawValue>;

impl Client {
    pub fn new(global: &Global) -> Result<Self, Failure> {
        // An error says that one is installed already, which will do.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut headers = HeaderMap::new();
        let mut put = |option: &str, name: &'static str, value: String| {
            let wrong = |_| Failure::usage(format!("--{option}: expected visible ASCII characters"));
            let mut value = HeaderValue::try_from(value).map_err(wrong)?;
            value.set_sensitive(option == "token");
            headers.insert(name, value);
            Ok::<_, Failure>(())
        };
        if let Some(token) = &global.token {
            put("token", "authorization", format!("Bearer {token}"))?;
        }
        if let Some(tenant) = &global.tenant {
            put("tenant", "x-pelton-tenant", tenant.clone())?;
        }
        let url = server(&global.url)?;
        let mut http = reqwest::Client::builder()
            .default_headers(headers)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIME_MAX)
            .read_timeout(SILENCE_MAX)
            // While standard input is waited for nobody notices that the server has closed a connection that was kept.
            .pool_max_idle_per_host(0);
        if url.scheme() == "http" {
            // Without this a machine that has no certificates could not even do without them.
            http = http.tls_certs_only([]);
        }
        if is_loopback(&url) {
            http = http.no_proxy();
        }
        let http = http.build().map_err(|error| Failure::new(1, causes(&error)))?;
        Ok(Self { http, base: global.url.trim_end_matches('/').to_owned() })
    }

    /// A request that must succeed.
    pub async fn send(
        &self,
        method: Method,
        target: &str,
        headers: &[(HeaderName, &str)],
        body: Option<Vec<u8>>,
    ) -> Result<Response, Failure> {
        let mut request = self.http.request(method, format!("{}{target}", self.base));
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() { Ok(response) } else { Err(refused(response).await) }
    }

    pub async fn text(&self, method: Method, target: &str, body: Option<String>) -> Result<String, Failure> {
        let headers = [(ACCEPT, "application/json"), (CONTENT_TYPE, "application/json")];
        let response = self.send(method, target, &headers, body.map(String::into_bytes)).await?;
        response.text().await.map_err(|error| self.unreachable(&error))
    }

    pub async fn json(&self, method: Method, target: &str, body: Option<String>) -> Result<Value, Failure> {
        read(&self.text(method, target, body).await?)
    }

    /// Appends what a body of this media type holds.
    pub async fn append_body(
        &self,
        path: &StreamPath,
        media_type: &str,
        key: Option<&str>,
        body: Vec<u8>,
    ) -> Result<Vec<Recorded>, Failure> {
        #[derive(Deserialize)]
        struct Answer {
            event: Option<Recorded>,
            #[serde(default)]
            events: Vec<Recorded>,
        }
        let mut headers = vec![(CONTENT_TYPE, media_type)];
        headers.extend(key.map(|key| (HeaderName::from_static("idempotency-key"), key)));
        let response = self.send(Method::POST, &target(path), &headers, Some(body)).await?;
        let text = response.text().await.map_err(|error| self.unreachable(&error))?;
        let Answer { event, mut events } = read(&text)?;
        events.extend(event);
        Ok(events)
    }

    /// Appends a built-in event; one that is not valid is a failure.
    pub async fn append(&self, path: &StreamPath, event_type: &str, payload: &Value) -> Result<Recorded, Failure> {
        let event = serde_json::json!({ "type": event_type, "payload": payload });
        self.append_one(path, "application/json", event.to_string()).await
    }

    /// As [`Client::append`], the whole event being text of this media type.
    pub async fn append_one(&self, path: &StreamPath, media_type: &str, event: String) -> Result<Recorded, Failure> {
        let event = self.append_body(path, media_type, None, event.into_bytes()).await?.into_iter().next();
        let event = event.ok_or_else(|| Failure::new(1, "the server's answer has no event"))?;
        invalid(&event).map_or(Ok(event), Err)
    }

    pub fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let why = causes(error);
        if error.is_builder() {
            return Failure::usage(format!("the request cannot be made: {why}"));
        }
        Failure::new(
            6,
            format!("{} cannot be reached: {why}; `pelton serve` starts a server, --url or PELTON_URL names another", self.base),
        )
    }
}

fn server(text: &str) -> Result<Url, Failure> {
    let url =
        Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none());
    url.ok_or_else(|| Failure::usage(format!("--url: expected http://HOST[:PORT] or https://HOST[:PORT], found {text:?}")))
}

/// No proxy leads back to the own machine.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The innermost cause, which is what can be done something about.
fn causes(error: &reqwest::Error) -> String {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    causes.last().map_or_else(|| error.to_string(), ToString::to_string)
}

pub fn read<'a, T: Deserialize<'a>>(answer: &'a str) -> Result<T, Failure> {
    serde_json::from_str(answer).map_err(|error| Failure::new(1, format!("the server's answer is not what was expected: {error}")))
}

/// Where a stream is.
pub fn target(path: &StreamPath) -> String {
    format!("/api/streams{path}")
}

/// The failure that an event is which was kept because it was none.
pub fn invalid(event: &RawValue) -> Option<Failure> {
    #[derive(Deserialize)]
    struct Kept<'a> {
        #[serde(rename = "type", borrow)]
        event_type: Cow<'a, str>,
        payload: Error,
    }
    #[derive(Deserialize)]
    struct Error {
        #[serde(default)]
        error: String,
    }
    // Any other payload may have an `error` of another kind, and is then no such event.
    let Kept { event_type, payload } = serde_json::from_str(event.get()).ok()?;
    let is_kept = event_type.ends_with("stream/invalid-event-appended");
    is_kept.then(|| Failure::new(3, format!("kept as an invalid event: {}", payload.error)))
}

async fn refused(response: Response) -> Failure {
    let status = response.status();
    let code = match status {
        StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => 4,
        StatusCode::NOT_FOUND => 5,
        StatusCode::UNPROCESSABLE_ENTITY => 3,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => 6,
        _ => 1,
    };
    let problem: Value = response.text().await.ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    match (problem["detail"].as_str(), problem["code"].as_str()) {
        (Some(detail), Some(name)) => Failure::new(code, format!("{detail} ({name}){}", reason_of(&problem))),
        _ => Failure::new(code, format!("the server answered {status}")),
    }
}

/// What of a rejected component's reason is not in the detail: what was expected and found, and where.
fn reason_of(problem: &Value) -> String {
    let reason = &problem["reason"];
    let part = |name: &str| Some(format!("\n  {name}: {}", reason[name].as_str()?.trim_end().replace('\n', "\n    ")));
    let parts = ["code", "expected", "found", "location"].into_iter().filter_map(part);
    parts.collect()
}
