//! Topics and filters (MQTT 3.1.1 §4.7).

/// Whether `topic` is one of those that `filter` stands for.
pub(super) fn matches(filter: &str, topic: &str) -> bool {
    // A filter that starts with a wildcard does not stand for the broker's own topics (§4.7.2).
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut levels = topic.split('/');
    for wanted in filter.split('/') {
        match (wanted, levels.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (wanted, Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_of_the_specification() {
        for (filter, topic, fits) in [
            ("a/b", "a/b", true),
            ("a/b", "a/B", false),
            ("a/b", "a/b/c", false),
            ("a/b/c", "a/b", false),
            ("a/+", "a/b", true),
            ("a/+", "a", false),
            ("a/+/c", "a/b/c", true),
            ("a/#", "a/b/c", true),
            ("a/#", "a", true),
            ("#", "ä/b", true),
            ("+", "/a", false),
            ("/+", "/a", true),
            ("#", "$SYS/x", false),
            ("$SYS/#", "$SYS/x", true),
            ("", "", true),
        ] {
            assert_eq!(matches(filter, topic), fits, "{filter} {topic}");
        }
    }
}
