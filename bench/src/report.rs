//! What is told of a run, and of several.

mod beside;
mod findings;
mod gate;
mod html;
mod json;
mod plot;
mod rushes;
mod several;
mod table;

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::beside::Beside;
use crate::gate::Rushed;
use crate::options::Arguments;
use crate::run::Outcome;

/// Prints the report, and writes the files that were asked for.
pub(crate) fn tell(options: &Arguments, outcome: &Outcome) -> Result<(), String> {
    let document = json::document(options, outcome);
    print!("{}", table::of(&document, !options.hide_histogram));
    if let Some(path) = &options.json_out_file {
        write(path, &format!("{document:#}\n"))?;
    }
    if let Some(path) = &options.html {
        write(path, &html::of_one(&document))?;
    }
    Ok(())
}

/// The same for what a client felt beside loads.
pub(crate) fn tell_beside(options: &Arguments, outcome: &Beside) -> Result<(), String> {
    let document = beside::document(options, outcome);
    print!("{}", beside::table(&document));
    if let Some(path) = &options.json_out_file {
        write(path, &format!("{document:#}\n"))?;
    }
    if let Some(path) = &options.html {
        write(path, &html::of_beside(&document))?;
    }
    Ok(())
}

/// The same for a rush on a gate.
pub(crate) fn tell_rush(options: &Arguments, outcome: &Rushed) -> Result<(), String> {
    let document = gate::document(options, outcome);
    print!("{}", gate::table(&document));
    if let Some(path) = &options.json_out_file {
        write(path, &format!("{document:#}\n"))?;
    }
    if let Some(path) = &options.html {
        write(path, &html::of_rush(&document))?;
    }
    Ok(())
}

/// Compares the results of earlier runs.
pub(crate) fn compare(options: &Arguments) -> Result<(), String> {
    let documents = options.compare.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
    if documents.iter().any(gate::is) {
        let comparison = rushes::Comparison::new(&documents, options.baseline.as_deref())?;
        print!("{}", comparison.table());
        return options.html.as_ref().map_or(Ok(()), |path| write(path, &html::of_rushes(&comparison)));
    }
    match documents.iter().filter(|document| beside::is(document)).count() {
        0 => {}
        all if all == documents.len() => {
            let comparison = beside::Comparison::new(&documents, options.baseline.as_deref())?;
            print!("{}", comparison.table());
            return options.html.as_ref().map_or(Ok(()), |path| write(path, &html::of_several_beside(&comparison)));
        }
        _ => return Err(String::from("results of --beside and of other runs have nothing to compare")),
    }
    let comparison = several::Comparison::new(&documents, options.baseline.as_deref())?;
    print!("{}", comparison.table());
    if let Some(path) = &options.html {
        write(path, &html::of_several(&comparison, &documents))?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

fn read(path: &Path) -> Result<Value, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let document: Value = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    if document["rushq_bench"].as_u64() != Some(json::VERSION) {
        return Err(format!("{} is no result of this program", path.display()));
    }
    Ok(document)
}

/// A figure of a document; 0 where there is none.
fn number(value: &Value, path: &str) -> f64 {
    value.pointer(path).and_then(Value::as_f64).unwrap_or(0.0)
}

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or("")
}
