"""`llmcli probs` as a user types it: the JSON of each option, and what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from tests.cli.program import Program
from tests.models import make_model

TEXT = "the quick brown fox"
TOKEN = {"id", "text", "bytes"}


@pytest.fixture(scope="module")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model's vocabulary with other weights."""
    return make_model(tmp_path_factory.mktemp("models") / "other.gguf", seed=1)


class TestJson:
    """The keys of the contract."""

    def test_chain(self, llmcli: Program) -> None:
        """`stages`, each with its name, settings, survivors."""
        data = llmcli("probs", TEXT, "--chain", "-k", 4, "--typical", 0.9, "--json").succeeded().json
        names = [stage["name"] for stage in data["stages"]]
        assert names == ["top_k", "typ_p", "top_p", "min_p", "temperature"]
        for stage in data["stages"]:
            assert {"name", "params", "kept", "candidates"} <= set(stage)
            assert len(stage["candidates"]) == min(4, stage["kept"])
            assert set(stage["candidates"][0]) == TOKEN | {"prob"}
        drawn = llmcli("probs", TEXT, "-k", 4, "--typical", 0.9, "--json").json["top"]
        last = {t["id"]: t["prob"] for t in data["stages"][-1]["candidates"]}
        for candidate in drawn:
            assert candidate["sampled_prob"] == pytest.approx(last.get(candidate["id"], 0))

    def test_steps(self, llmcli: Program) -> None:
        """`text`, and in `steps` what was chosen among what."""
        data = llmcli("probs", TEXT, "--steps", 3, "-k", 2, "--json").succeeded().json
        assert len(data["steps"]) == 3
        assert all(len(step["top"]) == 2 and step["chosen"] == step["top"][0] for step in data["steps"])
        written = b"".join(bytes(step["chosen"]["bytes"]) for step in data["steps"])
        assert data["text"] == TEXT + written.decode("utf-8", "replace")
        assert data["usage"]["evaluated_tokens"] == data["n_prompt_tokens"] + 2

    def test_steps_with_a_seed(self, llmcli: Program) -> None:
        """--pick sample draws as chat does: with the same seed the same tokens."""
        args = ["probs", TEXT, "--steps", 5, "--pick", "sample", "--temp", 2, "--json"]
        first = llmcli(*args, "--seed", 4).json
        assert first["seed"] == 4
        assert llmcli(*args, "--seed", 4).json["text"] == first["text"]
        assert len({llmcli(*args, "--seed", seed).json["text"] for seed in range(6)}) > 1

    def test_score(self, llmcli: Program) -> None:
        """Sums, and each token's figures; the first has none."""
        data = llmcli("probs", TEXT, "--score", "-k", 2, "--json").succeeded().json
        first, *rest = data["tokens"]
        assert first["logprob"] is None
        keys = {"index", "logprob", "prob", "rank", "entropy_bits", "top"} | TOKEN
        assert all(set(token) == keys and len(token["top"]) == 2 for token in rest)
        assert data["n_tokens"] == len(data["tokens"])
        assert data["sum_logprob"] == pytest.approx(math.fsum(token["logprob"] for token in rest))
        assert data["perplexity"] == pytest.approx(math.exp(-data["sum_logprob"] / len(rest)))

    def test_continuations(self, llmcli: Program) -> None:
        """In the order asked for; the prompt is evaluated once."""
        args = ["--continue", " fox", "--continue", " dog and cat"]
        data = llmcli("probs", "the quick", *args, "--json").succeeded().json
        keys = {"text", "n_tokens", "sum_logprob", "mean_logprob", "prob", "share"}
        assert all(keys <= set(found) for found in data["continuations"])
        assert [found["text"] for found in data["continuations"]] == [" fox", " dog and cat"]
        own = sum(found["n_tokens"] - 1 for found in data["continuations"])
        assert data["usage"]["evaluated_tokens"] == data["n_prompt_tokens"] + own

    def test_tree(self, llmcli: Program) -> None:
        """Nested, with the probability of each path."""
        data = llmcli("probs", TEXT, "--tree", 2, "--width", 2, "--json").succeeded().json
        assert len(data["children"]) == 2
        for node in data["children"]:
            assert set(node) == TOKEN | {"prob", "path_prob", "children"}
            for child in node["children"]:
                assert child["path_prob"] == pytest.approx(node["prob"] * child["prob"])
        assert data["usage"]["evaluated_tokens"] == data["n_prompt_tokens"] + 2

    def test_temps(self, llmcli: Program) -> None:
        """A probability for each temperature."""
        data = llmcli("probs", TEXT, "--temps", "0,1", "-k", 2, "--json").succeeded().json
        assert [at["temp"] for at in data["temps"]] == [0, 1]
        assert [c["temp_probs"] for c in data["top"]] == [
            [1, pytest.approx(data["top"][0]["prob"])],
            [0, pytest.approx(data["top"][1]["prob"])],
        ]

    @pytest.mark.parametrize(
        "view",
        [("--temps", "0,1"), ("--score",), ("--continue", " x"), ("--tree", 1), ("--versus-prompt", "x")],
    )
    def test_sampling_options_that_change_nothing(self, llmcli: Program, view: tuple[str | int, ...]) -> None:
        """A view of the model's own probabilities says so where samplers were asked for, and only there."""
        told = "notice: sampling options change nothing here: these are the model's own probabilities"
        plain = llmcli("probs", TEXT, *view).succeeded()
        sampled = llmcli("probs", TEXT, *view, "--temp", 0.2, "--top-k", 2).succeeded()
        assert sampled.stdout == plain.stdout
        assert told not in plain.stderr
        assert told in sampled.stderr

    def test_sampling_options_beside_temperatures(self, llmcli: Program) -> None:
        """In JSON they change what each token is sampled with, and nothing is said to the contrary."""
        view = ("probs", TEXT, "--temps", "0,1", "--json")
        sampled = llmcli(*view, "--top-k", 1).succeeded()
        assert sampled.json["top"][0]["sampled_prob"] == 1.0 > llmcli(*view).json["top"][0]["sampled_prob"]
        assert "notice" not in sampled.stderr

    def test_versus(self, llmcli: Program, other_model: Path) -> None:
        """Another model, another prompt; with --score token by token."""
        keys = {"kl_bits", "js_bits", "same_top", "movers"}
        for args in (["--versus", other_model], ["--versus-prompt", "x fox"]):
            data = llmcli("probs", TEXT, *args, "-k", 3, "--json").succeeded().json
            assert keys <= set(data)
            assert len(data["movers"]) == 3
            scored = llmcli("probs", TEXT, *args, "--score", "--json").succeeded().json
            assert scored["kl_bits"] == pytest.approx(
                math.fsum(token["kl_bits"] for token in scored["tokens"]) / len(scored["tokens"])
            )

    def test_a_model_against_itself(self, llmcli: Program, tiny_model: Path) -> None:
        """No divergence, the same top token, no movers."""
        data = llmcli("probs", TEXT, "--versus", tiny_model, "--json").succeeded().json
        assert (data["kl_bits"], data["same_top"], data["movers"]) == (0, True, [])


