"""Every chart. A plot function returns a Figure; only `save_figure` writes."""

import io
from pathlib import Path

import matplotlib
from matplotlib import font_manager
from matplotlib.figure import Figure

from parentcare.manifest import write_atomically

FONT = Path(__file__).parent / "fonts" / "NanumGothic.ttf"
BLUE, ORANGE, GREY = "#2a5d9f", "#d1661a", "#8a8f98"
VERDICTS = {
    "better": "나음",
    "worse": "못함",
    "not distinguishable": "구별되지 않음",
    "too few papers to tell": "논문이 너무 적음",
}
WIDTH_INCHES, HEIGHT_INCHES, DPI = 8.0, 4.5, 150

font_manager.fontManager.addfont(FONT)
matplotlib.rcParams.update(
    {
        "font.family": ["NanumGothic", "DejaVu Sans"],
        "axes.unicode_minus": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlelocation": "left",
        "font.size": 10,
        "figure.facecolor": "white",
    }
)


def new_figure(title: str, note: str, height_inches: float = HEIGHT_INCHES):
    """Return (figure, axes) with a title, and `note` at the foot: whose run this is, n and seed."""
    figure = Figure(figsize=(WIDTH_INCHES, height_inches), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=12, fontweight="normal", pad=10)
    figure.supxlabel(note, x=0.01, ha="left", fontsize=8, color="#555555")
    return figure, axes


def save_figure(figure: Figure, path: Path, run: str, data_sha256: str, seed: int) -> Path:
    """Return `path` after writing the figure there as PNG, with run, data hash and seed in its metadata."""
    buffer = io.BytesIO()
    metadata = {"Software": None, "Run": run, "Data-SHA256": data_sha256, "Seed": str(seed)}
    figure.savefig(buffer, format="png", dpi=DPI, metadata=metadata)
    return write_atomically(path, buffer.getvalue())


def source_note(run: str, demo: bool, synthetic: bool, **numbers) -> str:
    """Return the foot line of a figure: the run, its numbers, and a plain warning where one is due."""
    counted = " · ".join(f"{name} {value}" for name, value in {"run": run, **numbers}.items())
    warnings = ["합성 논문"] * synthetic + ["데모 모델: 작업 흐름만 보이며 한국어 성능이 아님"] * demo
    return counted + (f" · [{' / '.join(warnings)}]" if warnings else "")


def plot_yield(papers: list[tuple[str, int]], records: list[tuple[str, int]], note: str) -> Figure:
    """Return what is left at each step from files to papers, and what became of the records."""
    figure = Figure(figsize=(WIDTH_INCHES, 1.6 + 0.42 * (len(papers) + len(records))), layout="constrained")
    figure.suptitle("논문 폴더에서 레코드까지: 단계마다 남은 수", x=0.01, ha="left", fontsize=12)
    figure.supxlabel(note, x=0.01, ha="left", fontsize=8, color="#555555")
    rows = zip(figure.subplots(2, height_ratios=[len(papers), len(records)]), (papers, records), strict=True)
    for (axes, steps), unit, colour in zip(rows, ("편", "건"), (BLUE, ORANGE), strict=True):
        words, numbers = zip(*reversed(steps), strict=True)
        bars = axes.barh(words, numbers, color=colour, hatch="" if colour == BLUE else "//", edgecolor="white")
        axes.bar_label(bars, labels=[f"{n:,}{unit}" for n in numbers], padding=3, fontsize=9)
        axes.set_xlim(0, max(*numbers, 1) * 1.12)
    return figure


def plot_keywords(counts: list[tuple[str, int]], documents: int, note: str) -> Figure:
    """Return a bar chart of (keyword, number of documents), most frequent on top."""
    figure, axes = new_figure("논문에 자주 나온 핵심어", note, height_inches=max(4.5, 0.27 * len(counts) + 1.2))
    words, numbers = zip(*reversed(counts), strict=True)
    bars = axes.barh(words, numbers, color=BLUE)
    axes.bar_label(bars, labels=[f"{n} ({n / documents:.0%})" for n in numbers], padding=3, fontsize=8)
    axes.set_xlabel(f"핵심어가 나온 논문 수 (전체 {documents}편)")
    axes.set_xlim(0, max(numbers) * 1.12)
    axes.margins(y=0.01)
    return figure


