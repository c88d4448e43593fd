"""Answers as models write them, by hand: right ones that a careless check would stop, and wrong ones it must.

Written 2026-11-23 by the author of the checks, so they show what is meant and prove nothing about strangers' traffic.
"""

from __future__ import annotations

from gateway.core.review import Check

_LIST = (
    "Here are three ideas:\n\n1. **Walk** to work.\n2. **Cook** at home.\n   - Beans are cheap.\n3. **Sell** the car."
)
_TABLE = "| City | People |\n|---|---|\n" + "| Springfield | 100,000 |\n" * 8
_SCRIPT = (
    "You can do it so:\n\n```python\nimport json\n\n\ndef load(path: str) -> dict:\n    with open(path) as file:\n"
    "        return json.load(file)\n```\n\nCall `load('a.json')`."
)
_SNIPPET = "Change the last branch:\n\n```python\n    else:\n        return None\n```"
_METHOD = "Add this method:\n\n```python\n    def area(self):\n        return self.width * self.height\n```"
_SHELL = "```python\n$ python app.py\n```"
_PROMPT = "```python\n>>> 1 + 1\n2\n```"
_CONFIG = '```json\n{\n  "name": "app",\n  // the port\n  "port": 80\n}\n```'
_POEM = "Row, row, row your boat\nGently down the stream\nMerrily, merrily, merrily, merrily\nLife is but a dream"

RIGHT: tuple[tuple[str, str], ...] = (
    ("What is the capital of France?", "Paris."),
    ("Give exactly three ideas for saving money.", _LIST),
    (
        "List exactly 3 reasons to learn chess, with a short introduction.",
        "Chess helps:\n- focus\n- memory\n- patience",
    ),
    ("Explain gravity in one sentence.", "Gravity, as Dr. Newton saw approx. 340 years ago, pulls masses together."),
    ("Summarise in at most 20 words: …", "The U.S. economy grew by 2.5 % in Q3, driven by exports and by consumers."),
    ("Answer in one word: is the sky blue?", "Yes."),
    ("Answer with one word only. What is the largest city of the US?", "New York"),
    ("In two sentences, what is DNS?", "DNS maps names to addresses, e.g. example.com. It is a distributed database."),
    ("Write a haiku about rain.", "Soft rain on the roof\nwhispering to sleeping leaves\nmorning drinks the night"),
    (
        "Write two paragraphs about bees. The first should have at most 10 words.",
        "Bees dance.\n\nThey make honey all day.",
    ),
    ("Write a tweet of at most 280 characters.", "Big news! We are live."),
    ("Name five colours.", "Red, green, blue, yellow and white."),
    ("How many words are in 'to be or not to be'? Answer in under 5 words.", "There are six."),
    ('Use the word "serendipity" in a sentence.', "It was pure serendipity that we met."),
    ('What is the difference between "affect" and "effect"?', "One is usually a verb, the other a noun."),
    ('Why should I not use the word "very"?', 'Because "very" adds little.'),
    ('Write a greeting. Start with "Dear team".', "Dear Team,\n\nwelcome back."),
    ('Describe snow without using the word "white".', "Cold, soft and whitish at dusk."),
    ("Translate 'thank you' to Japanese.", "ありがとうございます (arigatō gozaimasu)"),
    ("How do you say hello in Russian? Use Latin letters.", "Privet."),
    ("Answer in Korean: 1+1?", "2입니다."),
    ("Write a Python function that loads JSON.", _SCRIPT),
    ("How do I end this if chain?", _METHOD),
    ("How do I start it?", _SHELL),
    ("Show me a doctest.", _PROMPT),
    ("Show a commented JSON configuration.", _CONFIG),
    ("What does f-string nesting look like?", "```python\nprint(f\"{', '.join(names)!r:>{width}}\")\n```"),
    ("Type parameters?", "```python\ndef first[T](items: list[T]) -> T:\n    return items[0]\n```"),
    ("Python 2 print?", "```python\nprint 'hello'\n```"),
    ("Give me the song.", _POEM),
    ("Make a table of cities.", _TABLE),
    ("Print 50 zeros.", "0, " * 49 + "0"),
    ("Repeat 'I must not tell lies' ten times.", "I must not tell lies. " * 10),
    ("I feel terrible.", "I'm sorry to hear that. Would you like to talk about it?"),
    ("Can you divide by zero?", "You cannot divide by zero; the result is undefined."),
    ("Apologise to a customer for a late parcel.", "We're sorry your parcel is late. It will arrive on Monday."),
    ("Is this film good?", "I can't recommend it enough!"),
    ("Half of 7?", "7 / 2 = 3.5"),
    ("Share 17 sweets among 4.", "17 / 4 = 4 with 1 left over."),
    ("What is 20 % off $50?", "20% of $50 = $10, so $50 - $10 = $40."),
    ("Total?", "First 3 x $4 = $12, then $12 + $8 = $20."),
    ("Solve x + 2 = 5.", "x + 2 = 5, so x = 5 - 2 = 3."),
    ("Convert 100 km/h.", "100 / 3.6 ≈ 27.8 m/s, so about 28."),
    ("What is 1/3 + 1/6?", "1/3 + 1/6 = 2/6 + 1/6 = 3/6 = 1/2"),
    ("When was it released?", "Version 2.0 - 3.1 = changes of 2024-11-23."),
    ("Reply with JSON only: your name.", 'Sure:\n```json\n{"name": "assistant"}\n```'),
    ("Write a function that accepts only JSON.", "Check the content type first."),
    (
        "Write 3 titles of at most 5 words each.",
        "1. The Long Road Home Again\n2. Winter\n3. A Very Small and Quiet Town",
    ),
    ("My essay has at least 500 words. Is that enough?", "Usually yes."),
    (
        "Describe each planet in at most 15 words.",
        "Mercury: small, hot by day and cold by night. Venus: hotter, with clouds.",
    ),
)
"""Question and answer; nothing is wrong with any of them."""

