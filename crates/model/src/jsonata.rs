//! JSONata expressions, evaluated at arm's length: the interpreter recurses, allocates and may panic, and the expressions come from tenants.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use bumpalo::Bump;
use jsonata_rs::JsonAta;
use serde::{Deserialize, Serialize};

use crate::Json;

/// A JSONata expression. Whether it compiles was checked when it was configured; one read back is taken on trust.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Jsonata(String);

impl utoipa::ToSchema for Jsonata {}

impl utoipa::PartialSchema for Jsonata {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        crate::schema::text("A JSONata expression, at most 16384 bytes", None)
    }
}

const TEXT_BYTES_MAX: usize = 16 << 10;
/// The interpreter checks these between steps.
const DEPTH_MAX: usize = 1_000;
const TIME_MAX: Duration = Duration::from_millis(500);
/// Within a step, a regular expression above all, it checks nothing. So long is waited for it in all.
const PATIENCE: Duration = Duration::from_secs(2);
const MEMORY_BYTES_MAX: usize = 64 << 20;
/// It recurses on the nesting of expressions and values; pages of a stack that are not touched cost nothing.
const STACK_BYTES: usize = 512 << 20;
/// Evaluations that nobody waits for any more may run on in so many threads; then no others are begun until one ends.
const RUNAWAYS_MAX: usize = 4;

static RUNAWAYS: AtomicUsize = AtomicUsize::new(0);

impl Jsonata {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it compiles.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        if self.0.len() > TEXT_BYTES_MAX {
            return Err(format!("expected an expression of at most {TEXT_BYTES_MAX} bytes, found {}", self.0.len()));
        }
        let text = self.0.clone();
        at_arms_length(move || JsonAta::new(&text, &Bump::new()).map(drop).map_err(|error| error.to_string()))
            .map_err(|problem| format!("expected a JSONata expression: {problem}"))
    }

    /// Its value for an input; `None` where it has none. Numbers are IEEE 754 doubles in it, and the fields of objects come in any order.
    ///
    /// # Errors
    /// Why it has no value that is JSON: it fails, takes too long, needs too much memory, or is a function.
    pub fn evaluate(&self, input: &Json) -> Result<Option<Json>, String> {
        self.with(input, |value| match value {
            value if value.is_undefined() => Ok(None),
            value if value.is_function() => Err("expected a value, found a function".to_owned()),
            value => Json::parse(&value.serialize(false)).map(Some).map_err(|error| format!("the result is {error}")),
        })
    }

    /// Whether its value for an input is truthy.
    ///
    /// # Errors
    /// As [`Jsonata::evaluate`].
    pub fn is_truthy(&self, input: &Json) -> Result<bool, String> {
        self.with(input, |value| Ok(value.is_truthy()))
    }

    fn with<T: Send + 'static>(
        &self,
        input: &Json,
        read: impl for<'a> FnOnce(&'a jsonata_rs::Value<'a>) -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        // The interpreter reads the input as an expression. Written anew it has no escapes that mean something else there.
        let input = input.to::<serde_json::Value>().map(|value| value.to_string()).map_err(|error| error.to_string())?;
        let text = self.0.clone();
        at_arms_length(move || {
            let arena = Bump::new();
            arena.set_allocation_limit(Some(MEMORY_BYTES_MAX));
            let expression = JsonAta::new(&text, &arena).map_err(|error| error.to_string())?;
            let time_max = usize::try_from(TIME_MAX.as_millis()).unwrap_or(usize::MAX);
            let value = expression.evaluate_timeboxed(Some(&input), Some(DEPTH_MAX), Some(time_max)).map_err(|error| error.to_string())?;
            read(value)
        })
    }
}

