//! The languages whose words can be stemmed.

use serde::{Deserialize, Serialize};

/// Writes the languages once: each with its code, by which its stop words are known, and its stemmer.
macro_rules! languages {
    ($($name:ident $code:literal,)*) => {
        /// A language that [`Text`](crate::Text) knows how to stem: each of the Snowball project
        /// (Porter, 2001).
        ///
        /// ```
        /// use amphora::{Language, Text};
        ///
        /// let text = Text::language(Language::German);
        /// assert_eq!(text.stemmer, Some(Language::German));
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Language {
            $(#[doc = concat!("`", $code, "`, ", stringify!($name), ".")] $name,)*
        }

        impl Language {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The ISO 639 code, as `de`.
            ///
            /// ```
            /// assert_eq!(amphora::Language::German.code(), "de");
            /// ```
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            pub(crate) const fn algorithm(self) -> frostem::Algorithm {
                match self {
                    $(Self::$name => frostem::Algorithm::$name,)*
                }
            }
        }
    };
}

languages! {
    Arabic "ar",
    Armenian "hy",
    Basque "eu",
    Catalan "ca",
    Czech "cs",
    Danish "da",
    Dutch "nl",
    English "en",
    Esperanto "eo",
    Estonian "et",
    Finnish "fi",
    French "fr",
    German "de",
    Greek "el",
    Hindi "hi",
    Hungarian "hu",
    Indonesian "id",
    Irish "ga",
    Italian "it",
    Lithuanian "lt",
    Nepali "ne",
    Norwegian "no",
    Persian "fa",
    Polish "pl",
    Portuguese "pt",
    Romanian "ro",
    Russian "ru",
    Serbian "sr",
    Sesotho "st",
    Spanish "es",
    Swedish "sv",
    Tamil "ta",
    Turkish "tr",
    Ukrainian "uk",
    Yiddish "yi",
}
