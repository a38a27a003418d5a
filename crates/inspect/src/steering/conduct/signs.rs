//! Kinds of signs, what each weighs, and when they are enough.

/// From here on the signs of a sentence are an attack's.
pub(super) const ENOUGH: u32 = 4;

/// Kinds of signs, and what each weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Signs(u32);

macro_rules! signs {
    ($($name:ident = $bit:literal, $weight:literal, $because:literal;)*) => {
        impl Signs {
            $(pub(super) const $name: Self = Self(1 << $bit);)*
            const ALL: &[(Self, u32, &str)] = &[$((Self::$name, $weight, $because)),*];
        }
    };
}

signs! {
    THING = 0, 2, "takes in hand what the tool has no business with";
    SINK = 1, 2, "puts it into an argument";
    ADDRESS = 2, 2, "names somebody outside";
    HUSH = 3, 2, "leaves people unaware";
    UNCHECKED = 4, 2, "does away with a check";
    RIVAL = 5, 3, "speaks ill of other tools";
    TALE = 6, 2, "tells what people are to believe";
    READER = 7, 2, "speaks to whoever reads it";
    MISPLACED = 8, 2, "stands where data belongs";
    DEED = 9, 1, "does something to others";
    ORDER = 10, 1, "gives an order";
    TIMING = 11, 1, "wants it before or after";
    SCOPE = 12, 1, "reaches beyond the call";
    PRETEXT = 13, 1, "gives a reason that no interface needs";
    UNASKED = 14, 2, "wants it done without asking";
    UNTRUE = 15, 2, "has something said that is not so";
    CLAIM = 16, 2, "claims the work of others";
    OTHER = 17, 2, "names tools of another server";
    TAKEN = 18, 0, "and it is plain whose that is";
}

impl Signs {
    pub(super) const NONE: Self = Self(0);
    pub(super) fn add(&mut self, other: Self, seen: bool) {
        if seen {
            self.0 |= other.0;
        }
    }
    pub(super) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
    pub(super) fn weight(self) -> u32 {
        // where nothing is taken in hand, an argument is named by right
        let idle = !self.has(Self::THING) && !self.has(Self::OTHER);
        Self::ALL
            .iter()
            .filter(|(sign, ..)| self.has(*sign) && !(idle && *sign == Self::SINK))
            .map(|(_, weight, _)| weight)
            .sum()
    }
    /// Together an attack's. That something is ordered bears out little: documentation orders all day.
    pub(super) fn flags(self) -> bool {
        let light = self.but(Self::ORDER);
        self.weight() >= ENOUGH || light.heavy() > 0 && light.kinds() > 1 && light.weight() + 1 >= ENOUGH
    }
    /// Enough to withhold something for. An argument that is named, a title, and a thing that the tool's name does not
    /// speak of are in every second honest definition; together they only want to be looked at, unless it is plain whose
    /// the thing is. What steers people or what is said of others is seldom in one.
    pub(super) fn convict(self) -> bool {
        const PLAIN: &[Signs] = &[Signs::ADDRESS, Signs::RIVAL, Signs::READER, Signs::OTHER];
        // that somebody is not to hear says little where nothing is done and nobody is told anything
        let done = [
            Self::THING,
            Self::DEED,
            Self::OTHER,
            Self::TALE,
            Self::SCOPE,
            Self::CLAIM,
            Self::MISPLACED,
            Self::UNCHECKED,
        ];
        let aside = self.has(Self::HUSH) && done.iter().any(|sign| self.has(*sign));
        let telling = self.but(Self::SINK).but(Self::MISPLACED).but(Self::TALE);
        // "runs without further questions once it is on" is told of a program, and orders nothing
        let told = [Self::ORDER, Self::THING, Self::DEED, Self::SCOPE, Self::PRETEXT, Self::MISPLACED];
        // "most flows route through here after that" claims nothing of others
        let claims = [Self::ORDER, Self::SCOPE, Self::DEED, Self::RIVAL, Self::TALE, Self::MISPLACED];
        let claimed = self.has(Self::CLAIM) && claims.iter().any(|sign| self.has(*sign));
        let unasked = self.has(Self::UNASKED) && told.iter().any(|sign| self.has(*sign));
        let untrue = self.has(Self::UNTRUE) && !self.has(Self::SINK);
        self.has(Self::TAKEN) && self.has(Self::SINK)
            || untrue
            || unasked
            || claimed
            || aside
            || PLAIN.iter().any(|sign| self.has(*sign))
            || telling.heavy() > 1 && self.weight() > ENOUGH
    }
    const fn but(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
    const fn kinds(self) -> u32 {
        self.but(Self::TAKEN).0.count_ones()
    }
    /// The heaviest kinds are what a finding stands on; the rest only bears them out.
    pub(super) fn heavy(self) -> usize {
        Self::ALL.iter().filter(|(sign, weight, _)| self.has(*sign) && *weight > 1).count()
    }
    pub(super) fn because(self) -> String {
        let all: Vec<&str> =
            Self::ALL.iter().filter(|(sign, ..)| self.has(*sign)).map(|(.., why)| *why).collect();
        all.join(", ")
    }
}
