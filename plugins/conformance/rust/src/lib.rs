//! The conformance processor in Rust; ../README.md says what it does.

use pelton_sdk::{AppendError, EffectContext, Error, Event, Level, Manifest, NewEvent, Processor, ReduceContext, Result, Value, json};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

#[derive(Serialize, Deserialize)]
struct Folded {
    count: u64,
    sum: String,
    last: Option<f64>,
    total: f64,
    text: String,
    chars: usize,
    kept: Value,
    echo: String,
    seen: Value,
}

#[derive(Deserialize)]
struct Add {
    amount: String,
}

#[derive(Deserialize)]
struct With<T> {
    value: T,
}

#[derive(Deserialize)]
struct Log {
    level: LogLevel,
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

#[derive(Deserialize)]
struct Message {
    message: String,
}

#[derive(Deserialize)]
struct Ending {
    r#in: Phase,
    message: Option<String>,
}

#[derive(PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Phase {
    Reduce,
    AfterAppend,
}

#[derive(Deserialize)]
struct Appends {
    appends: Vec<Proposal>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Proposal {
    r#type: String,
    payload: Option<Value>,
    metadata: Option<Value>,
    idempotency_key: Option<String>,
    expected_offset: Option<u64>,
    to: Option<String>,
    #[serde(default)]
    now: bool,
}

struct Conformance;

impl Processor for Conformance {
    type State = Option<Folded>;

    fn manifest() -> Manifest {
        Manifest::new("conformance", "1.0.0")
            .description("Does what events tell it to, the same in every language.")
            .consumes(["do/*"])
            .emits(["did/*"])
            .state_version(2)
    }

    fn reduce(state: &mut Option<Folded>, event: &Event, context: &ReduceContext) -> Result<()> {
        let folded = state.get_or_insert_default();
        folded.count += 1;
        match event.event_type.as_str() {
            "do/add" => folded.sum = (folded.sum.parse::<u128>()? + event.payload::<Add>()?.amount.parse::<u128>()?).to_string(),
            "do/measure" => {
                let value = event.payload::<With<f64>>()?.value;
                folded.last = Some(value);
                folded.total += value;
            }
            "do/text" => {
                folded.text = event.payload::<With<String>>()?.value;
                folded.chars = folded.text.chars().count();
            }
            "do/keep" => folded.kept = event.payload::<With<Value>>()?.value,
            "do/echo" => folded.echo = event.payload_json().to_owned(),
            "do/show" => folded.seen = details(event, context)?,
            "do/log" => log(event, context, "reduce")?,
            "do/forget" => *state = None,
            "do/reject" => return Err(Error::new(event.payload::<Message>()?.message)),
            "do/throw" | "do/trap" => end(event, Phase::Reduce)?,
            "do/spin" => loop {
                std::hint::black_box(());
            },
            "do/hoard" => hoard(),
            _ => {}
        }
        Ok(())
    }

