//! What is wrong with a template, and where.

/// A template that cannot be run, with the logical id and the property to look at.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The file cannot be read.
    #[error("cannot read the template {path}: {source}")]
    Unreadable {
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Not YAML.
    #[error("the template is not valid YAML: {0}")]
    Yaml(#[from] serde_norway::Error),
    /// A section that is not a resource is wrong.
    #[error("{section}: {message}")]
    Section {
        /// `Parameters`, `Conditions`, ...
        section: String,
        /// What is wrong with it.
        message: String,
    },
    /// A resource is wrong.
    #[error("resource {logical_id}, {property}: {message}")]
    Resource {
        /// The resource's key under `Resources`.
        logical_id: String,
        /// The path of the property.
        property: String,
        /// What is wrong with it.
        message: String,
    },
}

impl TemplateError {
    pub(super) fn section(section: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Section { section: section.into(), message: message.into() }
    }

    pub(super) fn resource(
        logical_id: impl Into<String>,
        property: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self::Resource { logical_id: logical_id.into(), property: property.into(), message: message.into() }
    }
}
