//! TLS between nodes: version 1.3, our own verifiers, no session ever resumed (a resumed one is not verified again).

use super::authority::AuthorityHash;
use super::certificate::{Credentials, any_name, asked, node_name};
use super::node::{ClusterId, NodeId};
use super::revoked::Revoked;
use super::trust::{Distrust, Member, Trust, Usage, verify};
use crate::base::error::{Code, Error, Result};
use crate::base::time::Wall;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName,
    OtherError, ServerConfig, SignatureScheme,
};
use std::fmt;
use std::sync::{Arc, OnceLock};

/// The protocol's name within TLS.
pub const ALPN: &[u8] = b"mesolith/1";

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn failed(e: impl std::fmt::Display) -> Error {
    Error::new(Code::Internal, format!("TLS cannot be set up: {e}"))
}

fn own(credentials: &Credentials) -> Result<Arc<SingleCertAndKey>> {
    let chain = [&credentials.certificate.leaf, &credentials.certificate.authority];
    let chain = chain.into_iter().map(|der| CertificateDer::from(der.clone())).collect();
    let certified = CertifiedKey::new(chain, credentials.key.for_tls()?);
    certified.keys_match().map_err(|_| {
        Error::new(Code::Corrupt, "the certificate is not of this node's key")
            .hint("join again with an empty data directory")
    })?;
    Ok(Arc::new(SingleCertAndKey::from(certified)))
}

/// For who listens. Members present a certificate that must be good; strangers present none.
///
/// # Errors
/// [`Code::Corrupt`] when certificate and key do not belong together.
pub fn server(credentials: &Credentials, revoked: &Revoked) -> Result<ServerConfig> {
    let verifier = Arc::new(Verifier::new(credentials, revoked));
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(failed)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(own(credentials)?);
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// For a member that connects to a member.
///
/// # Errors
/// As [`server`].
pub fn client(credentials: &Credentials, revoked: &Revoked) -> Result<ClientConfig> {
    let trust = Trust { authorities: credentials.authorities.clone(), revoked: revoked.clone() };
    let judge = move |(leaf, _, name): Shown<'_>, now: Wall| {
        let member = trust.check(leaf, Usage::Server, now).map_err(kept)?;
        let named = match name {
            ServerName::DnsName(name) => asked(name.as_ref()),
            _ => None,
        };
        match named {
            Some(Some(meant)) if meant != member.node => {
                Err(kept(Distrust::OtherNode { meant, is: member.node }))
            }
            Some(_) => Ok(()),
            None => Err(rustls::Error::InvalidCertificate(CertificateError::NotValidForName)),
        }
    };
    Servers::config(Box::new(judge), Some(own(credentials)?))
}

/// For a node that is no member yet and knows nothing but the hash of the cluster's authority.
///
/// # Errors
/// [`Code::Internal`].
pub fn joining(pin: AuthorityHash) -> Result<ClientConfig> {
    let judge = move |(leaf, others, _): Shown<'_>, now: Wall| {
        pinned(leaf, others, pin, now).map(drop).map_err(kept)
    };
    Servers::config(Box::new(judge), None)
}

/// For a node that does not even know that: whoever proves to be of *some* cluster is believed, and `learned` says of which.
/// For an [`OpenDoor`](super::OpenDoor) alone.
///
/// # Errors
/// [`Code::Internal`].
pub fn learning(learned: Arc<OnceLock<AuthorityHash>>) -> Result<ClientConfig> {
    let judge = move |(leaf, others, _): Shown<'_>, now: Wall| {
        let signs = |hash: &AuthorityHash| pinned(leaf, others, *hash, now).is_ok();
        let found = others.iter().map(|der| AuthorityHash::of(der)).find(signs);
        let hash = found.ok_or_else(|| kept(Distrust::Foreign))?;
        match *learned.get_or_init(|| hash) == hash {
            true => Ok(()),
            false => Err(kept(Distrust::Foreign)),
        }
    };
    Servers::config(Box::new(judge), None)
}

/// The name to connect with: of a node, or of any.
///
/// # Errors
/// [`Code::Internal`]: these names are well formed.
pub fn name(cluster: ClusterId, node: Option<NodeId>) -> Result<ServerName<'static>> {
    let name = node.map_or_else(|| any_name(cluster), |node| node_name(node, cluster));
    ServerName::try_from(name).map_err(failed)
}

