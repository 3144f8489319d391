"""The tables behind two choices: what is batched, and how artifacts are held in memory."""

from benchmarks.costs import result
from docs.generate.measured import if_measured, where
from training.tables import markdown_table


def batching() -> str:
    """How many times as fast several images are in one call, artifact by artifact."""
    report = result("batching")
    ratios: dict[str, dict[int, float]] = {}
    for batch in report["batches"]:
        ratios.setdefault(batch["artifact"], {})[batch["images"]] = batch["ratio"]
    counts = next(iter(ratios.values()))
    head = ("times as fast as one by one", *(f"{count} images" for count in counts))
    rows = [(name, *(f"{ratio:.2f}" for ratio in row.values())) for name, row in ratios.items()]
    same = all(batch["same_answers"] for batch in report["batches"])
    return f"{where(report)} {_answers(same)}\n\n{markdown_table(head, rows)}"


def microbatching() -> str:
    """Faces of several requests in one call against a call for each."""
    report = result("batching")
    alone = {
        (way["artifact"], way["clients"]): way["faces_per_second"]
        for way in report["gathered"]
        if way["most"] == 1
    }
    rows = [
        (
            way["artifact"],
            str(way["clients"]),
            _taken(way["most"], way["wait_ms"]),
            f"{way['faces_per_call']:.1f}",
            f"{way['faces_per_second']:,.0f}",
            f"{way['faces_per_second'] / alone[way['artifact'], way['clients']]:.2f}",
            f"{way['p50_ms']:.1f} / {way['p99_ms']:.1f}",
        )
        for way in report["gathered"]
    ]
    head = ("artifact", "clients", "a call takes", "faces a call", "faces/s", "of one face's")
    return f"{where(report)}\n\n{markdown_table((*head, 'p50 / p99, ms'), rows)}"


def memory() -> str:
    """What every artifact takes, way by way."""
    report = result("memory")
    ways = report["ways"]
    rows = [
        (
            way["way"].replace("_", " "),
            str(way["copies"]),
            f"{way['resident']:.0f}",
            f"{way['proportional']:.0f}",
            f"{way['proportional'] / way['files']:.2f}",
            f"{way['load_cpu_seconds']:.1f}",
            f"{way['busy_cores']:.2f}" if way["copies"] > 1 else "",
        )
        for way in ways
    ]
    head = ("way", "interpreters", "resident, MB", "shared pages once, MB", "of the files")
    same = len({way["answers"] for way in ways}) == 1
    table = markdown_table((*head, "CPU to load, s", "cores of two threads"), rows)
    return f"{where(report)} {ways[0]['files']:.0f} MB of files. {_answers(same)}\n\n{table}"


def calls() -> str:
    """What a call takes, artifact by artifact and way by way."""
    report = result("memory")
    times: dict[str, dict[str, float]] = report["p50_ms"]
    ways = next(iter(times.values()))
    head = ("p50, ms", *(way.replace("_", " ") for way in ways))
    rows = [(name, *(f"{ms:.2f}" for ms in row.values())) for name, row in times.items()]
    return f"{where(report)}\n\n{markdown_table(head, rows)}"


def _answers(same: bool) -> str:
    return "The answers are the same, bit for bit." if same else "**The answers differ.**"


def _taken(most: int, wait_ms: float) -> str:
    if most == 1:
        return "one face"
    return f"up to {most}, " + (f"waits {wait_ms:g} ms" if wait_ms else "waits for none")


BLOCKS = {
    "batching": if_measured(batching, "batching"),
    "micro-batching": if_measured(microbatching, "batching"),
    "memory": if_measured(memory, "memory"),
    "calls": if_measured(calls, "memory"),
}
