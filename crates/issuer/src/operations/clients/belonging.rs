//! Whose a client is: its organization and its owner.
//!
//! A client whose organization or owner is disabled or deleted is refused as a disabled one is. That is looked up where it is used,
//! and told to replicas as part of the client's state. Whoever disables or deletes the one or the other raises the watermark of every
//! client concerned in the same transaction; enabling again revives nothing.

use tessera_ledger::event::{ClientState, Event, Subject};
use tessera_store::{Client, ClientFilter, Organizations, StoreError, Transaction, Users};
use tessera_types::{ClientId, OrganizationId, UserId};

use super::{AdminError, DraftError};

/// How many clients are read at a time.
const PAGE: u64 = 500;

/// Whether a client may be used: it is enabled, and so are its organization and its owner, where it has them.
pub(crate) async fn is_usable(
    organizations: &Organizations<'_>,
    users: &Users<'_>,
    client: &Client,
) -> Result<bool, StoreError> {
    let of_an_enabled_organization = match client.organization {
        Some(id) => organizations.find(id).await?.is_some_and(|organization| organization.enabled),
        None => true,
    };
    let of_an_enabled_owner = match client.owner {
        Some(id) => users.find(id).await?.is_some_and(|owner| owner.enabled),
        None => true,
    };
    Ok(client.enabled && of_an_enabled_organization && of_an_enabled_owner)
}

/// Organization and owner must be there, and the owner a member of the organization, or of a global one.
pub(super) async fn check(tx: &Transaction, client: &Client) -> Result<(), AdminError> {
    if let Some(owner) = client.owner
        && tx.users().find(owner).await?.is_none()
    {
        return Err(DraftError::UnknownOwner.into());
    }
    let Some(id) = client.organization else { return Ok(()) };
    let organizations = tx.organizations();
    if organizations.find(id).await?.is_none() {
        return Err(DraftError::UnknownOrganization.into());
    }
    let Some(owner) = client.owner else { return Ok(()) };
    if organizations.is_member(id, owner).await? || organizations.in_a_global_one(owner).await? {
        Ok(())
    } else {
        Err(DraftError::OwnerNotOfOrganization.into())
    }
}

/// The event that tells replicas a client's state, as the transaction has it.
pub(in crate::operations) async fn changed_in(tx: &Transaction, client: &Client) -> Result<Event, StoreError> {
    Ok(changed(client, is_usable(&tx.organizations(), &tx.users(), client).await?))
}

/// The event that tells replicas a client's state.
pub(in crate::operations) fn changed(client: &Client, usable: bool) -> Event {
    let state = ClientState {
        enabled: usable,
        audiences: client.audiences.clone(),
        resources: client.resources.clone(),
        owner: client.owner,
    };
    Event::ClientChanged { client: client.id.clone(), state: Some(state) }
}

/// Whose clients.
#[derive(Clone, Copy, Debug)]
pub(in crate::operations) enum Belonging {
    /// An organization's.
    Organization(OrganizationId),
    /// A user's.
    Owner(UserId),
}

impl Belonging {
    fn filter(self) -> ClientFilter {
        match self {
            Self::Organization(id) => ClientFilter { organization: Some(id), ..ClientFilter::default() },
            Self::Owner(id) => ClientFilter { owner: Some(id), ..ClientFilter::default() },
        }
    }
}

/// Tells replicas the state of every client concerned. Where something was taken away, their tokens are inactive from now on.
pub(in crate::operations) async fn tell_all(
    tx: &mut Transaction,
    of: Belonging,
    taken_away: bool,
) -> Result<(), AdminError> {
    for client in all(tx, of).await? {
        if taken_away {
            tx.record(Event::WatermarkRaised(Subject::Client(client.id.clone())));
        }
        let event = changed_in(tx, &client).await?;
        tx.record(event);
    }
    Ok(())
}

/// Disables every client concerned, for good: whom they belonged to is gone. Their tokens are inactive from now on.
pub(in crate::operations) async fn disable_all(
    tx: &mut Transaction,
    of: Belonging,
    now: tessera_types::Timestamp,
) -> Result<(), AdminError> {
    for client in all(tx, of).await? {
        let disabled = Client { enabled: false, updated: now, ..client };
        tx.clients().update(&disabled).await?;
        tx.record(Event::WatermarkRaised(Subject::Client(disabled.id.clone())));
        tx.record(changed(&disabled, false));
    }
    Ok(())
}

async fn all(tx: &Transaction, of: Belonging) -> Result<Vec<Client>, AdminError> {
    let (filter, mut clients) = (of.filter(), Vec::<Client>::new());
    loop {
        let after: Option<ClientId> = clients.last().map(|client| client.id.clone());
        let page = tx.clients().list(&filter, after.as_ref(), PAGE).await?;
        let last = u64::try_from(page.len()).unwrap_or(PAGE) < PAGE;
        clients.extend(page);
        if last {
            return Ok(clients);
        }
    }
}
