//! What is written, and read again.

use std::fs;

use crate::fake::{Fake, Mischief};
use crate::program::{command, path};

#[test]
fn results_are_written_and_compared() {
    let fake = Fake::start(Mischief::None);
    let (first, second, page) = (path("a.json"), path("b.json"), path("page.html"));
    for (label, json) in [("case/one", &first), ("case/<two>", &second)] {
        let mut command = command("-n 100 -c 2 --label");
        command.arg(label).args(["-p", &fake.port().to_string(), "--json-out-file"]).arg(json);
        let output = command.arg("--html").arg(&page).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = fs::read_to_string(&page).unwrap();
        assert!(text.contains("<svg") && text.contains("--json-out-file") && !text.contains("<two>"), "{text}");
    }
    let mut command = command("--baseline one");
    command.arg("--compare").args([&first, &second]).arg("--html").arg(&page);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("case") && table.contains("<two>") && table.contains("/ one"), "{table}");
    let text = fs::read_to_string(&page).unwrap();
    assert!(text.contains("&lt;two&gt;") && !text.contains("<two>"), "{text}");
    for path in [first, second, page] {
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn only_results_are_compared() {
    let file = path("other.json");
    fs::write(&file, "{}").unwrap();
    let output = command("--compare").arg(&file).output().unwrap();
    fs::remove_file(&file).unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("is no result of this program"));
}
