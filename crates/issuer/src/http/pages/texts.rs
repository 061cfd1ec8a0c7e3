//! Every text of the pages. A language is a constant of this type, so a text that lacks a translation does not compile.

mod en;
mod fr;

use super::language::Language;

/// What stands before and after a name.
pub(super) struct Around(pub(super) &'static str, pub(super) &'static str);

/// The texts of one language.
pub(super) struct Texts {
    pub(super) languages: &'static str,
    pub(super) months: [&'static str; 12],
    /// What follows the number of a month's first day.
    pub(super) first_of_month: &'static str,
    pub(super) app_on_device: &'static str,
    pub(super) program_on_device: &'static str,
    pub(super) wait: WaitTexts,
    pub(super) login: LoginTexts,
    pub(super) consent: ConsentTexts,
    pub(super) account: AccountTexts,
    pub(super) error: ErrorTexts,
    pub(super) problems: Problems,
}

/// How long to wait.
pub(super) struct WaitTexts {
    pub(super) seconds: Around,
    pub(super) minute: &'static str,
    pub(super) minutes: Around,
}

/// The login page.
pub(super) struct LoginTexts {
    pub(super) title: &'static str,
    pub(super) to_continue: Around,
    pub(super) to_account: &'static str,
    pub(super) username: &'static str,
    pub(super) password: &'static str,
    pub(super) show: &'static str,
    pub(super) hide: &'static str,
    pub(super) show_password: &'static str,
    pub(super) hide_password: &'static str,
    pub(super) submit: &'static str,
    pub(super) signed_out: &'static str,
    pub(super) error_prefix: &'static str,
    pub(super) wrong_title: &'static str,
    pub(super) wrong: &'static str,
    pub(super) throttled_title: &'static str,
    pub(super) throttled: &'static str,
    pub(super) expired_title: &'static str,
    pub(super) expired: &'static str,
    pub(super) busy_title: &'static str,
    pub(super) busy: &'static str,
}

/// The consent page.
pub(super) struct ConsentTexts {
    pub(super) title: &'static str,
    pub(super) asks: &'static str,
    pub(super) signed_in_as: &'static str,
    pub(super) not_you: &'static str,
    pub(super) would: &'static str,
    pub(super) nothing: &'static str,
    pub(super) note: &'static str,
    pub(super) allow: &'static str,
    pub(super) deny: &'static str,
}

/// The account page.
pub(super) struct AccountTexts {
    pub(super) title: &'static str,
    pub(super) sign_out: &'static str,
    pub(super) apps: &'static str,
    pub(super) apps_lead: &'static str,
    pub(super) no_apps: &'static str,
    pub(super) since: &'static str,
    pub(super) can: &'static str,
    pub(super) remove: &'static str,
    pub(super) remove_of: Around,
    pub(super) sessions: &'static str,
    pub(super) sessions_lead: &'static str,
    pub(super) no_sessions: &'static str,
    pub(super) current: &'static str,
    pub(super) started: &'static str,
    pub(super) last_used: &'static str,
    pub(super) address: &'static str,
    pub(super) end: &'static str,
    pub(super) end_of: Around,
    pub(super) end_others: &'static str,
    pub(super) on: &'static str,
    pub(super) unknown_browser: &'static str,
    pub(super) app_removed: &'static str,
    pub(super) app_removal_unconfirmed: &'static str,
    pub(super) session_ended: &'static str,
    pub(super) other_sessions_ended: &'static str,
}

/// What error pages share.
pub(super) struct ErrorTexts {
    pub(super) what_to_do: &'static str,
    pub(super) reference: &'static str,
}

/// What each error page says.
pub(super) struct Problems {
    pub(super) unknown_client: ProblemTexts,
    pub(super) wrong_redirect: ProblemTexts,
    pub(super) malformed: ProblemTexts,
    pub(super) expired: ProblemTexts,
    pub(super) stale_form: ProblemTexts,
    pub(super) not_found: ProblemTexts,
    pub(super) throttled: ProblemTexts,
    pub(super) busy: ProblemTexts,
    pub(super) internal: ProblemTexts,
}

/// One error page.
pub(super) struct ProblemTexts {
    pub(super) title: &'static str,
    pub(super) message: &'static str,
    pub(super) what_to_do: &'static str,
}

impl Texts {
    /// The texts of a language.
    pub(super) fn of(language: Language) -> &'static Self {
        match language {
            Language::En => &en::TEXTS,
            Language::Fr => &fr::TEXTS,
        }
    }

    /// When to try again, rounded up.
    pub(super) fn wait(&self, seconds: u64) -> String {
        let (Around(before, after), count) = match seconds {
            // Two at least: neither language needs its singular then.
            0..60 => (&self.wait.seconds, seconds.max(2)),
            60 => return self.wait.minute.to_owned(),
            _ => (&self.wait.minutes, seconds.div_ceil(60)),
        };
        format!("{before}{count}{after}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_said_in_the_unit_people_think_in() {
        for (seconds, en, fr) in [
            (0, "Try again in 2 seconds.", "Réessayez dans 2 secondes."),
            (30, "Try again in 30 seconds.", "Réessayez dans 30 secondes."),
            (60, "Try again in one minute.", "Réessayez dans une minute."),
            (61, "Try again in 2 minutes.", "Réessayez dans 2 minutes."),
            (900, "Try again in 15 minutes.", "Réessayez dans 15 minutes."),
        ] {
            assert_eq!(Texts::of(Language::En).wait(seconds), en);
            assert_eq!(Texts::of(Language::Fr).wait(seconds), fr);
        }
    }
}
