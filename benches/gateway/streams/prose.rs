//! What the scripted model says: plain English of some six hundred tokens, with the numbers, names and lists of a usual
//! answer, and the questions it answers.

const PROSE: &str = "\
A lighthouse is a simple promise: whoever keeps it will show a light in the same place every night, in fair weather and \
in foul. The first ones were wood fires on headlands, fed by whoever lived nearby and wanted the boats to come home. A \
fire burns low in rain and blows sideways in a gale, so people soon put it into an iron basket, and later behind glass, \
and then they built a tower to lift it above the haze that lies on cold water.

The hard part was never the flame but the lens. A lamp throws its light in all directions, and most of it is lost in the \
sky. Augustin Fresnel, an engineer of roads who had taught himself optics, found in 1822 that a lens does not need its \
thick middle. He cut it into rings, each with the slope that the full lens would have there, and set them around the \
lamp like the scales of a pine cone. With that, an oil lamp that a child could carry was seen from twenty miles away. The \
largest of these lenses weigh as much as a lorry, yet they turn at the push of a finger, since they float in a trough of \
mercury.

What did a keeper do all day? More than most people think:

- Trim the wick every four hours, so that the flame would not smoke.
- Wind up the weight that turned the lens, as one does with a tall clock.
- Polish the brass and wash the panes, inside and outside, before dusk.
- Write the log: wind, sea, ships that passed, oil used, and any visitors.
- Grow what food the rock would bear, and fish for the rest.

Two keepers shared the night, and a third slept. On a rock far out the supply boat came once in a month, if the swell let \
it land, and letters were read until the paper went soft. Some keepers learned languages, some built models of ships, and \
one, on the coast of Maine, is said to have carved a full set of chess pieces from driftwood and then found nobody who \
knew the rules.

Every light has its own rhythm, so that a captain can tell it from its neighbours. One flashes twice and rests for eight \
seconds; another shows red toward the shallows and white over safe water. The pattern stands on the chart beside the \
height of the lamp. A ship that sees two known lights at once can draw two lines, and where they cross is where it is. \
That is the whole art, and it needs no more than a compass and a pencil.

From about 1920 on, gas valves that close by themselves in daylight let the lamp burn without anyone near it. Then came \
cables, diesel engines, and at last small panels that take their power from the sun. The keepers went ashore one by one. \
Most towers still stand, partly since sailors like to see with their own eyes what their screens tell them, and partly \
because the people who live beside them would not have it any other way. If you visit one, go at dusk, stay until the \
light comes on, and look not at the lamp but at the sea: you will see the beam walk over the water like someone who has \
all the time in the world.
";

/// The longest piece of a word, in characters: about what tokenizers do with rarer words.
const LONGEST: usize = 7;

/// A page of it: the prose from one of its sentences on, and around. Streams that run beside each other say different things,
/// so that what costs the guard more comes to them at different times.
pub(crate) fn page(number: usize) -> String {
    let starts: Vec<usize> = PROSE.match_indices(". ").map(|(at, end)| at + end.len()).collect();
    let (before, after) = PROSE.split_at(starts[number % starts.len()]);
    [after, before].concat()
}

/// A page as tokens of four to five characters at the mean: words with the blank before them, long ones in two.
pub(crate) fn tokens(page: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut from = 0;
    for (at, c) in page.char_indices() {
        let blank = c == ' ' || c == '\n';
        if at > from && (blank || at - from >= LONGEST) {
            tokens.push(page[from..at].to_owned());
            from = at;
        }
    }
    tokens.push(page[from..].to_owned());
    tokens
}

/// A question to which this is an answer; each is another text, so that no verdict on an answer is known from before.
pub(crate) fn question(number: usize) -> String {
    format!("Please write page {number} of our little book about lighthouses and their keepers.")
}