    fn after_append(event: &Event, state: &Option<Folded>, context: &EffectContext) -> Result<()> {
        let Some(folded) = state else { return Ok(()) };
        match event.event_type.as_str() {
            "do/text" => context.append(NewEvent::new("did/text").payload(json!({ "value": folded.text, "chars": folded.chars })))?,
            "do/keep" => context.append(NewEvent::new("did/keep").payload(json!({ "value": folded.kept })))?,
            "do/echo" => context.append(NewEvent::new("did/echo").payload(event.payload::<&RawValue>()?))?,
            "do/show" => context.append(NewEvent::new("did/show").payload(details(event, context)?))?,
            "do/log" => log(event, context, "after-append")?,
            "do/append" => {
                for proposal in event.payload::<Appends>()?.appends {
                    append(proposal, context)?;
                }
            }
            "do/fail" => {
                context.append(NewEvent::new("did/fail"))?;
                return Err(Error::new(event.payload::<Message>()?.message));
            }
            "do/throw" | "do/trap" => end(event, Phase::AfterAppend)?,
            _ => {}
        }
        Ok(())
    }
}

impl Default for Folded {
    fn default() -> Folded {
        Folded {
            count: 0,
            sum: "0".into(),
            last: None,
            total: 0.0,
            text: String::new(),
            chars: 0,
            kept: Value::Null,
            echo: String::new(),
            seen: Value::Null,
        }
    }
}

fn details(event: &Event, context: &ReduceContext) -> Result<Value> {
    let source = event.source.as_ref().map(|source| {
        json!({ "slug": source.slug, "digest": source.digest, "streamPath": source.stream_path, "offset": source.offset, "depth": source.depth })
    });
    Ok(json!({
        "streamPath": event.stream_path,
        "offset": event.offset,
        "type": event.event_type,
        "payload": event.payload::<Value>()?,
        "metadata": event.metadata::<Value>()?,
        "idempotencyKey": event.idempotency_key,
        "createdAt": event.created_at_ms,
        "source": source,
        "slug": context.slug(),
        "config": context.config::<Value>()?,
    }))
}

fn log(event: &Event, context: &ReduceContext, phase: &str) -> Result<()> {
    let Log { level, message } = event.payload()?;
    let level = match level {
        LogLevel::Debug => Level::Debug,
        LogLevel::Info => Level::Info,
        LogLevel::Warn => Level::Warn,
        LogLevel::Error => Level::Error,
    };
    context.log(level, format_args!("{phase}: {message}"));
    Ok(())
}

fn append(proposal: Proposal, context: &EffectContext) -> Result<()> {
    let Proposal { r#type, payload, metadata, idempotency_key, expected_offset, to, now } = proposal;
    let mut event = NewEvent::new(r#type);
    if let Some(payload) = payload {
        event = event.payload(payload);
    }
    if let Some(metadata) = metadata {
        event = event.metadata(metadata);
    }
    if let Some(key) = idempotency_key {
        event = event.idempotency_key(key);
    }
    if let Some(offset) = expected_offset {
        event = event.expected_offset(offset);
    }
    let recorded = match (now, to) {
        (false, None) => context.append(event).map(|()| None),
        (false, Some(to)) => context.append_to(&to, event).map(|()| None),
        (true, None) => context.append_now(event).map(Some),
        (true, Some(to)) => context.append_now_to(&to, event).map(Some),
    };
    match recorded {
        Ok(None) => {}
        Ok(Some(event)) => context.append(NewEvent::new("did/record").payload(json!({
            "streamPath": event.stream_path,
            "type": event.event_type,
            "payload": event.payload::<Value>()?,
            "metadata": event.metadata::<Value>()?,
            "idempotencyKey": event.idempotency_key,
        })))?,
        Err(error) => context.append(NewEvent::new("did/refuse").payload(json!({ "case": case(&error) })))?,
    }
    Ok(())
}

fn case(error: &AppendError) -> &'static str {
    match error {
        AppendError::Paused(_) => "paused",
        AppendError::Conflict(_) => "conflict",
        AppendError::Denied(_) => "denied",
        AppendError::Invalid(_) => "invalid",
        AppendError::Unavailable(_) => "unavailable",
    }
}

fn end(event: &Event, phase: Phase) -> Result<()> {
    let ending: Ending = event.payload()?;
    if ending.r#in != phase {
        return Ok(());
    }
    match ending.message {
        Some(message) => panic!("{message}"),
        None => std::process::abort(),
    }
}

fn hoard() -> ! {
    let mut hoarded = Vec::new();
    loop {
        hoarded.push(vec![1_u8; 1 << 20]);
        std::hint::black_box(&hoarded);
    }
}

pelton_sdk::export!(Conformance);

#[cfg(test)]
mod tests {
    use super::*;
    use pelton_sdk::testing::Host;

    #[test]
    fn it_folds_appends_and_says_what_was_refused() {
        let mut host = Host::<Conformance>::new();
        host.append("do/add", json!({ "amount": "99999999999999999999" })).unwrap();
        host.append("do/add", json!({ "amount": "1" })).unwrap();
        assert_eq!(host.state().unwrap().unwrap().sum, "100000000000000000000");
        let echo = host.append("do/echo", json!({ "n": 1.5 })).unwrap();
        assert_eq!((&*echo[0].event_type, &echo[0].payload), ("did/echo", &json!({ "n": 1.5 })));
        let refused = host.append("do/append", json!({ "appends": [{ "type": "x", "payload": [] }] })).unwrap();
        assert_eq!((&*refused[0].event_type, &refused[0].payload), ("did/refuse", &json!({ "case": "invalid" })));
        assert_eq!(host.append("do/reject", json!({ "message": "no" })).unwrap_err().to_string(), "no");
        host.append("do/forget", json!({})).unwrap();
        assert_eq!(host.state_json(), "null");
    }
}
