"""Stories: a few sentences of simple English, in which verbs agree with their subjects.

story      opening, then two to six sentences
opening    One day a <adjective> <animal> <goes> to the <place>.
sentence   <subject> <verb> <object>. | <subject> <moves> to the <place>. | <subject> <is> <adjective>.
subject    the animal of the opening (by noun or pronoun), or another one or several
"""

import random

from lmexp.primer import words


def story(rng: random.Random) -> str:
    """Return a story of one paragraph, with the newline."""
    hero, *others = rng.sample(words.ANIMALS, 3)
    moves, _ = rng.choice(words.MOTION_VERBS)
    adjective, place = rng.choice(words.ADJECTIVES), rng.choice(words.PLACES)
    article = "an" if adjective[0] in "aeiou" else "a"
    opening = f"One day {article} {adjective} {hero} {moves} to the {place}."
    sentences = [_sentence(hero, others, rng) for _ in range(rng.randint(2, 6))]
    return " ".join([opening, *sentences]) + "\n"


def _sentence(hero: str, others: list[str], rng: random.Random) -> str:
    other = rng.choice(others)
    subject, plural, of_hero = rng.choice(
        [
            (f"The {hero}", False, True),
            ("It", False, True),
            (f"The {other}", False, False),
            (f"The {other}s", True, False),
        ]
    )
    kind = rng.randrange(3)
    if kind == 0:
        thing = f"a {rng.choice(words.COLOURS)} {rng.choice(words.THINGS)}"
        target = rng.choice([thing, f"the {other if of_hero else hero}"])
        return f"{subject} {rng.choice(words.TRANSITIVE_VERBS)[plural]} {target}."
    if kind == 1:
        return f"{subject} {rng.choice(words.MOTION_VERBS)[plural]} to the {rng.choice(words.PLACES)}."
    return f"{subject} {'are' if plural else 'is'} {rng.choice(words.ADJECTIVES)}."
