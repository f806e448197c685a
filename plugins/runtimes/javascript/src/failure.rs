//! Why a program does not run, in words for its author.

use std::fmt;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub message: String,
    /// `module:line:column`, where there is one.
    pub location: Option<String>,
    /// The program chose these words, and nothing is to be added to them.
    pub is_worded: bool,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), location: None, is_worded: false }
    }

    pub(crate) fn at(module: &str, (line, column): (usize, usize), message: impl Into<String>) -> Self {
        Self { message: message.into(), location: Some(format!("{module}:{line}:{column}")), is_worded: false }
    }

    pub(crate) fn worded(message: String) -> Self {
        Self { message, location: None, is_worded: true }
    }

    /// The same, with what went before it, unless it is worded already.
    pub(crate) fn after(self, introduction: fmt::Arguments<'_>) -> Self {
        if self.is_worded { self } else { Self { message: format!("{introduction}: {}", self.message), ..self } }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.location {
            // A stack says it already.
            Some(location) if !self.message.contains(location.as_str()) => write!(f, " ({location})"),
            _ => Ok(()),
        }
    }
}
