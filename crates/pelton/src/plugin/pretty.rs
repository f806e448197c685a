//! JSON for people and for version control: what fits is on one line, numbers and the order of keys stay as they were written.

/// Columns that a value may take on one line.
const COLUMNS_MAX: usize = 100;

/// `json` must be well formed and without white space around its tokens, as all JSON of the host is.
pub fn pretty(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let mut rest = json;
    value(&mut out, &mut rest, 0);
    out.push('\n');
    out
}

fn value(out: &mut String, rest: &mut &str, indent: usize) {
    let text = &rest[..end_of_value(rest)];
    let column = out.len() - out.rfind('\n').map_or(0, |at| at + 1);
    let is_short = text.len() <= COLUMNS_MAX && column + text.chars().count() * 5 / 4 <= COLUMNS_MAX;
    if !text.starts_with(['{', '[']) || text.len() == 2 || (is_short && indent > 0) {
        spaced(out, text);
        *rest = &rest[text.len()..];
        return;
    }
    let is_object = text.starts_with('{');
    out.push(take(rest));
    loop {
        line(out, indent + 1);
        if is_object {
            let key = &rest[..end_of_value(rest)];
            out.push_str(key);
            *rest = &rest[key.len() + 1..];
            out.push_str(": ");
        }
        value(out, rest, indent + 1);
        let next = take(rest);
        if next == ',' {
            out.push(',');
        } else {
            line(out, indent);
            out.push(next);
            return;
        }
    }
}

fn line(out: &mut String, indent: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", indent));
}

fn take(rest: &mut &str) -> char {
    let first = rest.as_bytes().first().copied().map_or(' ', char::from);
    *rest = rest.get(1..).unwrap_or_default();
    first
}

/// On one line, with spaces where they help.
fn spaced(out: &mut String, text: &str) {
    let (mut in_string, mut escaped, mut previous) = (false, false, ' ');
    for (at, c) in text.char_indices() {
        if in_string {
            in_string = c != '"' || escaped;
            escaped = c == '\\' && !escaped;
            out.push(c);
            continue;
        }
        let next = text[at + c.len_utf8()..].chars().next();
        match c {
            '"' => {
                in_string = true;
                out.push(c);
            }
            ',' | ':' => out.extend([c, ' ']),
            '{' if next != Some('}') => out.push_str("{ "),
            '}' if previous != '{' => out.push_str(" }"),
            _ => out.push(c),
        }
        previous = c;
    }
}

/// Where the first value ends.
fn end_of_value(text: &str) -> usize {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        if in_string {
            if byte == b'"' && !escaped {
                in_string = false;
                if depth == 0 {
                    return at + 1;
                }
            }
            escaped = byte == b'\\' && !escaped;
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return at,
            b'}' | b']' if depth == 1 => return at + 1,
            b'}' | b']' => depth -= 1,
            b',' if depth == 0 => return at,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pelton_model::Json;

    #[test]
    fn numbers_keys_and_strings_stay_and_short_values_are_on_one_line() {
        let json = r#"{"n":1.10,"s":"a, {\"b\"}: \\","e":{},"l":[1,{"x":[]}],"big":12345678901234567890}"#;
        let text = pretty(json);
        assert_eq!(
            text,
            "{\n  \"n\": 1.10,\n  \"s\": \"a, {\\\"b\\\"}: \\\\\",\n  \"e\": {},\n  \"l\": [1, { \"x\": [] }],\n  \"big\": 12345678901234567890\n}\n"
        );
        assert_eq!(Json::parse(&text).unwrap().as_str(), json);
    }

    #[test]
    fn what_does_not_fit_on_a_line_has_many() {
        let json = format!(r#"[{{"a":"{}"}},"x"]"#, "y".repeat(120));
        let text = pretty(&json);
        assert_eq!(text.lines().count(), 6, "{text}");
        assert_eq!(Json::parse(&text).unwrap().as_str(), json);
        for json in ["1", "\"a\"", "{}", "[]", "null"] {
            assert_eq!(pretty(json), format!("{json}\n"));
        }
    }
}
