//! Live sessions: the protocol of a connection, the tasks that work for it, and their table.

mod connection;
mod health;
mod live;
mod outbox;
mod table;
mod ticker;
mod worker;
mod writer;

pub(crate) use connection::handle;
pub(crate) use table::SessionTable;
