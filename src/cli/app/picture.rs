//! How far apps and deployments are, in numbers and a line.

use crate::cli::output::{list, number, text};
use serde_json::Value;

/// The numbers of one app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// How many instances there are to be.
    pub target: u64,
    /// How many run.
    pub running: u64,
    /// How many are healthy; none without health checks.
    pub healthy: Option<u64>,
    /// How many run with an earlier configuration; known only where the tasks are.
    pub old: u64,
}

impl Counts {
    /// Of an app as Marathon shows it.
    pub fn of(app: &Value) -> Self {
        let count = |key: &str| number(app, key) as u64;
        // Scaling alone makes no task old.
        let changed = match text(&app["versionInfo"], "lastConfigChangeAt") {
            at if at.is_empty() => text(app, "version"),
            at => at,
        };
        let old = list(app, "tasks")
            .iter()
            .filter(|t| t["state"] != "TASK_STAGING" && text(t, "version") < changed)
            .count();
        Self {
            target: count("instances"),
            running: count("tasksRunning"),
            healthy: (!list(app, "healthChecks").is_empty()).then(|| count("tasksHealthy")),
            old: old as u64,
        }
    }

    /// Whether it is as it is to be.
    pub fn complete(&self) -> bool {
        self.old == 0
            && self.running == self.target
            && self.healthy.is_none_or(|healthy| healthy == self.target)
    }

    /// In words.
    pub fn words(&self) -> String {
        let mut words = format!("{}/{} running", self.running, self.target);
        if let Some(healthy) = self.healthy {
            words.push_str(&format!(", {healthy}/{} healthy", self.target));
        }
        if self.old > 0 {
            words.push_str(&format!(", {} of them old", self.old));
        }
        words
    }
}

/// One line for deployments under way: `step 1/2 · /a 1/3 running`.
pub fn line(steps: Option<(u64, u64)>, apps: &[(String, Counts)]) -> String {
    let mut parts = Vec::new();
    if let Some((step, of)) = steps {
        parts.push(format!("step {step}/{of}"));
    }
    parts.extend(apps.iter().map(|(id, counts)| format!("{id} {}", counts.words())));
    match parts.is_empty() {
        true => "deploying".into(),
        false => parts.join(" · "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tasks_of_an_earlier_configuration_are_old_and_scaled_ones_are_not() {
        let task = |version: &str| json!({"version": version, "state": "TASK_RUNNING"});
        let mut app = json!({"instances": 3, "tasksRunning": 2, "version": "2026-03",
            "versionInfo": {"lastConfigChangeAt": "2026-02"}, "tasks": [task("2026-01"), task("2026-02")]});
        assert_eq!(Counts::of(&app).words(), "2/3 running, 1 of them old");
        app["tasks"] = json!([task("2026-02"), task("2026-02")]);
        app["healthChecks"] = json!([{}]);
        app["tasksHealthy"] = json!(1);
        assert_eq!(Counts::of(&app).words(), "2/3 running, 1/3 healthy");
    }

    #[test]
    fn an_app_is_complete_when_all_run_healthy_and_new() {
        let counts = Counts { target: 2, running: 2, healthy: Some(2), old: 0 };
        assert!(counts.complete());
        assert!(!Counts { old: 1, ..counts.clone() }.complete());
        assert!(!Counts { running: 3, ..counts.clone() }.complete());
        assert!(!Counts { healthy: Some(1), ..counts.clone() }.complete());
        assert!(Counts { healthy: None, ..counts }.complete());
    }

    #[test]
    fn the_line_names_steps_and_apps() {
        let counts = Counts { target: 3, running: 1, healthy: None, old: 0 };
        assert_eq!(line(Some((1, 2)), &[("/a".into(), counts)]), "step 1/2 · /a 1/3 running");
        assert_eq!(line(None, &[]), "deploying");
    }
}
