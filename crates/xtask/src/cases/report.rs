//! What `pelton plugin test --json` says of one case.

use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
pub struct Report {
    pub manifest: Box<RawValue>,
    pub steps: Vec<Step>,
    /// How many ways of splitting the events into calls gave the same states, or an object that says which one did not.
    pub splits: serde_json::Value,
}

#[derive(Deserialize)]
pub struct Step {
    pub offset: u64,
    pub r#type: String,
    /// Absent where the type is not consumed; so are the appends.
    pub state: Option<Box<RawValue>>,
    pub appends: Option<Box<RawValue>>,
    pub log: Option<Box<RawValue>>,
    pub error: Option<Failed>,
}

#[derive(Deserialize)]
pub struct Failed {
    pub code: String,
    pub message: String,
}
