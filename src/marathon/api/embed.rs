//! What a reader wants to see beside definitions: `?embed=…`.

/// Parts of an app's answer. Unknown words ask for nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct AppEmbed {
    /// Its tasks.
    pub(super) tasks: bool,
    /// How many of them.
    pub(super) counts: bool,
    /// Deployments that hold it.
    pub(super) deployments: bool,
    /// Results of readiness checks.
    pub(super) readiness: bool,
    /// How the last task failed.
    pub(super) last_task_failure: bool,
    /// Ages and counts by version.
    pub(super) task_stats: bool,
}

impl AppEmbed {
    /// What a list shows in any case.
    pub(super) const LIST: Self = Self {
        tasks: false,
        counts: true,
        deployments: true,
        readiness: false,
        last_task_failure: false,
        task_stats: false,
    };

    /// What a single app shows in any case.
    pub(super) const ONE: Self = Self { tasks: true, last_task_failure: true, ..Self::LIST };

    /// Adds what the words ask for.
    pub(super) fn with<'a>(mut self, words: impl IntoIterator<Item = &'a str>) -> Self {
        for word in words {
            let bare = word.strip_prefix("apps.").or_else(|| word.strip_prefix("app."));
            match bare.unwrap_or(word) {
                "tasks" => (self.tasks, self.deployments) = (true, true),
                "counts" => self.counts = true,
                "deployments" => self.deployments = true,
                "readiness" => self.readiness = true,
                "lastTaskFailure" => self.last_task_failure = true,
                "failures" => (self.last_task_failure, self.deployments) = (true, true),
                "taskStats" => self.task_stats = true,
                _ => {}
            }
        }
        self
    }
}

/// Parts of a group's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GroupEmbed {
    /// Groups in it.
    pub(super) groups: bool,
    /// Apps in it.
    pub(super) apps: bool,
    /// Pods in it.
    pub(super) pods: bool,
    /// Of these apps.
    pub(super) app: AppEmbed,
}

impl GroupEmbed {
    /// What the words ask for; everything, without details of apps, when they ask for nothing.
    pub(super) fn of(words: &[&str]) -> Self {
        let mut embed = Self { groups: false, apps: false, pods: false, app: AppEmbed::default() };
        for word in words {
            match *word {
                "group.groups" => embed.groups = true,
                "group.apps" => embed.apps = true,
                "group.pods" => embed.pods = true,
                _ => {}
            }
        }
        let of_apps = words.iter().filter_map(|word| word.strip_prefix("group.apps."));
        embed.app = embed.app.with(of_apps);
        if !(embed.groups || embed.apps || embed.pods) {
            (embed.groups, embed.apps, embed.pods) = (true, true, true);
        }
        embed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // covers: MAR-0563, MAR-0564, MAR-0565
    #[test]
    fn words_combine_and_unknown_ones_ask_for_nothing() {
        let embed = AppEmbed::default().with(["apps.counts", "app.taskStats", "x", "apps.x"]);
        let expected = AppEmbed { counts: true, task_stats: true, ..AppEmbed::default() };
        assert_eq!(embed, expected);
        let tasks = AppEmbed::default().with(["tasks"]);
        assert!(tasks.tasks && tasks.deployments && !tasks.counts);
        let group = GroupEmbed::of(&["group.apps", "group.apps.tasks"]);
        assert!(group.apps && group.app.tasks && !group.groups);
        let all = GroupEmbed::of(&[]);
        assert!(all.apps && all.groups && all.pods && !all.app.counts);
    }
}
