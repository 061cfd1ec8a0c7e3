//! Which language a page is in.

/// A language that the pages are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English: what a person sees who asks for nothing, or for something else.
    #[default]
    En,
    /// French.
    Fr,
}

impl Language {
    /// Every language, in the order in which the pages offer them.
    pub const ALL: [Self; 2] = [Self::En, Self::Fr];

    /// The language tag (RFC 5646).
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Fr => "fr",
        }
    }

    /// The language's name for itself.
    #[must_use]
    pub const fn own_name(self) -> &'static str {
        match self {
            Self::En => "English",
            Self::Fr => "Français",
        }
    }

    /// The language for a request: the first of the tags asked for outright that is known (`lang`, or `ui_locales` with its
    /// spaces), else what `Accept-Language` likes best, else English.
    #[must_use]
    pub fn choose(asked: Option<&str>, accept_language: Option<&str>) -> Self {
        let outright = asked.and_then(|tags| tags.split_ascii_whitespace().find_map(Self::from_tag));
        outright.or_else(|| accept_language.and_then(Self::negotiate)).unwrap_or_default()
    }

    /// The language of a tag, whatever its region or script: `fr-CA` is French.
    fn from_tag(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        Self::ALL.into_iter().find(|language| primary.eq_ignore_ascii_case(language.tag()))
    }

    /// `Accept-Language` (RFC 9110 section 12.5.4). Among equals the one named first wins; `*` stands for the ones not named.
    fn negotiate(header: &str) -> Option<Self> {
        let ranges: Vec<(&str, u16)> = header.split(',').filter_map(range).collect();
        let named = |language| ranges.iter().position(|(tag, _)| Self::from_tag(tag) == Some(language));
        let any = ranges.iter().position(|(tag, _)| *tag == "*");
        let liked = Self::ALL.into_iter().filter_map(|language| {
            let at = named(language).or(any)?;
            let weight = ranges[at].1;
            (weight > 0).then_some((std::cmp::Reverse(weight), at, language))
        });
        liked.min_by_key(|(weight, at, _)| (*weight, *at)).map(|(_, _, language)| language)
    }
}

/// One language range with its weight in thousandths; nothing where it is malformed.
fn range(text: &str) -> Option<(&str, u16)> {
    let mut parts = text.split(';').map(str::trim);
    let tag = parts.next().filter(|tag| !tag.is_empty())?;
    let weight = match parts.next() {
        None => 1000,
        Some(parameter) => thousandths(parameter.strip_prefix("q=").or(parameter.strip_prefix("Q="))?)?,
    };
    Some((tag, weight))
}

/// A quality value (RFC 9110 section 12.4.2): 0 to 1 with at most three decimals.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let decimals: u16 = format!("{decimals:0<3}").parse().ok()?;
    match whole {
        "0" => Some(decimals),
        "1" if decimals == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Language::{self, En, Fr};

    #[test]
    fn what_is_asked_outright_wins() {
        for (asked, accept, language) in [
            ("fr", None, Fr),
            ("fr-CA", Some("en"), Fr),
            ("FR", Some("en"), Fr),
            ("en", Some("fr"), En),
            ("de fr en", None, Fr),
            ("de", Some("fr"), Fr),
            ("frr", Some("en"), En),
            ("\"><script>", None, En),
            ("", Some("fr"), Fr),
        ] {
            assert_eq!(Language::choose(Some(asked), accept), language, "{asked:?} {accept:?}");
        }
    }

    #[test]
    fn accept_language_is_read_by_weight_then_by_order() {
        for (accept, language) in [
            ("fr", Fr),
            ("fr-FR,fr;q=0.9,en;q=0.8", Fr),
            ("en-GB,en;q=0.9,fr;q=0.8", En),
            ("en;q=0.8, fr;q=0.9", Fr),
            ("fr ; q=0.5 , en ; q=0.501", En),
            ("de, fr;q=0.1", Fr),
            ("de", En),
            ("*", En),
            ("*, en;q=0.2", Fr),
            ("fr;q=0, *", En),
            ("en;q=0, *;q=0.5", Fr),
            ("fr, en", Fr),
            ("en;q=0,fr;q=0", En),
        ] {
            assert_eq!(Language::choose(None, Some(accept)), language, "{accept:?}");
        }
    }

    #[test]
    fn a_malformed_range_is_passed_over() {
        for accept in
            ["fr;q=2, en", "fr;q=, en", "fr;q=0.1234, en", "fr;q=-1, en", "fr;x=1, en", ";;,,en", "fr;q=1.5,en"]
        {
            assert_eq!(Language::choose(None, Some(accept)), En, "{accept:?}");
        }
        assert_eq!(Language::choose(None, None), En);
        assert_eq!(Language::choose(None, Some("")), En);
    }
}
