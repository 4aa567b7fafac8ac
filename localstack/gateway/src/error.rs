//! Why a gateway cannot start.

use crate::template::TemplateError;

/// Why a gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The template is not usable.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A function of the template runs a binary that is not linked in.
    #[error("function {function} runs {binary}, which is not linked in")]
    NoCode {
        /// The logical id.
        function: String,
        /// The binary.
        binary: String,
    },
    /// A variable of a function has no value on this machine and none was supplied.
    #[error("function {function} needs {variable}: {reason}")]
    MissingVariable {
        /// The logical id.
        function: String,
        /// The variable.
        variable: String,
        /// Why the template alone does not give it.
        reason: String,
    },
    /// There are event source mappings but nothing to poll.
    #[error("the template has event source mappings, and there is no queue service")]
    NoQueues,
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Which.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}
