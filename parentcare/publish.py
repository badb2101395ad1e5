"""From one named run to what git keeps: images/, executed notebooks, run records, the READMEs' marked blocks."""

import json
import re
import shutil
import sys
from pathlib import Path

from parentcare import figures, manifest

READMES = {"ko": "README.md", "en": "README.en.md"}
KEPT_DATA = ("text/plain", "image/png")


def publish_run(run: str) -> None:
    """Publish the run. Raises SystemExit where it is not finished or not of this code."""
    folder, sections = manifest.HOME / "outputs" / run, manifest.read_run(run)["notebooks"]
    if not sections:
        sys.exit(f"run '{run}' has no finished notebook; run it first: python3 run.py --run {run}")
    for notebook, section in sections.items():
        state, reasons = manifest.check_current(notebook, run, section["stamp"]["parameters"])
        if state != "current":
            sys.exit(f"{notebook} of run '{run}' is {state}: {'; '.join(reasons)}. Run it first: python3 run.py")
    cleaned = {}
    for path in map(manifest.notebook_path, sections):
        copy = manifest.read_json(folder / path.relative_to(manifest.REPOSITORY))
        if copy is None:
            sys.exit(f"the executed copy of {path.stem} is missing: run it again with --fresh")
        cleaned[path] = clean_notebook(manifest.read_json(path), copy)
    for path, content in cleaned.items():
        manifest.write_json(path, content)
    for picture in (folder / "images").glob("*.png"):
        shutil.copyfile(picture, manifest.REPOSITORY / "images" / picture.name)
    kept = f"outputs/published/{run}"
    for name in ("run.json", "evaluation.json"):
        if (folder / name).exists():
            manifest.write_atomically(manifest.REPOSITORY / kept / name, (folder / name).read_bytes())
    rewrite_readmes(manifest.REPOSITORY / kept)
    print(f"published run '{run}': {', '.join(sections)}, images/, {kept}, both READMEs")


def clean_notebook(source: dict, executed: dict) -> dict:
    """Return the source notebook with the executed copy's outputs: text and PNG only, counted from 1.

    Raises ValueError where the copy was made from other code cells.
    """
    outputs = {cell["id"]: cell for cell in executed["cells"]}
    for count, cell in enumerate((cell for cell in source["cells"] if cell["cell_type"] == "code"), start=1):
        made = outputs.get(cell["id"])
        if made is None or made["source"] != cell["source"]:
            raise ValueError(f"the executed copy differs from the notebook in cell {cell['id']}; run it again")
        cell["execution_count"] = count
        cell["outputs"] = [kept for output in made["outputs"] if (kept := _clean_output(output, count))]
    return source


def _clean_output(output: dict, count: int) -> dict | None:
    """Return the output without stderr, widgets, HTML and absolute paths; None where nothing is left."""
    text = json.dumps(output, ensure_ascii=False)
    output = json.loads(text.replace(f"{manifest.HOME}/", "").replace(str(Path.home()), "~"))
    if output["output_type"] == "stream":
        return output if output["name"] == "stdout" else None
    output["data"] = {kind: value for kind, value in output["data"].items() if kind in KEPT_DATA}
    output["metadata"] = {}
    if "execution_count" in output:
        output["execution_count"] = count
    return output if output["data"] else None


def rewrite_readmes(published: Path) -> None:
    """Rewrite the marked blocks of both READMEs from the published records."""
    content = manifest.read_json(published / "run.json")["notebooks"]
    content["evaluation"] = manifest.read_json(published / "evaluation.json")
    for language, name in READMES.items():
        text = (manifest.REPOSITORY / name).read_text(encoding="utf-8")
        for block, render in BLOCKS.items():
            text = replace_block(text, block, render(content, language))
        manifest.write_atomically(manifest.REPOSITORY / name, text)


def replace_block(text: str, block: str, content: str) -> str:
    """Return `text` with what stands between the block's two marks replaced. Raises ValueError without them."""
    start, end = f"<!-- {block} -->", f"<!-- /{block} -->"
    text, found = re.subn(f"{start}.*?{end}", lambda _: f"{start}\n{content.strip()}\n{end}", text, flags=re.S)
    if not found:
        raise ValueError(f"the README has no {start} … {end}")
    return text


