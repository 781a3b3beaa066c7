"""Message contents never become special tokens."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcli.chat.builtin_templates import load_template
from llmcli.chat.messages import Message
from llmcli.chat.prompt import Guard, Part
from llmcli.chat.template import ChatTemplate
from llmcli.errors import TemplateError

SPECIALS = ["<|im_start|>", "<|im_end|>", "</s>", "<s>", "[/INST]", "<｜User｜>", "<|im_end|><s>"]
ANY_SPECIAL = re.compile("|".join(map(re.escape, sorted(SPECIALS, key=len, reverse=True))))
SHARDS = ["<|im_", "start|>", "end|>", "<", "|>", "s>", "</", "\U000f0000", "\U000f0001", " ", "\n"]

CHATML = load_template("chatml", bos="", eos="")
ECHO = "{% for m in messages %}[{{ m.content }}]{% endfor %}"


def parts(source: str, *contents: str, protect: list[str] = SPECIALS) -> list[str]:
    """The parts' texts, the literal ones in «»."""
    template = ChatTemplate.from_source(source, name="test", bos="", eos="")
    prompt = template.render([Message("user", text) for text in contents], protect=protect)
    return [f"«{part.text}»" if part.literal else part.text for part in prompt.parts]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("plain", ["[plain]"]),
        ("", ["[]"]),
        ("a<|im_end|>b", ["[a", "«<|im_end|>»", "b]"]),
        ("<|im_end|>", ["[", "«<|im_end|>»", "]"]),
        ("</s></s>", ["[", "«</s>»", "«</s>»", "]"]),
        ("<|im_<|im_end|>end|>", ["[<|im_", "«<|im_end|>»", "end|>]"]),
        ("<|im_end|><s>", ["[", "«<|im_end|><s>»", "]"]),
        ("a <|IM_END|> b", ["[a <|IM_END|> b]"]),
        ("\U000f0000</s>\U000f0001\U000f0002", ["[\U000f0000", "«</s>»", "\U000f0001\U000f0002]"]),
        (r"\udb80\udc00</s>", [r"[\udb80\udc00", "«</s>»", "]"]),
        ("\x00</s>\ud800", ["[\x00", "«</s>»", "\ud800]"]),
    ],
)
def test_what_a_message_spells_is_literal(content: str, expected: list[str]) -> None:
    """The longest special first, without overlap; private-use characters forge nothing."""
    assert parts(ECHO, content) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("m.content | trim", ["a", "«</s>»", "b"]),
        ("m.content.strip()", ["a", "«</s>»", "b"]),
        ("m.content | upper", [" A", "«</s>»", "B "]),
        ("m.content | tojson", ['" a', "«</s>»", 'b "']),
        ("m.content | tojson(ensure_ascii=true)", ['" a', "«</s>»", 'b "']),
        ("m.content.split('b')[0]", [" a", "«</s>»"]),
        ("m.content ~ '</s>'", [" a", "«</s>»", "b </s>"]),
        ("m.content[:99]", [" a", "«</s>»", "b "]),
    ],
)
def test_it_stays_so_whatever_the_template_does(expression: str, expected: list[str]) -> None:
    """A filter can neither break the disguise nor cut it; the template's own specials stay its."""
    source = "{% for m in messages %}{{ " + expression + " }}{% endfor %}"
    assert parts(source, " a</s>b ") == expected


@pytest.mark.parametrize(
    ("source", "contents", "expected"),
    [
        ("<|im_{{ messages[0].content }}", ["end|>"], ["<|im_", "end|>"]),
        ("{{ messages[0].content }}end|>", ["<|im_"], ["<|im_", "end|>"]),
        ("<|im_{{ messages[0].content }}|>", ["end"], ["<|im_", "end", "|>"]),
        ("<|im_{{ messages[0].content | trim }}|>", [" end\n"], ["<|im_", "end", "|>"]),
        ("{{ messages[0].content }}{{ messages[1].content }}", ["<", "/s>"], ["<", "/s>"]),
        ("<s>{{ messages[0].content }}</s>", ["<|im_start|"], ["<s><|im_start|</s>"]),
    ],
)
def test_template_and_message_can_not_spell_one_together(
    source: str, contents: list[str], expected: list[str]
) -> None:
    """A special that straddles a content's edge is cut there, and only such a one."""
    assert parts(source, *contents) == expected


def test_reasoning_is_guarded_too() -> None:
    template = ChatTemplate.from_source(
        "{% for m in messages %}{{ m.reasoning_content }}{{ m.content }}{% endfor %}",
        name="test",
        bos="",
        eos="",
    )
    messages = [Message("user", "hi"), Message("assistant", "yes", reasoning="</s>")]
    assert Part("</s>", literal=True) in template.render(messages, protect=SPECIALS).parts


def test_thinking_is_still_cut_out_of_a_reply() -> None:
    """Templates that look into contents (Qwen3, R1) see them as they are."""
    source = "{% for m in messages %}{{ m.content.split('</think>')[-1].lstrip('\\n') }};{% endfor %}"
    assert parts(source, "<think>a</think>\n\nb", "c") == ["b;c;"]


@settings(deadline=None, max_examples=150)
@given(
    st.lists(
        st.lists(st.sampled_from([*SPECIALS, *SHARDS]) | st.text(max_size=3)).map("".join),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from(["chatml", "llama3", "phi3", "gemma"]),
)
def test_any_contents(contents: list[str], name: str) -> None:
    """The text is what it is without protection, and only the template's own specials are parsed."""
    template = load_template(name, bos="", eos="")
    messages = [Message("user", content) for content in contents]
    prompt = template.render(messages, protect=SPECIALS)
    assert prompt.text == template.render(messages).text
    neutral = template.render([Message("user", "x")] * len(messages)).text
    parsed = [found for part in prompt.parts if not part.literal for found in ANY_SPECIAL.findall(part.text)]
    assert parsed == ANY_SPECIAL.findall(neutral)
    assert all(part.text in SPECIALS for part in prompt.parts if part.literal)


@settings(deadline=None)
@given(st.text(), st.text())
def test_without_specials_a_prompt_is_one_part(first: str, second: str) -> None:
    """The common case: contents pass untouched, and the tokenizer sees the prompt in one piece."""
    prompt = CHATML.render([Message("user", first), Message("user", second)], protect=["<|im_end|>"])
    assert prompt.parts == (
        Part(
            f"<|im_start|>user\n{first}<|im_end|>\n<|im_start|>user\n{second}<|im_end|>\n"
            "<|im_start|>assistant\n",
            literal=False,
        ),
    )


def test_many_specials_are_no_burden() -> None:
    """A vocabulary may have thousands; empty texts among them are passed over."""
    many = ["", *(f"<|reserved_{i}|>" for i in range(5000))]
    assert parts(ECHO, "a<|reserved_4999|>b", protect=many) == ["[a", "«<|reserved_4999|>»", "b]"]


def test_a_conversation_that_uses_every_private_character() -> None:
    """Nothing is left to hide behind: an error, not a guess."""
    everything = "".join(map(chr, [*range(0xF0000, 0xFFFFE), *range(0x100000, 0x10FFFE)]))
    with pytest.raises(TemplateError, match="private-use"):
        Guard(["</s>"], [everything])
