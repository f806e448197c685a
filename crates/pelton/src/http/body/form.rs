//! Form fields, which is also what curl says of everything that `-d` sends.

use std::collections::HashMap;

use pelton_model::Json;

use super::{BodyError, Candidate, Candidates, Sent, json_or_text};

/// JSON is JSON, whatever it is called. What begins like JSON, or has no field in it, is text: a form has its brackets escaped.
pub fn parse(sent: &Sent<'_>) -> Result<Candidates, BodyError> {
    let begins_like_json = matches!(sent.bytes.trim_ascii_start().first(), Some(b'{' | b'[' | b'"'));
    if !begins_like_json
        && sent.bytes.contains(&b'=')
        && let Some(raw) = fields(sent.bytes)
    {
        let error = "expected a JSON object with a `type`, found form fields".to_owned();
        return Ok(Candidates::One(Candidate::Invalid { raw, error }));
    }
    json_or_text(sent)
}

/// The fields as an object, a repeated one as an array. `None` where one of them is not UTF-8.
fn fields(bytes: &[u8]) -> Option<Json> {
    let mut names: Vec<String> = Vec::new();
    let mut values: HashMap<String, Vec<String>> = HashMap::new();
    for field in bytes.split(|&byte| byte == b'&').filter(|field| !field.is_empty()) {
        let mut halves = field.splitn(2, |&byte| byte == b'=');
        let (name, value) = (decoded(halves.next()?)?, decoded(halves.next().unwrap_or_default())?);
        if !values.contains_key(&name) {
            names.push(name.clone());
        }
        values.entry(name).or_default().push(value);
    }
    let mut object = String::from("{");
    for (nth, name) in names.iter().enumerate() {
        let values = &values[name];
        let value = if let [value] = values.as_slice() { Json::of(value) } else { Json::of(values) };
        let comma = if nth == 0 { "" } else { "," };
        object.push_str(comma);
        object.push_str(Json::of(name).as_str());
        object.push(':');
        object.push_str(value.as_str());
    }
    object.push('}');
    Some(Json::from_checked(&object))
}

fn decoded(text: &[u8]) -> Option<String> {
    let spaced: Vec<u8> = text.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
    String::from_utf8(percent_encoding::percent_decode(&spaced).collect()).ok()
}
