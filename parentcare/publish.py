"""From one named run to what git keeps: images/, executed notebooks, run records, the READMEs' marked blocks."""

import json
import math
import re
import shutil
import sys
from pathlib import Path

from parentcare import figures, manifest

READMES = {"ko": "README.md", "en": "README.en.md"}
KEPT_DATA = ("text/plain", "image/png")


def publish_run(run: str) -> None:
    """Publish the run. Raises SystemExit, before anything is written, where it is not finished or not of this code."""
    folder, sections = manifest.HOME / "outputs" / run, manifest.read_run(run)["notebooks"]
    if not sections:
        sys.exit(f"run '{run}' has no finished notebook; run it first: python3 run.py --run {run}")
    if missing := [name for name in ("03_finetune", "04_evaluate") if name not in sections]:
        sys.exit(f"run '{run}' has no finished {' and '.join(missing)}; run it first: python3 run.py --run {run}")
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
    texts = render_readmes(sections | {"evaluation": manifest.read_json(folder / "evaluation.json")})
    for path, content in cleaned.items():
        manifest.write_json(path, content)
    for picture in (folder / "images").glob("*.png"):
        shutil.copyfile(picture, manifest.REPOSITORY / "images" / picture.name)
    kept = f"outputs/published/{run}"
    # without what was given on command lines, an address to harvest with perhaps
    told = {name: value for name, value in manifest.read_run(run).items() if name != "set"}
    manifest.write_json(manifest.REPOSITORY / kept / "run.json", told)
    if (folder / "evaluation.json").exists():
        evaluation = (folder / "evaluation.json").read_bytes()
        manifest.write_atomically(manifest.REPOSITORY / kept / "evaluation.json", evaluation)
    for path, text in texts.items():
        manifest.write_atomically(path, text)
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


def render_readmes(content: dict) -> dict[Path, str]:
    """Return path → text of both READMEs with their marked blocks from the run's sections and `evaluation`."""
    texts = {}
    for language, name in READMES.items():
        text = (manifest.REPOSITORY / name).read_text(encoding="utf-8")
        for block, render in BLOCKS.items():
            text = replace_block(text, block, render(content, language))
        texts[manifest.REPOSITORY / name] = text
    return texts


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
        "ko": "아래 그림과 숫자는 **{whose}**의 것입니다: {finished:.10}, {device}, 학습 {tokens[train][rows]}건, "
        "검증 {tokens[validation][rows]}건, {actual[steps]}단계, seed {seed}, {versions}. 검증 손실은 기반 "
        "{validation_loss[base]:.3f} → 미세조정 {validation_loss[tuned]:.3f} nats/응답 토큰입니다. "
        "{warning}모두 {minutes} 걸렸습니다.",
        "en": "The charts and numbers below are those of the **{whose}**: {finished:.10}, {device}, "
        "{tokens[train][rows]} training and {tokens[validation][rows]} validation records, {actual[steps]} steps, "
        "seed {seed}, {versions}. Validation loss went from {validation_loss[base]:.3f} (base) to "
        "{validation_loss[tuned]:.3f} (tuned) nats a response token. {warning}It took {minutes} in all.",
    }
    whose = {"ko": f"{tuned['base']} 미세조정", "en": f"fine-tuning of {tuned['base']}"}
    if tuned["demo"]:
        whose = {"ko": "데모 실행", "en": "demo run"}
    own = {"whose": whose[language], "warning": _warn(tuned)[language], "versions": names, "minutes": minutes}
    return texts[language].format(**tuned, **own)


def _warn(tuned: dict) -> dict[str, str]:
    """Return language → what the numbers do not say, nothing for a real model on real papers."""
    if tuned["demo"]:
        return {
            "ko": "**아주 작은 데모 모델의 값이므로 한국어 성능에 관해 아무것도 말하지 않습니다.** ",
            "en": "**This says nothing about Korean: the demo model is tiny.** ",
        }
    if tuned["synthetic"]:
        return {
            "ko": "**합성 논문의 값이므로 실제 논문에 관해 아무것도 말하지 않습니다.** ",
            "en": "**This says nothing about real papers: these are synthetic.** ",
        }
    return {"ko": "", "en": ""}


def render_times(notebooks: dict, language: str) -> str:
    """Return the measured time of each notebook."""
    tuned = notebooks["03_finetune"]
    demo, device = tuned["demo"], tuned["device"]
    # the demo is published from two cores, as the notebooks say
    cpu = {"ko": "2코어 CPU", "en": "2-core CPU"}[language] if demo else "CPU"
    device = cpu if device == "cpu" else device
    head = {
        "ko": f"| 노트북 | {'데모에서 ' * demo}걸린 시간 ({device}) |",
        "en": f"| notebook | time{' on the demo' * demo} ({device}) |",
    }
    timed = {name: section["seconds"] for name, section in notebooks.items() if name != "evaluation"}
    rows = [f"| {name} | {manifest.format_seconds(seconds)} |" for name, seconds in timed.items()]
    return "\n".join([head[language], "|---|---|", *rows])


def render_evaluation(notebooks: dict, language: str) -> str:
    """Return the comparisons on unseen papers, each with interval and verdict, and whose they are."""
    evaluation = notebooks["evaluation"]
    demo = {
        "ko": "**데모 모델의 판정**이며 방법이 도는 것만 보입니다. control과의 차이가 본문에서 배운 것입니다. ",
        "en": "**Verdicts on the demo model**, which show that the method runs. What it gains over control was learnt "
        "about the text. ",
    }
    texts = {
        "ko": "시험 논문 {papers}편, 레코드 {records}건, seed {seed}, 재표집 {draws:,}번. {whose}구간과 부호 뒤집기 "
        "검정이 모두 0을 벗어나야 판정합니다. 본문과 어긋난 곳을 찾는 검사는 만든 사람이 보지 않은 요약에서 "
        "{checker[detection][rate]:.0%}를 찾았고 {checker[false_alarms][rate]:.0%}를 잘못 의심했습니다.\n\n"
        "| 점수 | 비교 | 차이 | 95% 구간 | 판정 |",
        "en": "{papers} test papers, {records} records, seed {seed}, {draws:,} resamplings. {whose}A verdict needs "
        "both the interval and the sign-flip test to exclude 0. The check for departures from the text found "
        "{checker[detection][rate]:.0%} on summaries its writer had not seen and doubted "
        "{checker[false_alarms][rate]:.0%} wrongly.\n\n| score | comparison | difference | 95 % interval | verdict |",
    }
    whose = demo[language] if evaluation["demo"] else ""
    lines = [texts[language].format(**evaluation, whose=whose), "|---|---|---|---|---|"]
    return "\n".join([*lines, *(_comparison_row(row, language) for row in evaluation["comparisons"])])


def _comparison_row(row: dict, language: str) -> str:
    """Return one comparison as a row, with four decimals, or up to six where an end would otherwise read as 0."""
    ends = [row["low"], row["high"]]
    smallest = min((abs(value) for value in (row["difference"], *ends) if value), default=1)
    places = min(6, max(4, math.ceil(-math.log10(smallest))))
    interval = "–" if None in ends else f"[{ends[0]:+.{places}f}, {ends[1]:+.{places}f}]"
    verdict = figures.VERDICTS[row["verdict"]] if language == "ko" else row["verdict"]
    names = f"{row['candidate_system']} − {row['baseline_system']}"
    return f"| {row['score']} | {names} | {row['difference']:+.{places}f} | {interval} | {verdict} |"


BLOCKS = {"run": render_run, "times": render_times, "evaluation": render_evaluation}
