//! What the log is told when no answer can be given.
//!
//! While the issuer is not heard, every call fails: the log gets one line when that begins and one when it ends, and the
//! metrics count the calls.

use tessera_types::Failure;

/// A call without an answer, where that is our fault.
pub(crate) fn unanswered(failure: &dyn Failure) {
    if failure.is_internal() {
        tracing::debug!(reason = failure.reason(), error = %failure, "no answer could be given");
    }
}

/// Whether the issuer was heard when it was last looked at.
#[derive(Debug, Default)]
pub(crate) struct Touch {
    in_touch: bool,
}

/// A change of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// From here on, answers are given.
    Found,
    /// From here on, none are.
    Lost,
}

impl Touch {
    /// Takes over what is so now; what turned by that. A process begins out of touch, which is nothing to report.
    pub(crate) fn now(&mut self, in_touch: bool) -> Option<Turn> {
        let turned = std::mem::replace(&mut self.in_touch, in_touch) != in_touch;
        turned.then_some(if in_touch { Turn::Found } else { Turn::Lost })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_turn_is_told_once() {
        let mut touch = Touch::default();
        let seen = [false, true, true, false, false, false, true, true].map(|in_touch| touch.now(in_touch));
        let (found, lost) = (Some(Turn::Found), Some(Turn::Lost));
        assert_eq!(seen, [None, found, None, lost, None, None, found, None]);
    }
}
