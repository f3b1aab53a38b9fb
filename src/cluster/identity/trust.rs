//! Whom this node believes: certificates of its cluster's authorities, within their time, of nodes that were not removed.

use super::authorities::Authorities;
use super::certificate::read_names;
use super::key::PublicKey;
use super::node::{ClusterId, NodeId, Roles};
use super::revoked::Revoked;
use crate::base::time::Wall;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use std::fmt;
use std::time::Duration;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

/// Who is at the other end, as its certificate proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The node.
    pub node: NodeId,
    /// Its cluster.
    pub cluster: ClusterId,
    /// What it may be.
    pub roles: Roles,
    /// Its key.
    pub key: PublicKey,
}

/// Why a certificate is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Distrust {
    /// It is no certificate, or not one of a node.
    Malformed,
    /// No trusted authority signed it.
    Foreign,
    /// It is not valid any more.
    Expired,
    /// It is not valid yet: clocks differ.
    NotYet,
    /// The node was removed.
    Revoked(NodeId),
    /// It is another node's than the one that was meant.
    OtherNode {
        /// Who was meant.
        meant: NodeId,
        /// Whose it is.
        is: NodeId,
    },
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("its certificate is not one of a node"),
            Self::Foreign => f.write_str("its certificate is not of this cluster"),
            Self::Expired => f.write_str("its certificate has expired"),
            Self::NotYet => f.write_str("its certificate is not valid yet: the clocks differ"),
            Self::Revoked(node) => write!(f, "node {node} was removed from the cluster"),
            Self::OtherNode { meant, is } => write!(f, "it is node {is}, not {meant}"),
        }
    }
}

impl std::error::Error for Distrust {}

/// What a certificate is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// By who listens.
    Server,
    /// By who connects.
    Client,
}

/// Whom to believe.
#[derive(Clone, Debug)]
pub struct Trust {
    /// Who may have signed.
    pub authorities: Authorities,
    /// Who is out.
    pub revoked: Revoked,
}

impl Trust {
    /// Who presents the certificate.
    ///
    /// # Errors
    /// Why it is not believed.
    pub fn check(&self, leaf: &[u8], usage: Usage, now: Wall) -> Result<Member, Distrust> {
        let trusted: Vec<CertificateDer<'_>> = self
            .authorities
            .trusted(now)
            .map(|anchor| CertificateDer::from(anchor.certificate.as_slice()))
            .collect();
        let member = verify(leaf, &trusted, usage, now)?;
        if member.cluster != self.authorities.cluster() {
            return Err(Distrust::Foreign);
        }
        if self.revoked.contains(member.node) {
            return Err(Distrust::Revoked(member.node));
        }
        Ok(member)
    }
}

/// Who presents the certificate, if one of these authorities signed it.
pub(super) fn verify(
    leaf: &[u8],
    authorities: &[CertificateDer<'_>],
    usage: Usage,
    now: Wall,
) -> Result<Member, Distrust> {
    let der = CertificateDer::from(leaf);
    let certificate = EndEntityCert::try_from(&der).map_err(|_| Distrust::Malformed)?;
    let anchors: Vec<TrustAnchor<'_>> =
        authorities.iter().filter_map(|a| anchor_from_trusted_cert(a).ok()).collect();
    let usage = match usage {
        Usage::Server => KeyUsage::server_auth(),
        Usage::Client => KeyUsage::client_auth(),
    };
    let at = UnixTime::since_unix_epoch(Duration::from_nanos(now.0));
    certificate
        .verify_for_usage(&[webpki::ring::ED25519], &anchors, &[], at, usage, None, None)
        .map_err(|e| distrust(&e))?;
    let key = PublicKey::from_spki(&certificate.subject_public_key_info());
    let (Some(key), Some(names)) = (key, read_names(certificate.valid_dns_names())) else {
        return Err(Distrust::Malformed);
    };
    let (node, cluster, roles) = names;
    // The authority signs no other; should it ever, the key decides.
    if key.node() != node {
        return Err(Distrust::Malformed);
    }
    Ok(Member { node, cluster, roles, key })
}

fn distrust(e: &webpki::Error) -> Distrust {
    match e {
        webpki::Error::CertExpired { .. } => Distrust::Expired,
        webpki::Error::CertNotValidYet { .. } => Distrust::NotYet,
        webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey => {
            Distrust::Foreign
        }
        _ => Distrust::Malformed,
    }
}
