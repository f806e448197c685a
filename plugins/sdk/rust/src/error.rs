use std::fmt::{self, Debug, Display};

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a processor could not handle an event, in words for the person who reads why it was parked.
///
/// `?` makes one of any [`std::error::Error`], its causes included: `no rate for the day: row 7: invalid digit`. For that
/// reason it does not implement that trait itself.
pub struct Error {
    message: String,
}

impl Error {
    /// An error that says this.
    ///
    /// ```
    /// # fn check(total: i64) -> pelton_sdk::Result<()> {
    /// if total < 0 {
    ///     return Err(pelton_sdk::Error::new(format_args!("the total is negative: {total}")));
    /// }
    /// # Ok(()) }
    /// ```
    pub fn new(message: impl Display) -> Error {
        Error { message: message.to_string() }
    }

    /// The same error, with what was being tried put before it.
    ///
    /// ```
    /// # use pelton_sdk::Error;
    /// # fn parse(text: &str) -> pelton_sdk::Result<u64> {
    /// let amount = text.parse::<u64>().map_err(|error| Error::from(error).during("reading the amount"))?;
    /// # Ok(amount) }
    /// # assert_eq!(parse("x").unwrap_err().to_string(), "reading the amount: invalid digit found in string");
    /// ```
    pub fn during(self, what: impl Display) -> Error {
        Error { message: format!("{what}: {}", self.message) }
    }
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Error {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Some errors repeat their cause in their own text; once is enough.
            if !message.ends_with(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            cause = error.source();
        }
        Error { message }
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Layer(&'static str, Option<Box<Layer>>);

    impl Display for Layer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl std::error::Error for Layer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            self.1.as_deref().map(|layer| layer as _)
        }
    }

    #[test]
    fn all_causes_are_named_once() {
        let chain = Layer("no rate", Some(Box::new(Layer("row 7: bad digit", Some(Box::new(Layer("bad digit", None)))))));
        assert_eq!(Error::from(chain).to_string(), "no rate: row 7: bad digit");
    }
}
