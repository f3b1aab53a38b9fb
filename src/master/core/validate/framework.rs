//! FrameworkInfo, as SUBSCRIBE and UPDATE_FRAMEWORK bring it.

use super::super::{Options, frameworks};
use super::braces;
use crate::base::ids::{self, Role};
use crate::base::resources::Quantities;
use crate::base::roles;
use crate::mesos::v1;
use crate::mesos::v1::scheduler::OfferConstraints;
use std::collections::{BTreeMap, BTreeSet};
use v1::framework_info::capability::Type as Capability;

/// The longest failover timeout: what fits into 64 bits of nanoseconds.
const FAILOVER_TIMEOUT_SECS_MAX: f64 = (i64::MAX as f64) / 1e9;

/// The rules that need nothing but the message.
pub fn check(info: &v1::FrameworkInfo, suppressed: &[String]) -> Result<(), String> {
    check_roles(info)?;
    let id = info.id.as_ref().map_or("", |id| id.value.as_str());
    if !id.is_empty() {
        ids::check(id)?;
    }
    check_offer_filters(info)?;
    check_failover_timeout(info.failover_timeout())?;
    let subscribed = frameworks::roles(info);
    let strange: Vec<&String> =
        suppressed.iter().filter(|role| !subscribed.contains(role.as_str())).collect();
    if strange.is_empty() {
        return Ok(());
    }
    Err(format!("Suppressed roles {} are not contained in the set of roles", braces(strange)))
}

fn check_roles(info: &v1::FrameworkInfo) -> Result<(), String> {
    let multi_role = info.capabilities.iter().any(|c| c.r#type() == Capability::MultiRole);
    #[allow(deprecated)]
    let role = info.role.as_deref();
    if !multi_role {
        if !info.roles.is_empty() {
            return Err("'FrameworkInfo.roles' must not be set when the framework is not \
                        MULTI_ROLE capable"
                .into());
        }
        let role = role.unwrap_or(roles::DEFAULT);
        return roles::validate(role)
            .map_err(|why| format!("'FrameworkInfo.role' is not a valid role: {why}"));
    }
    if role.is_some() {
        return Err("'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE \
                    capable"
            .into());
    }
    let mut seen = BTreeSet::new();
    let twice: BTreeSet<&String> = info.roles.iter().filter(|r| !seen.insert(*r)).collect();
    if !twice.is_empty() {
        return Err(format!("'FrameworkInfo.roles' contains duplicate items: {}", braces(twice)));
    }
    for role in &info.roles {
        roles::validate(role)
            .map_err(|why| format!("'FrameworkInfo.roles' contains invalid role: {why}"))?;
    }
    Ok(())
}

fn check_failover_timeout(secs: f64) -> Result<(), String> {
    let why = if secs.is_nan() {
        "it is not a number"
    } else if secs < 0.0 {
        "it is negative"
    } else if secs > FAILOVER_TIMEOUT_SECS_MAX {
        "it is out of the range that can be represented"
    } else {
        return Ok(());
    };
    Err(format!("The framework failover_timeout ({secs}) is invalid: {why}"))
}

fn check_offer_filters(info: &v1::FrameworkInfo) -> Result<(), String> {
    for (role, filters) in &info.offer_filters {
        roles::validate(role)
            .map_err(|why| format!("'FrameworkInfo.offer_filters' has an invalid role: {why}"))?;
        for quantities in &filters
            .min_allocatable_resources
            .iter()
            .flat_map(|m| &m.quantities)
            .collect::<Vec<_>>()
        {
            let invalid = quantities
                .quantities
                .iter()
                .find(|(_, amount)| !(amount.value.is_finite() && amount.value >= 0.0));
            if let Some((name, amount)) = invalid {
                return Err(format!(
                    "'FrameworkInfo.offer_filters' of role '{role}' has an invalid amount of \
                     {name}: {}",
                    amount.value
                ));
            }
        }
    }
    Ok(())
}

/// The least offers by role; an empty list lets any offer through.
pub fn min_allocatable(info: &v1::FrameworkInfo) -> BTreeMap<Role, Vec<Quantities>> {
    let mut out: BTreeMap<Role, Vec<Quantities>> = BTreeMap::new();
    for (role, filters) in &info.offer_filters {
        let Some(least) = &filters.min_allocatable_resources else { continue };
        let alternatives = least.quantities.iter().map(|alternative| {
            let mut quantities = Quantities::default();
            for (name, amount) in &alternative.quantities {
                let amount = crate::base::resources::Scalar::from_f64(amount.value);
                quantities.add_one(&name.as_str().into(), amount);
            }
            quantities
        });
        out.insert(Role::from(role.as_str()), alternatives.collect());
    }
    out
}

/// Offer constraints are not acted on, so they are not accepted.
pub fn check_constraints(constraints: Option<&OfferConstraints>) -> Result<(), String> {
    if constraints.is_some_and(|c| !c.role_constraints.is_empty()) {
        return Err("Offer constraints are not supported by this version of the master".into());
    }
    Ok(())
}

/// The rules an operator sets.
pub fn check_allowed(info: &v1::FrameworkInfo, options: &Options) -> Result<(), String> {
    if let Some(allowed) = &options.roles {
        let roles = frameworks::roles(info);
        let strange: Vec<&Role> = roles.iter().filter(|role| !allowed.contains(*role)).collect();
        if !strange.is_empty() {
            return Err(format!(
                "Roles {} are not present in the master's --roles",
                braces(strange)
            ));
        }
    }
    if info.user == "root" && !options.root_submissions {
        return Err(
            "User 'root' is not allowed to run frameworks without --root_submissions set".into()
        );
    }
    Ok(())
}

/// Who it belongs to does not change.
pub fn check_principal(old: &v1::FrameworkInfo, new: &v1::FrameworkInfo) -> Result<(), String> {
    if old.principal == new.principal {
        return Ok(());
    }
    Err("Changing framework's principal is not allowed.".into())
}
