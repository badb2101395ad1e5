"""Every chart. A plot function returns a Figure; only `save_figure` writes."""

import io
from itertools import accumulate
from pathlib import Path

import matplotlib
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from parentcare.manifest import write_atomically

BLUE, ORANGE, GREY = "#2a5d9f", "#d1661a", "#8a8f98"
VERDICTS = {
    "better": "나음",
    "worse": "나쁨",
    "not distinguishable": "구별되지 않음",
    "too few papers to tell": "논문이 너무 적음",
}
LEFT = {"x": 0.01, "ha": "left"}
LOSS_LABEL = "검증 손실 (nats / 응답 토큰)"
TRIAL_MARKS = (("complete", "끝남", "o", BLUE), ("pruned", "가지치기", "x", GREY), ("fail", "실패", "v", ORANGE))

font_manager.fontManager.addfont(Path(__file__).parent / "fonts" / "NanumGothic.ttf")
matplotlib.rc("font", family=["NanumGothic", "DejaVu Sans"])
matplotlib.rc("axes", unicode_minus=False, titlelocation="left", titlepad=10)
matplotlib.rc("axes.spines", top=False, right=False)
matplotlib.rc("figure.constrained_layout", use=True)
matplotlib.rc("legend", frameon=False)


def new_figure(note: str, height_inches: float) -> Figure:
    """Return a figure with `note` at the foot: whose run this is, n and seed."""
    figure = Figure(figsize=(8.0, height_inches))
    figure.supxlabel(note, **LEFT, fontsize=8, color="#555555")
    return figure


def new_axes(note: str, title: str, height_inches: float = 4.5, **settings) -> Axes:
    """Return the only axes of a new figure, with a title and what else `Axes.set` takes."""
    return new_figure(note, height_inches).add_subplot(title=title, **settings)


def save_figure(figure: Figure, path: Path, run: str, data_sha256: str, seed: int) -> Path:
    """Return `path` after writing the figure there as PNG, with run, data hash and seed in its metadata."""
    buffer = io.BytesIO()
    metadata = {"Software": None, "Run": run, "Data-SHA256": data_sha256, "Seed": str(seed)}
    figure.savefig(buffer, format="png", dpi=150, metadata=metadata)
    return write_atomically(path, buffer.getvalue())


def source_note(run: str, demo: bool, synthetic: bool, **numbers) -> str:
    """Return the foot line of a figure: the run, its numbers, and a plain warning where one is due."""
    counted = " · ".join(f"{name} {value}" for name, value in {"run": run, **numbers}.items())
    warnings = ["합성 논문"] * synthetic + ["데모 모델: 작업 흐름만 보이며 한국어 성능이 아님"] * demo
    return counted + (f" · [{' / '.join(warnings)}]" if warnings else "")


def plot_yield(papers: list[tuple[str, int]], records: list[tuple[str, int]], note: str) -> Figure:
    """Return what is left at each step from files to papers, and what became of the records."""
    figure = new_figure(note, 1.6 + 0.42 * (len(papers) + len(records)))
    figure.suptitle("논문 폴더에서 레코드까지: 단계마다 남은 수", **LEFT)
    upper, lower = figure.subplots(2, height_ratios=[len(papers), len(records)])
    for axes, steps, unit, style in (
        (upper, papers, "편", {"color": BLUE}),
        (lower, records, "건", {"color": ORANGE, "hatch": "//"}),
    ):
        words, numbers = zip(*reversed(steps), strict=True)
        bars = axes.barh(words, numbers, edgecolor="white", **style)
        axes.bar_label(bars, labels=[f"{n:,}{unit}" for n in numbers], padding=3, fontsize=9)
        axes.set_xlim(0, max(*numbers, 1) * 1.12)
    return figure


def plot_keywords(counts: list[tuple[str, int]], documents: int, note: str) -> Figure:
    """Return a bar chart of (keyword, number of documents), most frequent on top."""
    axes = new_axes(note, "논문에 자주 나온 핵심어", max(4.5, 0.27 * len(counts) + 1.2))
    words, numbers = zip(*reversed(counts), strict=True) if counts else ((), (0,))
    bars = axes.barh(words, numbers[: len(words)], color=BLUE)
    axes.bar_label(bars, labels=[f"{n} ({n / documents:.0%})" for n in numbers[: len(words)]], padding=3, fontsize=8)
    axes.set(xlabel=f"핵심어가 나온 논문 수 (전체 {documents}편)", xlim=(0, max(1, *numbers) * 1.12))
    axes.margins(y=0.01)
    return axes.figure


