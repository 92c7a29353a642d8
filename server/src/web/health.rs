//! `/healthz` and `/readyz`: whether the server is alive, and whether it is to be sent more.

use shards::Figures;

/// Why a server is not to be sent more, by its state: one line.
///
/// # Errors
/// When it stops, drains, or has a full disk.
pub(crate) fn ready(stops: bool, drains: bool, shards: &[Figures]) -> Result<(), String> {
    let full = shards.iter().filter(|shard| shard.full).count();
    if stops {
        return Err("stopping: no connection is taken any more".to_string());
    }
    if drains {
        return Err("draining: sets are refused, gets go on; SIGUSR2 ends it".to_string());
    }
    if full > 0 {
        let all = shards.len();
        return Err(format!("full: {full} of {all} shards refuse sets, since the disk is full; free space on it"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_that_holds_is_told_in_one_line() {
        let shards = |full: &[bool]| -> Vec<Figures> {
            full.iter().map(|full| Figures { full: *full, ..Figures::default() }).collect()
        };
        assert_eq!(ready(false, false, &shards(&[false, false])), Ok(()));
        for (stops, drains, full, reason) in [
            (true, true, [true, true], "stopping: "),
            (false, true, [true, false], "draining: "),
            (false, false, [true, false], "full: 1 of 2 shards "),
            (false, false, [true, true], "full: 2 of 2 shards "),
        ] {
            let line = ready(stops, drains, &shards(&full)).expect_err(reason);
            assert!(line.starts_with(reason) && line.lines().count() == 1, "{line}");
        }
    }
}
