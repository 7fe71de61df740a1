"""The registry of metrics: what each key means, its unit and which way is better; reports and terminals read it.

A task that returns a new key adds it here; a test holds that no key is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pixelry.reports.findings import Table


@dataclass(frozen=True)
class MetricInfo:
    """What a metric is.

    Attributes:
        key: As in JSON, such as "ece".
        title: Its name in words.
        unit: "%" (the value is a share in [0, 1], shown in per cent), "dB", "nats", "bits" or "".
        higher_is_better: None where neither direction is better.
        explanation: One sentence.
    """

    key: str
    title: str
    unit: str
    higher_is_better: bool | None
    explanation: str

    @property
    def direction(self) -> str:
        """Which way is better: "higher", "lower" or ""."""
        if self.higher_is_better is None:
            return ""
        return "higher" if self.higher_is_better else "lower"


_ALL = (
    MetricInfo("images", "images", "", None, "How many images the metrics were computed on."),
    MetricInfo("loss", "loss", "", False, "What training minimizes, on the batches of the last steps."),
    MetricInfo("accuracy", "accuracy", "%", True, "Share of images whose most probable class is the true one."),
    MetricInfo(
        "balanced_accuracy",
        "balanced accuracy",
        "%",
        True,
        "Share of a class's images that is right, averaged over classes.",
    ),
    MetricInfo("top5", "top-5 accuracy", "%", True, "Share of images whose true class is among the five likeliest."),
    MetricInfo(
        "f1",
        "F1, macro average",
        "%",
        True,
        "Harmonic mean of precision and recall, averaged over classes: a rare class counts as much as a common one.",
    ),
    MetricInfo(
        "ece",
        "expected calibration error",
        "%",
        False,
        "By how much the probabilities given differ from the share that is right, on average: 0 means that of the "
        "answers given with 80 %, four in five are right.",
    ),
    MetricInfo(
        "nll_nats",
        "negative log-likelihood",
        "nats",
        False,
        "Mean of -ln of the probability given to the true class (cross-entropy): sure and wrong costs most; guessing "
        "among K classes costs ln K.",
    ),
    MetricInfo(
        "auroc",
        "area under the ROC curve",
        "",
        True,
        "Probability that a random image of the positive class scores above a random other one; 0.5 is chance. Of more "
        "than two classes the mean over each against the rest.",
    ),
    MetricInfo(
        "average_precision",
        "average precision",
        "",
        True,
        "Area under the precision-recall curve; the share of positive images is chance.",
    ),
    MetricInfo(
        "map",
        "mean average precision (COCO)",
        "",
        True,
        "Area under the precision-recall curve, averaged over classes and over IoU thresholds from 0.5 to 0.95.",
    ),
    MetricInfo(
        "map50",
        "mean average precision at IoU 0.5",
        "",
        True,
        "The same where a box counts as right from an IoU (overlap) of 0.5 with an object on.",
    ),
    MetricInfo("map75", "mean average precision at IoU 0.75", "", True, "The same at an IoU of 0.75."),
    MetricInfo("map_small", "mAP, small objects", "", True, "Of objects below 32 x 32 pixels."),
    MetricInfo("map_medium", "mAP, medium objects", "", True, "Of objects of 32 x 32 to 96 x 96 pixels."),
    MetricInfo("map_large", "mAP, large objects", "", True, "Of objects above 96 x 96 pixels."),
    MetricInfo(
        "recall",
        "average recall",
        "",
        True,
        "Share of objects that are found by at most 100 boxes an image, averaged over classes and IoU thresholds from "
        "0.5 to 0.95.",
    ),
    MetricInfo("recall_small", "average recall, small objects", "", True, "Of objects below 32 x 32 pixels."),
    MetricInfo("recall_medium", "average recall, medium objects", "", True, "Of objects of 32 x 32 to 96 x 96 pixels."),
    MetricInfo("recall_large", "average recall, large objects", "", True, "Of objects above 96 x 96 pixels."),
    MetricInfo(
        "mean_iou",
        "mean intersection over union",
        "",
        True,
        "Of the pixels that are of a class or are predicted to be, the share that is both; averaged over classes.",
    ),
    MetricInfo(
        "mean_dice",
        "mean Dice coefficient",
        "",
        True,
        "Twice the common pixels of prediction and truth over the sum of both (F1 of pixels), averaged over classes.",
    ),
    MetricInfo("pixel_accuracy", "pixel accuracy", "%", True, "Share of pixels that are right."),
    MetricInfo(
        "mean_accuracy", "mean class accuracy", "%", True, "Share of a class's pixels that is right, mean over classes."
    ),
    MetricInfo(
        "boundary_f", "boundary F1", "", True, "Agreement of the outlines of classes, within a small tolerance."
    ),
    MetricInfo(
        "psnr",
        "peak signal-to-noise ratio",
        "dB",
        True,
        "Closeness to the target: 10 log10 of 1 over the mean squared error, averaged over images; 1 dB more is a "
        "fifth less error.",
    ),
    MetricInfo(
        "ssim",
        "structural similarity",
        "",
        True,
        "Agreement of local brightness, contrast and structure with the target; 1 means equal.",
    ),
    MetricInfo("bits_per_pixel", "negative log-likelihood per pixel", "bits", False, "-log2 p(image) for each pixel."),
    MetricInfo(
        "nll_nats_given_class",
        "negative log-likelihood given the class",
        "nats",
        False,
        "Mean of -ln p(image | its class).",
    ),
    MetricInfo(
        "denoising_loss",
        "denoising loss",
        "",
        False,
        "Mean squared error of what the diffusion network predicts, at random noise levels.",
    ),
    MetricInfo(
        "bits_bound",
        "variational bound",
        "bits",
        False,
        "Upper bound on -log2 p for each value of an image (Ho et al. 2020, equation 5).",
    ),
    MetricInfo(
        "told_apart",
        "discriminator accuracy",
        "%",
        None,
        "Share of images, real and generated, that the discriminator recognizes as such; 50 % means that it cannot.",
    ),
    MetricInfo("logit_real", "discriminator on real images", "", None, "Mean output of the discriminator."),
    MetricInfo("logit_made", "discriminator on generated images", "", None, "Mean output of the discriminator."),
    MetricInfo("made", "generated images", "", None, "How many images were generated for the metrics."),
    MetricInfo(
        "frechet",
        "Fréchet distance",
        "",
        False,
        "Distance of generated from real images in the features of a classifier; real images in their place have the "
        "floor.",
    ),
    MetricInfo("kid", "kernel distance (KID)", "", False, "Squared maximum mean discrepancy of features."),
    MetricInfo("precision", "precision of samples", "%", True, "Share of generated images among real ones."),
    MetricInfo(
        "class_variation",
        "class variation",
        "",
        False,
        "Total variation distance of the class shares, generated to real.",
    ),
    MetricInfo("classes_made", "classes generated", "", True, "How many classes occur among the generated images."),
    MetricInfo(
        "class_consistency",
        "class consistency",
        "%",
        True,
        "Share of generated images that a classifier assigns to the class that was asked for.",
    ),
    MetricInfo(
        "nearest_ratio",
        "distance to training images",
        "",
        None,
        "Median distance of generated images to the nearest training image, over that of real images; far below 1 "
        "suggests copies.",
    ),
)
_OF_TASK = (
    (
        "generate",
        MetricInfo("recall", "recall of samples", "%", True, "Share of real images among generated ones."),
    ),
    (
        "generate",
        MetricInfo("nll_nats", "negative log-likelihood", "nats", False, "Mean of -ln p(image), over whole images."),
    ),
    (
        "generate",
        MetricInfo("accuracy", "accuracy", "%", True, "Share of images that are most probable under their own class."),
    ),
)
METRICS = {metric.key: metric for metric in _ALL}
TASK_METRICS = {(task, metric.key): metric for task, metric in _OF_TASK}


def find_metric(key: str, task: str = "") -> MetricInfo | None:
    """Return what a key means, None where nobody knows it.

    Bounds of intervals (`accuracy_low`), floors (`frechet_floor`), masks (`mask_map`) and the images before a
    restoration (`psnr_noisy`) follow from the metric they belong to.

    Args:
        key: Of the metric.
        task: One key may mean another thing for a task.

    Examples:
        >>> find_metric("ece").title, find_metric("accuracy_low").title, find_metric("psnr_noisy").unit
        ('expected calibration error', 'accuracy, lower bound', 'dB')
    """
    known = TASK_METRICS.get((task, key)) or METRICS.get(key)
    return known or _derived(key, task)


def _derived(key: str, task: str) -> MetricInfo | None:
    stem, _, last = key.rpartition("_")
    if key.startswith("mask_"):
        base, title, text = find_metric(key.removeprefix("mask_"), task), "{}, masks", "Of masks instead of boxes. {}"
    elif last in ("low", "high"):
        side = "lower" if last == "low" else "upper"
        base, title, text = (
            find_metric(stem, task),
            f"{{}}, {side} bound",
            f"{side.capitalize()} end of the 95 % interval.",
        )
    elif last == "floor":
        base, title = find_metric(stem, task), "{}, floor"
        text = "The same for real images in the place of the generated ones: what a perfect generator reaches."
    elif stem in ("psnr", "ssim"):
        base, title, text = METRICS[stem], f"{{}}, {last}", f"Of the {last} images, before the network."
    else:
        return None
    if base is None:
        return None
    return replace(base, key=key, title=title.format(base.title), explanation=text.format(base.explanation))


def format_metric(name: str, value: float) -> str:
    """Return a value as people read it: shares in per cent, PSNR in dB, counts with separators.

    Examples:
        >>> format_metric("accuracy", 0.9876), format_metric("psnr", 28.913), format_metric("images", 1797)
        ('98.76%', '28.91 dB', '1,797')
    """
    known = find_metric(name)
    unit = known.unit if known else ""
    if isinstance(value, int):
        return f"{value:,}"
    if unit == "%":
        return f"{value:.2%}"
    return f"{value:.2f} dB" if unit == "dB" else f"{value:.4f}"


def metrics_table(metrics: Mapping[str, float], *, task: str = "", note: str = "") -> Table:
    """Return metrics as a table that explains each: name, key, value, which way is better, and what it means.

    Args:
        metrics: Values by key.
        task: Whose metrics they are.
        note: Of the table, such as the protocol.
    """
    rows = []
    for key, value in metrics.items():
        known = find_metric(key, task)
        text = (known.title, known.direction, known.explanation) if known else (key, "", "")
        rows.append((text[0], key, format_metric(key, value), text[1], text[2]))
    return Table("Metrics", ("metric", "key", "value", "better", "meaning"), tuple(rows), note)
