//! One server, as one tenant.

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use serde_json::Value;

use super::{Failure, Global};

pub struct Client {
    http: reqwest::Client,
    base: String,
}

impl Client {
    pub fn new(global: &Global) -> Result<Self, Failure> {
        // An error says that one is installed already, which will do.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut headers = HeaderMap::new();
        let mut put = |name: &'static str, value: String| {
            let value = HeaderValue::try_from(value).map_err(|_| Failure::usage(format!("--{name}: expected visible ASCII characters")))?;
            headers.insert(if name == "token" { "authorization" } else { "x-pelton-tenant" }, value);
            Ok::<_, Failure>(())
        };
        if let Some(token) = &global.token {
            put("token", format!("Bearer {token}"))?;
        }
        if let Some(tenant) = &global.tenant {
            put("tenant", tenant.clone())?;
        }
        let http = reqwest::Client::builder().default_headers(headers).build().map_err(|error| Failure::new(1, error.to_string()))?;
        Ok(Self { http, base: global.url.trim_end_matches('/').to_owned() })
    }

    /// A request that must succeed.
    pub async fn send(
        &self,
        method: Method,
        target: &str,
        headers: &[(HeaderName, String)],
        body: Option<String>,
    ) -> Result<Response, Failure> {
        let mut request = self.http.request(method, format!("{}{target}", self.base));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() { Ok(response) } else { Err(refused(response).await) }
    }

    pub async fn text(&self, method: Method, target: &str, accept: &str, body: Option<String>) -> Result<String, Failure> {
        let headers = [(ACCEPT, accept.to_owned()), (CONTENT_TYPE, "application/json".to_owned())];
        let response = self.send(method, target, &headers, body).await?;
        response.text().await.map_err(|error| self.unreachable(&error))
    }

    pub async fn json(&self, method: Method, target: &str, body: Option<String>) -> Result<Value, Failure> {
        let text = self.text(method, target, "application/json", body).await?;
        serde_json::from_str(&text).map_err(|error| Failure::new(1, format!("the server's answer is no JSON: {error}")))
    }

    /// Appends a built-in event; one that is not valid is a failure.
    pub async fn append(&self, path: &str, event_type: &str, payload: &Value) -> Result<Value, Failure> {
        let event = serde_json::json!({ "type": event_type, "payload": payload });
        let mut answer = self.json(Method::POST, &target(path), Some(event.to_string())).await?;
        let event = answer["event"].take();
        invalid(&event).map_or(Ok(event), Err)
    }

    pub fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
        let why = causes.last().map_or_else(|| error.to_string(), ToString::to_string);
        if error.is_builder() {
            return Failure::usage(format!("--url {}: {why}", self.base));
        }
        Failure::new(
            6,
            format!("{} cannot be reached: {why}; `pelton serve` starts a server, --url or PELTON_URL names another", self.base),
        )
    }
}

/// Where a stream is.
pub fn target(path: &str) -> String {
    format!("/api/streams/{}", path.trim_start_matches('/'))
}

/// The failure that an event is which was kept because it was none.
pub fn invalid(event: &Value) -> Option<Failure> {
    let kept = event["type"].as_str().is_some_and(|event_type| event_type.ends_with("stream/invalid-event-appended"));
    kept.then(|| Failure::new(3, format!("kept as an invalid event: {}", event["payload"]["error"].as_str().unwrap_or_default())))
}

async fn refused(response: Response) -> Failure {
    let status = response.status();
    let code = match status {
        StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => 4,
        StatusCode::NOT_FOUND => 5,
        StatusCode::UNPROCESSABLE_ENTITY => 3,
        StatusCode::SERVICE_UNAVAILABLE => 6,
        _ => 1,
    };
    let problem: Value = response.text().await.ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    match (problem["detail"].as_str(), problem["code"].as_str()) {
        (Some(detail), Some(name)) => Failure::new(code, format!("{detail} ({name})")),
        _ => Failure::new(code, format!("the server answered {status}")),
    }
}
