//! Which end-to-end tests are left out where, and why: the only list of it. `docs/fidelity.md` names each of them with the
//! same reason, and a test compares the two.

use std::fmt;

use crate::environment::variable;

/// What the suite runs against, as `HALYARD_PROFILE` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// The local gateway: in this process without `HALYARD_BASE_URL`, else `halyard serve`.
    Embedded,
    /// The template deployed into an emulator.
    Emulated,
    /// The composition of containers, behind NGINX.
    Docker,
    /// `cargo lambda watch` behind the local gateway.
    Watch,
    /// A real account.
    Aws,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 5] = [Self::Embedded, Self::Emulated, Self::Docker, Self::Watch, Self::Aws];

    /// The profile of this run; `embedded` unless `HALYARD_PROFILE` says something else.
    ///
    /// # Panics
    /// When it says something unknown.
    pub fn current() -> Self {
        let Some(name) = variable("HALYARD_PROFILE") else { return Self::Embedded };
        let known = Self::ALL.into_iter().find(|profile| profile.name() == name);
        known.unwrap_or_else(|| panic!("HALYARD_PROFILE={name}: one of embedded, emulated, docker, watch, aws"))
    }

    /// As `HALYARD_PROFILE` writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Emulated => "emulated",
            Self::Docker => "docker",
            Self::Watch => "watch",
            Self::Aws => "aws",
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A test that cannot run somewhere.
#[derive(Debug, Clone, Copy)]
pub struct LeftOut {
    /// Where.
    pub profile: Profile,
    /// As nextest names it: `e2e::gateway::...`.
    pub test: &'static str,
    /// Why; the words of `docs/fidelity.md`.
    pub reason: &'static str,
}

/// The list.
pub const LEFT_OUT: &[LeftOut] = &[
    LeftOut {
        profile: Profile::Emulated,
        test: "e2e::gateway::a_page_of_another_origin_may_ask",
        reason: CORS_OF_MINISTACK,
    },
    LeftOut {
        profile: Profile::Emulated,
        test: "e2e::gateway::a_page_of_another_origin_may_read_the_answer",
        reason: CORS_OF_MINISTACK,
    },
];

/// `provisioners.py` stores `AllowOrigins`, `apigateway.py` reads `allowOrigins`.
const CORS_OF_MINISTACK: &str = "MiniStack keeps a CORS configuration from CloudFormation under CloudFormation's names and reads it under the API's: preflights are 403, answers have no CORS headers";

/// Why a test is left out in this run; `None` when it is to run. Says so on standard error.
pub fn reason(test: &str) -> Option<&'static str> {
    let profile = Profile::current();
    let found = LEFT_OUT.iter().find(|left| left.profile == profile && left.test == test)?;
    eprintln!("left out in the profile {profile}: {test}: {}", found.reason);
    Some(found.reason)
}

/// The name of a test as nextest prints it, from the name of a type that was declared in it.
pub fn test_name(of_a_type_inside: &str) -> &str {
    let inside = of_a_type_inside.split_once("::").map_or(of_a_type_inside, |(_crate, path)| path);
    let end = inside.find("::{{closure}}").or_else(|| inside.rfind("::")).unwrap_or(inside.len());
    &inside[..end]
}
