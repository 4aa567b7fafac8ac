//! Makes what `/openapi.json` and `/docs` answer out of `docs/openapi.json`, so that the function only hands it out.

use std::{env, error::Error, fs, path::PathBuf};

use serde_json::Value;

#[expect(clippy::disallowed_methods, reason = "cargo tells a build script in variables where it is")]
fn main() -> Result<(), Box<dyn Error>> {
    let source = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../docs/openapi.json");
    println!("cargo::rerun-if-changed={}", source.display());
    let document: Value = serde_json::from_slice(&fs::read(&source)?)
        .map_err(|error| format!("{}: {error}; scripts/openapi writes it anew", source.display()))?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let paths = document["paths"].as_object().cloned().unwrap_or_default();
    let methods = |item: &Value| -> Vec<String> {
        item.as_object().into_iter().flatten().map(|(method, _)| method.to_uppercase()).collect()
    };
    let paths: Vec<(String, String)> =
        paths.iter().map(|(path, item)| (path.clone(), methods(item).join(", "))).collect();
    let (json, page) = (document.to_string(), halyard_reference::render(&document));
    let constants = format!(
        "const DOCUMENT_TAG: &str = {:?};\nconst PAGE_TAG: &str = {:?};\nconst PAGE_POLICY: &str = {:?};\n\
         /// Every path of the API, and its methods.\npub const PATHS: &[(&str, &str)] = &{:?};\n",
        halyard_reference::entity_tag(json.as_bytes()),
        halyard_reference::entity_tag(page.html.as_bytes()),
        page.policy,
        paths,
    );
    fs::write(out.join("openapi.json"), json)?;
    fs::write(out.join("docs.html"), page.html)?;
    Ok(fs::write(out.join("reference.rs"), constants)?)
}
