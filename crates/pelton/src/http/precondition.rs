//! What the headers of an append ask for: a key, and which state of the stream it is meant for.

use axum::http::{HeaderMap, HeaderName, header};
use pelton_engine::{Condition, Proposal};
use pelton_model::{IdempotencyKey, Incarnation, Offset, StreamPath};

use super::problem::Problem;

/// `Idempotency-Key`, `If-Match` and `If-None-Match`.
pub struct Preconditions {
    key: Option<IdempotencyKey>,
    /// The offset that the first event must get.
    offset: Option<Offset>,
    pub conditions: Vec<Condition>,
}

impl Preconditions {
    pub fn of(headers: &HeaderMap, path: &StreamPath) -> Result<Self, Problem> {
        let key = header_text(headers, &HeaderName::from_static("idempotency-key"))?.map(key).transpose()?;
        let mut asked = Self { key, offset: None, conditions: Vec::new() };
        if let Some(text) = header_text(headers, &header::IF_MATCH)? {
            asked.if_match(text, path)?;
        }
        match header_text(headers, &header::IF_NONE_MATCH)? {
            Some("*") => asked.conditions.push(Condition::IsNew(path.clone())),
            Some(other) => return Err(Problem::new("bad-header", format!("If-None-Match: expected `*`, found {other}"))),
            None => {}
        }
        Ok(asked)
    }

    /// `*`, an offset with or without quotes, or the ETag of the stream.
    fn if_match(&mut self, text: &str, path: &StreamPath) -> Result<(), Problem> {
        if text == "*" {
            self.conditions.push(Condition::Exists(path.clone()));
            return Ok(());
        }
        let tag = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
        let number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u64>().ok()).flatten();
        let (incarnation, last) = match tag.split_once('-') {
            Some((incarnation, last)) => (Some(number(incarnation)), number(last)),
            None => (None, number(tag)),
        };
        // Offset 1 is the stream's own, so the first of a caller's gets 2.
        let next = last.map(|last| last.max(1)).and_then(|last| Offset::new(last.checked_add(1)?));
        self.offset = match (incarnation, next) {
            (None | Some(Some(_)), Some(next)) => Some(next),
            _ => {
                let expected = r#"expected `*`, the last offset, or "<incarnation>-<last offset>""#;
                return Err(Problem::new("bad-header", format!("If-Match: {expected}, found {text}")));
            }
        };
        match incarnation.flatten() {
            Some(0) => self.conditions.push(Condition::IsNew(path.clone())),
            Some(incarnation) => self.conditions.push(Condition::Is(path.clone(), Incarnation::new(incarnation))),
            None => {}
        }
        Ok(())
    }

    /// Puts what is asked of the first event into it.
    pub fn apply(&self, proposals: &mut [Proposal], is_batch: bool) -> Result<(), Problem> {
        if self.key.is_some() && is_batch {
            let detail = "Idempotency-Key: expected one event, found a batch, whose events have keys of their own";
            return Err(Problem::new("bad-header", detail));
        }
        let Some(first) = proposals.first_mut() else { return Ok(()) };
        if let Some(key) = &self.key {
            first.set_idempotency_key(key).map_err(|problem| Problem::new("bad-header", format!("Idempotency-Key: {problem}")))?;
        }
        if let Some(offset) = self.offset {
            first.expect_offset(offset).map_err(|problem| Problem::new("bad-header", format!("If-Match: {problem}")))?;
        }
        Ok(())
    }
}

fn header_text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let (first, second) = (values.next(), values.next());
    if second.is_some() {
        return Err(Problem::new("bad-header", format!("{name}: expected one, found several")));
    }
    let text = first.map(|value| std::str::from_utf8(value.as_bytes()).map(str::trim)).transpose();
    text.map_err(|_| Problem::new("bad-header", format!("{name}: not UTF-8")))
}

/// A structured string gives its content, anything else is the key as it stands.
fn key(text: &str) -> Result<IdempotencyKey, Problem> {
    let fault = |detail: String| Problem::new("bad-header", format!("Idempotency-Key: {detail}"));
    let unquoted = match text.strip_prefix('"') {
        Some(rest) => {
            let inner = rest.strip_suffix('"').ok_or_else(|| fault("expected a closing quote".to_owned()))?;
            unescaped(inner).ok_or_else(|| fault("expected a backslash before each quote or backslash inside quotes".to_owned()))?
        }
        None => text.to_owned(),
    };
    IdempotencyKey::new(&unquoted).map_err(|error| fault(error.to_string()))
}

/// RFC 9651, section 3.3.3.
fn unescaped(inner: &str) -> Option<String> {
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => out.push(chars.next().filter(|next| matches!(next, '"' | '\\'))?),
            '"' => return None,
            other => out.push(other),
        }
    }
    Some(out)
}
