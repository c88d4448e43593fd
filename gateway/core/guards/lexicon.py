"""The words the guards know: closed classes of English, written from general knowledge, as data.

A contrast set holds words of which a question means exactly one: replace it by another and the answer changes. A
synonym set holds words that ask the same in nearly every question. Rows are in lower case; `stem` is applied on load.
"""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    """A set of words, written as one writes words."""
    return frozenset(text.split())


NEGATIONS = words("not no never none nobody nothing nowhere neither nor without cannot hardly barely non")
"""`n't` is read as `not`. Each occurrence counts; `polarity` drops those that deny nothing."""

CONTRACTIONS = {
    "cannot": "can not", "cant": "can not", "can't": "can not", "won't": "will not", "wont": "will not",
    "dont": "do not", "doesnt": "does not", "didnt": "did not", "isnt": "is not", "arent": "are not",
    "wasnt": "was not", "werent": "were not", "hasnt": "has not", "havent": "have not", "hadnt": "had not",
    "shouldnt": "should not", "wouldnt": "would not", "couldnt": "could not", "ain't": "is not", "shan't": "shall not",
    "whats": "what is", "im": "i am", "ive": "i have", "youre": "you are", "theyre": "they are", "gonna": "going to",
    "wanna": "want to", "gotta": "have to", "lemme": "let me", "gimme": "give me",
}  # fmt: skip

CONTRASTS = (
    "before after during", "more less", "most least", "with without", "increase decrease", "rise fall drop",
    "raise lower", "enable disable", "on off", "in out", "up down", "above below", "over under", "left right",
    "north south east west northern southern eastern western", "start stop", "begin end finish", "open close",
    "allow deny forbid prevent", "allow block", "accept reject decline", "add remove delete", "add subtract",
    "multiply divide", "encrypt decrypt", "encode decode", "compress decompress extract", "import export",
    "upload download", "install uninstall", "push pull", "read write", "buy sell", "lend borrow", "give take",
    "win lose", "gain lose", "love hate", "like dislike", "hot cold warm cool", "big small", "large small",
    "high low", "tall short", "long short", "near far", "fast slow", "quick slow", "hard easy", "difficult easy",
    "hard soft", "good bad", "best worst", "better worse", "right wrong", "true false", "rich poor",
    "old young new", "early late", "first last second third full middle maiden",
    "first second third fourth fifth final next previous", "min max", "minimum maximum", "upper lower",
    "positive negative", "public private", "internal external", "inside outside", "interior exterior",
    "legal illegal", "safe dangerous unsafe risky", "healthy unhealthy", "free paid", "always never sometimes",
    "all some none few", "everyone someone nobody", "everything something nothing", "every any no",
    "both either neither", "many few", "much little", "alive dead", "male female", "man woman", "men women",
    "boy girl", "boys girls", "husband wife", "father mother dad mom", "son daughter", "brother sister",
    "uncle aunt", "king queen", "boyfriend girlfriend", "he she they", "him her them",
    "himself herself themselves", "his her their", "cause prevent cure", "cause effect", "pro con", "pros cons",
    "advantage disadvantage", "benefit risk harm drawback", "strength weakness", "success failure", "pass fail",
    "profit loss", "income expense", "asset liability", "input output", "client server", "request response",
    "sender receiver", "teacher student", "doctor patient", "employer employee", "parent child",
    "landlord tenant", "buyer seller", "ascending descending", "horizontal vertical", "row column",
    "serial parallel", "synchronous asynchronous", "static dynamic", "local remote global", "absolute relative",
    "even odd", "real imaginary", "single married divorced", "arrive depart leave", "arrival departure",
    "entry exit", "enter exit leave", "lock unlock", "load unload", "connect disconnect", "attach detach",
    "mute unmute", "subscribe unsubscribe", "follow unfollow", "show hide", "appear disappear", "expand collapse",
    "grow shrink", "gain reduce", "wet dry", "clean dirty", "full empty", "thick thin", "wide narrow",
    "deep shallow", "heavy light", "bright dark", "day night", "morning evening afternoon",
    "breakfast lunch dinner", "today tomorrow yesterday", "daily weekly monthly yearly hourly", "am pm",
    "minor adult", "junior senior", "beginner advanced intermediate", "simple complex",
    "optional required mandatory", "guilty innocent", "optimistic pessimistic", "introvert extrovert",
    "singular plural", "uppercase lowercase", "singly doubly", "brake accelerator", "import domestic",
    "hire fire", "born die", "birth death", "war peace", "friend enemy", "attack defend", "support oppose",
    "agree disagree", "remember forget", "send receive", "question answer", "lead follow", "sit stand",
    "asleep awake", "sleep wake", "ask tell answer",
    "january february march april june july august september october november december",
    "monday tuesday wednesday thursday friday saturday sunday", "spring summer autumn winter",
    "red orange yellow green blue purple pink brown black white gray", "solid liquid gas",
    "mercury venus earth mars jupiter saturn uranus neptune pluto", "gold silver bronze copper",
    "cat dog horse rabbit bird fish snake hamster", "coffee tea", "beer wine whisky vodka",
    "second minute hour day week month year decade century", "metre inch foot yard mile kilometre centimetre",
    "gram kilogram pound ounce ton", "litre gallon pint", "celsius fahrenheit kelvin",
    "dollar euro rupee yen yuan", "android iphone", "windows linux macos ubuntu", "chrome firefox safari",
    "mysql postgresql sqlite mongodb oracle", "aws azure gcp", "tcp udp", "http https", "ipv4 ipv6",
    "get post put patch", "stack queue heap", "list tuple dictionary set array", "integer float string boolean",
    "class function method variable", "funny serious formal informal casual professional sarcastic", "happy sad",
    "win lose tie draw", "debit credit", "checking savings", "deposit withdraw withdrawal", "refund charge",
    "gross net", "mean median mode",
)  # fmt: skip
"""Opposites and siblings. A word may stand in several sets."""

