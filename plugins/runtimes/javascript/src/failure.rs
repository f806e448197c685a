//! Why a program does not run, in words for its author.

use std::fmt;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub message: String,
    /// `module:line:column`, where there is one.
    pub location: Option<String>,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), location: None }
    }

    pub(crate) fn at(module: &str, (line, column): (usize, usize), message: impl Into<String>) -> Self {
        Self { message: message.into(), location: Some(format!("{module}:{line}:{column}")) }
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
