//! How much of the producers' work a server is to have, in the words of HAProxy's agent-check.

use shards::Figures;

use crate::admin::disk::Room;

/// What is decided by.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Load {
    /// The process ends.
    pub(crate) stops: bool,
    /// Sets are refused until an operator ends that.
    pub(crate) drains: bool,
    /// Sets are refused by a shard, since the disk is full.
    pub(crate) full: bool,
    /// Bytes that messages and queues take in the log, and those of bodies that stay in memory.
    pub(crate) backlog: (u64, u64),
    /// Of the data directory's disk. `None`: it is not known.
    pub(crate) room: Option<Room>,
}

impl Load {
    /// Adds what the shards are at.
    pub(crate) fn with(self, shards: &[Figures], memory_max: u64) -> Load {
        let backlog = shards.iter().map(|shard| shard.totals.live_bytes).sum();
        Load { full: shards.iter().any(|shard| shard.full), backlog: (backlog, memory_max), ..self }
    }
}

/// Up to which part of `-m`, in percent, a backlog leaves which weight. Beyond the last one bodies come from the disk.
const BY_BACKLOG: [(u64, u64); 3] = [(50, 100), (75, 75), (100, 50)];
const MEMORY_IS_FULL: u64 = 25;
/// From which free share of the disk on, in percent, there is which weight.
const BY_DISK: [(u64, u64); 3] = [(20, 100), (10, 50), (5, 25)];
const DISK_IS_NEARLY_FULL: u64 = 10;
/// Not 0, which would be a drain: when all are full, producers are to be told so, and not to find no server.
const DISK_IS_FULL: u64 = 1;

/// The line for the agent-check.
///
/// In steps, so that the proxy does not sort its servers anew with each message. `ready` ends what `drain` and `maint`
/// began, and `up` what another agent's `down` did: HAProxy goes by the last word that it was given, also over a restart
/// of the server.
pub(crate) fn line(load: &Load) -> String {
    if load.stops {
        return "maint\n".to_string();
    }
    if load.drains {
        return "drain\n".to_string();
    }
    let weight = if load.full { DISK_IS_FULL } else { by_backlog(load.backlog).min(load.room.map_or(100, by_disk)) };
    format!("up ready {weight}%\n")
}

fn by_backlog((used, most): (u64, u64)) -> u64 {
    let is_within = |percent: u64| u128::from(used) * 100 <= u128::from(most) * u128::from(percent);
    let step = BY_BACKLOG.into_iter().find(|(percent, _)| most == 0 || is_within(*percent));
    step.map_or(MEMORY_IS_FULL, |(_, weight)| weight)
}

fn by_disk(room: Room) -> u64 {
    let is_free = |percent: u64| u128::from(room.free_bytes) * 100 >= u128::from(room.bytes) * u128::from(percent);
    BY_DISK.into_iter().find(|(percent, _)| is_free(*percent)).map_or(DISK_IS_NEARLY_FULL, |(_, weight)| weight)
}

#[cfg(test)]
mod tests {
    use shards::Totals;

    use super::*;

    #[test]
    fn each_state_has_its_line() {
        const GB: u64 = 1 << 30;
        let load =
            Load { backlog: (0, GB), room: Some(Room { free_bytes: 80 * GB, bytes: 100 * GB }), ..Load::default() };
        let backlog = |percent| Load { backlog: (GB / 100 * percent, GB), ..load };
        let disk = |percent| Load { room: Some(Room { free_bytes: percent * GB, bytes: 100 * GB }), ..load };
        for (load, expected) in [
            (load, "up ready 100%\n"),
            (backlog(50), "up ready 100%\n"),
            (backlog(51), "up ready 75%\n"),
            (backlog(75), "up ready 75%\n"),
            (backlog(100), "up ready 50%\n"),
            (backlog(101), "up ready 25%\n"),
            (backlog(300), "up ready 25%\n"),
            (disk(20), "up ready 100%\n"),
            (disk(19), "up ready 50%\n"),
            (disk(9), "up ready 25%\n"),
            (disk(4), "up ready 10%\n"),
            (disk(0), "up ready 10%\n"),
            // The lower one counts.
            (Load { backlog: (2 * GB, GB), ..disk(19) }, "up ready 25%\n"),
            (Load { full: true, ..load }, "up ready 1%\n"),
            (Load { full: true, drains: true, ..load }, "drain\n"),
            (Load { full: true, drains: true, stops: true, ..load }, "maint\n"),
            // What is not limited, or not told, does not count.
            (Load { backlog: (5, 0), ..load }, "up ready 100%\n"),
            (Load { room: None, ..load }, "up ready 100%\n"),
            (Load { backlog: (u64::MAX, u64::MAX), ..load }, "up ready 50%\n"),
        ] {
            assert_eq!(line(&load), expected, "{load:?}");
        }
    }

    #[test]
    fn shards_count_together() {
        let shard = |live_bytes, full| Figures {
            totals: Totals { live_bytes, ..Totals::default() },
            full,
            ..Figures::default()
        };
        let load = Load::default().with(&[shard(40, false), shard(20, false)], 100);
        assert_eq!(line(&load), "up ready 75%\n");
        assert_eq!(line(&Load::default().with(&[shard(0, false), shard(0, true)], 100)), "up ready 1%\n");
    }
}
