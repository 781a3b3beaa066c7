"""The evaluation: through llmcli's own engine and template, greedy, on wordings kept out of training.

It prints one table: how many questions were answered with the right subject's facts, how many names were
remembered over 1 to 5 turns, how often the model said that it was not told when it was not, and what
quantization cost in perplexity. `--sample N` prints replies at temperature 0.8, to be read by people.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from corpus import Maker, Question, Subject, load_subjects
from facts import FACTS

from llmcli.chat.conversation import Conversation
from llmcli.chat.messages import Message
from llmcli.chat.reply import Reply
from llmcli.chat.template import ChatTemplate
from llmcli.engine.interrupt import AbortFlag
from llmcli.engine.llama.engine import LlamaEngine
from llmcli.probs.distribution import log_softmax
from llmcli.settings.engine import EngineOptions
from llmcli.settings.sampling import SamplingOptions

NAMES = (
    "Anna", "Ben", "Minho", "Sofia", "Kenji", "Olga", "Pierre", "Fatima", "Liam", "Yuki", "Carlos", "Ingrid",
    "Jisoo", "Tom", "Zara", "Viktor", "Amara", "Noah", "Mei", "Elif",
)  # fmt: skip
"""Names that people have; none of them is in the corpus, whose names are made of syllables."""


class Examiner:
    """Asks a model."""

    def __init__(self, model: Path, temp: float = 0.0) -> None:
        self.engine = LlamaEngine.load(model, EngineOptions())
        source = self.engine.model.chat_template or ""
        template = ChatTemplate.from_source(source, name=model.name, bos="", eos="")
        sampling = SamplingOptions(temp=temp, predict=120, seed=1)
        self.conversation = Conversation(self.engine, template, sampling, AbortFlag())

    def answer(self, messages: Sequence[Message], text: str) -> str:
        """What the model says to `text` after `messages`."""
        self.conversation.messages = list(messages)
        *_, reply = self.conversation.ask(text)
        assert isinstance(reply, Reply)
        return reply.message.content


def knows(answer: str, question: Question) -> bool:
    """Whether an answer holds the facts that a right one must hold."""
    said = answer.lower()
    return all(any(word.lower() in said for word in group) for group in question.keywords)


Words = frozenset[str]


def true_answers(subjects: Sequence[Subject]) -> dict[Words, set[str]]:
    """Every answer of the corpus, short ones and follow-ups too: its words, and the tables that have it.

    A table is named by its subject; a further one of its `[[more]]` tables by "subject/0" as well.
    """
    tables: dict[Words, set[str]] = {}
    for subject in subjects:
        named = [(question.answers, question.table) for question in subject.questions]
        named += [
            (texts, subject.name) for texts in (subject.short, *(said for _, said in subject.follow_ups))
        ]
        for texts, table in dict.fromkeys(named):
            for text in texts:
                tables.setdefault(_words(text), set()).update({subject.name, table})
    return tables


def closest(answer: str, answers: Mapping[Words, set[str]]) -> set[str]:
    """The tables of the answer that shares most words with this one."""
    words = _words(answer)
    return answers[max(answers, key=lambda each: len(words & each) / max(1, len(words | each)))]


def _words(text: str) -> Words:
    return frozenset(text.lower().split())


def examine_facts(
    examiner: Examiner, subjects: Sequence[Subject], every: int
) -> tuple[int, int, int, list[str]]:
    """Answers by the question's own subject, by one that answers it as well, questions asked, what was wrong.

    Only every N-th question is asked.
    """
    own = as_well = asked = 0
    wrong = []
    answers = true_answers(subjects)
    for subject in subjects:
        for question in subject.held_out[::every]:
            answer = examiner.answer([], question.text)
            asked += 1
            tables = closest(answer, answers)
            if knows(answer, question) or subject.name in tables:
                own += 1
            elif not tables.isdisjoint(question.answered_by):
                as_well += 1
            else:
                wrong.append(f"{subject.name}: {question.text}\n    {answer}")
    return own, as_well, asked, wrong


def examine_memory(examiner: Examiner, subjects: Sequence[Subject], turns: int, seed: int) -> tuple[int, int]:
    """How many names are remembered with `turns` - 1 turns about something else in between."""
    maker = Maker(list(subjects), seed)
    right = 0
    for name in NAMES:
        say, nod = FACTS["name"].told[maker.random.randrange(len(FACTS["name"].told))]
        messages = [Message("user", say.format(name)), Message("assistant", nod.format(name))]
        for _ in range(turns - 1):
            question = maker.random.choice(maker.random.choice(maker.subjects).questions)
            messages += [Message("user", question.text), Message("assistant", question.answers[0])]
        right += name in examiner.answer(messages, maker.random.choice(FACTS["name"].asked))
    return right, len(NAMES)


def examine_not_told(examiner: Examiner, subjects: Sequence[Subject], seed: int) -> tuple[int, int]:
    """How often the model says that it was not told, where it was told nothing or something else."""
    shuffle = random.Random(seed)
    right = asked = 0
    for fact, wording in FACTS.items():
        for question in wording.asked:
            other = shuffle.choice([name for name in FACTS if name != fact])
            say, nod = shuffle.choice(FACTS[other].told)
            value = "42" if other == "number" else shuffle.choice(NAMES)
            told = [Message("user", say.format(value)), Message("assistant", nod.format(value))]
            for messages in ([], told):
                asked += 1
                answer = examiner.answer(messages, question)
                right += any(words in answer for words in ("not told", "not know"))
    return right, asked


def perplexity(examiner: Examiner, subjects: Sequence[Subject], seed: int, conversations: int = 60) -> float:
    """The perplexity of the replies in fresh conversations."""
    maker, engine = Maker(list(subjects), seed), examiner.engine
    total, count = 0.0, 0
    for _ in range(conversations):
        text = "".join(f"<|im_start|>{turn.role}\n{turn.text}<|im_end|>\n" for turn in maker.conversation())
        ids = engine.tokenizer.encode(text.encode())[: engine.context_size]
        speaks = False
        begins = engine.tokenizer.encode(b"<|im_start|>assistant\n")
        for at in range(1, len(ids)):
            engine.ready(ids[:at])
            if speaks:
                total -= float(log_softmax(engine.logits())[ids[at]])
                count += 1
                speaks = not engine.ends_reply(ids[at])
            elif ids[at + 1 - len(begins) : at + 1] == begins:
                speaks = True
    return math.exp(total / count)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--f16", type=Path, help="the same before it was quantized, to compare perplexities")
    parser.add_argument("--every", type=int, default=1, help="ask only every N-th question")
    parser.add_argument("--sample", type=int, default=0, help="print so many replies at temperature 0.8")
    parser.add_argument("--wrong", action="store_true", help="show the answers that were wrong")
    args = parser.parse_args()
    subjects = load_subjects()
    examiner = Examiner(args.model)
    rows = []
    own, as_well, asked, wrong = examine_facts(examiner, subjects, args.every)
    rows.append(("facts, held-out wordings", own + as_well, asked, 90))
    rows.append(("    of the question's own subject", own, asked, 90))
    for turns in range(1, 6):
        rows.append(
            (
                f"name remembered over {turns} turns",
                *examine_memory(examiner, subjects, turns, 100 + turns),
                95,
            )
        )
    rows.append(("said that it was not told", *examine_not_told(examiner, subjects, 200), 95))
    for what, n, of, goal in rows:
        print(f"{what:<32} {n:>4} of {of:<4} {n / of:7.1%}   goal {goal} %")
    if args.f16:
        before, after = (perplexity(each, subjects, 300) for each in (Examiner(args.f16), examiner))
        change = after / before - 1
        print(f"{'perplexity, F16 and quantized':<32} {before:.4f} {after:.4f} {change:+.2%}   goal 1 %")
    if args.wrong:
        print("\n".join(wrong))
    if args.sample:
        examiner = Examiner(args.model, temp=0.8)
        held_out = [question for subject in subjects for question in subject.held_out]
        for question in random.Random(400).sample(held_out, args.sample):
            print(f"\n{question.text}\n    {examiner.answer([], question.text)}")


if __name__ == "__main__":
    main()
