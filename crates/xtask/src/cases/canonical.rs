//! RFC 8785: one text for all JSON texts that mean the same.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::value::RawValue;

/// The canonical text. An integer that a double cannot hold, which the RFC would round, stays as it is written.
pub fn canonical(json: &RawValue) -> Result<String> {
    let mut text = String::with_capacity(json.get().len());
    write(json, &mut text)?;
    Ok(text)
}

fn write(json: &RawValue, out: &mut String) -> Result<()> {
    let text = json.get();
    match text.as_bytes()[0] {
        b'{' => {
            let fields: BTreeMap<String, &RawValue> = serde_json::from_str(text)?;
            let mut fields: Vec<_> = fields.into_iter().collect();
            fields.sort_by_cached_key(|(key, _)| key.encode_utf16().collect::<Vec<_>>());
            list(out, '{', '}', fields, |out, (key, value)| {
                out.push_str(&serde_json::to_string(&key)?);
                out.push(':');
                write(value, out)
            })?;
        }
        b'[' => list(out, '[', ']', serde_json::from_str::<Vec<&RawValue>>(text)?, |out, item| write(item, out))?,
        // serde_json escapes as the RFC asks.
        b'"' => out.push_str(&serde_json::to_string(&serde_json::from_str::<String>(text)?)?),
        b'-' | b'0'..=b'9' => number(text, out)?,
        _ => out.push_str(text),
    }
    Ok(())
}

fn list<T>(out: &mut String, open: char, close: char, items: Vec<T>, mut item: impl FnMut(&mut String, T) -> Result<()>) -> Result<()> {
    out.push(open);
    for (nth, value) in items.into_iter().enumerate() {
        if nth > 0 {
            out.push(',');
        }
        item(out, value)?;
    }
    out.push(close);
    Ok(())
}

fn number(text: &str, out: &mut String) -> Result<()> {
    let double: f64 = text.parse()?;
    let is_integer = !text.contains(['.', 'e', 'E']);
    if is_integer && format!("{double}") != text && text != "-0" {
        out.push_str(text);
    } else {
        out.push_str(ryu_js::Buffer::new().format(double));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: &str) {
        let json: Box<RawValue> = serde_json::from_str(json).unwrap();
        assert_eq!(canonical(&json).unwrap(), expected);
    }

    #[test]
    fn the_examples_of_the_rfc_come_out_as_it_says() {
        check(
            r#"{ "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
                 "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false] }"#,
            r#"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}"#,
        );
        check(
            r#"{ "\u20ac": "Euro", "\r": "CR", "\ufb33": "Dalet", "1": "One", "\ud83d\ude00": "Face", "\u0080": "Control", "\u00f6": "o" }"#,
            "{\"\\r\":\"CR\",\"1\":\"One\",\"\u{80}\":\"Control\",\"ö\":\"o\",\"€\":\"Euro\",\"😀\":\"Face\",\"\u{fb33}\":\"Dalet\"}",
        );
    }

    #[test]
    fn numbers_are_doubles_unless_that_would_change_an_integer() {
        check("[1.0, -0, -0.0, 5e-324, 1e21, 100000000000000000000]", "[1,0,0,5e-324,1e+21,100000000000000000000]");
        check("[9007199254740993, 18446744073709551615]", "[9007199254740993,18446744073709551615]");
    }
}
