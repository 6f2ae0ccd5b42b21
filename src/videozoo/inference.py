"""Infer over a whole list: results as they come, files when all are there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from videozoo.answers import Inferred, Result, check_reject, counted_results, result_of
from videozoo.classifier import LoadedWeights
from videozoo.config import Experiment
from videozoo.data.dataset import VideoDataset
from videozoo.distributed import (
    choose_device,
    gathered,
    is_first_process,
    joined,
)
from videozoo.errors import VideozooError
from videozoo.experiments import Weights
from videozoo.files import make_folder
from videozoo.forecast import METER
from videozoo.inputs import open_trained, prepare, protocol
from videozoo.part_recipe import list_sum, recipe_of
from videozoo.parts import Parts, opened_parts, say_done
from videozoo.predict import Predictor
from videozoo.progress import progress
from videozoo.reports.results import result_size, write_predictions
from videozoo.scoring import step_size
from videozoo.shards import Listed, Shard, Span, share_out


@dataclass(frozen=True)
class Inference:
    """What an infer works with: all of it is checked.

    Attributes:
        predictor: with the weights.
        dataset: the samples.
        weights: the same, as they were loaded.
        experiment: the config.
        top_k: predictions a video.
        reject: the answer is "none of these" where the best score is below this.
        console: where to show progress.
        log_interval: batches between two lines of it.
        list_sum: of the list, see part_recipe.list_sum.
    """

    predictor: Predictor
    dataset: VideoDataset
    weights: LoadedWeights
    experiment: Experiment
    top_k: int
    reject: float | None
    console: Console
    log_interval: int
    list_sum: str

    def results(self) -> list[Result]:
        """Returns the results in the order of the list, in every process."""
        with joined(self.predictor.device):
            prepare(self.dataset, self.predictor.device, self.console)
            with progress(self.console, "infer", self.log_interval) as report:
                share = list(
                    self.predictor.results(
                        self.dataset,
                        top_k=self.top_k,
                        reject=self.reject,
                        report=report,
                        say=self._say,
                    )
                )
            pairs = [pair for one in gathered(share) for pair in one]
        return [result for _, result in sorted(pairs, key=lambda pair: pair[0])]

    def write(
        self,
        folder: Path,
        form: str,
        keep: Callable[[Result], None] | None = None,
        shard: Shard | None = None,
    ) -> Inferred:
        """Writes the result files; goes on from what an earlier run that was stopped has done.

        Args:
            folder: of the files.
            form: "json" or "csv".
            keep: told every result, in the order of the list, in the first process.
            shard: the share of the list to do; its parts stay, and no file is written. A run over
                the whole list takes those of all shards.

        Returns:
            What was found, in every process.

        Raises:
            VideozooError: another process writes these files, they cannot be written, or the
                weights give scores that are no numbers.
        """
        stem = folder / f"{self.experiment.model}_infer"
        how = protocol(self.weights, self.experiment, "INFER")
        how |= {"list_sha256": self.list_sum}
        how |= {} if self.reject is None else {"reject": self.reject}
        settings, device = self.predictor.settings, self.predictor.device
        result = stem.with_name(f"{stem.name}_result")
        more: dict[str, Any] = {
            "device": device.type,
            "labels": self.predictor.labels,
            "top_k": self.top_k,
        }
        with joined(device):
            span = Span(len(self.dataset), step_size(settings), shard)
            recipe = partial(recipe_of, self.dataset, settings=settings, protocol=how, **more)
            share_out(Listed(span, self.dataset.name))
            with opened_parts(result, recipe, span) as parts:
                left = say_done(parts, self.console)
                prepare(self.dataset, device, self.console, left)
                done = len(span.indices()) - len(left)
                with progress(
                    self.console, "infer", self.log_interval, done=done, forecast=True
                ) as report:
                    self._add_parts(parts, parts.report(report))
                parts.collect()
                found = None
                if is_first_process():
                    results = _told(parts.merged(_results_of), keep)
                    answered = self.reject is not None or self.predictor.answers
                    if shard is None:
                        found = write_predictions(
                            stem, results, form, answered=answered, protocol=how
                        )
                    else:
                        found = counted_results(results)
                written: Inferred = gathered(found)[0]
        return written

    def _add_parts(self, parts: Parts, report: Callable[[int, int], None]) -> None:
        lines: list[str] = []
        step = parts.steps_done
        for micro_batch, results in self.predictor.batches(
            self.dataset,
            top_k=self.top_k,
            reject=self.reject,
            report=report,
            say=self._say,
            steps=parts.left,
        ):
            lines += [result.as_json(index) for index, result in results]
            METER.written += sum(result_size(result) for _, result in results)
            if micro_batch.last:
                step = micro_batch.step + 1
                if parts.is_due:
                    parts.add("\n".join(lines).encode(), steps_done=step)
                    lines.clear()
        if step > parts.steps_done:
            parts.add("\n".join(lines).encode(), steps_done=step)

    def _say(self, text: str) -> None:
        self.console.print(text, highlight=False, soft_wrap=True)


def open_inference(
    paths: Sequence[str] | None,
    weights: Weights,
    experiment: Experiment,
    *,
    top_k: int,
    reject: float | None,
    save_dir: Path | None,
    form: str,
    log_interval: int,
    console: Console,
) -> Inference:
    """Opens and checks what infer needs; for the arguments see videozoo.infer.

    Raises:
        VideozooError: lists every fault found.
    """
    if form not in ("json", "csv"):
        raise VideozooError(f"form '{form}': results are written as json or csv")
    check_reject(reject)
    loaded, samples, labels = open_trained(weights, experiment, paths or None, "INFER")
    settings = experiment["INFER"]
    if save_dir is not None:
        make_folder(save_dir)
    device = choose_device(settings.use_gpu, console.print)
    predictor = Predictor(
        classifier=loaded.classifier, settings=settings, labels=labels, device=device
    )
    return Inference(
        predictor,
        samples.dataset,
        loaded,
        experiment,
        top_k,
        reject,
        console,
        log_interval,
        list_sum(None if paths else settings.filelist, samples.dataset),
    )


def _results_of(part: Path) -> Iterator[tuple[int, Result]]:
    with part.open(encoding="utf-8") as lines:
        yield from (result_of(line) for line in lines if line.strip())


def _told(results: Iterator[Result], keep: Callable[[Result], None] | None) -> Iterator[Result]:
    for result in results:
        if keep is not None:
            keep(result)
        yield result
