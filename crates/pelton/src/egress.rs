//! What may leave the host: nothing, unless the operator's rules say so.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use ipnet::IpNet;
use pelton_model::TenantName;
use url::{Host, Url};

/// The operator's rules. What no rule allows is denied.
#[derive(Debug, Clone, Default)]
pub struct Egress {
    rules: Vec<Rule>,
}

/// `[TENANT=][METHOD:]SCHEME://HOST[:PORT]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    tenant: Option<TenantName>,
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
    /// Only a rule of this kind opens addresses that are not public.
    Addresses(IpNet),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PortRule {
    OfScheme,
    Any,
    Is(u16),
}

/// Why a request may not leave.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("{0}")]
    Url(String),
    #[error(
        "no rule of the operator allows {method} {scheme}://{host}:{port} for tenant {tenant}; `pelton serve --egress` says what may leave"
    )]
    NoRule { tenant: TenantName, method: String, scheme: String, host: String, port: u16 },
    #[error(
        "{host} is {address}, which is not a public address; a rule has to name the address itself, such as --egress '{scheme}://{address}:{port}'"
    )]
    PrivateAddress { host: String, address: IpAddr, scheme: String, port: u16 },
    /// May be so for a while only.
    #[error("{host}: {problem}")]
    Unresolved { host: String, problem: String },
}

/// A request that may leave, and the addresses that it may go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleared {
    pub host: String,
    pub addresses: Vec<SocketAddr>,
}

const SCHEMES: &[&str] = &["http", "https", "ws", "wss"];

impl Egress {
    pub fn new(rules: Vec<Rule>) -> Self {
        Self { rules }
    }

    /// Resolves the host of `url` and keeps the addresses that the rules allow; only these may be connected to.
    ///
    /// # Errors
    /// [`Denied`]
    pub async fn clear(&self, tenant: &TenantName, method: &str, url: &Url) -> Result<Cleared, Denied> {
        let request = Request::of(tenant, method, url)?;
        let addresses = match &request.host {
            Host::Ipv4(address) => vec![IpAddr::V4(*address)],
            Host::Ipv6(address) => vec![IpAddr::V6(*address)],
            Host::Domain(name) => {
                // Names that no rule could allow are not even asked for.
                if !self
                    .rules
                    .iter()
                    .any(|rule| rule.fits(&request) && !matches!(&rule.host, HostRule::Below(_) | HostRule::Name(_) if !rule.names(name)))
                {
                    return Err(request.no_rule());
                }
                let unresolved = |problem: String| Denied::Unresolved { host: name.clone(), problem };
                let found = tokio::net::lookup_host((name.as_str(), request.port)).await.map_err(|error| unresolved(error.to_string()))?;
                let found: Vec<_> = found.map(|address| address.ip()).collect();
                if found.is_empty() {
                    return Err(unresolved("the name has no address".to_owned()));
                }
                found
            }
        };
        self.decide(&request, &addresses)
    }

    /// The decision on a request whose host has these addresses.
    fn decide(&self, request: &Request<'_>, addresses: &[IpAddr]) -> Result<Cleared, Denied> {
        let rules: Vec<_> = self.rules.iter().filter(|rule| rule.fits(request)).collect();
        let by_address =
            |address: IpAddr| rules.iter().any(|rule| matches!(&rule.host, HostRule::Addresses(net) if net.contains(&address)));
        let by_name = rules.iter().any(|rule| match (&rule.host, &request.host) {
            (HostRule::Any, _) => true,
            (HostRule::Below(_) | HostRule::Name(_), Host::Domain(name)) => rule.names(name),
            _ => false,
        });
        let canonical = addresses.iter().map(|address| address.to_canonical());
        let allowed = canonical.clone().filter(|address| by_address(*address) || (by_name && is_public(*address)));
        let addresses: Vec<_> = allowed.map(|address| SocketAddr::new(address, request.port)).collect();
        match (addresses.is_empty(), canonical.into_iter().find(|address| !is_public(*address))) {
            (false, _) => Ok(Cleared { host: request.host_text(), addresses }),
            (true, Some(address)) if by_name => {
                let (host, scheme, port) = (request.host_text(), request.scheme.to_owned(), request.port);
                Err(Denied::PrivateAddress { host, address, scheme, port })
            }
            (true, _) => Err(request.no_rule()),
        }
    }
}

struct Request<'a> {
    tenant: &'a TenantName,
    method: &'a str,
    scheme: &'a str,
    host: Host<String>,
    port: u16,
}

