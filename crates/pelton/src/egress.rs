//! What may leave the host: nothing, unless the operator's rules say so, and for a processor its own as well.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::IpNet;
use pelton_model::{EGRESS_SCHEMES, EgressHost, EgressRequest, EgressRule, EgressRules, TenantName};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use url::Url;

/// The operator's rules. What no rule allows is denied.
#[derive(Debug)]
pub struct Egress {
    rules: Vec<Rule>,
    lookups: Arc<Semaphore>,
    /// How many of them a tenant has: one whose names never answer leaves the others theirs.
    shares: Mutex<HashMap<TenantName, Arc<Semaphore>>>,
}

/// Lookups of names at the same time. Each holds a thread of those that everything blocking shares.
const LOOKUPS_MAX: usize = 64;
const LOOKUPS_OF_TENANT_MAX: usize = 8;

/// `[TENANT=][METHOD:]SCHEME://HOST[:PORT]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    tenant: Option<TenantName>,
    rule: EgressRule,
}

/// Who wants to send something.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    pub tenant: &'a TenantName,
    /// Of a processor, its own rules, which have to allow it too. Subscriptions name what they send to and have none.
    pub own: Option<&'a EgressRules>,
}

/// Why a request may not leave.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("{0}")]
    Url(String),
    #[error("no rule of the operator allows {request} for tenant {tenant}; `pelton serve --egress` says what may leave")]
    NoRule { tenant: TenantName, request: String },
    #[error("the processor's own `egress` does not allow {request}; its configuration has to name what it sends to")]
    NotOwn { request: String },
    #[error(
        "{host} is {address}, which is not a public address; a rule of the operator has to name the address itself, such as --egress '{scheme}://{address}:{port}'"
    )]
    PrivateAddress { host: String, address: IpAddr, scheme: String, port: u16 },
    /// May be so for a while only.
    #[error("{host}: {problem}")]
    Unresolved { host: String, problem: String },
}

/// A request that may leave, and the addresses that it may go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleared {
    pub request: EgressRequest,
    pub addresses: Vec<SocketAddr>,
}

