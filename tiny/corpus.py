"""The corpus: subjects written by hand, and conversations made of them by grammar.

Every conversation is made afresh, so the model meets few sentences in the same company twice. What it is to
learn by heart are the subjects; what it is to learn as a skill (remembering, saying that it was not told,
saying something again, saying it shorter) is trained with made-up words, so that it carries over to others.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from facts import FACTS, value, word
from wordings import Typist

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = Path(__file__).parent / "corpus"

PHRASED = 0.25
"""The share of questions that are made of a phrase and a frame."""
REMEMBERING = 0.45
"""The share of conversations in which the user tells something and asks for it."""
FOLLOWED = 0.5
"""The share of questions in them on which something may follow: "shorter, please"."""


class Turn(NamedTuple):
    """What one side says.

    For a reply also all that it was chosen from, any of which would have been right, and what it repeats of
    what the user told.
    """

    role: str
    text: str
    choices: tuple[str, ...] = ()
    repeats: str = ""


@dataclass(frozen=True)
class Question:
    """A way to ask, with what answers it.

    With a `kind` (tasks, names, says) the text is a phrase, to be put into one of the frames of that kind.
    `table` names the table it stands in: "top-k", or "top-k/0" for its first `[[more]]`. `answered_by` are
    the tables whose answers are as right (see also.toml).
    """

    text: str
    subject: str
    answers: tuple[str, ...]
    keywords: tuple[tuple[str, ...], ...] = ()
    kind: str = ""
    table: str = ""
    answered_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Subject:
    """One subject of the corpus: its questions, and what can follow them."""

    name: str
    questions: tuple[Question, ...]
    phrases: tuple[Question, ...]
    held_out: tuple[Question, ...]
    short: tuple[str, ...]
    follow_ups: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = field(default=())


def load_subjects(folder: Path = FOLDER) -> list[Subject]:
    """Every subject, by name. Raises ValueError where a held-out wording is among the questions."""
    phrases: dict[str, Any] = {}
    for path in sorted(folder.glob("phrases-*.toml")):
        _merge(phrases, tomllib.loads(path.read_text("utf-8")))
    also = {
        (entry["subject"], entry["question"]): tuple(entry["answered_by"])
        for entry in tomllib.loads((folder / "also.toml").read_text("utf-8"))["also"]
    }
    subjects = [
        _subject(tomllib.loads(path.read_text("utf-8")), phrases.get(path.stem, {}), also)
        for path in sorted((folder / "subjects").glob("*.toml"))
    ]
    asked = {_bare(question.text) for subject in subjects for question in subject.questions}
    if told := [q.text for subject in subjects for q in subject.held_out if _bare(q.text) in asked]:
        raise ValueError(f"held out, and yet among the questions: {told}")
    return subjects


def _bare(text: str) -> str:
    return text.lower().strip(" .?!")


def _merge(into: dict[str, Any], more: dict[str, Any]) -> None:
    """Put the lists of one table of phrases behind those of another."""
    for name, item in more.items():
        if isinstance(item, dict):
            _merge(into.setdefault(name, {}), item)
        else:
            into[name] = into.get(name, []) + item


def _subject(
    data: dict[str, Any], phrases: dict[str, Any], also: dict[tuple[str, str], tuple[str, ...]]
) -> Subject:
    name = data["subject"]
    asked: list[Question] = []
    phrased: list[Question] = []
    kept: list[Question] = []
    for index, table in enumerate([data, *data.get("more", [])], start=-1):
        answers = tuple(table["answers"])
        keywords = tuple(tuple(group) for group in table["keywords"])
        place = name if index < 0 else f"{name}/{index}"
        more = phrases if index < 0 else phrases.get(f"more-{index}", {})
        asked += (
            Question(q, name, answers, keywords, table=place)
            for q in (*table["questions"], *more.get("asks", []))
        )
        kept += (
            Question(q, name, answers, keywords, table=place, answered_by=also.get((name, q), ()))
            for q in table["held_out"]
        )
        for kind in ("tasks", "names", "says"):
            phrased += (Question(phrase, name, answers, keywords, kind) for phrase in more.get(kind, []))
    main = tuple(data["answers"])
    phrased += (Question(term, name, main, kind="names") for term in data["terms"])
    follow_ups = tuple((tuple(f["questions"]), tuple(f["answers"])) for f in data.get("follow_up", []))
    return Subject(name, tuple(asked), tuple(phrased), tuple(kept), tuple(data["short"]), follow_ups)


class Maker:
    """Makes conversations."""

    def __init__(self, subjects: list[Subject], seed: int) -> None:
        self.subjects = subjects
        self.random = random.Random(seed)
        self.typist = Typist(self.random)
        self.off_topic = next((subject for subject in subjects if subject.name == "off-topic"), None)

    def choices(self) -> Iterator[tuple[str, ...]]:
        """Every set of texts that a reply can be chosen from."""
        for subject in self.subjects:
            yield from (question.answers for question in (*subject.questions, *subject.phrases))
            yield subject.short
            yield from (answers for _, answers in subject.follow_ups)
        for fact in FACTS.values():
            yield from ((answer,) for _, answer in fact.told)
            yield from (fact.known, fact.unknown)

    def conversation(self) -> list[Turn]:
        """A conversation: on subjects, on what the user told, or on both."""
        turns: list[Turn] = []
        if self.random.random() < 0.15:
            turns.append(Turn("system", self.random.choice(SYSTEMS)))
        if self.random.random() < REMEMBERING:
            turns += self.memory_turns()
        else:
            for _ in range(12 if self.random.random() < 0.01 else self.random.choice((1, 1, 1, 1, 2, 3))):
                turns += self.subject_turns()
        return turns

    def exchange(self) -> tuple[Subject, list[Turn]]:
        """A question on one of the subjects, and a right answer."""
        subject, question = self.question()
        return subject, [self.asks(question.text), self.says(question.answers)]

    def asks(self, text: str, keep: str = "") -> Turn:
        """The user's turn: a text as people type it; what must be `keep`t is not touched."""
        return Turn("user", self.typist.typed(text, keep=keep))

    def says(self, choices: tuple[str, ...], value: str = "") -> Turn:
        """The model's turn: one of several texts, with a value put into it."""
        text = self.random.choice(choices)
        return Turn("assistant", text.format(value) if value else text, choices, value)

    def subject_turns(self) -> list[Turn]:
        """A question and its answer, and now and then what follows from it."""
        subject, turns = self.exchange()
        for _ in range(2):
            kind = self.random.random()
            if kind < 0.15:
                turns += [self.asks(self.random.choice(AGAIN)), turns[-1]._replace(repeats=turns[-1].text)]
            elif kind < 0.35:
                turns += [self.asks(self.random.choice(SHORTER)), self.says(subject.short)]
            elif kind < 0.65 and subject.follow_ups:
                questions, answers = self.random.choice(subject.follow_ups)
                turns += [self.asks(self.random.choice(questions)), self.says(answers)]
            else:
                break
        return turns

    def question(self) -> tuple[Subject, Question]:
        """A question on one of the subjects; now and then one on something that is none of them."""
        if self.off_topic is None or self.random.random() >= 0.07:
            subject = self.random.choice(self.subjects)
            if subject.phrases and self.random.random() < PHRASED:
                question = self.random.choice(subject.phrases)
                return subject, replace(question, text=self.typist.framed(question.text, question.kind))
            return subject, self.random.choice(subject.questions)
        question = self.random.choice(self.off_topic.questions)
        if self.random.random() < 0.6:
            thing = word(self.random)
            text = self.random.choice(ASIDE).format(thing if self.random.random() < 0.5 else thing.lower())
            question = replace(question, text=text)
        return self.off_topic, question

    def memory_turns(self) -> list[Turn]:
        """The user tells something about themselves, and asks for it later; or for what they never told."""
        facts = self.random.sample(list(FACTS), self.random.choice((0, 1, 1, 1, 1, 2, 3)))
        told: dict[str, str] = {}
        turns: list[Turn] = []
        for name in facts:
            told[name] = value(name, self.random)
            say, answer = self.random.choice(FACTS[name].told)
            turns += [self.asks(say.format(told[name]), keep=told[name]), self.says((answer,), told[name])]
            turns += self.distraction()
        asked = self.random.sample(list(FACTS), self.random.choice((1, 1, 2)))
        if told and self.random.random() < 0.7:
            asked[0] = self.random.choice(list(told))
        for name in dict.fromkeys(asked):
            turns.append(self.asks(self.random.choice(FACTS[name].asked)))
            turns.append(
                self.says(FACTS[name].known if name in told else FACTS[name].unknown, told.get(name))
            )
            turns += self.distraction() if self.random.random() < 0.3 else []
        return turns

    def distraction(self) -> list[Turn]:
        """Up to four questions about something else, and what follows on them."""
        turns: list[Turn] = []
        for _ in range(self.random.choice((0, 0, 0, 0, 1, 1, 2, 3, 4))):
            turns += self.subject_turns() if self.random.random() < FOLLOWED else self.exchange()[1]
        return turns


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