SYNONYMS = (
    "earn make", "buy purchase get", "method way means approach", "movie film", "picture photo photograph image",
    "begin start", "end finish", "big large huge", "small little tiny", "short brief", "quick fast rapid",
    "smart clever", "kid child children", "guy man", "woman lady", "job work career", "pupil student",
    "firm company business", "area region", "country nation", "city town", "street road",
    "car automobile vehicle", "plane airplane aircraft", "phone telephone mobile cellphone smartphone",
    "laptop notebook", "computer pc", "app application", "site website", "email mail", "photo picture",
    "favorite favourite", "color colour", "program programme", "center centre", "gray grey", "meter metre",
    "liter litre", "organize organise", "analyze analyse", "license licence", "use utilize utilise usage",
    "help assist aid", "show display", "choose select pick", "fix repair solve resolve", "error bug",
    "delete erase", "create make build generate", "happen occur", "need require", "try attempt",
    "ask question query", "answer reply respond response", "explain describe", "mean meaning definition define",
    "difference distinction differ different", "kind type sort", "reason cause why", "symptom sign",
    "illness disease", "drug medicine medication", "doctor physician", "cancer tumor", "stomach belly",
    "eat consume", "weight kg", "good great nice fine", "best top greatest", "important significant crucial",
    "necessary needed", "possible able", "easy simple", "hard difficult tough", "cheap inexpensive affordable",
    "expensive costly", "price cost", "money cash", "salary pay wage", "learn study", "teach train",
    "prepare preparation", "speak talk", "say tell", "see watch view", "look appear seem", "like enjoy",
    "love adore", "think believe feel opinion", "want wish desire", "know understand", "find locate discover",
    "improve enhance better", "increase boost", "reduce decrease cut", "remove delete rid", "stop quit cease",
    "live reside", "die death", "also too additionally", "around about", "almost nearly", "often frequently",
    "currently now presently", "maybe perhaps", "really truly actually", "feature featuring", "gift present give",
    "someone anyone one somebody anybody", "people person persons human", "usa us america american",
    "uk britain england", "india indian", "rs rupee rupees inr", "example instance sample",
    "allow enable permit let", "provide offer give supply", "contain include have", "specify define indicate",
    "parameter argument", "location place", "guide tutorial", "document documentation", "step process procedure",
    "refer see check", "access get obtain retrieve acquire", "convert transform", "load loading", "run execute",
    "resource resources material", "technique strategy method", "tip advice suggestion", "ideal best perfect",
)  # fmt: skip

