//! Which log it is: a log has a random number from its beginning on, which is in the header of each of its segments. What
//! was written down of it elsewhere tells a log that is missing from one that never was.

use std::collections::BTreeSet;

use crate::disk::Disk;
use crate::error::{Error, Result};
use crate::log::segment::{SegmentHeader, segment_name, segment_number};

/// The ids of the logs that the segments in `disk` belong to: one when all is well, none when no segment has a good
/// header. Nothing is changed, and no frame is read.
///
/// # Errors
/// When the disk cannot be read.
pub fn log_ids(disk: &dyn Disk) -> Result<BTreeSet<u64>> {
    let names = disk.list().map_err(Error::io("list", "the log's directory"))?;
    let mut ids = BTreeSet::new();
    for number in names.iter().filter_map(|name| segment_number(name)) {
        let name = segment_name(number);
        let file = disk.open(&name).map_err(Error::io("open", &name))?;
        let header = SegmentHeader::read(&*file, &name)?;
        ids.extend(header.filter(|header| header.number == number).map(|header| header.log_id));
    }
    Ok(ids)
}
