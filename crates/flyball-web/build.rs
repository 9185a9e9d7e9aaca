//! Takes Plotly.js out of the `plotly` crate, so that the page has its charts offline.
//!
//! The crate hands out Plotly.js and MathJax in one string of script elements. Only the first is
//! wanted (MathJax would add 2.1 MB for formulas that no chart has), and only its text. As a build
//! dependency the crate and all it needs stay out of the program.

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let out = std::env::var("OUT_DIR")?;
    let sources = plotly::Plot::offline_js_sources();
    let script = plotly_script(&sources)
        .ok_or("the plotly crate no longer hands out Plotly.js as its first script element")?;
    std::fs::write(Path::new(&out).join("plotly.min.js"), script)?;
    Ok(())
}

/// The text of the first script element, if it is Plotly.js with its licence.
fn plotly_script(sources: &str) -> Option<&str> {
    let body = sources.split_once("<script type=\"text/javascript\">")?.1;
    let next = body.find("<script type=\"text/javascript\">").unwrap_or(body.len());
    let script = body[..next].trim_end().strip_suffix("</script>")?;
    let licensed = script.contains("Licensed under the MIT license");
    (licensed && script.contains("* plotly.js v")).then_some(script)
}
