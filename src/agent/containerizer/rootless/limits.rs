//! What keeps ordinary users from making user namespaces, by the kernel's own settings; and what to do about it.

use std::fs;

/// A setting of the kernel that forbids them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restriction {
    /// Its name.
    pub sysctl: &'static str,
    /// What it is now.
    pub value: String,
    /// What it should be.
    pub wanted: &'static str,
}

impl Restriction {
    /// The command that lifts it.
    pub fn remedy(&self) -> String {
        format!("sysctl -w {}={}", self.sysctl, self.wanted)
    }
}

type Forbids = fn(&str) -> bool;

/// The settings there are: a name, what forbids, what would not.
const SETTINGS: [(&str, Forbids, &str); 3] = [
    ("kernel.unprivileged_userns_clone", |v| v == "0", "1"),
    ("user.max_user_namespaces", |v| v == "0", "15000"),
    ("kernel.apparmor_restrict_unprivileged_userns", |v| v != "0", "0"),
];

/// Those that forbid them on this machine.
pub fn restrictions() -> Vec<Restriction> {
    let read = |name: &str| {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
    };
    found(read)
}

fn found(read: impl Fn(&str) -> Option<String>) -> Vec<Restriction> {
    let forbidding = SETTINGS.iter().filter_map(|(sysctl, forbids, wanted)| {
        let value = read(sysctl).filter(|value| forbids(value))?;
        Some(Restriction { sysctl, value, wanted })
    });
    forbidding.collect()
}

/// Them as a reason, if there are any.
pub fn reason() -> Option<String> {
    let all: Vec<String> =
        restrictions().iter().map(|r| format!("{} is {}", r.sysctl, r.value)).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_forbid_are_told_with_what_lifts_them() {
        let of = |name: &'static str, value: &'static str| {
            found(move |asked| (asked == name).then(|| value.to_owned()))
        };
        for (name, bad, good, remedy) in [
            ("kernel.unprivileged_userns_clone", "0", "1", "kernel.unprivileged_userns_clone=1"),
            ("user.max_user_namespaces", "0", "96365", "user.max_user_namespaces=15000"),
            (
                "kernel.apparmor_restrict_unprivileged_userns",
                "1",
                "0",
                "kernel.apparmor_restrict_unprivileged_userns=0",
            ),
        ] {
            assert_eq!(of(name, good), [], "{name}");
            let told = of(name, bad);
            assert_eq!(told.len(), 1, "{name}");
            assert_eq!(told[0].remedy(), format!("sysctl -w {remedy}"));
        }
        assert_eq!(found(|_| None), []);
    }
}
