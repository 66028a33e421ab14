"""Pools of words. The HELD pools are used by the evaluation only, never in training."""

from __future__ import annotations

FUNCTION_WORDS = "the a an of to in is on it and for with as at by from this that".split()
NOUNS = """river stone apple bread light house garden window table paper pencil water fire
wind earth tree leaf flower grass mountain valley ocean island forest desert bridge road train
plane boat car engine wheel metal copper silver gold iron glass wood plastic rubber cotton
wool silk leather button needle thread ribbon basket bottle cup plate spoon fork knife kitchen
oven stove pepper salt sugar honey butter cheese milk coffee tea juice lemon orange banana
cherry grape melon carrot onion potato tomato rice bean corn wheat barley dog cat horse cow
sheep goat pig duck goose chicken rabbit mouse fox wolf bear lion tiger eagle owl crow whale
shark""".split()
ADJECTIVES = """red green blue yellow purple black white brown gray pink big small tall short
long wide narrow fast slow hot cold warm cool happy sad angry calm brave quiet loud soft hard
sharp smooth rough bright dark early late young old new fresh clean dirty empty full open
closed left right north south east west""".split()
OTHER_WORDS = """one two three four five six seven eight nine ten morning evening night day
week month year summer winter spring autumn rain snow storm cloud sun moon star planet comet
signal packet server socket buffer cache memory disk kernel module vector matrix tensor token
model layer graph queue stack heap node edge index value string number object class method
function variable constant loop branch test error hello world""".split()
ACTIONS = """debug build compile link run stop start write read send receive close push pull
merge split sort search find replace copy paste delete insert update""".split()
CONTENT_WORDS = NOUNS + ADJECTIVES + OTHER_WORDS + ACTIONS
COMMON = FUNCTION_WORDS + CONTENT_WORDS

CITIES = """Paris London Berlin Madrid Rome Vienna Prague Oslo Dublin Lisbon Athens Cairo
Tokyo Seoul Delhi Mumbai Sydney Toronto Boston Chicago Denver Dallas Miami Lima Quito Bogota
Havana Kyiv Warsaw Munich Milan Geneva Zurich Lyon Porto Seville Osaka Kyoto Beijing Shanghai
Bangkok Jakarta Manila Nairobi Lagos Accra Dakar Tunis Amman Riyadh Dubai Tehran""".split()
NAMES = """Alice Bob Carol David Emma Frank Grace Henry Irene Jack Karen Leo Maria Nina Oscar
Paul Quinn Rosa Sam Tina Uma Victor Wendy Xavier Yara Zoe Adam Bella Carl Diana Eric Fiona
George Hanna Ivan Julia Kevin Laura Marco Nora Oliver Petra Ralf Sonia Tom Ursula Vera
Walter""".split()
HELD_CITIES = """Helsinki Stockholm Brussels Budapest Santiago Montreal Hamburg Naples
Valencia Hanoi Seattle Houston Kingston Ankara""".split()
HELD_NAMES = """Priya Mateo Ingrid Omar Chloe Dmitri Sakura Felix Marta Hugo Lena Pedro Anya
Simon""".split()

SYMBOLS = "é ü ñ ß ø ç 日 本 語 中 文 я ж д λ π √ → € 😀 🎉 🚀 🦀 ✓ 한 국".split()
CONSONANTS = "bcdfghjklmnprstvwz"
VOWELS = "aeiou"

COLORS = "red green blue yellow purple black white brown gray pink orange teal".split()
JOBS = "baker pilot doctor teacher farmer sailor painter writer".split()
LANGUAGES = "French German Spanish Italian Greek Polish Dutch Czech".split()
CURRENCIES = "EUR GBP JPY CHF SEK PLN INR CAD".split()
ROOMS = "kitchen garden office hall bedroom cellar attic garage".split()
SKIES = "sunny cloudy rainy windy snowy foggy".split()

VERBS = """get find show list create delete update open close start stop send read write check
count move copy rename set reset""".split()
OWNERS = """city user item file book order host room team project server device account ticket
product song movie""".split()
PARAMETERS = """name id key value text query path title date amount limit mode kind unit color
size level target source label note url email user count flag""".split()
KEYS = """name|city|favorite color|favorite food|favorite animal|favorite song|lucky number
|lucky color|dog|cat|password|job|secret word|secret code|age|street|team|car|phone number
|email|birthday|hobby|country|room number|boss|sister|brother|first pet""".replace("\n", "").split(
    "|"
)
SYSTEM_LINES = (
    "You are a helpful assistant.",
    "You are a tiny model.",
    "You are impetus-tiny, a test and demo model.",
    "Be brief.",
    "Answer shortly.",
    "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.",
)
