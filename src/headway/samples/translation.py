"""English, German and Chinese sentences that say the same."""

from __future__ import annotations

from headway.samples import chinese, english, german
from headway.samples.kind import Said
from headway.samples.speaker import Speaker


def three_languages(speaker: Speaker) -> Said:
    tree = speaker.speak()
    return english.say(tree), german.say(tree), chinese.say(tree)
