import copy
import json

import pytest

from parentcare.export import hub
from parentcare.model import adapters


@pytest.fixture
def passed(copied):
    (copied / "adapter_export" / "parity.json").write_text('{"passed": true}')
    (copied / "adapter_export" / ".hidden").write_text("stays")
    return copied / "adapter_export"


class FakeHub:
    """Stands for HfApi and keeps what it was asked to do."""

    calls: list = []  # noqa: RUF012

    def __init__(self, token):
        self.calls.append(("token", token))

    def create_repo(self, name, private, exist_ok):
        self.calls.append((name, private))

    def upload_folder(self, repo_id, folder_path, allow_patterns):
        self.calls.append((repo_id, sorted(allow_patterns)))
        return type("Commit", (), {"commit_url": "https://huggingface.co/a/b/commit/1"})()


def test_a_push_uploads_exactly_what_is_listed_and_prints_no_token(passed, monkeypatch, capsys):
    monkeypatch.setattr("huggingface_hub.HfApi", FakeHub)
    monkeypatch.setattr(FakeHub, "calls", [])
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    listed = hub.list_upload(passed)
    assert hub.push(passed, "a/b").startswith("https://huggingface.co/a/b")
    names = [name for name, _ in listed]
    assert FakeHub.calls == [("token", "hf_secret"), ("a/b", True), ("a/b", names)]
    assert {"adapter_model.safetensors", "prompt.json", "run.json", "parity.json"} <= set(names)
    assert ".hidden" not in names and all(size > 0 for _, size in listed)
    assert "hf_secret" not in "".join(capsys.readouterr())


def test_listing_touches_no_network(passed, monkeypatch):
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("a dry run went to the network"))
    assert hub.list_upload(passed)


def test_without_a_token_nothing_is_made(passed, monkeypatch):
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    monkeypatch.setattr("huggingface_hub.HfApi", lambda **_: pytest.fail("it went on"))
    with pytest.raises(ValueError, match="HF_TOKEN"):
        hub.push(passed, "a/b")


def test_a_demo_model_is_never_pushed(passed, record):
    demo = copy.deepcopy(record)
    demo["notebooks"]["03_finetune"]["demo"] = True
    (passed / "run.json").write_text(json.dumps(demo))
    with pytest.raises(ValueError, match="demo model"):
        hub.push(passed, "a/b")


@pytest.mark.parametrize("parity", [None, '{"passed": false}'])
def test_what_has_not_passed_the_gate_is_never_pushed(passed, parity):
    (passed / "parity.json").unlink()
    if parity:
        (passed / "parity.json").write_text(parity)
    with pytest.raises(ValueError, match="parity gate"):
        hub.push(passed, "a/b")


def test_a_folder_takes_the_place_of_the_runs_adapter(copied, record):
    found, its_record = adapters.find_adapter(str(copied / "adapter_export"), "another-run")
    assert found == copied / "adapter_export" and its_record == record


def test_a_folder_that_no_export_wrote_is_refused(base):
    with pytest.raises(FileNotFoundError, match=r"adapter_model\.safetensors.*06_export"):
        adapters.find_adapter(str(base), "mine")


def test_a_published_adapter_is_downloaded(copied, record, monkeypatch):
    asked = []

    def download(name, allow_patterns):
        asked.append(name)
        return str(copied / "adapter_export")

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert adapters.find_adapter("WOOJINIYA/parentcare", "mine") == (copied / "adapter_export", record)
    assert asked == ["WOOJINIYA/parentcare"]


def test_a_name_that_cannot_be_had_says_what_to_do(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(OSError, match=r"nobody/nothing.*check the name(.|\n)*HF_TOKEN"):
        adapters.find_folder("nobody/nothing")
    with pytest.raises(OSError, match="check the name"):
        adapters.find_folder("outputs/nothing/of/the/kind")


def test_the_runs_own_adapter_is_asked_of_03(monkeypatch, tmp_path):
    monkeypatch.setattr(adapters, "run_folder", lambda run: tmp_path)
    with pytest.raises(FileNotFoundError, match="03_finetune"):
        adapters.find_adapter("", "mine")
