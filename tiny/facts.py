"""What a user can tell about themselves, and made-up words to tell: the material of the memory skill."""

from __future__ import annotations

import random
from dataclasses import dataclass


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


def value(fact: str, rng: random.Random) -> str:
    """A made-up value for a fact: a word nobody has seen, a colour, a number."""
    if fact == "number":
        return str(rng.randrange(10 ** rng.choice((1, 2, 3, 4))))
    if fact == "colour":
        return rng.choice(COLOURS) if rng.random() < 0.6 else word(rng).lower()
    return word(rng)


def word(rng: random.Random) -> str:
    """A made-up name: of one to four syllables, or of consonants and vowels in turns."""
    if rng.random() < 0.4:
        letters = rng.sample((CONSONANTS, "aeiou"), 2) * 4
        return "".join(rng.choice(letters[n]) for n in range(rng.randrange(3, 8))).capitalize()
    n = rng.choice((1, 2, 2, 2, 3, 3, 4))
    return "".join(rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(CODAS) for _ in range(n)).capitalize()


COLOURS = (
    "red", "blue", "green", "yellow", "black", "white", "purple", "orange", "pink", "brown", "grey", "silver",
)  # fmt: skip
CONSONANTS = "bcdfghjklmnpqrstvwxyz"
ONSETS = (
    "b", "br", "c", "ch", "d", "dr", "f", "fl", "g", "gr", "h", "j", "k", "kl", "l", "m", "n", "p", "pl",
    "qu", "r", "s", "sh", "st", "t", "th", "tr", "v", "w", "y", "z", "",
)  # fmt: skip
VOWELS = ("a", "e", "i", "o", "u", "ai", "ea", "io", "oo", "ie", "y", "au", "ou", "ee")
CODAS = (
    "", "", "", "", "n", "r", "l", "s", "m", "t", "k", "d", "nd", "rt", "x", "ck", "ss", "ll", "th", "ng",
)  # fmt: skip