impl From<&str> for Jsonata {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// On a thread of its own with a stack that is deep enough; a panic there is an error here, and who takes too long is left behind.
fn at_arms_length<T: Send + 'static>(work: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, String> {
    if RUNAWAYS.load(Ordering::Acquire) >= RUNAWAYS_MAX {
        return Err("expressions that do not end keep the host busy; try again later".to_owned());
    }
    let (answer, answered) = mpsc::sync_channel(1);
    let spawned = std::thread::Builder::new().name("jsonata".to_owned()).stack_size(STACK_BYTES).spawn(move || {
        let result = work();
        // Nobody waits any more: this one had run away, and has come back.
        if answer.send(result).is_err() {
            RUNAWAYS.fetch_sub(1, Ordering::AcqRel);
        }
    });
    let thread = spawned.map_err(|error| format!("no thread to evaluate it on: {error}"))?;
    match answered.recv_timeout(PATIENCE) {
        Ok(result) => result,
        Err(RecvTimeoutError::Disconnected) => {
            let why = match thread.join() {
                Err(panic) => panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)),
                Ok(()) => None,
            };
            Err(format!("the interpreter failed: {}", why.as_deref().unwrap_or("no reason given")))
        }
        Err(RecvTimeoutError::Timeout) => {
            RUNAWAYS.fetch_add(1, Ordering::AcqRel);
            Err(format!("expected a value within {} ms, found none", PATIENCE.as_millis()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn evaluate(expression: &str, input: &str) -> Result<Option<String>, String> {
        let value = Jsonata::from(expression).evaluate(&Json::parse(input).unwrap())?;
        Ok(value.map(|value| value.as_str().to_owned()))
    }

    #[test]
    fn an_expression_sees_its_input_as_it_is() {
        let input = r#"{"a":{"b":[1,2,{"c":"\u00e4\ud83d\ude00\"\\\n/"}]},"one":[7],"nested":[[1],[2,3]],"n":null,"t":true,"x":-1.5e3,"":0,"a b":1}"#;
        for (expression, expected) in [
            ("a.b[0]", Some("1")),
            ("a.b[2].c", Some(r#""ä😀\"\\\n/""#)),
            ("$.one", Some("[7]")),
            ("one[0]", Some("7")),
            ("$$.t", Some("true")),
            ("n", Some("null")),
            ("x", Some("-1500")),
            ("$sum(a.b[[0..1]])", Some("3")),
            ("nothing", None),
            ("{ 'payload': { 'n': a.b[1] } }", Some(r#"{"payload":{"n":2}}"#)),
            ("`a b`", Some("1")),
        ] {
            assert_eq!(evaluate(expression, input).as_ref().map(Option::as_deref), Ok(expected), "{expression}");
        }
    }

    #[test]
    fn an_expression_that_fails_says_why() {
        for (expression, expected) in [
            ("$error('no luck')", "no luck"),
            ("1 + 'a'", ""),
            ("$sum", "expected a value, found a function"),
            ("(", ""),
            ("$f := function($n){ $f($n + 1) }; $f(0)", ""),
        ] {
            let error = evaluate(expression, "{}").unwrap_err();
            assert!(error.contains(expected), "{expression}: {error}");
        }
        let error = Jsonata::from("a.b[").check().unwrap_err();
        assert!(error.starts_with("expected a JSONata expression: "), "{error}");
        let long = Jsonata::from("a".repeat(TEXT_BYTES_MAX + 1).as_str());
        assert_eq!(long.check().unwrap_err(), "expected an expression of at most 16384 bytes, found 16385");
    }

    #[test]
    fn nesting_and_recursion_end_as_errors_or_values_and_nothing_else() {
        let deep = |text: &str| text.repeat(TEXT_BYTES_MAX / text.len());
        for text in ["(", "-", "[", "{", "a?b:", "$not(", "function(){", "a.", "~", "[0].", "{'a':"] {
            drop(Jsonata::from(deep(text).as_str()).check());
            drop(evaluate(&deep(text), "{}"));
        }
        let balanced = format!("{}1{}", "(".repeat(8_000), ")".repeat(8_000));
        drop(evaluate(&balanced, "{}"));
        assert!(evaluate("($f := function($n){ $n = 0 ? 0 : 1 + $f($n - 1) }; $f(100000))", "{}").is_err());
        assert!(evaluate("($f := function(){ $f() }; $f())", "{}").is_err());
        let input = format!("{}1{}", "[".repeat(120), "]".repeat(120));
        assert!(evaluate("$", &input).is_ok());
    }

    #[test]
    fn memory_and_time_are_bounded() {
        assert!(evaluate("($d := function($s, $n){ $n = 0 ? $s : $d($s & $s, $n - 1) }; $length($d('xxxxxxxx', 40)))", "{}").is_err());
        assert!(evaluate("$map([1..10000000], function($x){ { 'x': [$x, $x, $x] } })", "{}").is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn any_input_comes_through_as_it_was(text in any::<String>(), number in any::<i32>(), float in any::<f32>()) {
            let value = serde_json::json!({ "text": text, "number": number, "float": f64::from(float), "list": [text, [number]] });
            let input = Json::of(&value);
            for (path, pointer) in [("text", "/text"), ("number", "/number"), ("list[0]", "/list/0")] {
                let found = Jsonata::from(path).evaluate(&input).unwrap().unwrap();
                prop_assert_eq!(&found.to::<serde_json::Value>().unwrap(), value.pointer(pointer).unwrap());
            }
        }

        #[test]
        fn no_text_brings_the_host_down(text in "[a-z$.(){}\\[\\]\"'/*+:;?@#%^&|~ 0-9-]{0,60}") {
            drop(Jsonata::from(text.as_str()).check());
            drop(evaluate(&text, r#"{"a":[1,{"b":"c"}]}"#));
        }
    }
}
