//! Takes values out of what a server answers, however it is cut into pieces.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::HeaderValue;
use pelton_engine::{HttpBody, HttpError};

/// Replaces each occurrence of a value by as many `*`: as it was sent, as it is written in JSON, and percent-encoded.
pub struct Masker {
    needles: Vec<Needle>,
    /// What may be the beginning of an occurrence.
    held: Vec<u8>,
}

/// One text that is looked for, by the algorithm of Knuth, Morris and Pratt: one step a byte, and it always knows how much of the text it is in.
struct Needle {
    text: Vec<u8>,
    /// For each length of a beginning of the text: the longest shorter one that it ends with.
    fallback: Vec<usize>,
    matched: usize,
}

impl Masker {
    pub fn new(values: &[Vec<u8>]) -> Self {
        let mut texts: Vec<Vec<u8>> = values.iter().flat_map(|value| spellings(value)).collect();
        texts.sort();
        texts.dedup();
        Self { needles: texts.into_iter().filter(|text| !text.is_empty()).map(Needle::new).collect(), held: Vec::new() }
    }

    /// Takes the next bytes in and gives those that no occurrence can begin in any more.
    fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        for &byte in bytes {
            self.held.push(byte);
            for needle in &mut self.needles {
                if needle.step(byte) {
                    let from = self.held.len() - needle.text.len();
                    self.held[from..].fill(b'*');
                }
            }
        }
        let kept = self.needles.iter().map(|needle| needle.matched).max().unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - kept);
        std::mem::replace(&mut self.held, rest)
    }

    /// What is left at the end.
    fn finish(&mut self) -> Vec<u8> {
        self.needles.iter_mut().for_each(|needle| needle.matched = 0);
        std::mem::take(&mut self.held)
    }

    /// A text that is whole.
    pub fn all(&mut self, text: &[u8]) -> Vec<u8> {
        let mut masked = self.push(text);
        masked.append(&mut self.finish());
        masked
    }
}

impl Needle {
    fn new(text: Vec<u8>) -> Self {
        let mut fallback = vec![0; text.len()];
        let mut matched = 0;
        for at in 1..text.len() {
            while matched > 0 && text[at] != text[matched] {
                matched = fallback[matched - 1];
            }
            matched += usize::from(text[at] == text[matched]);
            fallback[at] = matched;
        }
        Self { text, fallback, matched: 0 }
    }

    /// Whether an occurrence ends with this byte.
    fn step(&mut self, byte: u8) -> bool {
        while self.matched > 0 && self.text[self.matched] != byte {
            self.matched = self.fallback[self.matched - 1];
        }
        self.matched += usize::from(self.text[self.matched] == byte);
        let is_whole = self.matched == self.text.len();
        if is_whole {
            self.matched = self.fallback[self.matched - 1];
        }
        is_whole
    }
}

/// As it was sent, and as servers write it into what they answer: JSON, for some of which a slash or what HTML minds is escaped, and percent-encoded in
/// either case.
fn spellings(value: &[u8]) -> [Vec<u8>; 6] {
    let (json, percent) = (as_json(value), as_percent(value));
    let html_safe = [("&", r"\u0026"), ("<", r"\u003c"), (">", r"\u003e")];
    let html_safe = html_safe.iter().fold(json.clone(), |text, (plain, escaped)| text.replace(plain, escaped));
    let lower_percent = lower_hex(&percent);
    [value.to_vec(), json.replace('/', r"\/").into(), json.into(), html_safe.into(), percent.into(), lower_percent.into()]
}

