"""The corpus: subjects written by hand, and conversations made of them by grammar.

Every conversation is made afresh, so the model meets few sentences in the same company twice. What it is to
learn by heart are the subjects; what it is to learn as a skill (remembering, saying that it was not told,
saying something again, saying it shorter) is trained with made-up words, so that it carries over to others.
"""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = Path(__file__).parent / "corpus"

Turn = tuple[str, str]
"""A role and what it says."""


@dataclass(frozen=True)
class Question:
    """A way to ask, with what answers it."""

    text: str
    subject: str
    answers: tuple[str, ...]
    keywords: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Subject:
    """One subject of the corpus: its questions, and what can follow them."""

    name: str
    questions: tuple[Question, ...]
    held_out: tuple[Question, ...]
    short: tuple[str, ...]
    follow_ups: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = field(default=())


def load_subjects(folder: Path = FOLDER / "subjects") -> list[Subject]:
    """Every subject of the corpus, by name."""
    return [_subject(tomllib.loads(path.read_text("utf-8"))) for path in sorted(folder.glob("*.toml"))]


def _subject(data: dict[str, Any]) -> Subject:
    asked: list[Question] = []
    kept: list[Question] = []
    for table in [data, *data.get("more", [])]:
        answers = tuple(table["answers"])
        keywords = tuple(tuple(group) for group in table["keywords"])
        asked += (Question(q, data["subject"], answers, keywords) for q in table["questions"])
        kept += (Question(q, data["subject"], answers, keywords) for q in table["held_out"])
    main = tuple(data["answers"])
    asked += (
        Question(pattern.format(term), data["subject"], main)
        for term in data["terms"]
        for pattern in ("what is {}?", "explain {}", "tell me about {}", "{}?")
    )
    follow_ups = tuple((tuple(f["questions"]), tuple(f["answers"])) for f in data.get("follow_up", []))
    return Subject(data["subject"], tuple(asked), tuple(kept), tuple(data["short"]), follow_ups)


class Maker:
    """Makes conversations."""

    def __init__(self, subjects: list[Subject], seed: int) -> None:
        self.subjects = subjects
        self.random = random.Random(seed)
        self.off_topic = next((subject for subject in subjects if subject.name == "off-topic"), None)

    def conversation(self) -> list[Turn]:
        """A conversation: on subjects, on what the user told, or on both."""
        turns: list[Turn] = []
        if self.random.random() < 0.15:
            turns.append(("system", self.random.choice(SYSTEMS)))
        kind = self.random.random()
        if kind < 0.5:
            for _ in range(12 if self.random.random() < 0.01 else self.random.choice((1, 1, 1, 1, 2, 3))):
                turns += self.subject_turns()
        else:
            turns += self.memory_turns()
        return turns

    def subject_turns(self) -> list[Turn]:
        """A question and its answer, and now and then what follows from it."""
        subject, question = self.question()
        turns = [("user", self.as_typed(question.text)), ("assistant", self.random.choice(question.answers))]
        for _ in range(2):
            kind = self.random.random()
            if kind < 0.12:
                turns += [("user", self.as_typed(self.random.choice(AGAIN))), turns[-1]]
            elif kind < 0.24:
                turns += [
                    ("user", self.as_typed(self.random.choice(SHORTER))),
                    ("assistant", self.random.choice(subject.short)),
                ]
            elif kind < 0.45 and subject.follow_ups:
                questions, answers = self.random.choice(subject.follow_ups)
                turns += [
                    ("user", self.as_typed(self.random.choice(questions))),
                    ("assistant", self.random.choice(answers)),
                ]
            else:
                break
        return turns

    def question(self) -> tuple[Subject, Question]:
        """A question on one of the subjects; now and then one on something that is none of them."""
        if self.off_topic is None or self.random.random() >= 0.07:
            subject = self.random.choice(self.subjects)
            return subject, self.random.choice(subject.questions)
        question = self.random.choice(self.off_topic.questions)
        if self.random.random() < 0.6:
            thing = self.word()
            text = self.random.choice(ASIDE).format(thing if self.random.random() < 0.5 else thing.lower())
            question = replace(question, text=text)
        return self.off_topic, question

    def memory_turns(self) -> list[Turn]:
        """The user tells something about themselves, and asks for it later; or for what they never told."""
        facts = self.random.sample(list(FACTS), self.random.choice((0, 1, 1, 1, 1, 2, 3)))
        told: dict[str, str] = {}
        turns: list[Turn] = []
        for name in facts:
            told[name] = self.value(name)
            say, answer = self.random.choice(FACTS[name].told)
            turns += [
                ("user", self.as_typed(say.format(told[name]), keep=told[name])),
                ("assistant", answer.format(told[name])),
            ]
            turns += self.distraction()
        asked = self.random.sample(list(FACTS), self.random.choice((1, 1, 2)))
        if told and self.random.random() < 0.7:
            asked[0] = self.random.choice(list(told))
        for name in dict.fromkeys(asked):
            question = self.as_typed(self.random.choice(FACTS[name].asked))
            if name in told:
                answer = self.random.choice(FACTS[name].known).format(told[name])
            else:
                answer = self.random.choice(FACTS[name].unknown)
            turns += [("user", question), ("assistant", answer)]
            turns += self.distraction() if self.random.random() < 0.3 else []
        return turns

    def distraction(self) -> list[Turn]:
        """Up to four turns about something else."""
        turns: list[Turn] = []
        for _ in range(self.random.choice((0, 0, 0, 0, 1, 1, 2, 3, 4))):
            _, question = self.question()
            turns += [
                ("user", self.as_typed(question.text)),
                ("assistant", self.random.choice(question.answers)),
            ]
        return turns

    def value(self, fact: str) -> str:
        """A made-up value: a word nobody has seen, a colour, a number."""
        if fact == "number":
            return str(self.random.randrange(10 ** self.random.choice((1, 2, 3, 4))))
        if fact == "colour":
            return self.random.choice(COLOURS) if self.random.random() < 0.6 else self.word().lower()
        return self.word()

    def word(self) -> str:
        """A made-up name of one to four syllables."""
        n = self.random.choice((1, 2, 2, 2, 3, 3, 4))
        word = "".join(
            self.random.choice(ONSETS) + self.random.choice(VOWELS) + self.random.choice(CODAS)
            for _ in range(n)
        )
        return word.capitalize()

    def as_typed(self, text: str, keep: str = "") -> str:
        """A question as people type it: lower case, without its mark, with a slip of the fingers."""
        if keep:
            return text.rstrip(".!") if self.random.random() < 0.3 else text
        if self.random.random() < 0.3:
            text = text[:1].lower() + text[1:]
        elif self.random.random() < 0.3:
            text = text[:1].upper() + text[1:]
        if self.random.random() < 0.1:
            text = text.lower()
        if self.random.random() < 0.3:
            text = text.rstrip("?.!")
        if self.random.random() < 0.12:
            text = self.random.choice(OPENINGS) + text
        if self.random.random() < 0.15:
            text = self.leave_out(text)
        if self.random.random() < 0.12:
            text = self.slip(text)
        return text

    def leave_out(self, text: str) -> str:
        """One of the words of a long question left out: what it is about must not hang on a single one."""
        words = text.split()
        if len(words) > 4:
            del words[self.random.randrange(len(words))]
        return " ".join(words)

    def slip(self, text: str) -> str:
        """A letter left out, doubled, or exchanged with the next one."""
        places = [i for i in range(1, len(text) - 1) if text[i].isalpha() and text[i + 1].isalpha()]
        if not places:
            return text
        i = self.random.choice(places)
        return self.random.choice(
            (
                text[:i] + text[i + 1 :],
                text[:i] + text[i] + text[i:],
                text[:i] + text[i + 1] + text[i] + text[i + 2 :],
            )
        )