WRONG: tuple[tuple[str, str, Check], ...] = (
    ("Who won the war?", "", "empty"),
    ("Write a story.", "I'm sorry, but I can't assist with that request.", "refusal"),
    ("What is the weather?", "As an AI language model, I don't have access to real-time information.", "refusal"),
    ("What is on this page?", "Unfortunately, I'm unable to browse the internet.", "refusal"),
    ("Give exactly four ideas for saving money.", _LIST, "count"),
    ("Explain it in 2 bullet points.", _LIST, "count"),
    ("Explain gravity in one sentence.", "It pulls. It never stops. Newton saw it.", "count"),
    ("Answer in one word: why?", "Because the light is scattered by the air.", "count"),
    (
        "Summarise in at most 10 words.",
        "This text is about a man who walks for a long time through a large forest.",
        "count",
    ),
    ("Write at least 50 words about rain.", "Rain is wet.", "count"),
    ("Write it in three paragraphs.", "One.\n\nTwo.", "count"),
    ('Write a slogan. It must include the word "fresh".', "Bread you will love.", "wording"),
    ('Describe snow. Do not use the word "white".', "Snow is white.", "wording"),
    ('Start your answer with "Dear Sir".', "Hello!", "wording"),
    ("Translate 'good morning' to Russian.", "Guten Morgen", "script"),
    ("Answer in Chinese: what is the capital of France?", "Paris is the capital.", "script"),
    ("Write a Python function.", "```python\ndef f(x)\n    return x\n```", "code"),
    ("Write it in Python.", "```python\nfor i in range(3):\nprint(i)\n```", "code"),
    ("Give an example of JSON.", '```json\n{"a": 1, "b": }\n```', "code"),
    ("Reply only with JSON.", "My name is assistant.", "schema"),
    ("How many in all?", "There are 12 * 12 = 124 eggs.", "sums"),
    ("What does it cost?", "That is $18 + $7 = $26.", "sums"),
    ("Why is the sky blue?", "It is so. " + "The light is scattered by the air and " * 15, "repetition"),
    ("List facts.", "\n".join(["- The sun is a star in the middle of the system."] * 9), "repetition"),
)
"""The same, and the check that must say so."""
