"""The steps of a run, each from what the one before it left in the workspace."""

from pathlib import Path

from emotion.assets import find_detector_files
from emotion.faces import CaffeDetector
from emotion.preprocess import face_tensors
from emotion.records import PRECISIONS
from training.datasets import FaceDataset, load_ckplus, load_folder
from training.evaluate import metrics_of
from training.latency import latency_of
from training.predictions import write_predictions
from training.recipe import Recipe
from training.splits import SHIPPED_SEED, subject_split
from training.stages import predict_on, prediction_rows, quantize_on, train_on
from training.workspace import Evaluation, TrainedModel, Workspace


def prepare(
    pictures: Path, workspace: Workspace, detect: bool, data_dir: Path | None, *, ckplus: bool
) -> None:
    """Bring the faces of CK+, or of another dataset, into the serving pipeline, once for all."""
    detector = CaffeDetector(find_detector_files(data_dir=data_dir)) if detect else None
    load = load_ckplus if ckplus else load_folder
    load(pictures, detector).save(workspace.dataset)


def train(
    recipe: Recipe,
    workspace: Workspace,
    beside: FaceDataset | None = None,
    teachers: Workspace | None = None,
) -> None:
    """Fit, calibrate, and leave weights and log; ``beside`` and ``teachers``: see train_on."""
    dataset = FaceDataset.load(workspace.dataset)
    split = subject_split(dataset, SHIPPED_SEED)
    train_on(recipe, dataset, split, workspace, beside, teachers)


def quantize_model(model: str, workspace: Workspace) -> None:
    """Convert the trained weights to the three artifacts."""
    recipe = _trained_recipe(model, workspace)
    dataset = FaceDataset.load(workspace.dataset)
    quantize_on(recipe, dataset, subject_split(dataset, SHIPPED_SEED).train, workspace)


def evaluate(model: str, workspace: Workspace) -> Evaluation:
    """Measure the artifacts on subjects that neither trained nor chose the model."""
    recipe = _trained_recipe(model, workspace)
    dataset = FaceDataset.load(workspace.dataset)
    test = subject_split(dataset, SHIPPED_SEED).test
    labels = dataset.labels[test]
    tensors = face_tensors(dataset.faces[test], recipe.input_size)
    subjects = len(set(dataset.subjects[test].tolist()))
    protocol = f"{dataset.title}, {subjects} subjects held out from training and validation"
    answers = predict_on(recipe, dataset, test, workspace)
    contents = {p: workspace.read(workspace.artifact(model, p), "quantize") for p in PRECISIONS}
    same = {p: a.argmax(1) == answers["float32"].argmax(1) for p, a in answers.items()}
    evaluation = Evaluation(
        dataset=dataset.description,
        metrics={p: metrics_of(a, labels, protocol) for p, a in answers.items()},
        latency={p: latency_of(content, tensors) for p, content in contents.items()},
        agreement_with_float32={p: float(agrees.mean()) for p, agrees in same.items()},
    )
    workspace.evaluation(model).write_text(evaluation.model_dump_json(indent=1))
    rows = prediction_rows(dataset, test, answers, model=model, fold=0)
    write_predictions(workspace.predictions(model), rows)
    return evaluation


def _trained_recipe(model: str, workspace: Workspace) -> Recipe:
    log = TrainedModel.model_validate_json(workspace.read(workspace.log(model), "train"))
    return Recipe.model_validate(log.run.recipe)
