//! Names, days, and numbers of a generated meeting.

pub(super) const NAMES: [&str; 24] = [
    "Maya Lindqvist",
    "Daniel Okafor",
    "Priya Raman",
    "Tom Becker",
    "Sofia Marchetti",
    "Liam O'Connor",
    "Grace Nakamura",
    "Mateo Alvarez",
    "Hannah Weiss",
    "Omar Haddad",
    "Chloe Dubois",
    "Ethan Park",
    "Ingrid Solberg",
    "Marcus Reed",
    "Leila Farahani",
    "Jonas Keller",
    "Aisha Bello",
    "Peter Novak",
    "Rosa Jimenez",
    "Nina Petrova",
    "Caleb Wright",
    "Yara Mansour",
    "Victor Lindholm",
    "Emma Castellanos",
];

pub(super) const CUSTOMERS: [&str; 14] = [
    "Northwind",
    "Halvorsen",
    "the hospital group",
    "Brightline",
    "the university",
    "Castell and Sons",
    "the insurance people",
    "Meridian",
    "the Danish customer",
    "Oakfield",
    "the city council",
    "Lumen Foods",
    "the two pilot customers",
    "Ferro Logistics",
];

pub(super) const TEAMS: [&str; 12] = [
    "the platform team",
    "support",
    "the design team",
    "finance",
    "the data people",
    "marketing",
    "security",
    "the mobile team",
    "the partner team",
    "sales",
    "the infrastructure team",
    "legal",
];

/// Follows "by", "before", or "until".
pub(super) const DAYS: [&str; 12] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "next week",
    "the end of the month",
    "tomorrow afternoon",
    "the end of the sprint",
    "the middle of next week",
    "next Thursday",
    "the first of the month",
];

/// Stands alone, without a word before it.
pub(super) const WHENS: [&str; 12] = [
    "on Monday",
    "on Tuesday",
    "on Wednesday",
    "on Thursday",
    "on Friday",
    "next week",
    "at the end of the month",
    "tomorrow afternoon",
    "after the sprint",
    "in the next planning",
    "next Thursday",
    "early next month",
];

pub(super) const COUNTS: [&str; 14] = [
    "two",
    "three",
    "four",
    "five",
    "six",
    "eight",
    "ten",
    "twelve",
    "fifteen",
    "twenty",
    "thirty",
    "forty",
    "about fifty",
    "a hundred",
];

pub(super) const PERCENTS: [&str; 14] = [
    "two percent",
    "three percent",
    "five percent",
    "eight percent",
    "twelve percent",
    "fifteen percent",
    "a fifth",
    "a quarter",
    "a third",
    "forty percent",
    "about half",
    "sixty percent",
    "two thirds",
    "ninety percent",
];

pub(super) const TIMES: [&str; 12] = [
    "a day",
    "two days",
    "half a day",
    "a week",
    "an afternoon",
    "three days",
    "two weeks",
    "an hour or two",
    "a couple of days",
    "a full sprint",
    "ten days",
    "most of a week",
];

pub(super) const PLACES: [&str; 10] = [
    "the planning doc",
    "the ticket",
    "the channel",
    "the wiki page",
    "the shared folder",
    "the notes",
    "the project board",
    "the design file",
    "the release notes",
    "the spreadsheet",
];
