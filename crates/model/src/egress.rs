//! Which requests may leave the host: the rules, and how a request is held against them. Names are not resolved here.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `[METHOD:]SCHEME://HOST[:PORT]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressRule {
    /// As it was written.
    text: String,
    method: Option<String>,
    /// `None` for any of http, https, ws and wss.
    scheme: Option<String>,
    host: HostRule,
    port: PortRule,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum HostRule {
    Any,
    /// All names below this one.
    Below(String),
    Name(String),
    Addresses(IpNet),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PortRule {
    OfScheme,
    Any,
    Is(u16),
}

/// What is no rule, with the text that was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("egress rule {found:?}: expected [METHOD:]SCHEME://HOST[:PORT]: {problem}")]
pub struct EgressRuleError {
    found: String,
    problem: &'static str,
}

/// A request as rules see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressRequest {
    pub method: String,
    /// One of http, https, ws and wss.
    pub scheme: String,
    pub host: EgressHost,
    pub port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EgressHost {
    /// In lower case, without a dot at its end.
    Name(String),
    Address(IpAddr),
}

/// The rules of one processor, for which nothing leaves unless one of them allows it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, utoipa::ToSchema)]
#[serde(transparent)]
#[schema(value_type = Vec<String>)]
pub struct EgressRules(Vec<EgressRule>);

pub const EGRESS_SCHEMES: &[&str] = &["http", "https", "ws", "wss"];

/// Each request is held against all of them.
const RULES_MAX: usize = 100;

impl EgressRule {
    /// Whether everything but the host fits.
    #[must_use]
    pub fn fits(&self, request: &EgressRequest) -> bool {
        self.method.as_ref().is_none_or(|method| method.eq_ignore_ascii_case(&request.method))
            && self.scheme.as_ref().is_none_or(|scheme| *scheme == request.scheme)
            && match self.port {
                PortRule::Any => true,
                PortRule::Is(port) => port == request.port,
                PortRule::OfScheme => Some(request.port) == default_port(&request.scheme),
            }
    }

    /// Whether the request's host is one that the rule names, or any is. A name never fits a rule of addresses.
    #[must_use]
    pub fn names(&self, host: &EgressHost) -> bool {
        match (&self.host, host) {
            (HostRule::Any, _) => true,
            (HostRule::Name(own), EgressHost::Name(name)) => own == name,
            (HostRule::Below(above), EgressHost::Name(name)) => {
                name.strip_suffix(above.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            (HostRule::Addresses(_), _) | (_, EgressHost::Address(_)) => false,
        }
    }

    /// Whether the rule is one of addresses, and this is among them.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        matches!(&self.host, HostRule::Addresses(net) if net.contains(&address))
    }

    /// Whether it could allow this host, whatever its address turns out to be.
    #[must_use]
    pub fn may_allow(&self, host: &EgressHost) -> bool {
        self.names(host) || matches!(self.host, HostRule::Addresses(_))
    }
}

impl EgressRules {
    /// Whatever the operator allows.
    #[must_use]
    pub fn everything() -> Self {
        Self("*://*:*".parse().into_iter().collect())
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &EgressRule> + Clone {
        self.0.iter()
    }
}

impl From<Vec<EgressRule>> for EgressRules {
    fn from(rules: Vec<EgressRule>) -> Self {
        Self(rules)
    }
}

impl EgressRequest {
    /// Fit to be compared with a rule: names in lower case and without a dot at their end, an address in its shortest form.
    #[must_use]
    pub fn new(method: &str, scheme: &str, host: url::Host<&str>, port: u16) -> Self {
        let host = match host {
            url::Host::Domain(name) => EgressHost::Name(name.trim_end_matches('.').to_ascii_lowercase()),
            url::Host::Ipv4(address) => EgressHost::Address(IpAddr::V4(address)),
            url::Host::Ipv6(address) => EgressHost::Address(IpAddr::V6(address).to_canonical()),
        };
        Self { method: method.to_owned(), scheme: scheme.to_owned(), host, port }
    }
}

impl fmt::Display for EgressRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}://{}:{}", self.method, self.scheme, self.host, self.port)
    }
}

impl fmt::Display for EgressHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl fmt::Display for EgressRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for EgressRule {
    type Err = EgressRuleError;

    fn from_str(text: &str) -> Result<Self, EgressRuleError> {
        let text = text.trim();
        Self::parse(text).map_err(|problem| EgressRuleError { found: text.chars().take(200).collect(), problem })
    }
}

