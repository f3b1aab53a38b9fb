//! Role names: what is a valid one, and the hierarchy that `/` makes.
//!
//! The rules and texts are those of Mesos (`common/roles.cpp`).

/// The default role. Nothing can be reserved for it.
pub const DEFAULT: &str = "*";

/// Whether text may be a role. `*` is one; otherwise `/` separates components, each checked by itself.
///
/// # Errors
/// The text Mesos answers with.
pub fn validate(role: &str) -> Result<(), String> {
    if role == DEFAULT {
        return Ok(());
    }
    if role.is_empty() {
        return Err("Role names cannot be the empty string".into());
    }
    if role.starts_with('/') {
        return Err(format!("Role '{role}' cannot start with a slash"));
    }
    if role.ends_with('/') {
        return Err(format!("Role '{role}' cannot end with a slash"));
    }
    if role.contains("//") {
        return Err(format!("Role '{role}' cannot contain two adjacent slashes"));
    }
    role.split('/').try_for_each(|component| validate_component(role, component))
}

fn validate_component(role: &str, component: &str) -> Result<(), String> {
    if matches!(component, "." | ".." | DEFAULT) {
        return Err(format!("Role '{role}' cannot include '{component}' as a component"));
    }
    if component.starts_with('-') {
        return Err(format!(
            "Role component '{component}' is invalid because it starts with a dash"
        ));
    }
    // Tab, line feed, vertical tab, form feed, carriage return, space, delete.
    if component.bytes().any(|b| matches!(b, 0x09..=0x0d | 0x20 | 0x7f)) {
        return Err(format!(
            "Role component '{component}' is invalid because it contains backspace or whitespace"
        ));
    }
    Ok(())
}

/// Whether `role` lies strictly below `ancestor`: `eng/web` below `eng`, but `eng` not below itself, and
/// nothing below `*`.
pub fn is_strict_subrole_of(role: &str, ancestor: &str) -> bool {
    role.strip_prefix(ancestor).is_some_and(|rest| rest.starts_with('/'))
}

/// The roles strictly above, nearest first: `a/b/c` gives `a/b`, `a`.
pub fn ancestors(role: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(parent(role), |r| parent(r))
}

/// The role one level up; a top-level role has none.
pub fn parent(role: &str) -> Option<&str> {
    role.rsplit_once('/').map(|(up, _)| up)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_names() {
        for role in ["*", "eng", "eng/web", "a.b", "...", "a*", "a-b", "e/x-"] {
            assert_eq!(validate(role), Ok(()), "{role:?}");
        }
    }

    #[test]
    fn invalid_names_and_their_texts() {
        for (role, text) in [
            ("", "Role names cannot be the empty string"),
            ("/", "Role '/' cannot start with a slash"),
            ("/a", "Role '/a' cannot start with a slash"),
            ("a/", "Role 'a/' cannot end with a slash"),
            ("a//b", "Role 'a//b' cannot contain two adjacent slashes"),
            ("a/./b", "Role 'a/./b' cannot include '.' as a component"),
            ("..", "Role '..' cannot include '..' as a component"),
            ("a/*", "Role 'a/*' cannot include '*' as a component"),
            ("-a", "Role component '-a' is invalid because it starts with a dash"),
            ("a/-b", "Role component '-b' is invalid because it starts with a dash"),
            ("a b", "Role component 'a b' is invalid because it contains backspace or whitespace"),
            (
                "a\x7f",
                "Role component 'a\x7f' is invalid because it contains backspace or whitespace",
            ),
        ] {
            assert_eq!(validate(role), Err(text.to_string()));
        }
    }

    #[test]
    fn hierarchy() {
        assert!(is_strict_subrole_of("a/b", "a"));
        assert!(is_strict_subrole_of("a/b/c", "a"));
        assert!(!is_strict_subrole_of("a", "a"));
        assert!(!is_strict_subrole_of("ab", "a"));
        assert!(!is_strict_subrole_of("a", "*"));
        assert_eq!(ancestors("a/b/c").collect::<Vec<_>>(), ["a/b", "a"]);
        assert_eq!(ancestors("a").count(), 0);
        assert_eq!(parent("a/b"), Some("a"));
    }
}