LIGHT = words(
    """
    a an the this that these those there here it its i me my mine myself we us our you your yours he him his she
    her they them their who whom whose which what when where why how is are was were be been being am do does
    did done doing have has had having can could may might must shall should will would to of in on at by for
    from with about as into onto upon per via than then so if and or but because while though although also too
    very just really actually truly literally indeed currently basically simply exactly quite rather somehow
    fact please kindly thanks thank hi hello hey dear quick question tell let know explain describe give want
    wanted like need way ways good best steps step possible able help someone somebody anyone anybody one ones
    people person any some get go going use used using make made thing things much many kind kinds type types
    sort such not no ever yet still even own same other another else mean means meaning difference between s t d
    ll re ve m u ur etc e g wondering wonder appreciate think thinks thought say says according opinion guess
    heard tried trying explanation hence thus well okay ok yes sure now right each lot bit more most long often
    """
)
"""Words whose coming and going changes no question by itself; the guards with a narrower eye still read them."""

ENTITY_BLIND = words("i ok hi hello hey please thanks mr mrs ms dr am pm q a")
"""Words that a capital does not make a name."""

_TO_TWENTY = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)  # fmt: skip
NUMBER_WORDS = {word: str(value) for value, word in enumerate(_TO_TWENTY)} | {
    "thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "seventy": "70", "eighty": "80", "ninety": "90",
    "hundred": "100", "thousand": "1000", "million": "1000000", "billion": "1000000000", "dozen": "12", "half": "0.5",
    "twice": "2", "double": "2", "triple": "3", "quarter": "0.25",
}  # fmt: skip

UNITS = (
    "mg milligram", "g gram", "kg kilo kilogram kilogramme", "mcg microgram ug", "lb lbs pound", "oz ounce",
    "ml millilitre milliliter", "l litre liter", "mm millimetre millimeter", "cm centimetre centimeter",
    "m metre meter", "km kilometre kilometer", "mi mile", "ft foot feet", "inch inches", "yd yard",
    "ms millisecond", "s sec second", "min mins minute", "h hr hrs hour", "day", "week", "month", "year yr yrs",
    "kb kilobyte", "mb megabyte", "gb gigabyte", "tb terabyte", "hz hertz", "khz", "mhz", "ghz", "w watt",
    "kw kilowatt", "v volt", "amp ampere", "c celsius", "f fahrenheit", "percent pct %", "usd dollar $",
    "eur euro €", "gbp £", "inr rupee rs ₹", "jpy yen ¥", "am", "pm", "k thousand", "million mn", "billion bn",
    "crore", "lakh", "mph", "kph kmh", "rpm", "px pixel", "bit", "byte", "word", "character", "token", "sentence",
    "paragraph", "page", "line", "bullet", "step", "item", "row", "column", "degree",
)  # fmt: skip

LANGUAGES = (
    "python", "python2", "python3", "java", "javascript js", "typescript ts", "rust", "golang", "c++ cpp",
    "c# csharp", "ruby", "php", "perl", "swift", "kotlin", "scala", "haskell", "erlang", "elixir", "clojure",
    "julia", "matlab", "fortran", "cobol", "lua", "bash shell", "powershell", "sql", "graphql", "html", "css",
    "assembly", "ocaml", "dart", "react", "angular", "vue", "svelte", "django", "flask", "fastapi", "rails",
    "spring", "laravel", "numpy", "pandas", "english", "french", "german", "spanish", "italian", "portuguese",
    "dutch", "swedish", "norwegian", "danish", "finnish", "polish", "russian", "ukrainian", "czech", "hungarian",
    "romanian", "greek", "turkish", "arabic", "hebrew", "persian farsi", "hindi", "urdu", "bengali", "tamil",
    "telugu", "punjabi", "marathi", "chinese mandarin", "cantonese", "japanese", "korean", "vietnamese", "thai",
    "indonesian", "malay", "swahili", "latin", "esperanto",
)  # fmt: skip

FORMATS = (
    "json", "csv", "yaml", "xml", "html", "markdown", "latex", "table tabular", "bullet bullets bulleted",
    "poem verse", "haiku", "limerick", "sonnet", "song lyrics", "essay", "tweet", "email", "letter", "paragraph",
    "sentence", "one-liner oneliner", "summary summarize summarise tldr", "short brief briefly concise concisely",
    "long lengthy detailed detail in-depth thorough comprehensive", "step-by-step", "translate translation",
    "formal formally", "informal casual casually", "rhyme rhyming",
)  # fmt: skip

PHASES = words("become becoming became former formerly ex future anymore already simultaneously only except instead")
"""Words that move a question to another time or case: there in one text and not in the other, they change it."""