impl EgressRule {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let (before, host) = text.split_once("://").ok_or("there is no ://")?;
        let (method, scheme) = match before.split_once(':') {
            Some((method, scheme)) => (Some(method), scheme),
            None => (None, before),
        };
        if method.is_some_and(|method| method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_alphabetic())) {
            return Err("a method is letters");
        }
        let scheme = match scheme {
            "*" => None,
            scheme if EGRESS_SCHEMES.contains(&scheme) => Some(scheme.to_owned()),
            _ => return Err("a scheme is http, https, ws, wss or *"),
        };
        // A network has colons and a slash of its own.
        let is_v6 = host.matches(':').count() > 1 && !host.starts_with('[');
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) if !is_v6 && !port.ends_with(']') => (host, Some(port)),
            _ => (host, None),
        };
        let port = match port {
            None => PortRule::OfScheme,
            Some("*") => PortRule::Any,
            Some(port) => PortRule::Is(port.parse().map_err(|_| "a port is 1 to 65535 or *")?),
        };
        let host = HostRule::parse(&host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase())?;
        Ok(Self { text: text.to_owned(), method: method.map(str::to_owned), scheme, host, port })
    }
}

impl HostRule {
    fn parse(bare: &str) -> Result<Self, &'static str> {
        if bare == "*" {
            return Ok(Self::Any);
        }
        if let Ok(net) = bare.parse::<IpNet>() {
            return Ok(Self::Addresses(net));
        }
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok(Self::Addresses(address.into()));
        }
        let name = bare.strip_prefix("*.").unwrap_or(bare).trim_end_matches('.');
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')) {
            return Err("a host is *, *.example.com, a name, an address or a network such as 10.0.0.0/8");
        }
        Ok(if bare.starts_with("*.") { Self::Below(name.to_owned()) } else { Self::Name(name.to_owned()) })
    }
}

impl Serialize for EgressRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for EgressRules {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let texts = Vec::<String>::deserialize(deserializer)?;
        if texts.len() > RULES_MAX {
            return Err(D::Error::custom(format!("egress: expected at most {RULES_MAX} rules, found {}", texts.len())));
        }
        texts.iter().map(|text| text.parse()).collect::<Result<Vec<_>, _>>().map(Self).map_err(D::Error::custom)
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, url: &str) -> EgressRequest {
        let url = url::Url::parse(url).unwrap();
        EgressRequest::new(method, url.scheme(), url.host().unwrap(), url.port_or_known_default().unwrap())
    }

    fn allows(rule: &str, method: &str, url: &str) -> bool {
        let (rule, request) = (rule.parse::<EgressRule>().unwrap(), request(method, url));
        let by_address = matches!(request.host, EgressHost::Address(address) if rule.holds(address));
        rule.fits(&request) && (rule.names(&request.host) || by_address)
    }

    #[test]
    fn each_part_of_a_rule_has_to_fit() {
        for (rule, url, fits) in [
            ("https://example.com", "https://EXAMPLE.com./x?y", true),
            ("https://example.com", "http://example.com/", false),
            ("https://example.com", "https://example.com:8443/", false),
            ("https://example.com:8443", "https://example.com:8443/", true),
            ("https://example.com:*", "https://example.com:1/", true),
            ("https://example.com", "https://evil-example.com/", false),
            ("https://example.com", "https://example.com.evil.org/", false),
            ("https://*.example.com", "https://a.b.example.com/", true),
            ("https://*.example.com", "https://example.com/", false),
            ("https://*.example.com", "https://evilexample.com/", false),
            ("*://example.com", "wss://example.com/", true),
            ("POST:https://example.com", "https://example.com/", true),
            ("GET:https://example.com", "https://example.com/", false),
            ("http://10.0.0.0/8:*", "http://10.1.2.3:81/", true),
            ("http://[::1]:80", "http://[::1]/", true),
            ("http://::1", "http://[::1]/", true),
            ("http://127.0.0.1", "http://[::ffff:127.0.0.1]/", true),
        ] {
            assert_eq!(allows(rule, "POST", url), fits, "{rule} {url}");
        }
    }

    #[test]
    fn what_is_no_rule_is_named_with_what_is_wrong() {
        for (text, expected) in [
            ("example.com", "there is no ://"),
            ("ftp://example.com", "a scheme is http"),
            ("G3T:https://example.com", "a method is letters"),
            ("https://exa mple.com", "a host is"),
            ("https://example.com:x", "a port is"),
            ("https://", "a host is"),
        ] {
            let error = text.parse::<EgressRule>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("egress rule {text:?}: expected [METHOD:]SCHEME")) && error.contains(expected), "{error}");
        }
    }

    #[test]
    fn rules_are_written_down_as_they_came() {
        let text = r#"["https://*.example.com","POST:http://10.0.0.0/8:*"]"#;
        let rules: EgressRules = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&rules).unwrap(), text);
        let many = serde_json::to_string(&vec!["https://a"; 101]).unwrap();
        assert!(serde_json::from_str::<EgressRules>(&many).unwrap_err().to_string().contains("at most 100 rules, found 101"));
    }
}
