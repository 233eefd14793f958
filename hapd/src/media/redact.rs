//! Takes credentials out of text that may be logged.

/// Names whose value is a secret wherever they are followed by `=`.
const SECRET_NAMES: [&str; 9] = [
    "user-id", "user-pw", "proxy-id", "proxy-pw", "password", "passwd", "pwd", "token", "secret",
];

/// `text` without the user information and query of URLs and without values of `password=` and the like.
pub fn text(text: &str) -> String {
    settings(&urls(text))
}

/// As [`text`], and without any occurrence of the given secrets.
pub fn text_with(text_: &str, secrets: &[String]) -> String {
    let mut clean = text_.to_owned();
    for secret in secrets.iter().filter(|s| s.len() >= 3) {
        clean = clean.replace(secret.as_str(), "***");
    }
    text(&clean)
}

fn urls(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (head, tail) = rest.split_at(at + 3);
        out.push_str(head);
        let end = tail.find(is_url_end).unwrap_or(tail.len());
        out.push_str(&authority_and_path(&tail[..end]));
        rest = &tail[end..];
    }
    out.push_str(rest);
    out
}

fn is_url_end(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`')
}

/// The last `@` counts, also behind a `/`: passwords are often written into URLs without escaping.
fn authority_and_path(url: &str) -> String {
    let (url, query) = match url.find('?') {
        // A `?` before the last `@` belongs to an unescaped password.
        Some(mark) if !url[mark..].contains('@') => (&url[..mark], "?***"),
        _ => (url, ""),
    };
    match url.rfind('@') {
        Some(at) => format!("***@{}{query}", &url[at + 1..]),
        None => format!("{url}{query}"),
    }
}

fn settings(text: &str) -> String {
    let mut out = text.to_owned();
    for name in SECRET_NAMES {
        out = setting(&out, name);
    }
    out
}

fn setting(text: &str, name: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    while let Some(found) = lower[done..].find(name) {
        let after_name = done + found + name.len();
        let value = value_span(&text[after_name..]);
        out.push_str(&text[done..after_name]);
        match value {
            Some((start, end)) => {
                out.push_str(&text[after_name..after_name + start]);
                out.push_str("***");
                done = after_name + end;
            }
            None => done = after_name,
        }
    }
    out.push_str(&text[done..]);
    out
}

/// Where the value lies in `=value`, `= "quoted value"` or `=(string)value`.
fn value_span(text: &str) -> Option<(usize, usize)> {
    let equals = text.len() - text.trim_start().len();
    if !text[equals..].starts_with('=') {
        return None;
    }
    let body = &text[equals + 1..];
    let start = equals + 1 + (body.len() - body.trim_start().len());
    let value = &text[start..];
    let end = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => quoted_end(value, quote),
        _ => value
            .find(|c: char| c.is_whitespace() || matches!(c, '&' | ',' | ';' | '"' | '\''))
            .unwrap_or(value.len()),
    };
    Some((start, start + end))
}

fn quoted_end(value: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in value.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    value.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_information_is_removed() {
        assert_eq!(
            text("Could not open rtsp://admin:geheim@10.0.0.1:554/h264: refused"),
            "Could not open rtsp://***@10.0.0.1:554/h264: refused"
        );
    }

    #[test]
    fn unescaped_signs_in_a_password_do_not_leak_it() {
        for password in [
            "p@ss", "p/ss", "p:ss", "p?ss", "p#ss", "p%40ss", "@", "a@b/c?d",
        ] {
            let clean = text(&format!("x rtsp://u:{password}@host/path y"));
            assert_eq!(clean, "x rtsp://***@host/path y", "{password}");
        }
    }

    #[test]
    fn queries_are_removed() {
        assert_eq!(text("rtsp://host/live?user=a&pw=b"), "rtsp://host/live?***");
    }

    #[test]
    fn text_without_url_is_kept() {
        assert_eq!(text("a@b.c and a: //x"), "a@b.c and a: //x");
    }

    #[test]
    fn properties_with_secrets_are_removed() {
        assert_eq!(
            text(r#"rtspsrc user-id=bob user-pw="a \" b" latency=1"#),
            "rtspsrc user-id=*** user-pw=*** latency=1"
        );
        assert_eq!(text("Password = hunter2, next"), "Password = ***, next");
        assert_eq!(text("wrong password"), "wrong password");
    }

    #[test]
    fn given_secrets_are_removed_anywhere() {
        let secrets = ["hunter2".to_owned()];
        assert_eq!(
            text_with("realm hunter2 failed", &secrets),
            "realm *** failed"
        );
    }

    #[test]
    fn two_urls_in_one_text() {
        assert_eq!(
            text("\"rtsp://a:b@c/\" 'http://d:e@f'"),
            "\"rtsp://***@c/\" 'http://***@f'"
        );
    }
}