def plot_token_lengths(
    prompt_tokens: list[int], summary_tokens: list[int], limit: int, tokenizer: str, note: str
) -> Figure:
    """Return the distribution of prompt and prompt + summary lengths in tokens, with the limit."""
    totals = [p + s for p, s in zip(prompt_tokens, summary_tokens, strict=True)]
    over = sum(total > limit for total in totals)
    figure, axes = new_figure(f"프롬프트와 요약의 길이: {len(totals)}건 가운데 {over}건을 줄여야 함", note)
    edges = [max(totals) * i / 40 for i in range(41)]
    axes.hist(totals, bins=edges, color=BLUE, label="프롬프트 + 요약")
    axes.hist(summary_tokens, bins=edges, histtype="step", color=ORANGE, linewidth=1.8, hatch="//", label="요약")
    axes.axvline(limit, color="black", linestyle="--", linewidth=1)
    axes.annotate(f" 한도 {limit:,}", (limit, axes.get_ylim()[1] * 0.95), fontsize=9)
    axes.set_xlabel(f"토큰 수 ({tokenizer})")
    axes.set_ylabel("레코드 수")
    axes.legend(frameon=False)
    return figure


def smooth(values: list[float], weight: float = 0.8) -> list[float]:
    """Return the exponential moving average, corrected for its start; the first value is kept."""
    smoothed, total, norm = [], 0.0, 0.0
    for value in values:
        total, norm = weight * total + (1 - weight) * value, weight * norm + (1 - weight)
        smoothed.append(total / norm)
    return smoothed


def plot_loss(log: list[dict], note: str) -> Figure:
    """Return training loss (raw and smoothed) and validation loss over optimizer steps, from log.jsonl rows."""
    train = [(row["step"], row["loss"]) for row in log if "loss" in row]
    validation = [(row["step"], row["eval_loss"]) for row in log if "eval_loss" in row]
    figure, axes = new_figure("미세조정 손실", note)
    steps, losses = zip(*train, strict=True)
    axes.plot(steps, losses, color=BLUE, alpha=0.35, linewidth=1, label="학습 손실")
    axes.plot(steps, smooth(list(losses)), color=BLUE, linewidth=2, label="학습 손실 (지수 이동 평균 0.8)")
    if validation:
        axes.plot(*zip(*validation, strict=True), color=ORANGE, linestyle="--", marker="o", label="검증 손실")
    axes.set_xlabel("옵티마이저 단계 (8개 시퀀스씩)")
    axes.set_ylabel("손실 (nats / 응답 토큰)")
    axes.legend(frameon=False)
    return figure


def plot_speed(rows: list[dict], note: str) -> Figure:
    """Return non-pad tokens a second of each setting, mean and range over its blocks, with its peak memory."""
    figure, axes = new_figure("학습 속도: 옵티마이저 한 단계는 언제나 여덟 시퀀스", note, 1.6 + 0.42 * len(rows))
    for place, row in enumerate(reversed(rows)):
        ours = row["setting"].startswith("ours")
        colour = BLUE if ours else GREY
        axes.barh(place, row["tokens_per_second"], color=colour, hatch="" if ours else "//", edgecolor="white")
        axes.plot([row["min"], row["max"]], [place, place], color="black", linewidth=1.2, marker="|")
        words = f"  {row['tokens_per_second']:,} ({row['peak_gib']:.1f} GiB)"
        axes.annotate(words, (max(row["max"], row["tokens_per_second"]), place), va="center", fontsize=9)
    axes.set_yticks(range(len(rows)), [row["setting"] for row in reversed(rows)], fontsize=9)
    axes.set_xlabel("초당 토큰 (패딩 제외, 검은 선은 블록들의 범위), 괄호 안은 최대 메모리")
    axes.set_xlim(0, max(row["max"] for row in rows) * 1.25)
    return figure


def plot_differences(rows: list[dict], note: str) -> Figure:
    """Return the differences with their 95 % intervals: losses above, overlap scores below, zero marked."""
    groups = [[r for r in rows if r["score"] == "loss"], [r for r in rows if r["score"] != "loss"]]
    labels = ["손실의 차이 (nats / 응답 토큰, 왼쪽이 나음)", "점수의 차이 (0–1, 오른쪽이 나음)"]
    heights = [max(1, len(group)) for group in groups]
    figure = Figure(figsize=(WIDTH_INCHES, 1.8 + 0.42 * sum(heights)), layout="constrained")
    figure.suptitle("처음 보는 논문에서의 차이와 95% 구간", x=0.01, ha="left", fontsize=12)
    figure.supxlabel(note, x=0.01, ha="left", fontsize=8, color="#555555")
    for axes, group, label in zip(figure.subplots(2, height_ratios=heights), groups, labels, strict=True):
        _draw_differences(axes, group)
        axes.set_xlabel(label, fontsize=9)
    return figure


