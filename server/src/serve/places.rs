//! How many connections there are, and whether there may be one more.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;

use parking_lot::Mutex;

use super::metrics::Refused;
use crate::app::App;
use crate::block::Block;
use crate::limits::Limits;

/// The open connections of a Tachograph, whatever listener they came by. It has no entries but for open ones.
#[derive(Debug, Default)]
pub(crate) struct Places(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    all: usize,
    by_block: HashMap<Block, usize>,
}

impl Table {
    fn enter(&mut self, block: Option<Block>, limits: &Limits) -> Result<(), Refused> {
        if self.all >= limits.connections {
            return Err(Refused::All);
        }
        if let Some(block) = block {
            let open = self.by_block.get(&block).copied().unwrap_or_default();
            if open >= limits.connections_per_address {
                return Err(Refused::Address);
            }
            self.by_block.insert(block, open + 1);
        }
        self.all += 1;
        Ok(())
    }

    fn leave(&mut self, block: Option<Block>) {
        self.all -= 1;
        let Some(Entry::Occupied(mut open)) = block.map(|block| self.by_block.entry(block)) else { return };
        *open.get_mut() -= 1;
        if *open.get() == 0 {
            open.remove();
        }
    }
}

/// The right to be connected. It is given back with the value.
pub(super) struct Permit {
    pub(super) app: App,
    block: Option<Block>,
}

impl Permit {
    /// Counts a connection, if there may be one more. An exempt address counts in the limit of all only.
    pub(super) fn take(app: &App, address: IpAddr, is_exempt: bool) -> Result<Self, Refused> {
        let block = (!is_exempt).then(|| Block::of(address));
        app.places.0.lock().enter(block, &app.limits.now())?;
        app.metrics.transport.open.add(1.0);
        Ok(Self { app: App::clone(app), block })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.app.places.0.lock().leave(self.block);
        self.app.metrics.transport.open.add(-1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: fn() -> Limits = || Limits { connections: 3, connections_per_address: 2, ..Limits::default() };

    fn block(address: &str) -> Option<Block> {
        Some(Block::of(address.parse().unwrap()))
    }

    #[test]
    fn one_more_than_may_be_is_refused_until_another_leaves() {
        let mut table = Table::default();
        let (one, two) = (block("192.0.2.1"), block("192.0.2.2"));
        assert_eq!(table.enter(one, &LIMITS()), Ok(()));
        assert_eq!(table.enter(one, &LIMITS()), Ok(()));
        assert_eq!(table.enter(one, &LIMITS()), Err(Refused::Address));
        assert_eq!(table.enter(two, &LIMITS()), Ok(()));
        assert_eq!(table.enter(two, &LIMITS()), Err(Refused::All));
        table.leave(one);
        assert_eq!(table.enter(two, &LIMITS()), Ok(()));
        table.leave(one);
        assert_eq!(table.by_block, HashMap::from([(two.unwrap(), 2)]));
        assert_eq!(table.enter(None, &LIMITS()), Ok(()));
        for left in [None, two, two] {
            table.leave(left);
        }
        assert_eq!((table.all, table.by_block.len()), (0, 0));
    }
}
