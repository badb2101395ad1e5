"""The model card, Korean and English, of what run.json and evaluation.json hold; nothing in it is typed by hand."""

import collections
from pathlib import Path

from parentcare.figures import VERDICTS
from parentcare.manifest import write_atomically
from parentcare.model.loading import RECIPE_BASE

TEMPLATE = Path(__file__).with_name("card.md.jinja")


def write_card(folder: Path, name: str, record: dict, evaluation: dict | None, train: list[dict]) -> Path:
    """Return README.md, written into an exported folder that others find under `name`.

    `record` is run.json; `train` are the training records, for their licences. Results of another adapter than the
    run's are left out, and the card says that there are none.
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
        evaluation=evaluation if is_of_this_adapter(record) else None,
        verdicts=VERDICTS,
    )
    return write_atomically(folder / "README.md", str(card))


def is_of_this_adapter(record: dict) -> bool:
    """Return whether 04_evaluate measured the very adapter that 03_finetune wrote last."""
    tested = record["notebooks"].get("04_evaluate", {"reads": {}})["reads"]
    trained = record["notebooks"]["03_finetune"]["writes"]
    return any(trained[path] == tested.get(path) for path in trained if path.endswith("/adapter"))
