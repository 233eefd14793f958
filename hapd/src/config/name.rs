//! Names that HomeKit takes, and what files are called after them.

/// Checks an accessory name: controllers refuse to add, or show "No Response" for, names that start or end with
/// anything but a letter or digit, or that hold emoji or unusual punctuation.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("a name is needed, for example \"Front Door\"".into());
    }
    if name.len() > 63 {
        return Err(format!(
            "the name has {} bytes; mDNS takes at most 63",
            name.len()
        ));
    }
    let ends = [name.chars().next(), name.chars().next_back()];
    if !ends.into_iter().flatten().all(char::is_alphanumeric) {
        return Err("HomeKit wants a name that starts and ends with a letter or digit".into());
    }
    match name
        .chars()
        .find(|c| !c.is_alphanumeric() && !" '’-,.&()_:/#".contains(*c))
    {
        Some(c) => Err(format!(
            "HomeKit does not take {c:?} in a name; letters, digits, spaces, ' - , . & ( ) are fine"
        )),
        None => Ok(()),
    }
}

/// A file name made of `name`: lower-case letters, digits and dashes.
#[must_use]
pub fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.chars() {
        match c.to_ascii_lowercase() {
            c if c.is_ascii_alphanumeric() => slug.push(c),
            c if c.is_alphanumeric() => slug.push_str(&format!("u{:x}", u32::from(c))),
            _ if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
            _ => {}
        }
    }
    slug.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_controllers_refuse() {
        for bad in [
            "",
            " x",
            "x ",
            "-x",
            "Cam 📷",
            "a\tb",
            &"x".repeat(64),
            "x!",
        ] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
        for good in ["Front Door", "Käthe's Cam", "Garage (2) North", "7"] {
            assert_eq!(check(good), Ok(()), "{good:?}");
        }
    }

    #[test]
    fn slugs() {
        assert_eq!(slug("Front Door"), "front-door");
        assert_eq!(slug("Käthe's (2)"), "kue4the-s-2");
    }
}
