//! Where Chronos serves jobs.

use crate::cli::client::encode;

/// The path of a job of this name.
pub fn api_path(name: &str) -> String {
    format!("/v1/scheduler/job/{}", encode(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leaves_its_place_in_the_path() {
        assert_eq!(api_path("a b/../c?x#y"), "/v1/scheduler/job/a%20b%2F%2E%2E%2Fc%3Fx%23y");
    }
}
