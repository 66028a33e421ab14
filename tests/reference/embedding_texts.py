"""Fifty texts to embed: short and long, of many scripts, code, and some that are hardly a text."""

from __future__ import annotations


def numbered(sentence: str, n: int) -> str:
    """Returns a long text: one sentence with the numbers from 1 to n in it."""
    return " ".join(sentence.format(i) for i in range(1, n + 1))


SHORT = [
    "The cat sleeps on the warm windowsill.",
    "A kitten naps beside the sunny window.",
    "The server answers every request in order.",
    "Stock prices fell sharply this morning.",
    "How do I bake bread without yeast?",
    "What is the boiling point of water at sea level?",
    "Yes.",
    "Hello, world!",
    "UPPER CASE AND lower case are one to an uncased model.",
    "An umbrella is of little use in a storm at sea.",
    "Two trains leave the same station at noon, one to the north and one to the east.",
    "The library closes at eight on weekdays and at five on Saturdays.",
    "She planted tomatoes, beans and a row of sunflowers behind the shed.",
    "Please send the invoice to the office by Friday.",
    "The violin was tuned a little too high.",
    "A model that knows nothing still answers with confidence.",
]

LANGUAGES = [
    "Der Zug nach München fährt heute von Gleis sieben ab.",
    "Où se trouve la bibliothèque la plus proche ?",
    "El niño comió una manzana en el jardín.",
    "Il gatto dorme sul divano tutto il pomeriggio.",
    "Kahve soğumadan içilmeli, dedi büyükannem.",
    "Поезд прибывает на третий путь в полдень.",
    "Το πλοίο φεύγει από το λιμάνι το πρωί.",
    "القطار يصل إلى المحطة عند الظهر.",
    "הרכבת מגיעה לתחנה בצהריים.",
    "गाड़ी दोपहर को स्टेशन पर आती है।",
    "电车中午到达车站。",
    "電車は正午に駅に着きます。",
    "기차는 정오에 역에 도착합니다.",
    "รถไฟมาถึงสถานีตอนเที่ยง",
    "Tàu đến ga vào buổi trưa.",
]

CODE = [
    "def add(a, b):\n    return a + b\n",
    'fn main() {\n    println!("{}", (1..=10).sum::<u32>());\n}',
    "SELECT name, COUNT(*) FROM users GROUP BY name HAVING COUNT(*) > 1;",
    '{"name": "Ada", "age": 36, "languages": ["en", "fr"]}',
    '<p class="note">A <b>bold</b> word &amp; an entity.</p>',
    'for f in *.txt; do wc -l "$f"; done | sort -n',
]

ODD = [
    "",
    " ",
    "\n\t\n",
    ".",
    "😀 🚂 👩‍🚀 🇫🇷",
    "naïve café, déjà vu: ﬁne ligatures, ½ and x²",
    "1234567890 3.14159 -273.15 1e-9 0xFF 192.168.0.1",
    "a" * 120,
    "[CLS] [SEP] [MASK] [PAD] <s> </s> <|im_end|>",
]

LONG = [
    numbered("Line {} of the report says that nothing unusual happened.", 12),
    numbered("Station {} lies between the river and the old mill.", 20),
    numbered("Step {}: open the valve, wait for a minute, then close it again.", 18),
    numbered("Passenger {} carries a suitcase, a hat and a map of the coast.", 60),
]

TEXTS = [*SHORT, *LANGUAGES, *CODE, *ODD, *LONG]
