"""From one named run to what git keeps: images/, executed notebooks, run records, the READMEs' marked blocks."""

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from parentcare.figures import VERDICTS
from parentcare.manifest import (
    HOME,
    REPOSITORY,
    check_current,
    format_seconds,
    notebook_path,
    read_json,
    read_run,
    write_atomically,
    write_json,
)

READMES = {"ko": "README.md", "en": "README.en.md"}
KEPT_DATA = ("text/plain", "image/png")


def publish_run(run: str) -> int:
    """Return 0 after publishing the run. Raises SystemExit where it is not finished or not of this code."""
    notebooks = list(read_run(run)["notebooks"])
    for notebook in notebooks:
        state, reasons = check_current(notebook, run, _used_parameters(run, notebook))
        if state != "current":
            sys.exit(f"{notebook} of run '{run}' is {state}: {'; '.join(reasons)}. Run it first: python3 run.py")
    if not notebooks:
        sys.exit(f"run '{run}' has no finished notebook; run it first: python3 run.py --run {run}")
    folder = HOME / "outputs" / run
    for notebook in notebooks:
        copy = read_json(folder / "notebooks" / f"{notebook}.ipynb")
        if copy is None:
            sys.exit(f"the executed copy of {notebook} is missing: python3 run.py --fresh --from {notebook[:2]}")
        write_json(notebook_path(notebook), clean_notebook(read_json(notebook_path(notebook)), copy))
    for picture in sorted((folder / "images").glob("*.png")):
        shutil.copyfile(picture, REPOSITORY / "images" / picture.name)
    published = REPOSITORY / "outputs" / "published" / run
    for name in ("run.json", "evaluation.json"):
        if (folder / name).exists():
            write_atomically(published / name, (folder / name).read_bytes())
    rewrite_readmes(run)
    print(f"published run '{run}': {', '.join(notebooks)}, images/, {published.relative_to(REPOSITORY)}, both READMEs")
    return 0


def clean_notebook(source: dict, executed: dict) -> dict:
    """Return the source notebook with the executed copy's outputs: text and PNG only, counted from 1.

    Raises ValueError where the copy was made from other code cells.
    """
    outputs = {cell["id"]: cell for cell in executed["cells"] if cell["cell_type"] == "code"}
    count = 0
    for cell in source["cells"]:
        if cell["cell_type"] != "code":
            continue
        made = outputs.get(cell["id"])
        if made is None or made["source"] != cell["source"]:
            raise ValueError(f"the executed copy differs from the notebook in cell {cell['id']}; run it again")
        count += 1
        cell["execution_count"] = count
        cell["outputs"] = [kept for output in made["outputs"] if (kept := _clean_output(output, count))]
    return source


def rewrite_readmes(run: str) -> None:
    """Rewrite the marked blocks of both READMEs from the published records."""
    published = REPOSITORY / "outputs" / "published" / run
    content = read_json(published / "run.json")["notebooks"]
    content["evaluation"] = read_json(published / "evaluation.json")
    for language, name in READMES.items():
        path = REPOSITORY / name
        text = path.read_text(encoding="utf-8")
        for block, render in BLOCKS.items():
            text = replace_block(text, block, render(content, language))
        write_atomically(path, text)


def replace_block(text: str, block: str, content: str) -> str:
    """Return `text` with what stands between the block's two marks replaced. Raises ValueError without them."""
    start, end = f"<!-- {block} -->", f"<!-- /{block} -->"
    if start not in text or end not in text:
        raise ValueError(f"the README has no {start} … {end}")
    return re.sub(f"{start}.*?{end}", lambda _: f"{start}\n{content.strip()}\n{end}", text, flags=re.S)


