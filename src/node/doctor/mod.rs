//! What this machine can do for a node, and why not: every finding is of the code that `up` runs, or of an attempt. Nothing
//! is changed that stays.

mod containers;
mod machine;
mod places;

use super::settings::Options;
use serde::Serialize;

/// How well a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// All there is to it works.
    Ok,
    /// A node runs, and lacks something.
    Limited,
    /// No node starts.
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What.
    pub subject: &'static str,
    /// How it is.
    pub grade: Grade,
    /// What was found.
    pub found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Finding {
    fn new(subject: &'static str, grade: Grade, found: impl Into<String>) -> Self {
        Self { subject, grade, found: found.into(), advice: None }
    }

    fn ok(subject: &'static str, found: impl Into<String>) -> Self {
        Self::new(subject, Grade::Ok, found)
    }

    fn limited(subject: &'static str, found: impl Into<String>) -> Self {
        Self::new(subject, Grade::Limited, found)
    }

    fn bad(subject: &'static str, found: impl Into<String>) -> Self {
        Self::new(subject, Grade::Bad, found)
    }

    fn advice(mut self, text: impl Into<String>) -> Self {
        self.advice = Some(text.into());
        self
    }
}

/// Looks at everything that a node with these settings needs. Must be called within a tokio runtime.
pub async fn examine(options: &Options) -> Vec<Finding> {
    let mut all = vec![machine::kernel(), machine::clock(), machine::user()];
    if options.roles.agent {
        all.extend(containers::examine(options).await);
    }
    all.extend(places::data(options));
    all.extend(places::ports(options).await);
    all
}

/// Whether a node would start.
pub fn would_run(findings: &[Finding]) -> bool {
    findings.iter().all(|f| f.grade != Grade::Bad)
}
