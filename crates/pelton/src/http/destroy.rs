//! `DELETE /api/streams/{path}`: a stream and what belongs to it, gone for good.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::{StatusCode, Uri};
use axum::response::Response;
use pelton_engine::Tenant;
use pelton_model::StreamPath;
use serde::{Deserialize, Serialize};

use super::problem::Problem;
use super::state::StateBody;
use super::{App, json, query};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DestroyQuery {
    #[serde(default)]
    destroy_children: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Destroyed<'a> {
    destroyed_stream_count: usize,
    final_state_by_path: BTreeMap<&'a StreamPath, Final<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Final<'a> {
    final_state: Option<StateBody<'a>>,
}

pub async fn delete(app: &App, tenant: &Arc<Tenant>, path: &StreamPath, uri: &Uri) -> Result<Response, Problem> {
    let DestroyQuery { destroy_children } = query(uri)?;
    let destroyed = tenant.destroy(path, destroy_children).await?;
    let final_state = |path, view| Final { final_state: Some(StateBody::of(tenant.name(), path, view, app.compat)) };
    let states = destroyed.iter().map(|(path, view)| (path, final_state(path, view)));
    let mut body = Destroyed { destroyed_stream_count: destroyed.len(), final_state_by_path: states.collect() };
    body.final_state_by_path.entry(path).or_insert(Final { final_state: None });
    let body = serde_json::to_string(&body).map_err(|error| Problem::new("internal", error.to_string()))?;
    Ok(json(StatusCode::OK, body + "\n"))
}
