//! The kinds of change.

use serde::Serialize;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $word:literal,)*) => {
        /// What sort of difference it is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub enum Kind {
            $($(#[$doc])* #[serde(rename = $word)] $kind,)*
        }

        impl Kind {
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $word,)* }
            }
        }
    };
}

kinds! {
    ServerAdded = "server-added",
    ServerRemoved = "server-removed",
    ServerRenamed = "server-renamed",
    /// What a server says it is, its version aside.
    IdentityChanged = "identity-changed",
    VersionChanged = "version-changed",

    ItemAdded = "item-added",
    ItemRemoved = "item-removed",
    ItemRenamed = "item-renamed",
    /// The new name looks like another one, and is not.
    NameConfusable = "name-confusable",
    /// A new item bears the name of another server's.
    NameShadows = "name-shadows",

    TextAdded = "text-added",
    TextRemoved = "text-removed",
    TextSpacing = "text-spacing",
    TextPunctuation = "text-punctuation",
    /// Words went in, none went out.
    TextExtended = "text-extended",
    TextShortened = "text-shortened",
    TextReworded = "text-reworded",
    /// Less than half of it is left.
    TextRewritten = "text-rewritten",
    /// What is compared word by word ends before what differs, or before a part that is new.
    TextTooLong = "text-too-long",
    /// A sentence that has next to no word in common with the rest of the definition.
    TextForeign = "text-foreign",
    /// A sentence where others have a word or a value.
    TextMisplaced = "text-misplaced",
    /// What the old text said is not done is said without its *not*.
    NegationLost = "negation-lost",
    /// Words that held the tool back went out, or words that let it do more came in.
    PromiseLifted = "promise-lifted",
    /// An address that was nowhere in the old definition.
    AddressAdded = "address-added",

    /// The scan finds something that it did not find before.
    FindingAdded = "finding-added",

    /// The author now promises less harm.
    HintWeakened = "hint-weakened",
    /// The author no longer promises what the old definition promised.
    HintStrengthened = "hint-strengthened",
    /// Judged from its definition, it can do more than before.
    RiskRaised = "risk-raised",
    RiskLowered = "risk-lowered",

    SchemaAdded = "schema-added",
    SchemaRemoved = "schema-removed",
    /// Other words for the same.
    SchemaRewritten = "schema-rewritten",
    /// It cannot be told what the difference does.
    SchemaUnclear = "schema-unclear",
    ArgumentAdded = "argument-added",
    /// A new argument takes a credential, or what pays, by its name.
    ArgumentAsksSecret = "argument-asks-secret",
    /// A new argument lets a call act as somebody else, or pass by what holds it back, by its name.
    ArgumentGrants = "argument-grants",
    ArgumentRemoved = "argument-removed",
    ArgumentRenamed = "argument-renamed",
    RequiredAdded = "required-added",
    RequiredRemoved = "required-removed",
    TypeWidened = "type-widened",
    TypeNarrowed = "type-narrowed",
    TypeChanged = "type-changed",
    EnumWidened = "enum-widened",
    EnumNarrowed = "enum-narrowed",
    /// Any value where few were allowed.
    EnumLifted = "enum-lifted",
    EnumImposed = "enum-imposed",
    ConstChanged = "const-changed",
    BoundLoosened = "bound-loosened",
    BoundTightened = "bound-tightened",
    PatternImposed = "pattern-imposed",
    PatternLifted = "pattern-lifted",
    PatternChanged = "pattern-changed",
    FormatImposed = "format-imposed",
    FormatLifted = "format-lifted",
    FormatChanged = "format-changed",
    DefaultAdded = "default-added",
    DefaultRemoved = "default-removed",
    DefaultChanged = "default-changed",
    /// Arguments that nobody lists are taken.
    OpenedToOthers = "opened-to-others",
    ClosedToOthers = "closed-to-others",
    ItemsImposed = "items-imposed",
    ItemsLifted = "items-lifted",
    AlternativeAdded = "alternative-added",
    AlternativeRemoved = "alternative-removed",
    ConditionAdded = "condition-added",
    ConditionRemoved = "condition-removed",
    ReferenceChanged = "reference-changed",
    PartAdded = "part-added",
    PartRemoved = "part-removed",
    DialectChanged = "dialect-changed",
    ExampleChanged = "example-changed",

    IconsChanged = "icons-changed",
    ExecutionChanged = "execution-changed",
    ContentTypeChanged = "content-type-changed",
    MemberAdded = "member-added",
    MemberRemoved = "member-removed",
    MemberChanged = "member-changed",
    /// The same value, written with other digits.
    NumberRewritten = "number-rewritten",
}