def plot_token_lengths(
    prompt_tokens: list[int], summary_tokens: list[int], limit: int, tokenizer: str, note: str
) -> Figure:
    """Return the distribution of prompt and prompt + summary lengths in tokens, with the limit."""
    totals = [p + s for p, s in zip(prompt_tokens, summary_tokens, strict=True)]
    over = sum(total > limit for total in totals)
    title = f"프롬프트와 요약의 길이: {len(totals)}건 가운데 {over}건을 줄여야 함"
    axes = new_axes(note, title, xlabel=f"토큰 수 ({tokenizer})", ylabel="레코드 수")
    edges = [max(totals) * i / 40 for i in range(41)]
    axes.hist(totals, bins=edges, color=BLUE, label="프롬프트 + 요약")
    axes.hist(summary_tokens, bins=edges, histtype="step", color=ORANGE, linewidth=1.8, hatch="//", label="요약")
    axes.axvline(limit, color="black", linestyle="--", linewidth=1)
    axes.annotate(f" 한도 {limit:,}", (limit, axes.get_ylim()[1] * 0.95), fontsize=9)
    axes.legend()
    return axes.figure


def smooth(values: list[float], weight: float = 0.8) -> list[float]:
    """Return the exponential moving average, corrected for its start; the first value is kept."""
    smoothed, total, norm = [], 0.0, 0.0
    for value in values:
        total, norm = weight * total + (1 - weight) * value, weight * norm + (1 - weight)
        smoothed.append(total / norm)
    return smoothed


def plot_loss(log: list[dict], note: str) -> Figure:
    """Return training loss (raw and smoothed) and validation loss over optimizer steps, from log.jsonl rows."""
    steps, losses = zip(*((row["step"], row["loss"]) for row in log if "loss" in row), strict=True)
    validation = [(row["step"], row["eval_loss"]) for row in log if "eval_loss" in row]
    labels = {"xlabel": "옵티마이저 단계 (8개 시퀀스씩)", "ylabel": "손실 (nats / 응답 토큰)"}
    axes = new_axes(note, "미세조정 손실", **labels)
    axes.plot(steps, losses, color=BLUE, alpha=0.35, linewidth=1, label="학습 손실")
    axes.plot(steps, smooth(losses), color=BLUE, linewidth=2, label="학습 손실 (지수 이동 평균 0.8)")
    if validation:
        axes.plot(*zip(*validation, strict=True), color=ORANGE, linestyle="--", marker="o", label="검증 손실")
    axes.legend()
    return axes.figure


def plot_speed(rows: list[dict], note: str) -> Figure:
    """Return non-pad tokens a second of each setting, mean and range over its blocks, with its peak memory."""
    axes = new_axes(note, "학습 속도: 옵티마이저 한 단계는 언제나 여덟 시퀀스", 1.6 + 0.42 * len(rows))
    for place, row in enumerate(reversed(rows)):
        style = {"color": BLUE} if row["setting"].startswith("ours") else {"color": GREY, "hatch": "//"}
        axes.barh(place, row["tokens_per_second"], edgecolor="white", **style)
        axes.plot([row["min"], row["max"]], [place, place], color="black", linewidth=1.2, marker="|")
        words = f"  {row['tokens_per_second']:,} ({row['peak_gib']:.1f} GiB)"
        axes.annotate(words, (max(row["max"], row["tokens_per_second"]), place), va="center", fontsize=9)
    axes.set_yticks(range(len(rows)), [row["setting"] for row in reversed(rows)], fontsize=9)
    axes.set_xlabel("초당 토큰 (패딩 제외, 검은 선은 블록들의 범위), 괄호 안은 최대 메모리")
    axes.set_xlim(0, max(row["max"] for row in rows) * 1.25)
    return axes.figure


def plot_differences(rows: list[dict], note: str) -> Figure:
    """Return the differences with their 95 % intervals: losses above, overlap scores below, zero marked."""
    losses, scores = ([r for r in rows if (r["score"] == "loss") == is_loss] for is_loss in (True, False))
    heights = [max(1, len(losses)), max(1, len(scores))]
    figure = new_figure(note, 1.8 + 0.42 * sum(heights))
    figure.suptitle("처음 보는 논문에서의 차이와 95% 구간", **LEFT)
    upper, lower = figure.subplots(2, height_ratios=heights)
    _draw_differences(upper, losses, "손실의 차이 (nats / 응답 토큰, 왼쪽이 나음)")
    _draw_differences(lower, scores, "점수의 차이 (0–1, 오른쪽이 나음)")
    return figure