impl<'a> Request<'a> {
    fn of(tenant: &'a TenantName, method: &'a str, url: &'a Url) -> Result<Self, Denied> {
        let fault = |problem: &str| Denied::Url(format!("{}: {problem}", url.as_str().chars().take(200).collect::<String>()));
        if !SCHEMES.contains(&url.scheme()) {
            return Err(fault("expected a URL with http, https, ws or wss"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(fault("expected a URL without a user name and password"));
        }
        let host = match url.host() {
            Some(Host::Domain(name)) => Host::Domain(name.trim_end_matches('.').to_ascii_lowercase()),
            Some(Host::Ipv4(address)) => Host::Ipv4(address),
            Some(Host::Ipv6(address)) => Host::Ipv6(address),
            None => return Err(fault("expected a URL with a host")),
        };
        let port = url.port_or_known_default().ok_or_else(|| fault("expected a URL with a port"))?;
        Ok(Self { tenant, method, scheme: url.scheme(), host, port })
    }

    fn host_text(&self) -> String {
        self.host.to_string()
    }

    fn no_rule(&self) -> Denied {
        Denied::NoRule {
            tenant: self.tenant.clone(),
            method: self.method.to_owned(),
            scheme: self.scheme.to_owned(),
            host: self.host_text(),
            port: self.port,
        }
    }
}

impl Rule {
    /// Everything but the host.
    fn fits(&self, request: &Request<'_>) -> bool {
        let default_port = if matches!(request.scheme, "http" | "ws") { 80 } else { 443 };
        self.tenant.as_ref().is_none_or(|tenant| tenant == request.tenant)
            && self.method.as_ref().is_none_or(|method| method.eq_ignore_ascii_case(request.method))
            && self.scheme.as_ref().is_none_or(|scheme| scheme == request.scheme)
            && match self.port {
                PortRule::Any => true,
                PortRule::Is(port) => port == request.port,
                PortRule::OfScheme => request.port == default_port,
            }
    }

    fn names(&self, name: &str) -> bool {
        match &self.host {
            HostRule::Name(own) => own == name,
            HostRule::Below(above) => name.strip_suffix(above.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
            HostRule::Any | HostRule::Addresses(_) => false,
        }
    }
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = |problem: &str| format!("expected [TENANT=][METHOD:]SCHEME://HOST[:PORT], found {text:?}: {problem}");
        let (before, host) = text.trim().split_once("://").ok_or_else(|| expected("there is no ://"))?;
        let (tenant, before) = match before.split_once('=') {
            Some((tenant, rest)) => (Some(TenantName::new(tenant).map_err(|error| expected(&error.to_string()))?), rest),
            None => (None, before),
        };
        let (method, scheme) = match before.split_once(':') {
            Some((method, scheme)) => (Some(method), scheme),
            None => (None, before),
        };
        if method.is_some_and(|method| method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_alphabetic())) {
            return Err(expected("a method is letters"));
        }
        let scheme = match scheme {
            "*" => None,
            scheme if SCHEMES.contains(&scheme) => Some(scheme.to_owned()),
            _ => return Err(expected("a scheme is http, https, ws, wss or *")),
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
            Some(port) => PortRule::Is(port.parse().map_err(|_| expected("a port is 1 to 65535 or *"))?),
        };
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let host = if bare == "*" {
            HostRule::Any
        } else if let Some(above) = bare.strip_prefix("*.") {
            HostRule::Below(above.trim_end_matches('.').to_owned())
        } else if let Ok(net) = bare.parse::<IpNet>() {
            HostRule::Addresses(net)
        } else if let Ok(address) = bare.parse::<IpAddr>() {
            HostRule::Addresses(address.into())
        } else {
            let is_name = !bare.is_empty() && bare.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
            if !is_name {
                return Err(expected("a host is *, *.example.com, a name, an address or a network such as 10.0.0.0/8"));
            }
            HostRule::Name(bare.trim_end_matches('.').to_owned())
        };
        Ok(Self { tenant, method: method.map(str::to_owned), scheme, host, port })
    }
}

/// Whether an address is one of the whole Internet's, rather than of this machine, its networks, or of a protocol's own use (IANA special-purpose registries).
fn is_public(address: IpAddr) -> bool {
    const NOT_PUBLIC: &[&str] = &[
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/128",
        "::1/128",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "ff00::/8",
    ];
    let address = address.to_canonical();
    !NOT_PUBLIC.iter().filter_map(|net| net.parse::<IpNet>().ok()).any(|net| net.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(rules: &[&str], tenant: &str, method: &str, url: &str, addresses: &[&str]) -> Result<Vec<String>, String> {
        let egress = Egress::new(rules.iter().map(|rule| rule.parse().unwrap()).collect());
        let (tenant, url) = (TenantName::new(tenant).unwrap(), Url::parse(url).unwrap());
        let request = Request::of(&tenant, method, &url).map_err(|denied| denied.to_string())?;
        let given: Vec<IpAddr> = match &request.host {
            Host::Ipv4(address) => vec![IpAddr::V4(*address)],
            Host::Ipv6(address) => vec![IpAddr::V6(*address)],
            Host::Domain(_) => addresses.iter().map(|address| address.parse().unwrap()).collect(),
        };
        let cleared = egress.decide(&request, &given).map_err(|denied| denied.to_string())?;
        Ok(cleared.addresses.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn nothing_leaves_unless_a_rule_says_so() {
        let denied = decide(&[], "acme", "POST", "https://example.com/", &["93.184.215.14"]).unwrap_err();
        assert!(denied.starts_with("no rule of the operator allows POST https://example.com:443 for tenant acme"), "{denied}");
        assert!(decide(&["https://*"], "acme", "POST", "https://example.com/", &["93.184.215.14"]).is_ok());
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
            ("acme=https://example.com", "https://example.com/", true),
            ("other=https://example.com", "https://example.com/", false),
            ("https://93.184.215.0/24", "https://example.com/", true),
            ("https://1.2.3.4", "https://example.com/", false),
        ] {
            assert_eq!(decide(&[rule], "acme", "POST", url, &["93.184.215.14"]).is_ok(), fits, "{rule} {url}");
        }
    }

    #[test]
    fn addresses_that_are_not_public_have_to_be_named_themselves() {
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "172.31.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
        ] {
            for rule in ["*://*:*", "http://inside.example"] {
                let denied = decide(&[rule], "acme", "POST", "http://inside.example/", &[address]).unwrap_err();
                assert!(denied.contains("which is not a public address"), "{address} {rule}: {denied}");
            }
            let named = format!("http://{}", address.parse::<IpAddr>().unwrap().to_canonical());
            assert!(decide(&[&named], "acme", "POST", "http://inside.example/", &[address]).is_ok(), "{named}");
        }
        assert!(decide(&["http://10.0.0.0/8:*"], "acme", "POST", "http://10.9.8.7:81/", &[]).is_ok());
        assert!(decide(&["http://[fd00::]:80"], "acme", "POST", "http://[fd00::]/", &[]).is_ok());
    }

    #[test]
    fn every_way_to_write_an_address_is_that_address() {
        for url in ["http://2130706433/", "http://0x7f.1/", "http://0177.0.0.1/", "http://[::ffff:7f00:1]/", "http://127.1/"] {
            assert!(decide(&["http://*"], "acme", "POST", url, &[]).is_err(), "{url}");
            assert_eq!(decide(&["http://127.0.0.1"], "acme", "POST", url, &[]).unwrap(), ["127.0.0.1:80"], "{url}");
        }
    }

    #[test]
    fn of_several_addresses_only_the_allowed_are_connected_to() {
        let addresses = ["10.0.0.1", "93.184.215.14"];
        assert_eq!(decide(&["https://*"], "acme", "POST", "https://example.com/", &addresses).unwrap(), ["93.184.215.14:443"]);
    }

    #[test]
    fn credentials_and_other_schemes_are_refused() {
        assert!(decide(&["*://*:*"], "acme", "GET", "https://u:p@example.com/", &["93.184.215.14"]).unwrap_err().contains("user name"));
        assert!(
            decide(&["*://*:*"], "acme", "GET", "ftp://example.com/", &["93.184.215.14"]).unwrap_err().contains("http, https, ws or wss")
        );
    }

    #[test]
    fn a_malformed_rule_says_what_is_wrong() {
        for (rule, expected) in [
            ("example.com", "there is no ://"),
            ("ftp://example.com", "a scheme is"),
            ("https://exa mple.com", "a host is"),
            ("https://example.com:99999", "a port is"),
            ("A B:https://example.com", "a method is letters"),
            ("Big Corp=https://example.com", "tenant: expected"),
        ] {
            let error = rule.parse::<Rule>().unwrap_err();
            assert!(
                error.starts_with("expected [TENANT=][METHOD:]SCHEME://HOST[:PORT], found") && error.contains(expected),
                "{rule}: {error}"
            );
        }
    }
}
