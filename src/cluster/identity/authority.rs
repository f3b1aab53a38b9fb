//! The cluster's certificate authority. The first node makes it; the registry keeps it, key and all, so that whoever
//! leads can sign.

use super::certificate::{BACKDATED, CERTIFICATE_LIFE, Certificate, node_name, role_name};
use super::key::PublicKey;
use super::node::{ClusterId, Roles};
use super::{random, record};
use crate::base::error::{Code, Error, Result};
use crate::base::time::Wall;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ED25519, PublicKeyData, SerialNumber,
};
use ring::digest;
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;
use time::OffsetDateTime;

/// How long an authority is valid; it is rotated long before.
const AUTHORITY_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// The hash of an authority's certificate, as tokens carry it: the first 160 bits of SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AuthorityHash(pub [u8; 20]);

impl AuthorityHash {
    /// Of a certificate, DER.
    pub fn of(certificate: &[u8]) -> Self {
        let mut hash = [0; 20];
        hash.copy_from_slice(&digest::digest(&digest::SHA256, certificate).as_ref()[..20]);
        Self(hash)
    }
}

impl fmt::Debug for AuthorityHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthorityHash({})", super::base32::encode(&self.0))
    }
}

/// A certificate authority with its key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authority {
    cluster: ClusterId,
    /// Tells authorities of one cluster apart.
    serial: u64,
    not_before: Wall,
    not_after: Wall,
    /// PKCS #8.
    key: Vec<u8>,
    /// DER.
    certificate: Vec<u8>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({:016x} of {})", self.serial, self.cluster)
    }
}

/// A public key as rcgen takes one.
struct Subject(PublicKey);

impl PublicKeyData for Subject {
    fn der_bytes(&self) -> &[u8] {
        &self.0.0
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &PKCS_ED25519
    }
}

impl Authority {
    /// A new authority of that cluster.
    ///
    /// # Errors
    /// [`Code::System`] without randomness.
    pub fn create(cluster: ClusterId, now: Wall) -> Result<Self> {
        let serial = u64::from_le_bytes(random()?);
        let key = KeyPair::generate_for(&PKCS_ED25519).map_err(failed)?;
        let (not_before, not_after) =
            (Wall(now.0.saturating_sub(nanos(BACKDATED))), now + AUTHORITY_LIFE);
        let mut params = about(cluster, serial, not_before, not_after)?;
        params.serial_number = Some(SerialNumber::from_slice(&random_serial()?));
        let certificate = params.self_signed(&key).map_err(failed)?.der().to_vec();
        let key = key.serialize_der();
        Ok(Self { cluster, serial, not_before, not_after, key, certificate })
    }

    /// Its cluster.
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// Its certificate, DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// The hash of its certificate.
    pub fn hash(&self) -> AuthorityHash {
        AuthorityHash::of(&self.certificate)
    }

    /// Until when it is valid.
    pub fn not_after(&self) -> Wall {
        self.not_after
    }

    /// Signs a certificate for the node with that key: from an hour ago, for [`CERTIFICATE_LIFE`], never beyond its own end.
    ///
    /// # Errors
    /// [`Code::Invalid`] without a role; [`Code::Unavailable`] when the authority itself is expired.
    pub fn sign(&self, key: &PublicKey, roles: Roles, now: Wall) -> Result<Certificate> {
        if roles.is_empty() {
            return Err(Error::new(Code::Invalid, "a node must have a role"));
        }
        if now >= self.not_after {
            return Err(Error::new(Code::Unavailable, "the cluster's authority has expired")
                .hint("rotate it"));
        }
        let node = key.node();
        let not_before = Wall(now.0.saturating_sub(nanos(BACKDATED))).max(self.not_before);
        let not_after = (now + CERTIFICATE_LIFE).min(self.not_after);
        let mut names = vec![node_name(node, self.cluster)];
        names.extend(roles.iter().map(role_name));
        let mut params = CertificateParams::new(names).map_err(failed)?;
        (params.not_before, params.not_after) = (moment(not_before)?, moment(not_after)?);
        params.serial_number = Some(SerialNumber::from_slice(&random_serial()?));
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, node.to_string());
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let own = KeyPair::from_pkcs8_der_and_sign_algo(
            &PrivatePkcs8KeyDer::from(self.key.as_slice()),
            &PKCS_ED25519,
        );
        let own = own.map_err(failed)?;
        let issuer =
            Issuer::new(about(self.cluster, self.serial, self.not_before, self.not_after)?, own);
        let leaf = params.signed_by(&Subject(*key), &issuer).map_err(failed)?.der().to_vec();
        Ok(Certificate {
            node,
            cluster: self.cluster,
            roles,
            not_before,
            not_after,
            leaf,
            authority: self.certificate.clone(),
        })
    }

    /// The form in the registry.
    ///
    /// # Errors
    /// As [`record::encode`].
    pub fn encode(&self) -> Result<Vec<u8>> {
        record::encode(self)
    }

    /// Reads the form in the registry.
    ///
    /// # Errors
    /// [`Code::Corrupt`].
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        record::decode("the cluster's authority", bytes)
    }
}

/// What an authority says of itself.
fn about(cluster: ClusterId, serial: u64, from: Wall, to: Wall) -> Result<CertificateParams> {
    let mut params = CertificateParams::default();
    (params.not_before, params.not_after) = (moment(from)?, moment(to)?);
    params.distinguished_name = DistinguishedName::new();
    let name = format!("mesolith cluster {cluster} authority {serial:016x}");
    params.distinguished_name.push(DnType::CommonName, name);
    // It signs nodes, never another authority.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    Ok(params)
}

fn random_serial() -> Result<[u8; 16]> {
    let mut serial: [u8; 16] = random()?;
    // A positive number (RFC 5280 §4.1.2.2) with its full length.
    serial[0] = serial[0] & 0x7f | 0x40;
    Ok(serial)
}

fn moment(wall: Wall) -> Result<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(wall.0))
        .map_err(|e| Error::new(Code::Invalid, format!("no such time: {e}")))
}

fn nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}

fn failed(e: rcgen::Error) -> Error {
    Error::new(Code::Internal, format!("cannot make a certificate: {e}"))
}
