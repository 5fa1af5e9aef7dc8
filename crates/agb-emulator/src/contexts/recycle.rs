//! How long a context keeps its objects.

use std::time::Duration;

use super::objects::below;

const DAY: Duration = Duration::from_secs(86_400);

/// One rule of a recycle policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The file or directory that it is for.
    pub(crate) path: String,
    /// `None`: for ever.
    pub(crate) keeps_for: Option<Duration>,
}

impl Rule {
    /// Whether something that was stored at `stored_at` is gone by `now`.
    pub(crate) fn ends(&self, path: &str, stored_at: Duration, now: Duration) -> bool {
        let is_for = path == self.path || below(path, &self.path).is_some();
        is_for && self.keeps_for.is_some_and(|keeps_for| stored_at.saturating_add(keeps_for) <= now)
    }
}

/// The time that a lifecycle of the wire stands for: `Some(None)` is for ever, `None` no lifecycle at all.
pub(crate) fn lifecycle(name: &str) -> Option<Option<Duration>> {
    let days = match name {
        "Lifecycle_1Day" => 1,
        "Lifecycle_3Days" => 3,
        "Lifecycle_5Days" => 5,
        "Lifecycle_10Days" => 10,
        "Lifecycle_15Days" => 15,
        "Lifecycle_30Days" => 30,
        "Lifecycle_90Days" => 90,
        "Lifecycle_180Days" => 180,
        "Lifecycle_360Days" => 360,
        "Lifecycle_Forever" => return Some(None),
        _ => return None,
    };
    Some(Some(DAY * days))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_ends_what_lies_at_or_below_its_path_once_its_time_is_over() {
        let rule = Rule { path: "/m/logs".to_owned(), keeps_for: lifecycle("Lifecycle_3Days").unwrap() };
        let stored_at = Duration::from_secs(10);
        let ends = |path: &str, seconds: u64| rule.ends(path, stored_at, Duration::from_secs(seconds));
        assert!(ends("/m/logs/a", 259_210));
        assert!(!ends("/m/logs/a", 259_209));
        assert!(ends("/m/logs", 259_210));
        assert!(!ends("/m/logsx", 999_999_999));
    }

    #[test]
    fn for_ever_never_ends_and_an_unknown_lifecycle_is_none() {
        let rule = Rule { path: "/".to_owned(), keeps_for: lifecycle("Lifecycle_Forever").unwrap() };
        assert!(!rule.ends("/a", Duration::ZERO, Duration::MAX));
        assert_eq!(lifecycle("Lifecycle_7Days"), None);
    }
}
