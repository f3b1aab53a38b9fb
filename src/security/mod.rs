//! Who is asking (principals, credentials, authenticators), and whether a port may be listened on
//! at all.
//!
//! What an authenticated principal may do is decided where the objects are; here it is only
//! established who it is.

mod basic;
mod credentials;
mod exposure;
mod options;
mod principal;

pub use basic::BasicAuthenticator;
pub use credentials::{CREDENTIALS_MAX, Credential, Credentials};
pub use exposure::check_exposure;
pub use options::HttpAuthentication;
pub use principal::{Authenticator, Principal, Verdict};