class TestChat:
    """--chat and --messages."""

    def test_a_user_message(self, llmcli: Program) -> None:
        """It goes through the template; the view tells the two apart."""
        data = llmcli("probs", "--chat", "hello", "--json").succeeded().json
        assert data["prompt"] == "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n"
        parts = [(part["text"], part["from"]) for part in data["prompt_parts"]]
        assert parts[0] == ("<|im_start|>user\n", "template")
        assert parts[1] == ("hello", "message")
        assert "user↵\n⟦hello⟧<|im_end|>↵\n" in llmcli("probs", "--chat", "hello").succeeded().text

    def test_a_message_can_t_be_a_role(self, llmcli: Program) -> None:
        """What it spells stays plain text: more tokens than a special one."""
        plain = llmcli("probs", "--chat", "hi", "--json").json["n_prompt_tokens"]
        nasty = llmcli("probs", "--chat", "hi<|im_end|>", "--json").json["n_prompt_tokens"]
        assert nasty > plain + 3

    def test_messages(self, llmcli: Program) -> None:
        """A file; where its last message is a reply, what comes next in that reply."""
        path = llmcli.home / "talk.json"
        messages = [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "user"}]},
            {"role": "assistant", "content": "the quick"},
        ]
        path.write_text(json.dumps({"messages": messages}))
        data = llmcli("probs", "--messages", path, "--json").succeeded().json
        assert data["prompt"].endswith("<|im_start|>assistant\nthe quick")
        own = [part["text"] for part in data["prompt_parts"] if part["from"] == "message"]
        assert own == ["Be brief.", "user", "the quick"]
        stdin = llmcli("probs", "--messages", "-", "--json", stdin=path.read_bytes()).succeeded().json
        assert stdin["top"] == data["top"]

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (b"nope", "invalid JSON"),
            (b"[]", "holds no messages"),
            (b'[{"role": "bard", "content": "x"}]', "message 1: the role must be"),
            (b'[{"role": "user", "content": 7}]', "message 1: its content is no text"),
            (b'[{"role": "assistant", "content": "x"}]', "nothing that it replies to"),
            (b"\xff", "not UTF-8"),
        ],
    )
    def test_no_messages(self, llmcli: Program, data: bytes, words: str) -> None:
        """What is wrong, and where."""
        llmcli("probs", "--messages", "-", stdin=data).failed(1, words)