@dataclass(frozen=True)
class Fact:
    """Something a user can tell: ways to tell it, each with what is said to it; to ask for it; to answer."""

    told: tuple[tuple[str, str], ...]
    asked: tuple[str, ...]
    known: tuple[str, ...]
    unknown: tuple[str, ...]


FACTS = {
    "name": Fact(
        told=(
            ("My name is {}.", "Nice to meet you, {}."),
            ("I am {}.", "Hello, {}. Nice to meet you."),
            ("Hi, I'm {}!", "Hello, {}. What would you like to know?"),
            ("Call me {}.", "All right, {}."),
            ("my name is {}", "Hello, {}. Nice to meet you."),
            ("Hello, my name is {}. Remember it.", "I will remember it, {}."),
            ("You can call me {}", "All right, {}."),
            ("people call me {}", "Nice to meet you, {}."),
        ),
        asked=(
            "What is my name?", "what's my name?", "who am I?", "do you know my name?", "tell me my name",
            "do you remember my name?", "can you say my name?", "what am I called?",
            "which name did I tell you?", "do you still know what I am called?", "say my name",
            "what was my name again?",
        ),
        known=("Your name is {}.", "You told me that your name is {}.", "You are {}."),
        unknown=(
            "You have not told me your name.",
            "I do not know your name. You have not told me.",
            "I was not told your name.",
        ),
    ),
    "city": Fact(
        told=(
            ("I live in {}.", "I see, you live in {}."),
            ("I am from {}.", "So you are from {}."),
            ("My home is {}.", "I see, your home is {}."),
            ("my city is {}", "I see, your city is {}."),
            ("I come from {}.", "So you come from {}."),
        ),
        asked=(
            "Where do I live?", "what city do I live in?", "where am I from?", "do you know where I live?",
            "which city did I tell you?", "what is my city?", "where is my home?", "do you remember my city?",
        ),
        known=("You live in {}.", "You told me that you live in {}.", "Your city is {}."),
        unknown=(
            "You have not told me where you live.",
            "I do not know where you live. You have not told me.",
            "I was not told your city.",
        ),
    ),
    "colour": Fact(
        told=(
            ("My favourite colour is {}.", "I see, you like {}."),
            ("I like {} best of all colours.", "I see, {} is your favourite colour."),
            ("my favorite color is {}", "I see, you like {}."),
            ("The colour I like most is {}.", "So your favourite colour is {}."),
        ),
        asked=(
            "What is my favourite colour?", "what's my favorite color?", "which colour do I like?",
            "do you know my favourite colour?", "what colour did I tell you?", "which color do I like best?",
            "do you remember the colour I like?",
        ),
        known=(
            "Your favourite colour is {}.", "You told me that your favourite colour is {}.", "You like {}.",
        ),
        unknown=(
            "You have not told me your favourite colour.",
            "I do not know your favourite colour. You have not told me.",
            "I was not told which colour you like.",
        ),
    ),
    "number": Fact(
        told=(
            ("My number is {}.", "I see, your number is {}."),
            ("Remember the number {}.", "I will remember the number {}."),
            ("the number is {}", "I see, the number is {}."),
            ("My lucky number is {}.", "I see, your number is {}."),
        ),
        asked=(
            "What is my number?", "which number did I tell you?", "what was the number?", "what's my number?",
            "do you remember the number?", "tell me the number", "do you still know my number?",
        ),
        known=("Your number is {}.", "You told me the number {}.", "The number is {}."),
        unknown=(
            "You have not told me a number.",
            "I do not know your number. You have not told me.",
            "I was not told a number.",
        ),
    ),
    "pet": Fact(
        told=(
            ("My dog is called {}.", "What a nice name for a dog: {}."),
            ("I have a dog named {}.", "I see, your dog is called {}."),
            ("my dog's name is {}", "I see, your dog is called {}."),
        ),
        asked=(
            "What is my dog called?", "what's my dog's name?", "do you know the name of my dog?",
            "what did I say my dog is called?", "tell me my dog's name", "do you remember my dog's name?",
        ),
        known=("Your dog is called {}.", "You told me that your dog is called {}."),
        unknown=(
            "You have not told me your dog's name.",
            "I do not know your dog's name. You have not told me.",
            "I was not told what your dog is called.",
        ),
    ),
}  # fmt: skip

