//! A document whose code blocks say which file they go to. The fence of a block reads
//!
//! - `rust file=PATH`: a new file;
//! - `rust file=PATH after="TEXT"`: new lines after the one that holds TEXT;
//! - `rust file=PATH replace="TEXT"`: instead of TEXT;
//! - `json answer="GET /path"`: what the system then answers, as far as it is written down;
//! - `json submit` and `json result`: a task, and its result.

use std::fs;

use serde_json::Value;

use super::tree::Tree;

/// A document of the repository.
pub struct Document(Vec<Block>);

struct Block {
    /// What the fence says after the language.
    fence: String,
    text: String,
}

impl Document {
    /// Reads it as it is in `tree`.
    pub fn read(tree: &Tree, path: &str) -> Self {
        let text = fs::read_to_string(tree.repository().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
        let mut blocks = Vec::new();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let Some(fence) = line.trim_start().strip_prefix("```") else { continue };
            let indent = line.len() - line.trim_start().len();
            let fence = fence.split_once(' ').map_or("", |(_, rest)| rest.trim());
            let inside = lines.by_ref().take_while(|line| line.trim() != "```");
            let text = inside.fold(String::new(), |text, line| text + line.get(indent..).unwrap_or_default() + "\n");
            blocks.push(Block { fence: fence.to_owned(), text });
        }
        Self(blocks)
    }

    /// Does what it says, in its order.
    pub fn follow(&self, tree: &Tree) {
        for block in &self.0 {
            let Some(file) = block.value("file=") else { continue };
            if let Some(place) = block.value("after=") {
                let path = tree.repository().join(file);
                let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{file}: {e}"));
                let mut holders = text.lines().filter(|line| line.contains(place));
                let line = holders.next().unwrap_or_else(|| panic!("{file} says nowhere: {place}"));
                assert!(holders.next().is_none(), "{file} says more than once: {place}");
                tree.replace(file, &format!("{line}\n"), &format!("{line}\n{}", block.text));
            } else if let Some(place) = block.value("replace=") {
                tree.replace(file, place, block.text.trim_end());
            } else {
                let path = tree.repository().join(file);
                assert!(!path.exists(), "{file} is there already");
                fs::write(&path, &block.text).unwrap_or_else(|e| panic!("{file}: {e}"));
            }
        }
    }

    /// The tests that it writes, as the test program names them.
    pub fn tests(&self) -> Vec<String> {
        let files =
            self.0.iter().filter_map(|block| block.value("file=")?.strip_prefix("tests/it/")?.strip_suffix(".rs"));
        files.filter(|file| !file.ends_with("mod")).map(|file| file.replace('/', "::")).collect()
    }

    /// Paths, and what is answered there.
    pub fn answers(&self) -> Vec<(String, Value)> {
        let answer = |block: &Block| {
            let path = block.value("answer=")?.strip_prefix("GET ")?.to_owned();
            Some((path, block.json()))
        };
        self.0.iter().filter_map(answer).collect()
    }

    /// The block whose fence is exactly this word.
    pub fn json(&self, word: &str) -> Value {
        self.0.iter().find(|block| block.fence == word).unwrap_or_else(|| panic!("no block `json {word}`")).json()
    }
}

impl Block {
    /// What follows `name`: a word, or a text in quotes.
    fn value(&self, name: &str) -> Option<&str> {
        let (_, rest) = self.fence.split_once(name)?;
        match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').map(|(value, _)| value),
            None => rest.split_whitespace().next(),
        }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{}: {e}", self.text))
    }
}

/// Whether `answer` says everything that `expected` says; it may say more.
pub fn says(answer: &Value, expected: &Value) -> bool {
    match (answer, expected) {
        (Value::Object(answer), Value::Object(expected)) => {
            expected.iter().all(|(name, value)| answer.get(name).is_some_and(|found| says(found, value)))
        }
        _ => answer == expected,
    }
}
