//! Where in a header a secret is asked for: `{{secret:name}}`, or `getIterateSecret({ secretKey: "name" })` with any spacing and either kind of
//! quotes; both also percent-encoded, as some libraries do to what they take for a URL's part.

use pelton_model::Slug;

/// A run of a header's value.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    Text(&'a [u8]),
    Secret(Slug),
}

/// The value in pieces.
///
/// # Errors
/// What is wrong with something that begins like a placeholder: it is better not sent than sent unfilled.
pub fn pieces(value: &[u8]) -> Result<Vec<Piece<'_>>, String> {
    let (mut pieces, mut text_from, mut at) = (Vec::new(), 0, 0);
    while at < value.len() {
        let mut reader = Reader { value, at };
        let Some(name) = placeholder(&mut reader)? else {
            at += 1;
            continue;
        };
        if text_from < at {
            pieces.push(Piece::Text(&value[text_from..at]));
        }
        pieces.push(Piece::Secret(name));
        (text_from, at) = (reader.at, reader.at);
    }
    if text_from < value.len() {
        pieces.push(Piece::Text(&value[text_from..]));
    }
    Ok(pieces)
}

/// The name in a placeholder that begins here; `None` where none does.
fn placeholder(reader: &mut Reader<'_>) -> Result<Option<Slug>, String> {
    let (name, what) = if reader.takes("{{") {
        reader.skip_spaces();
        if !reader.takes("secret:") {
            return Ok(None);
        }
        reader.skip_spaces();
        let name = reader.name();
        reader.skip_spaces();
        (name.filter(|_| reader.takes("}}")), "{{secret:name}}")
    } else if reader.takes("getIterateSecret") {
        reader.skip_spaces();
        if !reader.takes("(") {
            return Ok(None);
        }
        (call(reader), "getIterateSecret({ secretKey: \"name\" })")
    } else {
        return Ok(None);
    };
    let name = name.ok_or_else(|| format!("expected a placeholder such as {what}, found something that only begins like it"))?;
    Slug::new(&name).map(Some).map_err(|error| format!("expected the name of a secret in {what}: {error}"))
}

/// What follows the opening parenthesis.
fn call(reader: &mut Reader<'_>) -> Option<String> {
    reader.token("{")?;
    let key_quote = reader.quote();
    reader.takes("secretKey").then_some(())?;
    reader.closes(key_quote)?;
    reader.token(":")?;
    reader.skip_spaces();
    let quote = reader.quote();
    quote?;
    let name = reader.name()?;
    reader.closes(quote)?;
    reader.skip_spaces();
    reader.takes(",");
    reader.token("}")?;
    reader.skip_spaces();
    reader.takes(",");
    reader.token(")")?;
    Some(name)
}

/// Reads characters, be they written as they are or percent-encoded.
struct Reader<'a> {
    value: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<(u8, usize)> {
        match self.value.get(self.at..)? {
            [b'%', high, low, ..] => {
                let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                match (digit(*high), digit(*low)) {
                    (Some(high), Some(low)) => Some((high << 4 | low, 3)),
                    _ => Some((b'%', 1)),
                }
            }
            [byte, ..] => Some((*byte, 1)),
            [] => None,
        }
    }

    /// Moves only if all of it is there.
    fn takes(&mut self, expected: &str) -> bool {
        let from = self.at;
        for wanted in expected.bytes() {
            match self.peek() {
                Some((byte, length)) if byte == wanted => self.at += length,
                _ => {
                    self.at = from;
                    return false;
                }
            }
        }
        true
    }

    fn token(&mut self, expected: &str) -> Option<()> {
        self.skip_spaces();
        let taken = self.takes(expected).then_some(());
        self.skip_spaces();
        taken
    }

    fn skip_spaces(&mut self) {
        while let Some((b' ' | b'\t' | b'\r' | b'\n', length)) = self.peek() {
            self.at += length;
        }
    }

    fn quote(&mut self) -> Option<&'static str> {
        ["\"", "'"].into_iter().find(|quote| self.takes(quote))
    }

    /// The quote that was opened has to be closed.
    fn closes(&mut self, quote: Option<&str>) -> Option<()> {
        quote.is_none_or(|quote| self.takes(quote)).then_some(())
    }

    fn name(&mut self) -> Option<String> {
        let mut name = String::new();
        while let Some((byte, length)) = self.peek()
            && (byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
        {
            name.push(char::from(byte));
            self.at += length;
        }
        (!name.is_empty()).then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: &str) -> Result<String, String> {
        let pieces = pieces(value.as_bytes())?;
        Ok(pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => String::from_utf8_lossy(text).into_owned(),
                Piece::Secret(name) => format!("<{name}>"),
            })
            .collect())
    }

    #[test]
    fn every_way_to_write_a_placeholder_is_one() {
        for (value, expected) in [
            ("Bearer {{secret:api-key}}", "Bearer <api-key>"),
            ("{{ secret: a.b_c }}", "<a.b_c>"),
            (r#"Bearer getIterateSecret({ secretKey: "api-key" })"#, "Bearer <api-key>"),
            (r"getIterateSecret({secretKey:'k'})x", "<k>x"),
            (r#"getIterateSecret ( {  "secretKey" :  'k' , } )"#, "<k>"),
            ("getIterateSecret(%7B%20secretKey%3A%20%22k%22%20%7D)", "<k>"),
            ("getIterateSecret%28%7bsecretKey%3a%27k%27%7d%29", "<k>"),
            ("%7B%7Bsecret%3Ak%7D%7D", "<k>"),
            ("{{secret:a}}:{{secret:b}}", "<a>:<b>"),
            ("{{{secret:a}}}", "{<a>}"),
            ("nothing {{here}} getIterateSecret %7", "nothing {{here}} getIterateSecret %7"),
            ("", ""),
        ] {
            assert_eq!(shown(value).unwrap(), expected, "{value}");
        }
    }

    #[test]
    fn what_only_begins_like_a_placeholder_is_an_error() {
        for value in [
            "{{secret:a}",
            "{{secret:}}",
            "{{secret:a b}}",
            "getIterateSecret()",
            "getIterateSecret({ secretKey: name })",
            r#"getIterateSecret({ secretKey: "a' })"#,
            r#"getIterateSecret({ key: "a" })"#,
        ] {
            assert!(shown(value).unwrap_err().contains("only begins like it"), "{value}");
        }
        assert!(shown(&format!("{{{{secret:{}}}}}", "x".repeat(200))).unwrap_err().contains("the name of a secret"));
    }
}