def _draw_differences(axes, rows: list[dict]) -> None:
    marks = {"better": ("o", BLUE), "worse": ("s", ORANGE)}
    for place, row in enumerate(reversed(rows)):
        marker, colour = marks.get(row["verdict"], ("D", GREY))
        low, high = row["low"] if row["low"] is not None else row["difference"], row["high"]
        high = row["difference"] if high is None else high
        axes.plot([low, high], [place, place], color=colour, linewidth=2)
        axes.plot(row["difference"], place, marker=marker, color=colour)
        axes.annotate(f"   {VERDICTS[row['verdict']]}", (high, place), va="center", fontsize=8, color=colour)
    names = [f"{r['score']}: {r['candidate_system']} − {r['baseline_system']}" for r in reversed(rows)]
    axes.set_yticks(range(len(rows)), names, fontsize=9)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.axvline(0, color="black", linestyle="--", linewidth=1)
    axes.margins(x=0.25)


def plot_search_history(trials: list[dict], note: str) -> Figure:
    """Return the validation loss of each trial, the best so far, and the trials that were pruned or failed."""
    figure, axes = new_figure("설정 찾기: 시도마다의 검증 손실", note)
    complete = [t for t in trials if t["state"] == "complete"]
    best = [min(t["validation_loss"] for t in complete[: i + 1]) for i in range(len(complete))]
    axes.step([t["number"] for t in complete], best, where="post", color=BLUE, label="지금까지의 최저")
    for label, marker, colour, state in (("끝남", "o", BLUE, "complete"), ("가지치기", "x", GREY, "pruned")):
        points = [(t["number"], t["validation_loss"]) for t in trials if t["state"] == state]
        if points:
            axes.plot(*zip(*points, strict=True), marker, color=colour, label=f"{label} ({len(points)})")
    failed = [t["number"] for t in trials if t["state"] == "fail"]
    if failed:
        bottom = axes.get_ylim()[0]
        axes.plot(failed, [bottom] * len(failed), "v", color=ORANGE, clip_on=False, label=f"실패 ({len(failed)})")
    _mark_recipe(axes, [(t["number"], t["validation_loss"]) for t in complete if t["recipe"]])
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("시도 번호")
    axes.set_ylabel("검증 손실 (nats / 응답 토큰)")
    axes.legend(frameon=False)
    return figure


def _mark_recipe(axes, points: list[tuple]) -> None:
    axes.plot(*zip(*points, strict=True), "*", color=ORANGE, markersize=14, label="레시피")


def plot_importances(importances: dict[str, dict], trials: int, note: str) -> Figure:
    """Return each setting's share in what sets the best trials apart, the largest on top, with what chance alone gives.

    `importances` has name → `importance` and `by_chance`.
    """
    figure, axes = new_figure(f"설정의 중요도: 끝난 시도 {trials}개로 본 몫", note, 2.0 + 0.42 * len(importances))
    rows = sorted(importances.items(), key=lambda item: item[1]["importance"])
    shares, chance = ([row[key] for _, row in rows] for key in ("importance", "by_chance"))
    axes.barh([name for name, _ in rows], shares, color=BLUE)
    for place, share in enumerate(shares):
        axes.annotate(f"   {share:.0%}", (max(share, chance[place]), place), va="center", fontsize=9)
    axes.plot(chance, range(len(rows)), "|", color=ORANGE, markersize=18, markeredgewidth=2, label="우연의 95% 한계")
    axes.set_xlabel("중요도 (모두 더해 1). 손실을 뒤섞어도 주황 선까지는 나오므로, 선을 넘은 것만 뜻이 있음")
    axes.set_xlim(0, 1.12)
    axes.legend(frameon=False, loc="lower right")
    return figure


def plot_slices(trials: list[dict], note: str) -> Figure:
    """Return one small chart a setting: its value against the validation loss of each complete trial."""
    trials = [t for t in trials if t["state"] == "complete"]
    names = list(trials[0]["settings"])
    rows = -(-len(names) // 3)
    figure = Figure(figsize=(WIDTH_INCHES, 0.9 + 2.1 * rows), layout="constrained")
    figure.suptitle("설정 값과 검증 손실", x=0.01, ha="left", fontsize=12)
    figure.supxlabel(note, x=0.01, ha="left", fontsize=8, color="#555555")
    figure.supylabel("검증 손실 (nats / 응답 토큰)", fontsize=9)
    for place, name in enumerate(names, start=1):
        axes = figure.add_subplot(rows, 3, place)
        axes.plot([t["settings"][name] for t in trials], [t["validation_loss"] for t in trials], "o", color=BLUE)
        _mark_recipe(axes, [(t["settings"][name], t["validation_loss"]) for t in trials if t["recipe"]])
        if name in ("LEARNING_RATE", "WEIGHT_DECAY"):
            axes.set_xscale("log")
            # the default writes powers of ten with a minus sign that the font lacks
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_formatter("")
        axes.set_xlabel(name, fontsize=9)
        axes.tick_params(labelsize=8)
    return figure
