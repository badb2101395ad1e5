"""The model card, Korean and English, of what run.json and evaluation.json hold; nothing in it is typed by hand."""

import collections
from pathlib import Path

from parentcare.data.records import read_jsonl
from parentcare.figures import VERDICTS
from parentcare.manifest import read_json, require, sha256, write_atomically
from parentcare.model.loading import RECIPE_BASE

TEMPLATE = Path(__file__).with_name("card.md.jinja")


def write_card(folder: Path, name: str, record: dict, evaluation: dict | None, train: list[dict]) -> Path:
    """Return README.md, written into an exported folder that others find under `name`.

    `record` is the adapter's run.json; `evaluation` and `train`, for its licences, are what `read_own` returns. Where
    they are missing the card says so.
    """
    from huggingface_hub import ModelCard, ModelCardData

    kind, library, loader = "merged", "transformers", "AutoModelForCausalLM"
    if (folder / "adapter_config.json").exists():
        kind, library, loader = "adapter", "peft", "AutoPeftModelForCausalLM"
    tuned, explored = (record["notebooks"][notebook] for notebook in ("03_finetune", "02_explore_data"))
    data = ModelCardData(
        language="ko",
        # the demo's base is this project's own; of another than the recipe's, its owner has to say
        license="apache-2.0" if tuned["demo"] or tuned["base"] == RECIPE_BASE else "other",
        base_model=tuned["base"],
        library_name=library,
        pipeline_tag="text-generation",
        tags=["lora", "summarization", *["synthetic"] * tuned["synthetic"]],
    )
    card = ModelCard.from_template(
        data,
        template_str=TEMPLATE.read_text(encoding="utf-8"),
        title=f"ParentCare {record['run']}",
        kind=kind,
        usage=f'from {library} import {loader}\nmodel = {loader}.from_pretrained("{name}")',
        tuned=tuned,
        recipe=tuned["stamp"]["parameters"] | tuned["used"] | {"BASE_MODEL": tuned["base"]},
        split=explored["split"],
        data_sha256=explored["data_sha256"],
        licenses=collections.Counter(row.get("license", "not given") for row in train).most_common(),
        evaluation=evaluation,
        verdicts=VERDICTS,
    )
    return write_atomically(folder / "README.md", str(card))


def read_own(folder: Path, adapter: Path, record: dict) -> tuple[dict | None, list[dict]]:
    """Return (evaluation.json, training records) of a run's folder: None and [] where they are of another adapter.

    `record` is the adapter's run.json, which names the train.jsonl that it was trained on.
    """
    evaluation = read_json(folder / "evaluation.json", {})
    train = require(folder / "train.jsonl", "02_explore_data")
    trained_on = record["notebooks"]["03_finetune"].get("reads", {}).values()
    return (
        evaluation if evaluation.get("adapter_sha256") == sha256(adapter) else None,
        read_jsonl(train) if sha256(train) in trained_on else [],
    )
