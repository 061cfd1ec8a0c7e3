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
    pub(super) applications: ApplicationTexts,
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
    pub(super) site: &'static str,
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
    pub(super) applications: &'static str,
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

/// The pages of a person's own applications.
pub(super) struct ApplicationTexts {
    pub(super) title: &'static str,
    pub(super) lead: &'static str,
    pub(super) to_account: &'static str,
    pub(super) to_applications: &'static str,
    pub(super) to_application: &'static str,
    pub(super) make: &'static str,
    pub(super) no_organization: &'static str,
    pub(super) filter: &'static str,
    pub(super) filter_name: &'static str,
    pub(super) organization: &'static str,
    pub(super) status: &'static str,
    pub(super) all: &'static str,
    pub(super) enabled: &'static str,
    pub(super) disabled: &'static str,
    pub(super) none: &'static str,
    pub(super) none_found: &'static str,
    pub(super) more: &'static str,
    pub(super) client_id: &'static str,
    pub(super) last_used: &'static str,
    pub(super) never: &'static str,
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) kind: &'static str,
    /// What the form says, what people read, and what it means.
    pub(super) kinds: [(&'static str, &'static str, &'static str); 3],
    pub(super) grants: &'static str,
    pub(super) created: &'static str,
    pub(super) scopes: &'static str,
    pub(super) redirect_uris: &'static str,
    pub(super) redirect_uris_hint: &'static str,
    pub(super) failure_uri: &'static str,
    pub(super) site_url: &'static str,
    pub(super) logo_url: &'static str,
    pub(super) save: &'static str,
    pub(super) secret: &'static str,
    pub(super) secret_lead: &'static str,
    pub(super) at_once: &'static str,
    pub(super) renew: &'static str,
    pub(super) state: &'static str,
    pub(super) disable_lead: &'static str,
    pub(super) disable: &'static str,
    pub(super) enable: &'static str,
    pub(super) delete: &'static str,
    pub(super) delete_title: &'static str,
    pub(super) delete_lead: &'static str,
    pub(super) keep: &'static str,
    pub(super) made: &'static str,
    pub(super) renewed: &'static str,
    pub(super) this_once: &'static str,
    pub(super) no_secret: &'static str,
    pub(super) old_ended: &'static str,
    pub(super) old_goes_on: &'static str,
    pub(super) changed: &'static str,
    pub(super) was_enabled: &'static str,
    pub(super) was_disabled: &'static str,
    pub(super) deleted: &'static str,
    pub(super) unconfirmed: &'static str,
    pub(super) problem_title: &'static str,
    pub(super) bad_name: &'static str,
    pub(super) bad_name_taken: &'static str,
    pub(super) bad_description: &'static str,
    pub(super) bad_organization: &'static str,
    pub(super) bad_kind: &'static str,
    pub(super) bad_scope: &'static str,
    pub(super) bad_redirect_uri: &'static str,
    pub(super) no_redirect_uri: &'static str,
    pub(super) bad_failure_uri: &'static str,
    pub(super) bad_url: &'static str,
    pub(super) conflict: &'static str,
    pub(super) renewed_meanwhile: &'static str,
    pub(super) too_many: &'static str,
    pub(super) too_many_today: &'static str,
    pub(super) administered: &'static str,
    pub(super) disabled_by_administrator: &'static str,
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
