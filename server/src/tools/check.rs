//! `--check`: reads everything in a data directory, changes nothing, and prints what is there.

use std::io::{self, BufWriter, Write};

use shards::names::shown;
use shards::{DataDirectory, Inventory};

use crate::process::data_directory;
use crate::process::settings::Settings;

/// What a check adds up.
#[derive(Debug, Default)]
struct Sums {
    queues: u64,
    sets: u64,
    gets: u64,
    stored: u64,
    lost: u64,
    bytes: u64,
}

impl Sums {
    fn add(&mut self, other: &Sums) {
        self.queues += other.queues;
        self.sets += other.sets;
        self.gets += other.gets;
        self.stored += other.stored;
        self.lost += other.lost;
        self.bytes += other.bytes;
    }

    /// The balance: what was put is taken, or flushed, or lost, or there.
    fn balance(&self) -> String {
        let Sums { sets, gets, stored, lost, bytes, .. } = self;
        let flushed = match sets.saturating_sub(gets + stored + lost) {
            0 => String::new(),
            flushed => format!(" - {flushed} flushed"),
        };
        let lost = if *lost > 0 { format!(" - {lost} lost") } else { String::new() };
        format!("{sets} sets - {gets} gets{flushed}{lost} = {stored} stored, {bytes} bytes")
    }
}

/// Prints a line for each queue, each damaged part and the whole.
///
/// # Errors
/// When the directory cannot be read, or something in it is damaged or missing.
pub(crate) fn run(settings: &Settings) -> Result<(), String> {
    let inventory = DataDirectory::look_at(&settings.directory).map_err(|error| data_directory::line(&error))?;
    let mut out = BufWriter::new(io::stdout().lock());
    print(&inventory, &mut out).map_err(|error| format!("the result cannot be written: {error}"))?;
    match inventory.is_whole() {
        true => Ok(()),
        false => Err(format!("{} is damaged, see above", settings.directory.display())),
    }
}

fn print(inventory: &Inventory, out: &mut impl Write) -> io::Result<()> {
    let mut all = Sums::default();
    for (shard, survey) in inventory.logs.iter().enumerate() {
        let mut queues: Vec<_> = survey.queues().map(|queue| (queue.name(), queue)).collect();
        queues.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (name, queue) in queues {
            let (sets, gets, stored, lost, bytes) =
                (queue.sets(), queue.gets(), queue.stored(), queue.lost(), queue.bytes());
            let sums = Sums { queues: 1, sets, gets, stored, lost, bytes };
            writeln!(out, "queue {}: {}", String::from_utf8_lossy(&shown(&name)), sums.balance())?;
            if let Some(gate) = survey.gate(queue) {
                let (given, returned, lapsed) = (gate.given(), gate.returned(), gate.lapsed());
                let wrong = if gate.is_whole() { "" } else { ", which does not add up" };
                writeln!(
                    out,
                    "gate {}: {given} given - {returned} returned - {lapsed} lapsed = {} tickets, {} in line{wrong}",
                    String::from_utf8_lossy(&shown(&name)),
                    gate.valid(),
                    gate.line()
                )?;
            }
            all.add(&sums);
        }
        for damaged in survey.damaged() {
            let (file, offset, bytes, what) = (&damaged.file, damaged.offset, damaged.bytes, &damaged.what);
            writeln!(out, "damaged: shard {shard}, {file}, offset {offset}, {bytes} bytes: {what}")?;
        }
    }
    for missing in &inventory.missing {
        writeln!(out, "missing: {} {}", missing.path.display(), missing.what)?;
    }
    let frames: u64 = inventory.logs.iter().map(shards::Survey::frames).sum();
    writeln!(out, "{} shards, {frames} frames, {} queues: {}", inventory.logs.len(), all.queues, all.balance())?;
    out.flush()
}
