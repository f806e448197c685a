//! The path of a stream in a URL.

use pelton_model::StreamPath;

/// Percent-decoded once and given its leading slash; nothing else is repaired.
///
/// # Errors
/// What was expected and what was found.
pub fn stream_path(raw: &str) -> Result<StreamPath, String> {
    let decoded = percent_encoding::percent_decode_str(raw).decode_utf8().map_err(|_| "stream path: not UTF-8".to_owned())?;
    if decoded.bytes().all(|byte| byte == b'/') {
        return Ok(StreamPath::root());
    }
    let absolute = if decoded.starts_with('/') { decoded.into_owned() } else { format!("/{decoded}") };
    StreamPath::new(&absolute).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn raw_escaped_and_root_forms_name_the_same_stream() {
        for raw in ["team/inbox", "team%2Finbox", "%2Fteam%2Finbox", "/team/inbox"] {
            assert_eq!(stream_path(raw).unwrap().as_str(), "/team/inbox");
        }
        for raw in ["", "/", "//", "%2F"] {
            assert_eq!(stream_path(raw).unwrap(), StreamPath::root());
        }
        for raw in ["Team", "a//b", "a/", "a%2", "a%252Fb", "%FF"] {
            assert!(stream_path(raw).is_err(), "{raw}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_path_or_an_error(raw in ".*") {
            if let Ok(path) = stream_path(&raw) {
                prop_assert_eq!(stream_path(path.as_str()).unwrap(), path);
            }
        }
    }
}