def render_run(notebooks: dict, language: str) -> str:
    """Return whose run the charts and numbers are."""
    tuned = notebooks["03_finetune"]
    versions = tuned["stamp"]["versions"]
    names = ", ".join(f"{name} {versions[name]}" for name in ("torch", "transformers", "trl", "unsloth"))
    minutes = manifest.format_seconds(sum(section.get("seconds", 0) for section in notebooks.values()))
    texts = {
        "ko": "아래 그림과 숫자는 **데모 실행**의 것입니다: {finished:.10}, {device}, 학습 {tokens[train][rows]}건, "
        "검증 {tokens[validation][rows]}건, {actual[steps]}단계, seed {seed}, {versions}. 검증 손실은 기반 "
        "{validation_loss[base]:.3f} → 미세조정 {validation_loss[tuned]:.3f} nats/응답 토큰입니다. "
        "**아주 작은 데모 모델의 값이므로 한국어 성능에 관해 아무것도 말하지 않습니다.** 모두 {minutes} 걸렸습니다.",
        "en": "The charts and numbers below are those of the **demo run**: {finished:.10}, {device}, "
        "{tokens[train][rows]} training and {tokens[validation][rows]} validation records, {actual[steps]} steps, "
        "seed {seed}, {versions}. Validation loss went from {validation_loss[base]:.3f} (base) to "
        "{validation_loss[tuned]:.3f} (tuned) nats a response token. **This says nothing about Korean: the demo model "
        "is tiny.** It took {minutes} in all.",
    }
    return texts[language].format(**tuned, versions=names, minutes=minutes)


def render_times(notebooks: dict, language: str) -> str:
    """Return the measured time of each notebook."""
    head = {"ko": "| 노트북 | 데모에서 걸린 시간 (2코어 CPU) |", "en": "| notebook | time on the demo (2-core CPU) |"}
    timed = {name: section["seconds"] for name, section in notebooks.items() if name != "evaluation"}
    rows = [f"| {name} | {manifest.format_seconds(seconds)} |" for name, seconds in timed.items()]
    return "\n".join([head[language], "|---|---|", *rows])


def render_evaluation(notebooks: dict, language: str) -> str:
    """Return the comparisons on unseen papers, each with interval and verdict, and whose they are."""
    texts = {
        "ko": "시험 논문 {papers}편, 레코드 {records}건, seed {seed}, 재표집 {draws:,}번. **데모 모델의 판정**이며 "
        "방법이 도는 것만 보입니다. control과의 차이가 본문에서 배운 것입니다. 본문과 어긋난 곳을 찾는 검사는 "
        "만든 사람이 보지 않은 문장에서 {checker[detection][rate]:.0%}를 찾았고 "
        "{checker[false_alarms][rate]:.0%}를 잘못 의심했습니다.\n\n| 점수 | 비교 | 차이 | 95% 구간 | 판정 |",
        "en": "{papers} test papers, {records} records, seed {seed}, {draws:,} resamplings. **Verdicts on the demo "
        "model**, which show that the method runs. What it gains over control was learnt about the text. The check "
        "for departures from the text found {checker[detection][rate]:.0%} on summaries its writer had not seen and "
        "doubted {checker[false_alarms][rate]:.0%} wrongly.\n\n"
        "| score | comparison | difference | 95 % interval | verdict |",
    }
    lines = [texts[language].format(**notebooks["evaluation"]), "|---|---|---|---|---|"]
    for row in notebooks["evaluation"]["comparisons"]:
        interval = "–" if row["low"] is None else f"[{row['low']:+.4f}, {row['high']:+.4f}]"
        verdict = figures.VERDICTS[row["verdict"]] if language == "ko" else row["verdict"]
        names = f"{row['candidate_system']} − {row['baseline_system']}"
        lines.append(f"| {row['score']} | {names} | {row['difference']:+.4f} | {interval} | {verdict} |")
    return "\n".join(lines)


BLOCKS = {"run": render_run, "times": render_times, "evaluation": render_evaluation}
