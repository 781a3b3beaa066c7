"""The templates that have a name write what llama.cpp writes under that name."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import pytest

from llmcli.chat.builtin_templates import builtin_names, load_template, refuse_missing_template
from llmcli.chat.messages import Message
from llmcli.engine.llama.library import lib
from llmcli.errors import InputError, TemplateError, UsageError

SYSTEM = Message("system", " Be brief. ")
TURNS = [
    Message("user", " Hi\n"),
    Message("assistant", "Hello 안녕! "),
    Message("user", "Why?"),
    Message("assistant", "Because."),
    Message("user", "Ah {{ so }}"),
]
CONVERSATIONS = {
    "system": [SYSTEM, *TURNS],
    "no system": TURNS,
    "one message": TURNS[:1],
    "system and one": [SYSTEM, TURNS[0]],
    "ends with a reply": [SYSTEM, *TURNS[:4]],
    "two users": [TURNS[0], TURNS[2], TURNS[1], TURNS[4]],
}
EOS = {"zephyr": "<|endoftext|>"}


def applied_by_llama_cpp(name: str, messages: list[Message], add_assistant: bool) -> str:
    chat: Any = (lib.llama_chat_message * len(messages))(
        *(lib.llama_chat_message(m.role.encode(), m.content.encode()) for m in messages)
    )
    buffer = ctypes.create_string_buffer(4096)
    length = lib.llama_chat_apply_template(
        name.encode(), chat, len(messages), add_assistant, buffer, len(buffer)
    )
    assert 0 <= length < len(buffer)
    return buffer.raw[:length].decode()


@pytest.mark.parametrize("name", builtin_names())
@pytest.mark.parametrize("conversation", CONVERSATIONS)
@pytest.mark.parametrize("add_assistant", [True, False])
def test_same_text_as_llama_cpp(name: str, conversation: str, add_assistant: bool) -> None:
    messages = CONVERSATIONS[conversation]
    template = load_template(name, bos="<s>", eos=EOS.get(name, "</s>"))
    prompt = template.render(messages, add_generation_prompt=add_assistant)
    assert prompt.text == applied_by_llama_cpp(name, messages, add_assistant)
    assert not prompt.system_merged


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "chatml",
            "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n"
            "<|im_start|>assistant\nA<|im_end|>\n<|im_start|>user\nV<|im_end|>\n"
            "<|im_start|>assistant\n",
        ),
        (
            "llama3",
            "<|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nU<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\nA<|eot_id|>"
            "<|start_header_id|>user<|end_header_id|>\n\nV<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n",
        ),
        (
            "gemma",
            "<start_of_turn>user\nS\n\nU<end_of_turn>\n<start_of_turn>model\nA<end_of_turn>\n"
            "<start_of_turn>user\nV<end_of_turn>\n<start_of_turn>model\n",
        ),
        ("llama2-sys", "[INST] <<SYS>>\nS\n<</SYS>>\n\nU [/INST]A</s>[INST] V [/INST]"),
    ],
)
def test_as_the_models_were_trained(name: str, expected: str) -> None:
    """Written down by hand from the models' own documentation."""
    messages = [
        Message("system", "S"),
        Message("user", "U"),
        Message("assistant", "A"),
        Message("user", "V"),
    ]
    assert load_template(name, bos="<s>", eos="</s>").render(messages).text == expected


def test_the_end_of_a_turn_is_the_model_s_own() -> None:
    """Zephyr ends turns with </s>, StableLM's relative of it with <|endoftext|>."""
    template = load_template("zephyr", bos="", eos="</s>")
    assert template.render(TURNS[2:4]).text == (
        "<|user|>\nWhy?</s>\n<|assistant|>\nBecause.</s>\n<|assistant|>\n"
    )


def test_a_file_is_a_template(tmp_path: Path) -> None:
    """What is no built-in name is a path; a byte order mark is no part of the template."""
    file = tmp_path / "my.jinja"
    file.write_bytes(b"\xef\xbb\xbf{{ messages[0].content }}!")
    assert load_template(str(file), bos="", eos="").render([Message("user", "é")]).text == "é!"


@pytest.mark.parametrize("ref", ["lama3", "no/such/file", "a\0b", f"{__file__}/x"])
def test_neither_a_name_nor_a_file(ref: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_template(ref, bos="", eos="")
    assert "chatml" in caught.value.hint


def test_what_can_not_be_read(tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    for path, reason in [(binary, "not UTF-8"), (tmp_path, "directory")]:
        with pytest.raises(InputError, match=reason):
            load_template(str(path), bos="", eos="")


def test_a_model_without_a_template_leaves_the_choice_to_the_user() -> None:
    with pytest.raises(TemplateError, match=r"m\.gguf has no chat template") as caught:
        refuse_missing_template("m.gguf")
    assert "--chat-template" in caught.value.hint
    assert "chatml" in caught.value.hint