impl Egress {
    pub fn new(rules: Vec<Rule>) -> Self {
        Self { rules, lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)), shares: Mutex::default() }
    }

    /// Resolves the host of `url` and keeps the addresses that the rules allow; only these may be connected to.
    ///
    /// # Errors
    /// [`Denied`]
    pub async fn clear(&self, sender: Sender<'_>, method: &str, url: &Url) -> Result<Cleared, Denied> {
        let request = request(method, url)?;
        let addresses = match &request.host {
            EgressHost::Address(address) => vec![*address],
            EgressHost::Name(name) => {
                self.check_before_lookup(sender, &request)?;
                let unresolved = |problem: String| Denied::Unresolved { host: name.clone(), problem };
                let found = self.look_up(sender.tenant, name.clone()).await.map_err(|error| unresolved(error.to_string()))?;
                if found.is_empty() {
                    return Err(unresolved("the name has no address".to_owned()));
                }
                found
            }
        };
        self.decide(sender, request, &addresses)
    }

    /// The system's resolver cannot be interrupted, so that a lookup keeps its place until it has ended, also when nobody waits for it any more.
    async fn look_up(&self, tenant: &TenantName, name: String) -> std::io::Result<Vec<IpAddr>> {
        let place = self.place(tenant).await.map_err(std::io::Error::other)?;
        let looking = tokio::task::spawn_blocking(move || {
            let found = (name.as_str(), 0).to_socket_addrs();
            drop(place);
            found.map(|found| found.map(|address| address.ip()).collect())
        });
        looking.await.map_err(std::io::Error::other)?
    }

    async fn place(&self, tenant: &TenantName) -> Result<[OwnedSemaphorePermit; 2], AcquireError> {
        let share = {
            let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(shares.entry(tenant.clone()).or_insert_with(|| Arc::new(Semaphore::new(LOOKUPS_OF_TENANT_MAX))))
        };
        let of_tenant = share.acquire_owned().await?;
        Ok([of_tenant, Arc::clone(&self.lookups).acquire_owned().await?])
    }

    /// Names that no rule could allow are not even asked for.
    fn check_before_lookup(&self, sender: Sender<'_>, request: &EgressRequest) -> Result<(), Denied> {
        if !self.of(sender.tenant).any(|rule| rule.fits(request) && rule.may_allow(&request.host)) {
            return Err(no_rule(sender, request));
        }
        match sender.own {
            Some(own) if !own.iter().any(|rule| rule.fits(request) && rule.may_allow(&request.host)) => Err(not_own(request)),
            _ => Ok(()),
        }
    }

    /// The decision on a request whose host has these addresses. An address that is not public needs a rule of the operator that names it; of a
    /// processor's own rules any kind will do, for the operator's has the last word.
    fn decide(&self, sender: Sender<'_>, request: EgressRequest, addresses: &[IpAddr]) -> Result<Cleared, Denied> {
        let operator: Vec<_> = self.of(sender.tenant).filter(|rule| rule.fits(&request)).collect();
        let by_name = operator.iter().any(|rule| rule.names(&request.host));
        let operator_allows = |address: IpAddr| operator.iter().any(|rule| rule.holds(address)) || (by_name && is_public(address));
        let own_allows = |address: IpAddr| {
            sender.own.is_none_or(|own| own.iter().any(|rule| rule.fits(&request) && (rule.names(&request.host) || rule.holds(address))))
        };
        let canonical = addresses.iter().map(|address| address.to_canonical());
        let (by_operator, refused): (Vec<_>, Vec<_>) = canonical.partition(|address| operator_allows(*address));
        if by_operator.is_empty() {
            return Err(match refused.into_iter().find(|address| !is_public(*address)) {
                Some(address) if by_name => {
                    let (host, scheme, port) = (request.host.to_string(), request.scheme, request.port);
                    Denied::PrivateAddress { host, address, scheme, port }
                }
                _ => no_rule(sender, &request),
            });
        }
        let allowed = by_operator.into_iter().filter(|address| own_allows(*address));
        let addresses: Vec<_> = allowed.map(|address| SocketAddr::new(address, request.port)).collect();
        if addresses.is_empty() { Err(not_own(&request)) } else { Ok(Cleared { request, addresses }) }
    }

    fn of<'a>(&'a self, tenant: &'a TenantName) -> impl Iterator<Item = &'a EgressRule> {
        self.rules.iter().filter(move |rule| rule.tenant.as_ref().is_none_or(|own| own == tenant)).map(|rule| &rule.rule)
    }
}

fn request(method: &str, url: &Url) -> Result<EgressRequest, Denied> {
    let fault = |problem: &str| Denied::Url(format!("{}: {problem}", shown(url)));
    if !EGRESS_SCHEMES.contains(&url.scheme()) {
        return Err(fault("expected a URL with http, https, ws or wss"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(fault("expected a URL without a user name and password"));
    }
    let host = url.host().ok_or_else(|| fault("expected a URL with a host"))?;
    let port = url.port_or_known_default().ok_or_else(|| fault("expected a URL with a port"))?;
    Ok(EgressRequest::new(method, url.scheme(), host, port))
}

/// Without what may be a password.
fn shown(url: &Url) -> String {
    format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default()).chars().take(200).collect()
}

fn no_rule(sender: Sender<'_>, request: &EgressRequest) -> Denied {
    Denied::NoRule { tenant: sender.tenant.clone(), request: request.to_string() }
}

fn not_own(request: &EgressRequest) -> Denied {
    Denied::NotOwn { request: request.to_string() }
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (tenant, rule) = match text.split_once("://").and_then(|(before, _)| before.split_once('=')) {
            Some((tenant, _)) => (Some(tenant), &text[tenant.len() + 1..]),
            None => (None, text),
        };
        let tenant = tenant.map(TenantName::new).transpose().map_err(|error| format!("egress rule {text:?}: {error}"))?;
        let rule = rule.parse().map_err(|error: pelton_model::EgressRuleError| format!("{error} (and TENANT= before it)"))?;
        Ok(Self { tenant, rule })
    }
}

