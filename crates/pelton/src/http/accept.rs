//! Which of the formats on offer a client wants: `Accept` of RFC 9110.

use axum::http::{HeaderMap, header};

use super::problem::Problem;

/// A format with its media types, the one that is answered with first.
pub type Offer<T> = (T, &'static [&'static str]);

/// The offer that `Accept` likes best. Among equals what it names first wins, then what is offered first, which is also what a client gets that
/// does not say.
pub fn choose<T: Copy>(headers: &HeaderMap, offers: &[Offer<T>]) -> Result<T, Problem> {
    let expected = || offers.iter().map(|(_, types)| types[0]).collect::<Vec<_>>().join(", ");
    let mut texts = Vec::new();
    for value in headers.get_all(header::ACCEPT) {
        texts.push(value.to_str().map_err(|_| Problem::new("bad-header", "Accept: expected visible ASCII characters"))?);
    }
    let accept = texts.join(",").to_ascii_lowercase();
    let accept = if accept.trim().is_empty() { "*/*" } else { &accept };
    let ranges = accept.split(',').filter(|range| !range.trim().is_empty()).map(Range::parse).collect::<Result<Vec<_>, _>>()?;
    let liking = |types: &[&str]| {
        let covering = ranges.iter().enumerate().filter(|(_, range)| types.iter().any(|media_type| range.covers(media_type)));
        // The most specific range says how much, and the earlier of two equal ones.
        let (nth, range) = covering.max_by_key(|(nth, range)| (range.specificity(), std::cmp::Reverse(*nth)))?;
        (range.quality > 0).then_some((range.quality, std::cmp::Reverse(nth)))
    };
    let liked = offers.iter().enumerate().filter_map(|(nth, (format, types))| Some((liking(types)?, std::cmp::Reverse(nth), *format)));
    let best = liked.max_by_key(|(liking, nth, _)| (*liking, *nth)).map(|(.., format)| format);
    best.ok_or_else(|| Problem::new("not-acceptable", format!("Accept: expected one of {}, found {accept}", expected())))
}

struct Range<'a> {
    media_type: &'a str,
    /// In thousandths, as exact as the header can say it.
    quality: u16,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Result<Self, Problem> {
        let mut parts = text.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default();
        let quality = parts.find_map(|part| part.strip_prefix("q="));
        let quality = quality.map_or(Some(1000), thousandths);
        let quality = quality.ok_or_else(|| Problem::new("bad-header", format!("Accept: expected q=0 to q=1, found {:?}", text.trim())))?;
        Ok(Self { media_type, quality })
    }

    fn covers(&self, media_type: &str) -> bool {
        match self.media_type.strip_suffix("/*") {
            Some("*") => true,
            Some(group) => media_type.split_once('/').is_some_and(|(found, _)| found == group),
            None => self.media_type == media_type,
        }
    }

    fn specificity(&self) -> u8 {
        match self.media_type {
            "*/*" => 0,
            range if range.ends_with("/*") => 1,
            _ => 2,
        }
    }
}

/// `0`, `1`, or either with up to three decimals; at most 1.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if !matches!(whole, "0" | "1") || decimals.len() > 3 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let quality: u16 = format!("{whole}{decimals:0<3}").parse().ok()?;
    (quality <= 1000).then_some(quality)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    const OFFERS: &[Offer<&str>] =
        &[("events", &["text/event-stream"]), ("json", &["application/json"]), ("yaml", &["application/yaml", "text/yaml"])];

    fn chosen(accept: &str) -> Result<&'static str, &'static str> {
        let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_str(accept).unwrap())]);
        choose(&headers, OFFERS).map_err(|problem| problem.code())
    }

    #[test]
    fn the_best_liked_is_chosen_then_the_first_named_then_the_first_offered() {
        for (accept, expected) in [
            ("", Ok("events")),
            ("*/*", Ok("events")),
            ("application/*", Ok("json")),
            ("application/json, text/event-stream", Ok("json")),
            ("application/json;q=0.5, text/event-stream;q=0.51", Ok("events")),
            ("application/json;q=0.5, */*;q=0.1", Ok("json")),
            ("text/event-stream;q=0, */*", Ok("json")),
            ("text/html, TEXT/YAML;charset=utf-8;q=0.2", Ok("yaml")),
            ("text/html, application/xhtml+xml;q=0.9, */*;q=0.8", Ok("events")),
            ("text/html", Err("not-acceptable")),
            ("*/*;q=0", Err("not-acceptable")),
            ("*/*;q=2", Err("bad-header")),
            ("*/*;q=0.1234", Err("bad-header")),
        ] {
            assert_eq!(chosen(accept), expected, "{accept}");
        }
        assert_eq!(choose(&HeaderMap::new(), OFFERS).unwrap(), "events");
    }
}