SYSTEMS = (
    "You are a helpful assistant.", "You are tiny, a small demonstration model.", "Answer briefly.",
    "You are a friendly assistant that knows about language models.", "Be helpful.", "Be polite and brief.",
)  # fmt: skip
AGAIN = (
    "say that again", "Say that again, please.", "again please", "can you repeat that?", "repeat that",
    "what did you say?", "once more please", "pardon?", "please say it again",
    "could you say that once more?",
)  # fmt: skip
SHORTER = (
    "shorter, please", "Shorter please.", "make it shorter", "can you say it in one sentence?", "in short?",
    "too long", "briefly please", "shorter", "sum it up", "that is too long, make it short",
)  # fmt: skip
ASIDE = (
    "what is {}?", "who is {}?", "who was {}?", "where is {}?", "tell me about {}", "explain {}", "{}?",
    "what is the capital of {}?", "how many people live in {}?", "who is the president of {}?",
    "what is the weather in {}?", "how far is it to {}?", "when was {} born?", "who invented the {}?",
    "who wrote {}?", "what does {} eat?", "how do I cook {}?", "give me a recipe for {}",
    "how do I get to {}?",
    "what do you think about {}?", "do you like {}?", "write a poem about {}", "tell me a story about {}",
    "what is the best {}?", "how much is a {}?", "how old is {}?", "how do I repair a {}?",
    "why is {} so big?",
    "is {} healthy?", "who won the {}?", "what language do they speak in {}?", "how do I play {}?",
    "what happened in {}?", "translate {}", "how do I learn {}?", "what colour is a {}?",
    "write a {} program", "what is the meaning of {}?", "how does a {} work?",
)  # fmt: skip
"""Questions about something the model has never heard of."""
OPENINGS = (
    "hi, ",
    "hello, ",
    "ok, ",
    "so, ",
    "please, ",
    "and ",
    "hey ",
    "well, ",
    "thanks, ",
    "now ",
    "one question: ",
)
COLOURS = (
    "red", "blue", "green", "yellow", "black", "white", "purple", "orange", "pink", "brown", "grey", "silver",
)  # fmt: skip
ONSETS = (
    "b", "br", "c", "ch", "d", "dr", "f", "fl", "g", "gr", "h", "j", "k", "kl", "l", "m", "n", "p", "pl",
    "qu", "r", "s", "sh", "st", "t", "th", "tr", "v", "w", "y", "z", "",
)  # fmt: skip
VOWELS = ("a", "e", "i", "o", "u", "ai", "ea", "io", "oo", "ie", "y", "au", "ou", "ee")
CODAS = (
    "",
    "",
    "",
    "",
    "n",
    "r",
    "l",
    "s",
    "m",
    "t",
    "k",
    "d",
    "nd",
    "rt",
    "x",
    "ck",
    "ss",
    "ll",
    "th",
    "ng",
)
