"""The page of a run: what training wrote, and the same page made again from the run's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pixelry.data.dataset import Dataset
from pixelry.errors import ModelError, UsageError
from pixelry.model import Model, load_model
from pixelry.report import Report, as_sentence
from pixelry.reports.curves import TrainingLog, read_log, training_curves
from pixelry.reports.findings import Block, Findings
from pixelry.runs import CONFIG, MODEL, REPORT
from pixelry.training.evaluate import evaluate_network
from pixelry.training.fit import METRICS
from pixelry.training.fused import fused

COMPARISON = "comparison.json"
NOT_EVALUATED = (
    "Made without the data: metrics are those that the model file holds, and there are no tables or pictures of images."
)


def run_log(folder: Path, model: Model) -> TrainingLog:
    """Return what was logged in training."""
    return read_log(folder / METRICS, epochs=float(model.card.training.get("epochs", 0)))


def training_report(
    model: Model, findings: Findings, folder: Path, *, data: str, split: str, warnings: tuple[str, ...] = ()
) -> Report:
    """Return the report of a run: what was found on its validation images, its curves and its settings.

    Args:
        model: As trained.
        findings: Of the validation split.
        folder: Of the run.
        data: The data set's name.
        split: What the findings are of.
        warnings: Sentences that stand at the head of the page, beside those that the model's card has of its training.
    """
    warnings = (*(as_sentence(text) for text in model.card.training.get("warnings", ())), *warnings)
    findings = findings.and_pictures(model.task.pictures(model.network))
    curves: tuple[Block, ...] = training_curves(
        {model.card.network: run_log(folder, model)}, task=model.card.task, monitor=model.task.monitor
    )
    return Report(
        model.card.task, model.card.network, data, split, findings, run_facts(model), curves=curves, warnings=warnings
    )


def run_facts(model: Model) -> dict[str, Any]:
    """Return what a reader may want to know of a run, by name: of the model, the data and the training."""
    card = model.card
    recipe, training = card.training.get("recipe", {}), card.training
    facts = {
        "parameters": model.parameters,
        "input": f"{card.size[0]}x{card.size[1]}, {'grey' if card.channels == 1 else 'color'}",
        "data": card.data.get("source") or card.data.get("name"),
        "budget": training.get("budget"),
        "steps": training.get("steps"),
        "epochs": training.get("epochs"),
        "seconds": round(float(training.get("seconds", 0)), 1),
        "batch": recipe.get("batch"),
        "optimizer": recipe.get("optimizer"),
        "lr": recipe.get("lr"),
        "seed": training.get("seed"),
        "precision": training.get("precision"),
        "pixelry": card.versions.get("pixelry"),
    }
    return {name: value for name, value in facts.items() if value is not None}


def check_run(folder: Path) -> None:
    """Raise unless a folder holds a finished run or a comparison.

    Raises:
        UsageError: It holds neither.
        ModelError: A run was not finished.
    """
    if (folder / COMPARISON).is_file():
        return
    if not (folder / CONFIG).is_file():
        raise UsageError(
            f"{folder} holds neither a run ({CONFIG}) nor a comparison ({COMPARISON}); give the folder that "
            "`pixelry train` or `pixelry compare` printed at the end"
        )
    if not (folder / MODEL).is_file():
        raise ModelError(
            f"the run in {folder} has no {MODEL}: it did not finish. Continue it with `pixelry train --resume {folder}`"
        )


def rebuild_run(folder: Path, dataset: Dataset | None) -> Path:
    """Write the page of a run again, and return it; an earlier one is replaced.

    Args:
        folder: Of a finished run.
        dataset: What it was trained on, to evaluate the model on its validation images; None leaves that out.
    """
    model = load_model(folder)
    name = str(model.card.data.get("name", "")) if dataset is None else dataset.name
    split, findings = "val", Findings(dict(model.card.metrics))
    warnings: tuple[str, ...] = (NOT_EVALUATED,)
    if dataset is not None:
        whole = dataset.with_val(float(model.card.data.get("val_fraction", 0.1)))
        split, warnings = "val" if "val" in whole.splits else "train", ()
        images = model.fit_split(whole[split])
        evaluator = evaluate_network(fused(model.network), model.task, images)
        findings = model.task.findings(model.network, evaluator, images)
    report = training_report(model, findings, folder, data=name, split=split, warnings=warnings)
    report.save(folder / REPORT, overwrite=True)
    return folder / REPORT