/// Whether an address is one of the whole Internet's, rather than of this machine, its networks, or of a protocol's own use (IANA special-purpose registries,
/// and what once was: addresses of version 4 in those of version 6, and site-local ones).
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
        "::/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "100::/64",
        "100:0:0:1::/64",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    ];
    let address = address.to_canonical();
    !NOT_PUBLIC.iter().filter_map(|net| net.parse::<IpNet>().ok()).any(|net| net.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(rules: &[&str], tenant: &str, method: &str, url: &str, addresses: &[&str]) -> Result<Vec<String>, String> {
        decide_for(rules, None, tenant, method, url, addresses)
    }

    fn decide_for(
        rules: &[&str],
        own: Option<&[&str]>,
        tenant: &str,
        method: &str,
        url: &str,
        addresses: &[&str],
    ) -> Result<Vec<String>, String> {
        let egress = Egress::new(rules.iter().map(|rule| rule.parse().unwrap()).collect());
        let own = own.map(|own| EgressRules::from(own.iter().map(|rule| rule.parse().unwrap()).collect::<Vec<_>>()));
        let (tenant, url) = (TenantName::new(tenant).unwrap(), Url::parse(url).unwrap());
        let sender = Sender { tenant: &tenant, own: own.as_ref() };
        let request = request(method, &url).map_err(|denied| denied.to_string())?;
        let given: Vec<IpAddr> = match &request.host {
            EgressHost::Address(address) => vec![*address],
            EgressHost::Name(_) => {
                egress.check_before_lookup(sender, &request).map_err(|denied| denied.to_string())?;
                addresses.iter().map(|address| address.parse().unwrap()).collect()
            }
        };
        let cleared = egress.decide(sender, request, &given).map_err(|denied| denied.to_string())?;
        Ok(cleared.addresses.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn operator_and_processor_both_have_to_allow_it() {
        let decide =
            |operator: &[&str], own: &[&str]| decide_for(operator, Some(own), "acme", "GET", "https://example.com/", &["93.184.215.14"]);
        assert!(decide(&["https://*"], &["https://example.com"]).is_ok());
        assert!(decide(&["https://*"], &["https://93.184.215.0/24"]).is_ok());
        assert!(
            decide(&["https://*"], &[]).unwrap_err().contains("the processor's own `egress` does not allow GET https://example.com:443")
        );
        assert!(decide(&["https://*"], &["https://93.184.216.0/24"]).unwrap_err().contains("the processor's own"));
        assert!(decide(&["https://*"], &["POST:https://example.com"]).unwrap_err().contains("the processor's own"));
        assert!(decide(&[], &["https://example.com"]).unwrap_err().contains("no rule of the operator allows GET https://example.com:443"));
        assert!(decide(&[], &[]).unwrap_err().contains("no rule of the operator"));
    }

    #[test]
    fn only_the_operator_opens_an_address_that_is_not_public() {
        let decide =
            |operator: &str, own: &str| decide_for(&[operator], Some(&[own]), "acme", "GET", "http://inside.example/", &["10.0.0.1"]);
        assert!(decide("http://10.0.0.0/8", "http://inside.example").is_ok());
        assert!(decide("http://10.0.0.0/8", "http://*").is_ok());
        assert!(decide("http://*", "http://10.0.0.1").unwrap_err().contains("not a public address"));
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
            "fec0::1",
            "::7f00:1",
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
    fn a_tenant_whose_names_never_answer_leaves_the_others_their_lookups() {
        use futures_util::FutureExt as _;
        let egress = Egress::new(Vec::new());
        let place = |tenant: &str| egress.place(&TenantName::new(tenant).unwrap()).now_or_never().map(Result::unwrap);
        let held: Vec<_> = std::iter::from_fn(|| place("slow")).collect();
        assert_eq!(held.len(), LOOKUPS_OF_TENANT_MAX);
        assert!(place("other").is_some());
        drop(held);
        assert!(place("slow").is_some());
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
            assert!(error.starts_with("egress rule ") && error.contains(expected), "{rule}: {error}");
        }
    }
}