/// As it stands between the quotes of a JSON string.
fn as_json(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let quoted = serde_json::Value::from(text.as_ref()).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// `%2f` for `%2F`.
fn lower_hex(percent: &str) -> String {
    let mut escapes = percent.split('%');
    let plain = escapes.next().unwrap_or_default().to_owned();
    escapes.fold(plain, |text, escape| {
        let (digits, rest) = escape.split_at(escape.len().min(2));
        text + "%" + &digits.to_ascii_lowercase() + rest
    })
}

fn as_percent(value: &[u8]) -> String {
    const UNRESERVED: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    percent_encoding::percent_encode(value, UNRESERVED).to_string()
}

/// A body without the values. Its length stays what it was.
pub struct Masked {
    body: HttpBody,
    masker: Masker,
    /// What is left to be given after the last of the data.
    trailers: Option<Frame<Bytes>>,
    is_over: bool,
}

impl Masked {
    pub fn new(body: HttpBody, masker: Masker) -> Self {
        Self { body, masker, trailers: None, is_over: false }
    }

    /// The next frame now that the body has come to its end.
    fn end(&mut self, trailers: Option<Frame<Bytes>>) -> Option<Frame<Bytes>> {
        self.is_over = true;
        let rest = self.masker.finish();
        self.trailers = trailers.map(|trailers| self.mask_trailers(trailers));
        if rest.is_empty() { self.trailers.take() } else { Some(Frame::data(rest.into())) }
    }

    fn mask_trailers(&mut self, mut frame: Frame<Bytes>) -> Frame<Bytes> {
        for value in frame.trailers_mut().into_iter().flat_map(|trailers| trailers.values_mut()) {
            // Stars are as good in a header as what they stand for.
            *value = HeaderValue::try_from(self.masker.all(value.as_bytes())).unwrap_or(HeaderValue::from_static("*"));
        }
        frame
    }
}

impl Body for Masked {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        if self.is_over {
            return Poll::Ready(self.trailers.take().map(Ok));
        }
        loop {
            let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => {
                    let shown = self.masker.push(&data);
                    if !shown.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(shown.into()))));
                    }
                }
                Some(Ok(Err(trailers))) => return Poll::Ready(self.end(Some(trailers)).map(Ok)),
                Some(Err(error)) => {
                    self.is_over = true;
                    return Poll::Ready(Some(Err(error)));
                }
                None => return Poll::Ready(self.end(None).map(Ok)),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.is_over && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, held) = (self.body.size_hint(), self.masker.held.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + held);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + held);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt as _, StreamBody};
    use proptest::prelude::*;

    fn masker(values: &[&str]) -> Masker {
        Masker::new(&values.iter().map(|value| value.as_bytes().to_vec()).collect::<Vec<_>>())
    }

    fn masked(values: &[&str], text: &str) -> String {
        String::from_utf8(masker(values).all(text.as_bytes())).unwrap()
    }

    #[test]
    fn every_occurrence_is_masked_in_its_length() {
        assert_eq!(masked(&["s3cret"], "a s3cret, s3crets3cret."), "a ******, ************.");
        assert_eq!(masked(&["abab"], "xabababx"), "x******x");
        assert_eq!(masked(&["ab", "bc"], "abc"), "***");
        assert_eq!(masked(&["s3cret"], "s3cre"), "s3cre");
        assert_eq!(masked(&["a\"b/c"], r#"{"x":"a\"b/c"} a%22b%2Fc"#), r#"{"x":"******"} *********"#);
        assert_eq!(masked(&["A/b&c"], r#"{"x":"A\/b&c","y":"A/b\u0026c"} A%2fb%26c"#), r#"{"x":"******","y":"**********"} *********"#);
        assert_eq!(masked(&[], "as it is"), "as it is");
    }

    #[test]
    fn a_body_is_masked_across_its_frames_and_its_trailers_too() {
        let mut trailers = hyper::HeaderMap::new();
        trailers.insert("x-echo", HeaderValue::from_static("key s3cret"));
        let frames = ["ab s3", "cr", "et s3c"].map(|text| Ok(Frame::data(Bytes::from(text))));
        let frames = frames.into_iter().chain([Ok(Frame::trailers(trailers))]);
        let body = StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync();
        let collected = futures_util::FutureExt::now_or_never(Masked::new(body, masker(&["s3cret"])).collect()).unwrap().unwrap();
        assert_eq!(collected.trailers().unwrap()["x-echo"], "key ******");
        assert_eq!(collected.to_bytes(), "ab ****** s3c");
    }

    proptest! {
        #[test]
        fn how_a_text_is_cut_does_not_show(text in "[ab]{0,40}", value in "[ab]{1,5}", cuts in prop::collection::vec(0_usize..40, 0..5)) {
            let whole = masked(&[&value], &text);
            prop_assert_eq!(whole.len(), text.len());
            prop_assert!(!whole.contains(&value));
            let mut pieces = masker(&[&value]);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).chain([0, text.len()]).collect();
            cuts.sort_unstable();
            let mut cut_up: Vec<u8> = cuts.windows(2).flat_map(|cut| pieces.push(&text.as_bytes()[cut[0]..cut[1]])).collect();
            cut_up.append(&mut pieces.finish());
            prop_assert_eq!(String::from_utf8(cut_up).unwrap(), whole);
        }
    }
}