/// The member behind certificates that the handshake has verified; nothing for a stranger.
pub fn member(
    certificates: Option<&[CertificateDer<'_>]>,
    trust: &Trust,
    usage: Usage,
    now: Wall,
) -> Option<Member> {
    trust.check(certificates?.first()?, usage, now).ok()
}

/// The member that a joiner talks to: the handshake has verified it against the pin.
pub fn pinned_member(
    certificates: &[CertificateDer<'_>],
    pin: AuthorityHash,
    now: Wall,
) -> Option<Member> {
    pinned(certificates.first()?, certificates.get(1..)?, pin, now).ok()
}

fn pinned(
    leaf: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
    pin: AuthorityHash,
    now: Wall,
) -> std::result::Result<Member, Distrust> {
    let authority = others.iter().find(|der| AuthorityHash::of(der) == pin);
    let authority = authority.ok_or(Distrust::Foreign)?;
    verify(leaf, std::slice::from_ref(authority), Usage::Server, now)
}

/// Why a handshake failed, if it was a matter of trust.
pub fn distrust(e: &rustls::Error) -> Option<Distrust> {
    match e {
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(why))) => {
            why.downcast_ref::<Distrust>().cloned()
        }
        rustls::Error::InvalidCertificate(_) => Some(Distrust::Malformed),
        _ => None,
    }
}

/// What the other side's refusal says to a node that was removed.
pub const REMOVED: &str = "this node was removed from the cluster";

/// What the other side's refusal says of this node, if it was a matter of trust.
pub fn refused(e: &rustls::Error) -> Option<&'static str> {
    let rustls::Error::AlertReceived(alert) = e else { return None };
    match alert {
        AlertDescription::CertificateExpired => {
            Some("this node's certificate has expired (or its clock is wrong)")
        }
        AlertDescription::CertificateRevoked => Some(REMOVED),
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown => {
            Some("this node's certificate is not of the other node's cluster")
        }
        AlertDescription::NoApplicationProtocol => {
            Some("the other node speaks no version of the link that this one does")
        }
        _ => None,
    }
}

/// For who connects: kept whole, so that it can be told.
fn kept(why: Distrust) -> rustls::Error {
    rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(why))))
}

/// For who listens: the other side is told with an alert.
fn told(why: Distrust) -> rustls::Error {
    rustls::Error::InvalidCertificate(match why {
        Distrust::Expired => CertificateError::Expired,
        Distrust::NotYet => CertificateError::NotValidYet,
        Distrust::Revoked(_) => CertificateError::Revoked,
        Distrust::Malformed => CertificateError::BadEncoding,
        Distrust::Foreign | Distrust::OtherNode { .. } => CertificateError::UnknownIssuer,
    })
}

fn wall(now: UnixTime) -> Wall {
    Wall::from_secs(0.0) + std::time::Duration::from_secs(now.as_secs())
}

/// Verifies members that connect.
#[derive(Debug)]
struct Verifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(credentials: &Credentials, revoked: &Revoked) -> Self {
        let authorities = credentials.authorities.clone();
        Self { trust: Trust { authorities, revoked: revoked.clone() }, provider: provider() }
    }
}

fn signature(
    provider: &CryptoProvider,
    message: &[u8],
    cert: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
    verify_tls13_signature(message, cert, dss, &provider.signature_verification_algorithms)
}

/// Older versions are not spoken.
fn too_old() -> rustls::Error {
    rustls::Error::General("only TLS 1.3 is spoken".into())
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> std::result::Result<ClientCertVerified, rustls::Error> {
        self.trust.check(end_entity, Usage::Client, wall(now)).map_err(told)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        Err(too_old())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        signature(&self.provider, message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

/// What a handshake shows of a server: its certificate, the others that came with it, and the name that was asked for.
type Shown<'a> = (&'a CertificateDer<'a>, &'a [CertificateDer<'a>], &'a ServerName<'a>);

/// Whether a server is believed at that time.
type Judge = dyn Fn(Shown<'_>, Wall) -> std::result::Result<(), rustls::Error> + Send + Sync;

/// Verifies servers; whom to believe is its judge's.
struct Servers {
    judge: Box<Judge>,
    provider: Arc<CryptoProvider>,
}

impl Servers {
    /// Whom a node connects to that presents nothing, or what `own` resolves to.
    fn config(judge: Box<Judge>, own: Option<Arc<SingleCertAndKey>>) -> Result<ClientConfig> {
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .map_err(failed)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Self { judge, provider: provider() }));
        let mut config = match own {
            Some(own) => config.with_client_cert_resolver(own),
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Servers")
    }
}

impl ServerCertVerifier for Servers {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        (self.judge)((end_entity, intermediates, server_name), wall(now))?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        Err(too_old())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        signature(&self.provider, message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}
