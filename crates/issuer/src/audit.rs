//! Who acts, and what is recorded of it (security.md, item 43).
//!
//! The [`Context`] that an operation is given says on whose behalf it works: handlers take the one that
//! [`acting`](Context::acting) makes. The operation then says what it did, `cx.did(Action::…)`, and adds that to its transaction with
//! [`Transaction::audit`](tessera_store::Transaction::audit), so that the change and the record of it are both there or neither.
//!
//! What was refused has no transaction. It is noted, and written a moment later ([`attempts`]).

pub mod attempts;
pub mod list;

use std::net::IpAddr;

use tessera_kit::calls;
use tessera_store::{Action, Actor, Detail, NewRecord};

use crate::context::Context;

/// Who acts, and from where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct By {
    /// Who.
    pub actor: Actor,
    /// From where, as far as known.
    pub from: Option<IpAddr>,
    /// The request, as logs name it.
    pub request_id: Option<String>,
}

impl By {
    /// Somebody, from nobody knows where.
    #[must_use]
    pub fn of(actor: Actor) -> Self {
        Self { actor, ..Self::default() }
    }
}

impl Context {
    /// The record of something that the caller did.
    #[must_use]
    pub fn did(&self, action: Action) -> NewRecord {
        self.did_or(self.by().actor.clone(), action)
    }

    /// As [`did`](Self::did), by this one where there is no caller: what the issuer does by itself.
    #[must_use]
    pub fn did_or(&self, otherwise: Actor, action: Action) -> NewRecord {
        let by = self.by();
        let actor = if by.actor == Actor::Unknown { otherwise } else { by.actor.clone() };
        NewRecord {
            from: by.from,
            request_id: by.request_id.clone().or_else(calls::request_id),
            ..NewRecord::done(self.clock.now(), actor, action)
        }
    }

    /// The record of something that somebody did by way of the caller: a person, through a front end that speaks for them.
    #[must_use]
    pub fn did_as(&self, actor: Actor, action: Action) -> NewRecord {
        let by = self.by();
        let via = (by.actor != Actor::Unknown && by.actor != actor).then(|| by.actor.id());
        let record = NewRecord {
            from: by.from,
            request_id: by.request_id.clone().or_else(calls::request_id),
            ..NewRecord::done(self.clock.now(), actor, action)
        };
        match via {
            Some(via) => record.with(Detail::Via, via),
            None => record,
        }
    }

    /// This context, from this address.
    pub fn reached_from(&self, from: Option<IpAddr>) -> Self {
        self.acting(By { from, ..self.by().clone() })
    }

    /// This context, for this one who acts from the same place.
    pub fn on_behalf_of(&self, actor: Actor) -> Self {
        self.acting(By { actor, ..self.by().clone() })
    }
}
