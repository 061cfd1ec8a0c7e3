//! A browser by the name people give it. Only names from these lists are shown, never what the browser said of itself.

/// By a mark in `User-Agent`, the more particular first: most browsers also claim to be Chrome or Safari.
const BROWSERS: &[(&str, &str)] = &[
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
];

const SYSTEMS: &[(&str, &str)] = &[
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
];

/// The browser and the system that a `User-Agent` speaks of, as far as they are known.
pub(super) fn names(user_agent: &str) -> (Option<&'static str>, Option<&'static str>) {
    let known =
        |list: &[(&str, &'static str)]| list.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name);
    (known(BROWSERS), known(SYSTEMS))
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn browsers_are_told_apart() {
        const WEBKIT: &str = "AppleWebKit/537.36 (KHTML, like Gecko)";
        for (agent, browser, system) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:147.0) Gecko/20100101 Firefox/147.0", Some("Firefox"), Some("Linux")),
            (
                &format!("Mozilla/5.0 (Windows NT 10.0) {WEBKIT} Chrome/156.0 Safari/537.36"),
                Some("Chrome"),
                Some("Windows"),
            ),
            (
                &format!("Mozilla/5.0 (Windows NT 10.0) {WEBKIT} Chrome/156.0 Safari/537.36 Edg/156.0"),
                Some("Edge"),
                Some("Windows"),
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1 Version/19.0 Safari/604.1",
                Some("Safari"),
                Some("iPhone"),
            ),
            ("Mozilla/5.0 (Linux; Android 16) Chrome/156.0 Mobile Safari/537.36", Some("Chrome"), Some("Android")),
            ("curl/8.7", None, None),
            ("<script>", None, None),
            ("", None, None),
        ] {
            assert_eq!(names(agent), (browser, system), "{agent}");
        }
    }
}
