//! A group, with what is below it.

use super::AppInfo;
use crate::marathon::api::embed::{AppEmbed, GroupEmbed};
use crate::marathon::core::view::View;
use crate::marathon::model::{App, Group, PathId, Timestamp};
use serde::Serialize;

/// The JSON of a group.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::marathon::api) struct GroupInfo<'a> {
    id: &'a PathId,
    #[serde(skip_serializing_if = "Option::is_none")]
    apps: Option<Vec<AppInfo<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pods: Option<[(); 0]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<GroupInfo<'a>>>,
    dependencies: &'a [PathId],
    version: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    enforce_role: Option<bool>,
}

/// A group with what is asked for. Of apps that are not in the view (an earlier group's) only the definition is
/// seen.
pub(in crate::marathon::api) fn group<'a>(
    group: &'a Group,
    embed: GroupEmbed,
    view: &'a View,
    now: Timestamp,
) -> GroupInfo<'a> {
    let app = |app: &'a App| match view.apps.get(&app.id) {
        Some(known) if embed.app != AppEmbed::default() && known.app.version == app.version => {
            AppInfo::of(known, embed.app, view, now)
        }
        _ => AppInfo::bare(app),
    };
    let inner = || group.groups.values().map(|g| self::group(g, embed, view, now)).collect();
    let top_level = !group.id.is_root() && group.id.parent().is_root();
    GroupInfo {
        id: &group.id,
        apps: embed.apps.then(|| group.apps.values().map(|a| app(a)).collect()),
        pods: embed.pods.then_some([]),
        groups: embed.groups.then(inner),
        dependencies: &group.dependencies,
        version: group.version,
        enforce_role: top_level.then_some(group.enforce_role),
    }
}
