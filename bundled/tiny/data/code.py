"""Text without turns: code with a hole to fill, and lines to go on with."""

from __future__ import annotations

from typing import NamedTuple

from data import words
from data.values import Values

SHORT_NAMES = "a b c n m x y z i j k v w p q".split()


class Hole(NamedTuple):
    """Code before and after the cursor, and what belongs there."""

    prefix: str
    suffix: str
    middle: str


class Template(NamedTuple):
    """Code with `@@` at the hole and `$F $A $B $C` for names, `$K` for a number."""

    code: str
    middle: str


_OPERATIONS = {
    "add": "$A + $B",
    "sub": "$A - $B",
    "mul": "$A * $B",
    "div": "$A / $B",
    "mod": "$A % $B",
}
TEMPLATES = tuple(
    template
    for name, expression in _OPERATIONS.items()
    for template in (
        Template(f"def {name}($A, $B):\n    return @@\n", expression),
        Template(f"fn {name}($A: i32, $B: i32) -> i32 {{\n    @@\n}}\n", expression),
        Template(f"def {name}_$F($A, $B):\n    @@\n", f"return {expression}"),
        Template(
            f"fn {name}_$F($A: u64, $B: u64) -> u64 {{\n    let $C = @@;\n    $C\n}}\n", expression
        ),
    )
) + (
    Template("def is_even($A):\n    return @@\n", "$A % 2 == 0"),
    Template("fn is_even($A: i32) -> bool {\n    @@\n}\n", "$A % 2 == 0"),
    Template("def is_odd($A):\n    return @@\n", "$A % 2 == 1"),
    Template("def square($A):\n    return @@\n", "$A * $A"),
    Template("fn square($A: i32) -> i32 {\n    @@\n}\n", "$A * $A"),
    Template("def double($A):\n    return @@\n", "$A * 2"),
    Template("def identity($A):\n    return @@\n", "$A"),
    Template("def max_$F($A, $B):\n    if $A > $B:\n        return @@\n    return $B\n", "$A"),
    Template("def min_$F($A, $B):\n    if $A < $B:\n        return $A\n    return @@\n", "$B"),
    Template("def greet_$F($A):\n    print(@@)\n", '"Hello, " + $A'),
    Template("fn greet_$F($A: &str) {\n    println!(@@);\n}\n", '"Hello, {}", $A'),
    Template("for $A in range($K):\n    @@\n", "print($A)"),
    Template("for $A in $B:\n    @@\n", "print($A)"),
    Template("for $A in 0..$K {\n    @@\n}\n", 'println!("{}", $A);'),
    Template(
        "def sum_$F($A):\n    $B = 0\n    for $C in $A:\n        @@\n    return $B\n", "$B += $C"
    ),
    Template(
        "def count_$F($A):\n    $B = 0\n    for $C in $A:\n        @@\n    return $B\n", "$B += 1"
    ),
    Template(
        "def sum_$F($A):\n    $B = 0\n    for $C in $A:\n        $B += $C\n    @@\n", "return $B"
    ),
    Template("def $F():\n    return @@\n\nassert $F() == $K\n", "$K"),
    Template("class $F:\n    def __init__(self, $A):\n        @@\n", "self.$A = $A"),
    Template(
        "class $F:\n    def __init__(self, $A, $B):\n        self.$A = $A\n        @@\n",
        "self.$B = $B",
    ),
    Template(
        "struct $F {\n    $A: i32,\n}\n\nimpl $F {\n    fn new($A: i32) -> Self {\n        @@\n"
        "    }\n}\n",
        "Self { $A }",
    ),
    Template("let $A = $K;\nassert_eq!($A, @@);\n", "$K"),
    Template("import @@\n\nprint(os.getcwd())\n", "os"),
    Template("import @@\n\nprint(json.dumps($A))\n", "json"),
    Template("def len_$F($A):\n    return @@\n", "len($A)"),
    Template("fn len_$F($A: &str) -> usize {\n    @@\n}\n", "$A.len()"),
    Template("while $A < $K:\n    @@\n", "$A += 1"),
    Template('if $A == @@:\n    print("$K")\n', "$K"),
    Template("try:\n    $F()\n@@ ValueError:\n    pass\n", "except"),
    Template("with open($A) as $B:\n    $C = @@\n", "$B.read()"),
)

LINES = (
    "The quick brown fox jumps over the lazy dog and runs into the forest.",
    "Once upon a time there was a small model that lived inside a server.",
    "one two three four five six seven eight nine ten",
    "a b c d e f g h i j k l m n o p q r s t u v w x y z",
    "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "January February March April May June July August September October November December",
    "The capital of France is Paris. The capital of Germany is Berlin. "
    "The capital of Italy is Rome.",
)


def hole(values: Values) -> Hole:
    """Returns code with a hole, sometimes after another function or amid a line."""
    template = values.pick(TEMPLATES)
    names = distinct_names(values)
    prefix, suffix = (filled(part, names) for part in template.code.split("@@"))
    middle = filled(template.middle, names)
    blanks = [i for i, char in enumerate(middle) if char == " " and i > 0]
    if blanks and values.chance(0.3):
        cut = values.pick(blanks)
        prefix, middle = prefix + middle[:cut], middle[cut:]
    if values.chance(0.25):
        other = values.pick(TEMPLATES)
        earlier = other.code.replace("$F", values.syllables()).replace("@@", other.middle)
        prefix = f"{filled(earlier, names)}\n{prefix}"
    return Hole(prefix, suffix, middle)


def distinct_names(values: Values) -> dict[str, str]:
    """Returns what the placeholders of a template stand for."""
    names: list[str] = []
    while len(names) < 4:
        name = identifier(values)
        if name not in names:
            names.append(name)
    placeholders = dict(zip(("$F", "$A", "$B", "$C"), names, strict=True))
    return {**placeholders, "$K": str(values.random.randint(2, 99))}


def filled(code: str, names: dict[str, str]) -> str:
    """Returns a template's code with the placeholders replaced."""
    for placeholder, name in names.items():
        code = code.replace(placeholder, name)
    return code


def identifier(values: Values) -> str:
    """Returns a variable's name."""
    style = values.random.random()
    if style < 0.28:
        return values.syllables()
    if style < 0.5:
        return values.pick(SHORT_NAMES)
    if style < 0.68:
        return values.pick(words.CONTENT_WORDS)
    if style < 0.85:
        return values.pieces(1, 3).lower()
    return f"{values.syllables()}_{values.pieces(1, 2).lower()}"


def continuation(values: Values, longest: int) -> tuple[str, str]:
    """Returns the start of a text and how it goes on: numbers, a known line or a repeated one."""
    draw = values.random
    kind = draw.random()
    if kind < 0.4:
        first = draw.randint(0, 300)
        numbers = [str(first + i) for i in range(draw.randint(6, longest))]
        return ", ".join(numbers[:2]) + ",", " " + ", ".join(numbers[2:])
    if kind < 0.75:
        parts = values.pick(LINES).split(" ")
        cut = draw.randint(2, min(6, len(parts) - 1))
        return " ".join(parts[:cut]), " " + " ".join(parts[cut:])
    line = values.phrase(1, 5)
    return f"{line}\n{line}\n", "\n".join([line] * draw.randint(2, 5))
