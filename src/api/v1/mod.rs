//! Lives here: the `/v1` dialect (seed 003): its routes, a file for each resource.
//! Never here: the way of a request (`doors`), checks of a message's meaning (`ingest`).

pub(super) mod bulk;
pub(super) mod campaigns;
mod credits;
mod export;
pub(super) mod keys;
mod list;
pub(super) mod messages;
mod send;
pub(super) mod webhooks;

pub(super) use self::messages::Timeline;
use super::docs::{self, Book};
use super::doors::Doors;

/// All routes.
pub(super) fn doors() -> Doors {
    let doors = send::doors(Doors::default());
    let doors = messages::doors(doors);
    let doors = list::doors(doors);
    let doors = credits::doors(doors);
    let doors = keys::doors(doors);
    let doors = webhooks::doors(doors);
    let doors = bulk::doors(doors);
    let doors = campaigns::doors(doors);
    docs::doors(doors)
}

/// What is said of them: a file `describe.rs` beside each.
pub(super) fn describe(book: &mut Book) {
    send::describe(book);
    messages::describe(book);
    credits::describe(book);
    keys::describe(book);
    webhooks::describe(book);
    bulk::describe(book);
    campaigns::describe(book);
    docs::describe(book);
}
