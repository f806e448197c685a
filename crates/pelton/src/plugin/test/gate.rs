//! What HTTP a plugin may send while it is tested: none, unless its author says so.

use std::sync::Arc;

use pelton_engine::{BoxFuture, Errand, Gate, HttpError, HttpRequest, HttpResponse};
use pelton_model::{EgressRule, EgressRules, Quotas, TenantName};
use tokio::sync::Semaphore;

use crate::cli::Failure;
use crate::connect::Connector;
use crate::egress::{Egress, Rule};
use crate::gate::ProcessorGate;

/// A gate that lets through what these rules allow. No secret is known behind it.
pub fn gate(rules: &[EgressRule]) -> Result<Arc<dyn Gate>, Failure> {
    if rules.is_empty() {
        return Ok(Arc::new(Closed));
    }
    let operator = rules.iter().map(|rule| rule.to_string().parse::<Rule>()).collect::<Result<_, _>>().map_err(Failure::usage)?;
    let connector = Connector::new().map_err(super::super::host_failed)?;
    let (tenant, egress) = (TenantName::from_checked("test"), EgressRules::from(rules.to_vec()));
    let connections = Arc::new(Semaphore::new(Quotas::default().http_connections_max));
    let errand = Errand { tenant, egress, secrets: Arc::new(|_| Ok(None)), connections };
    Ok(Arc::new(ProcessorGate::new(Arc::new(Egress::new(operator)), Arc::new(connector), errand)))
}

struct Closed;

impl Gate for Closed {
    fn send(&self, request: HttpRequest) -> BoxFuture<'static, Result<HttpResponse, HttpError>> {
        let uri = request.request.uri().clone();
        let place = format!("{}://{}", uri.scheme_str().unwrap_or_default(), uri.authority().map_or("", |authority| authority.as_str()));
        let why = format!("tests send no HTTP unless told to; `pelton plugin test --allow-http {place}` lets this request out");
        Box::pin(async { Err(HttpError::Denied(why)) })
    }
}
