use serde::Serialize;

/// What a processor says about itself. The initial state is not part of it: that is `State::default()`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    name: String,
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumes: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    emits: Option<Vec<String>>,
    state_version: u32,
}

impl Manifest {
    /// Name and version, the latter usually `env!("CARGO_PKG_VERSION")`.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Manifest {
        Manifest { name: name.into(), version: version.into(), description: None, consumes: None, emits: None, state_version: 1 }
    }

    /// One or two sentences for people.
    pub fn description(mut self, description: impl Into<String>) -> Manifest {
        self.description = Some(description.into());
        self
    }

    /// The event types it wants, where `*` matches any run of characters. All of them unless this is called.
    pub fn consumes<T: Into<String>>(mut self, types: impl IntoIterator<Item = T>) -> Manifest {
        self.consumes = Some(types.into_iter().map(Into::into).collect());
        self
    }

    /// The event types it appends, for people and tools; not enforced.
    pub fn emits<T: Into<String>>(mut self, types: impl IntoIterator<Item = T>) -> Manifest {
        self.emits = Some(types.into_iter().map(Into::into).collect());
        self
    }

    /// From 1, which it is unless this is called. Raise it whenever the shape of the state changes: the host then rebuilds
    /// the state from the events instead of handing over one of the old shape.
    pub fn state_version(mut self, version: u32) -> Manifest {
        self.state_version = version;
        self
    }

    /// Whether an event of this type would reach the processor.
    pub(crate) fn wants(&self, event_type: &str) -> bool {
        self.consumes.as_ref().is_none_or(|patterns| patterns.iter().any(|pattern| matches(pattern, event_type)))
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text
            .strip_prefix(start)
            .is_some_and(|tail| tail.char_indices().map(|(at, _)| at).chain([tail.len()]).any(|at| matches(rest, &tail[at..]))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_consumes_means_all_and_a_star_any_run() {
        assert!(Manifest::new("n", "1").wants("anything"));
        let some = Manifest::new("n", "1").consumes(["ping", "order/*", "*/closed"]);
        for wanted in ["ping", "order/", "order/placed", "order/a/b", "shop/closed"] {
            assert!(some.wants(wanted), "{wanted}");
        }
        for unwanted in ["pings", "order", "a/closed/b", ""] {
            assert!(!some.wants(unwanted), "{unwanted}");
        }
    }
}