def _draw_differences(axes, rows: list[dict], label: str) -> None:
    marks = {"better": ("o", BLUE), "worse": ("s", ORANGE)}
    for place, row in enumerate(reversed(rows)):
        marker, colour = marks.get(row["verdict"], ("D", GREY))
        low, high = (row["difference"] if row[end] is None else row[end] for end in ("low", "high"))
        axes.plot([low, high], [place, place], color=colour, linewidth=2)
        axes.plot(row["difference"], place, marker=marker, color=colour)
        axes.annotate(f"   {VERDICTS[row['verdict']]}", (high, place), va="center", fontsize=8, color=colour)
    names = [f"{r['score']}: {r['candidate_system']} − {r['baseline_system']}" for r in reversed(rows)]
    axes.set_yticks(range(len(rows)), names, fontsize=9)
    axes.set_xlabel(label, fontsize=9)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.axvline(0, color="black", linestyle="--", linewidth=1)
    axes.margins(x=0.25)


def plot_search_history(trials: list[dict], note: str) -> Figure:
    """Return the validation loss of each trial, the best so far, and the trials that were pruned or failed."""
    axes = new_axes(note, "설정 찾기: 시도마다의 검증 손실", xlabel="시도 번호", ylabel=LOSS_LABEL)
    complete = [t for t in trials if t["state"] == "complete"]
    best = list(accumulate((t["validation_loss"] for t in complete), min))
    axes.step([t["number"] for t in complete], best, where="post", color=BLUE, label="지금까지의 최저")
    for state, label, marker, colour in TRIAL_MARKS:
        found, bottom = [t for t in trials if t["state"] == state], axes.get_ylim()[0]
        losses = [bottom if t["validation_loss"] is None else t["validation_loss"] for t in found]
        if found:
            words = f"{label} ({len(found)})"
            axes.plot([t["number"] for t in found], losses, marker, color=colour, clip_on=False, label=words)
    _mark_recipe(axes, [(t["number"], t["validation_loss"]) for t in complete if t["recipe"]])
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend()
    return axes.figure


def _mark_recipe(axes, points: list[tuple]) -> None:
    if not points:  # the recipe's own trial failed
        return
    axes.plot(*zip(*points, strict=True), "*", color=ORANGE, markersize=14, label="레시피")


def plot_importances(importances: dict[str, dict], trials: int, note: str) -> Figure:
    """Return each setting's share in what sets the best trials apart, the largest on top, with what chance alone gives.

    `importances` has name → `importance` and `by_chance`.
    """
    title = f"설정의 중요도: 끝난 시도 {trials}개로 본 몫"
    axes = new_axes(note, title, 2.0 + 0.42 * len(importances), xlim=(0, 1.12))
    rows = sorted(importances.items(), key=lambda item: item[1]["importance"])
    for place, (_, row) in enumerate(rows):
        axes.annotate(f"   {row['importance']:.0%}", (max(row.values()), place), va="center", fontsize=9)
    axes.barh([name for name, _ in rows], [row["importance"] for _, row in rows], color=BLUE)
    chance = [row["by_chance"] for _, row in rows]
    axes.plot(chance, range(len(rows)), "|", color=ORANGE, markersize=18, markeredgewidth=2, label="우연의 95% 한계")
    axes.set_xlabel("중요도 (모두 더해 1). 손실을 뒤섞어도 주황 선까지는 나오므로, 선을 넘은 것만 뜻이 있음")
    axes.legend(loc="lower right")
    return axes.figure


def plot_slices(trials: list[dict], note: str) -> Figure:
    """Return one small chart a setting: its value against the validation loss of each complete trial."""
    trials = [t for t in trials if t["state"] == "complete"]
    names = list(trials[0]["settings"])
    rows = -(-len(names) // 3)
    figure = new_figure(note, 0.9 + 2.1 * rows)
    figure.suptitle("설정 값과 검증 손실", **LEFT)
    figure.supylabel(LOSS_LABEL, fontsize=9)
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
