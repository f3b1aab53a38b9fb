//! Sentences of Marathon that more than one endpoint answers with.

/// Of a task that is killed with both words.
pub(super) const SCALE_AND_WIPE: &str = "You cannot use scale and wipe at the same time.";

/// Of a change that running deployments stand in the way of. The placeholder is part of the text.
pub(super) const LOCKED: &str = "App is locked by one or more deployments. Override with the option \
    '?force=true'. View details at '/v2/deployments/<DEPLOYMENT_ID>'.";
