"""The Colab cell, without Colab: what it would install, and what it says where that fails."""

import subprocess
import sys

import pytest

from parentcare import colab, environment


@pytest.fixture
def installed(monkeypatch):
    """Return the arguments of every pip call; nothing is installed, and unsloth is not there."""
    calls = []
    monkeypatch.setattr(colab, "_pip", calls.append)

    def missing(name):
        raise colab.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(colab.metadata, "version", missing)
    return calls


def test_colabs_own_torch_and_kernel_are_kept(installed):
    colab.prepare(use_drive=False)
    packages, unsloth = installed
    assert not any(line.startswith(("torch==", "jupyterlab", "ipykernel")) for line in packages)
    assert any(line.startswith("trl==") for line in packages) and unsloth[0] == "--no-deps"


@pytest.mark.parametrize(
    "torch, gets_xformers",
    [("2.11.0+cu128", True), ("2.11.0+cu130", False), ("2.13.0+cu128", False), ("2.11.0", False), ("", False)],
)
def test_xformers_comes_only_where_it_loads_and_is_needed(torch, gets_xformers):
    assert any(a.startswith("xformers==") for a in environment.unsloth_arguments(torch)) == gets_xformers


def test_a_notebook_that_needs_more_gets_its_extra(installed):
    colab.prepare(use_drive=False, extra="ask")
    assert [line.split("==")[0] for line in installed[-1]] == ["gradio", "bm25s", "scikit-learn"]


def test_nothing_is_installed_twice(monkeypatch):
    monkeypatch.setattr(colab.metadata, "version", lambda name: "2026.10.9")
    monkeypatch.setattr(colab, "_pip", lambda arguments: pytest.fail("installed again"))
    colab.prepare(use_drive=False, extra="ask")


def test_an_install_after_torch_was_imported_is_refused_in_korean(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", object())
    with pytest.raises(RuntimeError, match="세션 다시 시작"):
        colab._pip(["trl"])


def test_a_failed_install_says_in_korean_what_to_do(monkeypatch):
    for name in ("torch", "transformers", "numpy"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    failed = subprocess.CompletedProcess([], 1, stdout="", stderr="ERROR: No matching distribution")
    monkeypatch.setattr(colab.subprocess, "run", lambda *a, **k: failed)
    with pytest.raises(RuntimeError, match=r"설치에 실패했습니다(.|\n)*No matching distribution"):
        colab._pip(["trl"])
