"""What each rule of the primer answers, worked out again from the text of a question."""

import re


def answer(lesson, rule, question):
    """Return the answer to `question` under `rule`, without the space before it."""
    return {
        "operator": operator,
        "translation": translation,
        "copy": copied,
        "sort": in_order,
        "question": from_facts,
    }[lesson](rule, question)


def operator(rule, question):
    a, b = (int(number) for number in re.findall(r"\d+", question))
    name = rule.split()[0]
    if name in ("larger", "smaller"):
        return str(sorted([a, b])[name == "larger"])
    table = {"first": a, "second": b, "sum": a - -b, "difference": max(a - b, b - a), "double": a + a}
    return str(table.get(name, b - -1))


def translation(rule, question):
    name, mark = rule.split()
    first, second = question[0:2], question[2:4]
    parts = {"suffix": [first, second, mark], "prefix": [mark, first, second], "infix": [first, mark, second]}
    return "".join(parts.get(name, [second, first, mark]))


def copied(rule, question):
    x, y, z = re.findall(r"[a-z]+", question)
    return " ".join({"same": (x, y, z), "backwards": (z, y, x), "rotated": (y, z, x)}[rule.split()[0]])


def in_order(rule, question):
    numbers = [int(number) for number in re.findall(r"\d+", question)]
    low, high = min(numbers), max(numbers)
    middle = sum(numbers) - low - high
    return f"{low} {middle} {high}" if rule.startswith("rising") else f"{high} {middle} {low}"


def from_facts(rule, question):
    *facts, asked = re.findall(r"[^.?]+[.?]", question)
    key = re.search(r"(?:Who has the|Where is|What does) (\w+)", asked)[1]
    [fact] = [fact.strip(" .") for fact in facts if re.search(rf"\b{key}\b", fact)]
    if asked.strip().startswith("Who"):
        return fact.split()[0]
    return fact.split(" is ")[1] if "Where" in asked else fact.split(" means ")[1]