def render_run(notebooks: dict, language: str) -> str:
    """Return whose run the charts and numbers are."""
    tuned = notebooks["03_finetune"]
    versions = tuned["stamp"]["versions"]
    numbers = {
        "run": tuned["finished"][:10],
        "device": tuned["device"],
        "minutes": format_seconds(sum(section.get("seconds", 0) for section in notebooks.values())),
        "versions": ", ".join(f"{name} {versions[name]}" for name in ("torch", "transformers", "trl", "unsloth")),
        "train": tuned["tokens"]["train"]["rows"],
        "validation": tuned["tokens"]["validation"]["rows"],
        "steps": tuned["actual"]["steps"],
        "seed": tuned["seed"],
        "base": f"{tuned['validation_loss']['base']:.3f}",
        "tuned": f"{tuned['validation_loss']['tuned']:.3f}",
    }
    texts = {
        "ko": "아래 그림과 숫자는 **데모 실행**의 것입니다: {run}, {device}, 학습 {train}건, 검증 {validation}건, "
        "{steps}단계, seed {seed}, {versions}. 검증 손실은 기반 {base} → 미세조정 {tuned} nats/응답 토큰입니다. "
        "**아주 작은 데모 모델의 값이므로 한국어 성능에 관해 아무것도 말하지 않습니다.** 모두 {minutes} 걸렸습니다.",
        "en": "The charts and numbers below are those of the **demo run**: {run}, {device}, {train} training and "
        "{validation} validation records, {steps} steps, seed {seed}, {versions}. Validation loss went from {base} "
        "(base) to {tuned} (tuned) nats a response token. **This says nothing about Korean: the demo model is tiny.** "
        "It took {minutes} in all.",
    }
    return texts[language].format(**numbers)


def render_times(notebooks: dict, language: str) -> str:
    """Return the measured time of each notebook."""
    head = {"ko": "| 노트북 | 데모에서 걸린 시간 (2코어 CPU) |", "en": "| notebook | time on the demo (2-core CPU) |"}
    timed = {name: section["seconds"] for name, section in notebooks.items() if name != "evaluation"}
    rows = [f"| {name} | {format_seconds(seconds)} |" for name, seconds in timed.items()]
    return "\n".join([head[language], "|---|---|", *rows])


def render_evaluation(notebooks: dict, language: str) -> str:
    """Return the comparisons on unseen papers, each with interval and verdict, and whose they are."""
    evaluation = notebooks["evaluation"]
    head = {
        "ko": "| 점수 | 비교 | 차이 | 95% 구간 | 판정 |",
        "en": "| score | comparison | difference | 95 % interval | verdict |",
    }
    rows = [
        f"| {row['score']} | {row['candidate_system']} − {row['baseline_system']} | {row['difference']:+.4f} | "
        f"{_interval(row)} | {VERDICTS[row['verdict']] if language == 'ko' else row['verdict']} |"
        for row in evaluation["comparisons"]
    ]
    texts = {
        "ko": "시험 논문 {papers}편, 레코드 {records}건, seed {seed}, 재표집 {draws:,}번. **데모 모델의 판정**이며 "
        "방법이 도는 것만 보입니다. control과의 차이가 본문에서 배운 것입니다. 본문과 어긋난 곳을 찾는 검사는 "
        "만든 사람이 보지 않은 문장에서 {found:.0%}를 찾았고 {doubted:.0%}를 잘못 의심했습니다.",
        "en": "{papers} test papers, {records} records, seed {seed}, {draws:,} resamplings. **Verdicts on the demo "
        "model**, which show that the method runs. What it gains over control was learnt about the text. The check "
        "for departures from the text found {found:.0%} on summaries its writer had not seen and doubted "
        "{doubted:.0%} wrongly.",
    }
    checker = evaluation["checker"]
    rates = {"found": checker["detection"]["rate"], "doubted": checker["false_alarms"]["rate"]}
    return "\n".join(
        [texts[language].format(**evaluation, **rates), "", head[language], "|---|---|---|---|---|", *rows]
    )


def _interval(row: dict) -> str:
    return "–" if row["low"] is None else f"[{row['low']:+.4f}, {row['high']:+.4f}]"


BLOCKS: dict[str, Callable[[dict, str], str]] = {
    "run": render_run,
    "times": render_times,
    "evaluation": render_evaluation,
}


def _used_parameters(run: str, notebook: str) -> dict:
    return read_run(run)["notebooks"][notebook]["stamp"]["parameters"]


def _clean_output(output: dict, count: int) -> dict | None:
    """Return the output without stderr, widgets, HTML and absolute paths; None where nothing is left."""
    output = json.loads(json.dumps(output, ensure_ascii=False).replace(f"{HOME}/", "").replace(str(Path.home()), "~"))
    if output["output_type"] == "stream":
        return output if output["name"] == "stdout" else None
    output["data"] = {kind: value for kind, value in output["data"].items() if kind in KEPT_DATA}
    output["metadata"] = {}
    if "execution_count" in output:
        output["execution_count"] = count
    return output if output["data"] else None
