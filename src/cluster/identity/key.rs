//! A node's key: Ed25519. Its public half is the node's identity.

use super::node::NodeId;
use crate::base::error::{Code, Error, Result};
use ring::digest;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::sign::SigningKey;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// What is before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410 §4).
const SPKI_HEAD: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// The node that has it.
    pub fn node(&self) -> NodeId {
        let hash = digest::digest(&digest::SHA256, &self.0);
        let mut head = [0; 8];
        head.copy_from_slice(&hash.as_ref()[..8]);
        NodeId(u64::from_be_bytes(head).max(1))
    }

    /// The key in a certificate's SubjectPublicKeyInfo, if it is one of ours.
    pub fn from_spki(spki: &[u8]) -> Option<Self> {
        spki.strip_prefix(&SPKI_HEAD)?.try_into().ok().map(Self)
    }

    /// Whether its owner signed the message.
    pub fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, signature).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey(of {})", self.node())
    }
}

/// A node's key. It does not leave the node.
pub struct NodeKey {
    pair: Ed25519KeyPair,
    pkcs8: Vec<u8>,
}

impl NodeKey {
    /// A new key.
    ///
    /// # Errors
    /// [`Code::System`] without randomness.
    pub fn generate() -> Result<Self> {
        let document = Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new())
            .map_err(|_| Error::new(Code::System, "no randomness for a key"))?;
        Self::from_pkcs8(document.as_ref())
    }

    /// The key in its stored form.
    ///
    /// # Errors
    /// [`Code::Corrupt`] for bytes that are no such key.
    pub fn from_pkcs8(bytes: &[u8]) -> Result<Self> {
        let pair = Ed25519KeyPair::from_pkcs8(bytes).map_err(|e| {
            Error::new(Code::Corrupt, format!("the node's key cannot be read: {e}"))
        })?;
        Ok(Self { pair, pkcs8: bytes.to_vec() })
    }

    /// Its stored form.
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        // An Ed25519 public key has 32 bytes (RFC 8032 §5.1.5).
        bytes.copy_from_slice(self.pair.public_key().as_ref());
        PublicKey(bytes)
    }

    /// The node that it is.
    pub fn node(&self) -> NodeId {
        self.public().node()
    }

    /// Signs a message.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }

    /// The key as TLS uses it.
    pub(super) fn for_tls(&self) -> Result<Arc<dyn SigningKey>> {
        let der = PrivatePkcs8KeyDer::from(self.pkcs8.as_slice());
        rustls::crypto::ring::sign::any_eddsa_type(&der)
            .map_err(|e| Error::new(Code::Internal, format!("the node's key is not for TLS: {e}")))
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeKey(of {})", self.node())
    }
}