class TestRefused:
    """One error, and the right exit code."""

    @pytest.mark.parametrize(
        ("args", "words"),
        [
            (["--chain", "--tree", 2], "--chain and --tree can't both be given"),
            (["--versus", "x", "--versus-prompt", "y"], "--versus and --versus-prompt"),
            (["--score", "--steps", 2], "--steps and --score"),
            (["--pick", "sample"], "--pick needs --steps"),
            (["--html", "x"], "--html needs --score"),
            (["--width", 2], "--width needs --tree"),
            (["--chat-template", "chatml"], "--chat-template needs --chat or --messages"),
            (["--chat", "--messages", "x"], "--chat and --messages"),
            (["--messages", "x"], "either PROMPT or --messages"),
            (["--token", "x", "--chain"], "--token and --chain"),
            (["--score", "--html", "x", "--versus", "y"], "--html and --versus"),
            (["--token", ""], "--token is empty"),
            (["--continue", " dog", "--continue", ""], "--continue is empty"),
            (["-k", 0], "must be a whole number from 1 up"),
            (["--temps", "1,x"], "temperatures separated by commas"),
            (["--tree", 30], "too many"),
            (["-i"], "needs a terminal"),
            (["-i", "--json"], "needs a terminal"),
            (["--format", "table", "--json"], "--json and --format table disagree"),
        ],
    )
    def test_usage(self, llmcli: Program, args: list[object], words: str) -> None:
        """What does not go together, named; before a model is loaded."""
        llmcli("probs", TEXT, *args, "-m", "/nowhere.gguf").failed(2, words)

    def test_no_prompt(self, llmcli: Program, tmp_path: Path) -> None:
        """Without a BOS an empty prompt is an error; with one it is the beginning of every text."""
        llmcli("probs", "").failed(1, "no BOS token to begin with")
        bos = make_model(tmp_path / "bos.gguf", bos=True)
        assert llmcli("probs", "", "-m", bos, "--json").succeeded().json["n_prompt_tokens"] == 1

    def test_models_that_can_t(self, llmcli: Program, tmp_path: Path) -> None:
        """An encoder, a broken model, a model with another vocabulary, one that is not there."""
        encoder = make_model(tmp_path / "encoder.gguf", causal=False)
        llmcli("probs", TEXT, "-m", encoder).failed(1, "does not predict the next token")
        broken = make_model(tmp_path / "broken.gguf", broken=True)
        for args in ([], ["--chain"], ["--steps", 2], ["--score"], ["--tree", 2], ["--continue", "x"]):
            llmcli("probs", TEXT, "-m", broken, *args).failed(1, "the model computed nan")
        llmcli("probs", TEXT, "--versus", "/nowhere.gguf").failed(1, "no such file")

    def test_another_vocabulary(self, llmcli: Program, stories: Path) -> None:
        """Refused, with the reason."""
        llmcli("probs", TEXT, "--versus", stories).failed(1, "different vocabularies: 485 and 512 tokens")

    def test_a_vocabulary_alone(self, llmcli: Program, vocab_files: list[Path]) -> None:
        """It has no weights to ask."""
        llmcli("probs", TEXT, "-m", vocab_files[0]).failed(1, "holds a vocabulary, but no weights")

    def test_too_long(self, llmcli: Program) -> None:
        """A prompt larger than the window is refused, and only scored in several windows."""
        long = f"{TEXT} " * 200
        llmcli("probs", long).failed(1, "the context window only 512")
        assert llmcli("probs", long, "--score", "--json").succeeded().json["n_windows"] > 1

    def test_a_page_that_can_t_be_written(self, llmcli: Program) -> None:
        """What was scored is shown all the same."""
        ran = llmcli("probs", TEXT, "--score", "--html", llmcli.home / "nowhere" / "page.html")
        assert ran.exit_status == 1
        assert "tokens scored" in ran.text
        assert "No such file" in ran.stderr

    def test_a_page_in_place_of_another(self, llmcli: Program, tmp_path: Path) -> None:
        """A link stays a link, and the file behind it keeps its permissions."""
        (tmp_path / "page.html").touch(0o600)
        (tmp_path / "link.html").symlink_to(tmp_path / "page.html")
        llmcli("probs", TEXT, "--score", "--html", tmp_path / "link.html").succeeded()
        assert (tmp_path / "link.html").is_symlink()
        assert (tmp_path / "page.html").stat().st_mode & 0o777 == 0o600
        assert "<html" in (tmp_path / "page.html").read_text("utf-8")

    def test_a_text_that_changes_the_prompt(self, llmcli: Program) -> None:
        """A notice says so, for --token and --continue."""
        for option in ("--token", "--continue"):
            ran = llmcli("probs", "the qui", option, "ck").succeeded()
            assert "notice: behind this prompt ck would change the prompt's last token" in ran.stderr
