"""Answers all pictures that a journal still lists."""

import os
from collections.abc import Callable, Generator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from pathlib import Path
from typing import TypeAlias

from emotion.answers import face_answer
from emotion.batch.journal import Journal, Outcome
from emotion.errors import EmotionError, name_of
from emotion.files import read_image
from emotion.results import Prediction

Predict: TypeAlias = Callable[[bytes], Prediction]
_AHEAD = 4  # pictures handed out per thread: none of them ever waits for the next


def answer_all(
    journal: Journal, folder: Path, predict: Predict, threads: int
) -> Generator[Outcome, None, None]:
    """Answer every pending file of a journal, ``threads`` at once, and record the outcomes.

    Threads rather than processes: decoding, OpenCV and LiteRT let go of Python's lock, and
    threads share one copy of the models.

    Args:
        journal: says what is pending, and is told what became of it.
        folder: what the journal's paths are relative to.
        predict: answers a file's content; safe from any thread.
        threads: how many.

    Yields:
        Each outcome, once recorded. What is being computed when the iteration is closed or
        interrupted is finished and recorded too.
    """
    pending = journal.pending()
    running: set[Future[Outcome]] = set()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="batch")
    try:
        while True:
            for path in islice(pending, _AHEAD * threads - len(running)):
                running.add(pool.submit(_answer_file, folder, path, predict))
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                journal.record(future.result())
                running.remove(future)
                yield future.result()
    except (KeyboardInterrupt, GeneratorExit):  # after an error the journal may take no more
        pool.shutdown(cancel_futures=True)
        for future in running:
            if not future.cancelled():
                journal.record(future.result())
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def read_picture(folder: Path, path: bytes) -> bytes:
    """Return a file's content; raises the errors of ``read_image``."""
    file = Path(os.fsdecode(os.path.join(os.fsencode(folder), path)))  # noqa: PTH118
    return read_image(file, pipes=False)


def answer(path: bytes, read: Callable[[], bytes], predict: Predict) -> Outcome:
    """Answer one picture, whatever is wrong with it.

    Args:
        path: what the outcome calls it.
        read: returns its content.
        predict: as for ``answer_all``.
    """
    try:
        prediction = predict(read())
    except EmotionError as error:
        return Outcome(path, None, name_of(error), str(error))
    except Exception as error:  # one picture must not end a batch of a million
        return Outcome(path, None, "internal-error", f"{type(error).__name__}: {error}")
    return Outcome(path, [face_answer(face, prediction.image) for face in prediction.faces])


def _answer_file(folder: Path, path: bytes, predict: Predict) -> Outcome:
    return answer(path, lambda: read_picture(folder, path), predict)
