//! How much it weighs that something no longer holds a tool back: by what a call of it can do.

use crate::Category;
use crate::risk::{Judgement, Level};

/// What a call can do, before or now: the worse of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stakes {
    Looks,
    /// Also of what is no tool: nobody judged it.
    Changes,
    /// What is critical, or moves money.
    Critical,
}

impl Stakes {
    pub(super) fn of(old: &Judgement, new: &Judgement) -> Self {
        let one = |judged: &Judgement| match judged.level {
            _ if judged.categories.contains(&Category::Financial) => Self::Critical,
            Level::ReadOnly => Self::Looks,
            Level::SideEffect => Self::Changes,
            Level::Critical => Self::Critical,
        };
        one(old).max(one(new))
    }

    /// Of what plainly held it back.
    pub(super) fn lifted(self) -> f64 {
        match self {
            Self::Looks => 0.44,
            Self::Changes => 0.46,
            Self::Critical => 0.5,
        }
    }

    /// Of what may have held it back: nothing to speak of where it only looks.
    pub(super) fn doubtful(self, looks: f64) -> f64 {
        match self {
            Self::Looks => looks,
            Self::Changes => 0.3,
            Self::Critical => 0.4,
        }
    }

    /// Of anything that is wider now: of what is critical, a person looks at it.
    pub(super) fn loosened(self, weight: f64) -> f64 {
        if self == Self::Critical { f64::max(weight, 0.32) } else { weight }
    }
}
