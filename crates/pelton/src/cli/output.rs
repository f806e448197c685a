//! How answers look: for people on a terminal, for programs otherwise.

use std::borrow::Cow;
use std::io::{IsTerminal as _, Write as _};

use clap::ValueEnum;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Failure, Global};
use crate::http::yaml_out;

#[derive(Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A line that a person reads.
    Line,
    Json,
    Yaml,
}

#[derive(Clone, Copy)]
pub struct Format {
    pub shape: Shape,
    pub is_asked: bool,
    pub color: bool,
}

impl Format {
    pub fn of(global: &Global) -> Self {
        let shape = match (global.json, global.yaml) {
            (true, _) => Shape::Json,
            (_, true) => Shape::Yaml,
            _ => Shape::Line,
        };
        let color = match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        };
        Self { shape, is_asked: shape != Shape::Line, color }
    }

    /// What has no line of its own: YAML for people, JSON where that is asked for.
    pub fn document(self, json: &str) -> String {
        match self.shape {
            Shape::Json => json.trim_end().to_owned() + "\n",
            Shape::Line | Shape::Yaml => yaml(json),
        }
    }

    pub fn event(self, json: &str) -> String {
        match self.shape {
            Shape::Json => json.trim_end().to_owned() + "\n",
            Shape::Yaml => "---\n".to_owned() + &yaml(json),
            Shape::Line => self.line(json),
        }
    }

    /// `offset  time  type  payload`, with the stream in front where events of several come.
    fn line(self, json: &str) -> String {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Shown<'a> {
            #[serde(borrow)]
            stream_path: Cow<'a, str>,
            offset: u64,
            position: Option<u64>,
            #[serde(rename = "type", borrow)]
            event_type: Cow<'a, str>,
            #[serde(borrow)]
            payload: &'a RawValue,
            created_at: Cow<'a, str>,
        }
        let Ok(event) = serde_json::from_str::<Shown>(json) else { return printable(json).into_owned() + "\n" };
        let (dim, plain, bad, reset) = if self.color { ("\x1b[2m", "\x1b[36m", "\x1b[31m", "\x1b[0m") } else { ("", "", "", "") };
        let is_bad = ["invalid-event-appended", "error-occurred", "parked", "rejected"].iter().any(|end| event.event_type.ends_with(end));
        let path = event.position.map(|_| event.stream_path + " ").unwrap_or_default();
        let hue = if is_bad { bad } else { plain };
        let (event_type, payload) = (printable(&event.event_type), printable(event.payload.get()));
        format!("{dim}{path}{:>5}  {}{reset}  {hue}{event_type}{reset}  {payload}\n", event.offset, event.created_at)
    }
}

/// Text from outside as it may be written to a terminal: what would move the cursor or change colours is escaped as in JSON.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { shown.push_str(&format!("\\u{:04x}", u32::from(c))) } else { shown.push(c) }
    }
    Cow::Owned(shown)
}

pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

fn yaml(json: &str) -> String {
    let mut out = String::new();
    yaml_out::write(&mut out, json.trim_end());
    out
}
