//! Carries what subscriptions send: webhooks and WebSocket frames, as far as the operator's rules allow.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::Full;
use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue, RETRY_AFTER};
use pelton_engine::{BoxFuture, Courier, Delivery, Errand, Gate, Socket, Webhook};
use pelton_model::{Event, TenantName};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest as _};
use url::Url;

use crate::connect::{self, Connector};
use crate::egress::{Denied, Egress, Sender};
use crate::gate::ProcessorGate;
use crate::http::{Compat, wire};

/// What leaves the host on behalf of subscriptions and processors.
pub struct Post {
    egress: Arc<Egress>,
    connector: Arc<Connector>,
    compat: Option<Compat>,
}

/// What a frame from the far side may hold, in bytes.
const FRAME_BYTES_MAX: usize = 2 << 20;
/// What the headers of an answer to a webhook may have, in bytes.
const HEADER_BYTES_MAX: usize = 64 << 10;

impl Post {
    /// # Errors
    /// Where TLS cannot be set up.
    pub fn new(egress: Egress, compat: Option<Compat>) -> Result<Self, String> {
        Ok(Self { egress: Arc::new(egress), connector: Arc::new(Connector::new()?), compat })
    }

    async fn try_post(&self, tenant: &TenantName, webhook: Webhook) -> Result<Delivery, Delivery> {
        let url = Url::parse(&webhook.url).map_err(|error| refused("bad-url", error.to_string()))?;
        let sender = Sender { tenant, own: None };
        let too_slow = || failed("timeout", format!("no answer within {} ms", webhook.timeout.as_millis()));
        let began = Instant::now();
        let clearing = tokio::time::timeout(webhook.timeout, self.egress.clear(sender, "POST", &url));
        let cleared = clearing.await.map_err(|_| too_slow())?.map_err(denied)?;
        let mut request = hyper::Request::post(&url[url::Position::BeforePath..url::Position::AfterQuery]);
        for (name, value) in &webhook.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| refused("bad-header", error.to_string()))?;
            let value = HeaderValue::from_str(value).map_err(|error| refused("bad-header", error.to_string()))?;
            request = request.header(name, value);
        }
        let request = request.body(Full::from(webhook.body)).map_err(|error| refused("bad-url", error.to_string()))?;
        let answer = async {
            let connection = self.connector.connect(&cleared).await?;
            connect::begin(connection, &cleared, request, HEADER_BYTES_MAX).await
        };
        let answered = tokio::time::timeout(webhook.timeout.saturating_sub(began.elapsed()), answer).await;
        let response = answered.map_err(|_| too_slow())?.map_err(|error| failed("unreachable", error.to_string()))?.response;
        let status = response.status();
        if status.is_success() {
            return Ok(Delivery::Delivered);
        }
        if status == StatusCode::GONE {
            return Err(refused("gone", "the receiver answered 410 Gone".to_owned()));
        }
        let message = if status.is_redirection() {
            let to = response.headers().get("location").and_then(|value| value.to_str().ok()).unwrap_or("nowhere");
            format!("the receiver answered {status} to {to}; redirects are not followed")
        } else {
            format!("the receiver answered {status}")
        };
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(retry_after);
        Err(Delivery::Failed { code: "bad-status", message, retry_after })
    }

    async fn try_connect(&self, tenant: &TenantName, url: &str, headers: &BTreeMap<String, String>) -> Result<Box<dyn Socket>, Delivery> {
        let parsed = Url::parse(url).map_err(|error| refused("bad-url", error.to_string()))?;
        let cleared = self.egress.clear(Sender { tenant, own: None }, "GET", &parsed).await.map_err(denied)?;
        let mut request = url.into_client_request().map_err(|error| refused("bad-url", error.to_string()))?;
        request.headers_mut().insert("user-agent", HeaderValue::from_static(connect::AGENT));
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| refused("bad-header", error.to_string()))?;
            request.headers_mut().insert(name, HeaderValue::from_str(value).map_err(|error| refused("bad-header", error.to_string()))?);
        }
        let config = WebSocketConfig::default().max_message_size(Some(FRAME_BYTES_MAX)).max_frame_size(Some(FRAME_BYTES_MAX));
        let stream = self.connector.connect(&cleared).await.map_err(|error| failed("unreachable", error.to_string()))?;
        let opened = tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await;
        let (socket, _) = opened.map_err(|error| failed("unreachable", error.to_string()))?;
        Ok(Box::new(Open(socket)))
    }
}

impl Courier for Post {
    fn render(&self, event: &Event) -> String {
        let mut text = String::new();
        wire::write_event(&mut text, event, self.compat);
        text
    }

    fn post<'a>(&'a self, tenant: &'a TenantName, webhook: Webhook) -> BoxFuture<'a, Delivery> {
        Box::pin(async move { self.try_post(tenant, webhook).await.unwrap_or_else(|failed| failed) })
    }

    fn gate(&self, errand: Errand) -> Arc<dyn Gate> {
        Arc::new(ProcessorGate::new(Arc::clone(&self.egress), Arc::clone(&self.connector), errand))
    }

    fn connect<'a>(
        &'a self,
        tenant: &'a TenantName,
        url: &'a str,
        headers: &'a BTreeMap<String, String>,
        timeout: Duration,
    ) -> BoxFuture<'a, Result<Box<dyn Socket>, Delivery>> {
        Box::pin(async move {
            let connected = tokio::time::timeout(timeout, self.try_connect(tenant, url, headers)).await;
            connected.unwrap_or_else(|_| Err(failed("timeout", format!("no connection within {} ms", timeout.as_millis()))))
        })
    }
}

struct Open<S>(WebSocketStream<S>);

impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send> Socket for Open<S> {
    fn send(&mut self, text: String) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move { self.0.send(Message::text(text)).await.map_err(|error| error.to_string()) })
    }

    fn receive(&mut self) -> BoxFuture<'_, Option<Result<String, String>>> {
        Box::pin(async move {
            loop {
                match self.0.next().await? {
                    Ok(Message::Text(text)) => return Some(Ok(text.to_string())),
                    Ok(Message::Binary(_)) => return Some(Err("expected a text frame, found a binary one".to_owned())),
                    Ok(Message::Close(_)) | Err(_) => return None,
                    Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
                }
            }
        })
    }
}

fn denied(denied: Denied) -> Delivery {
    match denied {
        Denied::Unresolved { .. } => failed("unresolved", denied.to_string()),
        Denied::Url(_) | Denied::NoRule { .. } | Denied::NotOwn { .. } | Denied::PrivateAddress { .. } => {
            refused("egress-denied", denied.to_string())
        }
    }
}

fn failed(code: &'static str, message: String) -> Delivery {
    Delivery::Failed { code, message, retry_after: None }
}

fn refused(code: &'static str, message: String) -> Delivery {
    Delivery::Refused { code, message }
}

/// RFC 9110: seconds, or a date.
fn retry_after(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp();
    SystemTime::from(at).duration_since(SystemTime::now()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after("120"), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), None);
        assert!(retry_after("Wed, 21 Oct 2065 07:28:00 GMT").is_some());
        assert_eq!(retry_after("soon"), None);
    }
}
