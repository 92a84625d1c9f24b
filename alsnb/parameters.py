"""Every parameter of a run, typed, validated and documented in one place.

One flat set of names serves the profiles in ``params/``, ``alsnb run --set``, the
notebooks' parameter cells and ``papermill -p`` alike. The defaults are the demo profile.
"""

from __future__ import annotations

import ast
import difflib
import json
import re
from collections.abc import Iterable, Mapping, MutableMapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from alsnb import plugins
from alsnb.errors import ParameterError

#: First line of the cell in which papermill puts the parameters it is given.
INJECTED = "# Parameters"
#: Numbers that YAML 1.1 takes for text: 1e-3 and 1e3.
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)[eE][+-]?\d+")

#: Characters of a group's name at most, and those that pages would take for markup.
LONGEST_NAME, MARKUP = 60, "<>`|"

Classifier = Literal[
    "svm_linear", "svm_poly", "svm_rbf", "svm_sigmoid", "knn", "rf", "dnn_t", "dnn_v"
]
Representation = Literal["radiomics", "dl7", "dl8"]
Tuned = Literal["svm_linear", "svm_poly", "svm_rbf", "svm_sigmoid", "knn", "rf"]
# A classifier or representation that a plugin registers.
Own = Annotated[str, Field(pattern=f"^{plugins.NAME.pattern}$")]
Folds = Annotated[int, Field(ge=2, le=20)]
Loss = Annotated[float, Field(gt=0, le=1)]
People = Annotated[int, Field(ge=38, le=100_000)]
Confound = Literal["age", "sex", "head_size", "site", "acquisition", "quality", "columns"]


def _field(default: Any, meaning: str, section: str, unit: str = "", **limits: Any) -> Any:
    return Field(
        default, description=meaning, json_schema_extra={"section": section, "unit": unit}, **limits
    )


class Parameters(BaseModel):
    """The parameters of one run; see ``book/parameters.md`` for the generated reference."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    # One line a parameter reads as the table it is.
    # fmt: off
    # Run
    run_dir: str = _field("", "Folder of the run; empty: runs/demo of the project", "Run")
    profile: str = _field("demo", "Name shown in the banner of every page", "Run")
    seed: int = _field(42, "Seed of folds, SMOTE, networks and the simulation", "Run", ge=0, le=2**31 - 1)
    n_jobs: int = _field(-1, "Worker processes; -1: one per core; 1: everything in one process", "Run", ge=-1, le=1024)
    scheduler: str = _field("", "Dask cluster to work on: tcp://host:port or a path to its scheduler file; empty: this machine", "Run")
    store: str = _field("", "Folder of records that runs may share; empty: store in run_dir", "Run")

    # Networks
    device: Literal["cpu", "cuda", "auto"] = _field("cpu", "Where the brain mask's and the deep features' networks run; auto: a GPU where there is one", "Networks")
    precision: Literal["full", "reduced"] = _field("full", "Their numbers: 32-bit floats, or bfloat16, which is faster and less exact", "Networks")

    # Cohort
    bids_root: str = _field("", "BIDS folder of real scans; empty: the simulated cohort", "Cohort")
    id_column: str = _field("participant_id", "Column of participants.tsv with the BIDS subject", "Cohort", min_length=1)
    age_column: str = _field("age", "Column with age in years; empty: no age", "Cohort")
    sex_column: str = _field("sex", "Column with sex; empty: no sex", "Cohort")
    group_column: str = _field("group", "Column with the diagnosis", "Cohort", min_length=1)
    positive_label: str = _field("ALS", "Label in group_column of the positive class", "Cohort", min_length=1)
    negative_label: str = _field("mimic", "Label in group_column of the negative class", "Cohort", min_length=1)
    positive_name: str = _field("", "Positive class as shown in the book; empty: its label", "Cohort")
    negative_name: str = _field("", "Negative class as shown in the book; empty: its label", "Cohort")
    male_label: str = _field("M", "Label of men in sex_column", "Cohort")
    female_label: str = _field("F", "Label of women in sex_column", "Cohort")
    session: str = _field("", "Session to take when a subject has several (ses-01 or 01)", "Cohort")
    acquisition: str = _field("", "Value of the acq- entity to take when there are several", "Cohort")
    run: str = _field("", "Value of the run- entity to take when there are several", "Cohort")
    require_scan: bool = _field(True, "Exclude participants without a usable T1w scan", "Cohort")

    # Simulated cohort
    n_subjects: int = _field(120, "Subjects to simulate, in the paper's proportions", "Simulated cohort", ge=8, le=100_000)
    voxel_mm: float = _field(2.0, "Voxel size of simulated scans", "Simulated cohort", "mm", ge=0.8, le=8)
    precentral_loss: float = _field(0.25, "Mean fraction of precentral grey matter that ALS patients lost", "Simulated cohort", "fraction", ge=0, le=1)
    precentral_loss_sd: float = _field(0.10, "Its standard deviation between patients; nothing is planted where the mean is 0", "Simulated cohort", "fraction", ge=0, le=1)
    cst_signal_change: float = _field(0.05, "Mean fraction of white-matter signal lost along the corticospinal tract", "Simulated cohort", "fraction", ge=0, le=1)
    cst_signal_change_sd: float = _field(0.02, "Its standard deviation between patients", "Simulated cohort", "fraction", ge=0, le=1)
    cortical_loss: float = _field(0.0, "Mean fraction of all cortical grey matter that ALS patients lost", "Simulated cohort", "fraction", ge=0, le=1)
    cortical_loss_sd: float = _field(0.0, "Its standard deviation between patients", "Simulated cohort", "fraction", ge=0, le=1)

    # Intensities
    histogram_bin_width: float = _field(5.0, "Width of an intensity bin", "Intensities", "grey values of the scan", gt=0)

    # Brain extraction
    mask: Literal["auto", "deepbrain", "given", "nonzero"] = _field("auto", "How the brain is found: given if there is one, nonzero if the scan is brain-extracted, DeepBrain otherwise", "Brain extraction")
    mask_threshold: float = _field(0.5, "Probability above which DeepBrain's voxel is brain", "Brain extraction", "probability", gt=0, lt=1)
    mask_root: str = _field("", "BIDS derivatives folder with *_desc-brain_mask.nii.gz; empty: bids_root/derivatives", "Brain extraction")

    # Quality
    exclude_flagged: bool = _field(False, "Leave out of all features the scans that quality control flags; they are listed with the reason", "Quality")
    quality_limit: float = _field(3.5, "Modified z-score from which a quality number stands out of its cohort", "Quality", gt=0, le=100)

    # Radiomics
    radiomics_normalize: bool = _field(True, "Z-score the scan before the features are computed", "Radiomics")
    radiomics_resample_mm: float = _field(0.0, "Isotropic voxel size to resample to; 0: as stored", "Radiomics", "mm", ge=0, le=10)
    radiomics_bin_count: int = _field(32, "Grey levels of the texture matrices", "Radiomics", "levels", ge=2, le=1024)
    radiomics_minimum_voxels: int = _field(100, "Mask check: a brain of fewer voxels is not measured", "Radiomics", "voxels", ge=2)
    radiomics_engine: Literal["fast", "pyradiomics"] = _field("fast", "fast: PyRadiomics' formulas on compiled counts, the same values", "Radiomics")

    # Deep features
    weights: str = _field("simulated", "Weights of the 3D-CNN: simulated (shipped), adnet (the authors', downloaded) or a file", "Deep features", min_length=1)
    batch_norm: Literal["running", "batch"] = _field("running", "Batch norm in evaluation mode, or with each scan's own statistics as the released script does", "Deep features")
    orientation: str = _field("auto", "Axis order given to the network: auto (what its weights were trained on), as_stored, PIR, ...", "Deep features", min_length=1)

    # Classification
    protocol: Literal["published", "released", "nested"] = _field("published", "Evaluation protocol", "Classification")
    representations: list[Representation | Own] = _field(["radiomics", "dl7", "dl8"], "Image representations to classify", "Classification", min_length=1)
    classifiers: list[Classifier | Own] = _field(["svm_linear", "svm_poly", "svm_rbf", "svm_sigmoid", "knn", "rf", "dnn_t", "dnn_v"], "Classifiers to run", "Classification", min_length=1)
    n_folds: int = _field(3, "Folds of the evaluation", "Classification", ge=2, le=20)
    smote_k: int = _field(5, "SMOTE's nearest neighbours; lowered, and said so, where the minority class is too small", "Classification", ge=1, le=50)
    dnn_trials: int = _field(5, "Trials of each network with other initial weights", "Classification", ge=1, le=100)
    dnn_epochs: int = _field(200, "Most epochs a network trains", "Classification", ge=1, le=10_000)

    # From text to code
    switch: str = _field("", "Switch to turn on this run's own cohort, name=value (tuning_score=accuracy); empty: none", "From text to code")
    switch_subjects: int = _field(120, "Subjects of each cohort simulated to measure the switches on", "From text to code", ge=36, le=100_000)
    switch_voxel_mm: float = _field(4.0, "Voxel size of their scans", "From text to code", "mm", ge=0.8, le=8)
    switch_precentral_loss: float = _field(0.6, "Mean fraction of precentral grey matter lost in the one with an effect", "From text to code", "fraction", ge=0, le=1)
    switch_precentral_loss_sd: float = _field(0.1, "Its standard deviation between patients", "From text to code", "fraction", ge=0, le=1)
    switch_cortical_loss: float = _field(0.15, "Mean fraction of all cortical grey matter lost in it", "From text to code", "fraction", ge=0, le=1)
    switch_cortical_loss_sd: float = _field(0.05, "Its standard deviation between patients", "From text to code", "fraction", ge=0, le=1)
    switch_representations: list[Representation] = _field(["radiomics"], "Representations to measure the switches on", "From text to code", min_length=1)
    switch_classifiers: list[Classifier] = _field(["svm_linear", "svm_poly", "svm_rbf", "dnn_t"], "Classifiers to measure the switches on", "From text to code", min_length=1)
    switch_seeds: int = _field(1, "Seeds of folds, SMOTE and estimators to average the switches' scores over", "From text to code", ge=1, le=100)
    switch_trials: int = _field(2, "Trials of each network there", "From text to code", ge=1, le=100)
    switch_draws: int = _field(1000, "Bootstrap draws of subjects behind the intervals there", "From text to code", ge=100, le=100_000)

    # Honest evaluation
    primary_permutations: int = _field(999, "Permutations of the primary test, whose ridge classifier makes them cheap", "Honest evaluation", ge=99, le=1_000_000)
    useful_auc: float = _field(0.75, "Smallest AUC worth finding: where a cohort could miss it, the verdict is that one cannot tell", "Honest evaluation", "AUC", gt=0.5, lt=1)
    n_permutations: int = _field(99, "Most permutations of each test with the whole nested procedure inside", "Honest evaluation", ge=19, le=1_000_000)
    permutation_stop: int = _field(5, "Permuted scores as large as the true one after which a test stops; 0: never", "Honest evaluation", ge=0, le=1000)
    permutation_classifiers: list[Classifier] = _field(["svm_linear"], "Classifiers to test by permutation", "Honest evaluation", min_length=1)
    honest_seeds: int = _field(5, "Splits into folds, the run's own among them, to repeat the nested protocol on", "Honest evaluation", ge=1, le=1000)
    honest_classifiers: list[Classifier] = _field(["svm_linear", "knn"], "Classifiers to repeat it for", "Honest evaluation", min_length=1)
    honest_draws: int = _field(1000, "Bootstrap draws of subjects behind the intervals", "Honest evaluation", ge=100, le=100_000)

    # Controls
    null_cohorts: int = _field(200, "Null cohorts of each kind that the primary test is run on, and that pairs of models are compared on", "Controls", ge=20, le=100_000)
    null_permutations: int = _field(199, "Permutations of each of these tests", "Controls", ge=19, le=100_000)
    null_protocol_cohorts: int = _field(6, "Null cohorts of each kind that the three protocols are run on", "Controls", ge=2, le=10_000)
    null_classifiers: list[Classifier] = _field(["svm_poly", "svm_rbf"], "Classifiers run on them", "Controls", min_length=1)
    null_representation: Representation = _field("radiomics", "Representation that null cohorts are made from", "Controls")
    null_effect: float = _field(1.0, "Shift along the first principal component in cohorts with a known effect", "Controls", "standard deviations", ge=0, le=10)
    power_people: int = _field(80, "People simulated as scans to learn how features vary and what a loss does to them; 0: no power study", "Controls", ge=0, le=100_000)
    power_paired: int = _field(24, "How many of them are simulated with each loss too", "Controls", ge=8, le=100_000)
    power_voxel_mm: float = _field(4.0, "Voxel size of their scans", "Controls", "mm", ge=0.8, le=8)
    power_focal: list[Loss] = _field([0.3, 0.6], "Fractions of precentral grey matter lost; curves pass half-way between too", "Controls", min_length=1)
    power_diffuse: list[Loss] = _field([0.05, 0.15], "Fractions of all cortical grey matter lost", "Controls", min_length=1)
    power_representations: list[Representation] = _field(["radiomics", "dl7", "dl8"], "Representations to draw power curves for; the best AUC possible is given for all", "Controls", min_length=1)
    power_sizes: list[People] = _field([120, 654], "People of a cohort, in the paper's proportions", "Controls", min_length=1)
    power_draws: int = _field(30, "Cohorts drawn for each loss and size", "Controls", ge=10, le=100_000)
    power_permutations: int = _field(99, "Permutations of each of their tests", "Controls", ge=19, le=100_000)

    # Usefulness
    usefulness_representations: list[Representation] = _field(["radiomics", "dl7"], "Representations whose probabilities are looked at", "Usefulness", min_length=1)
    usefulness_classifiers: list[Classifier] = _field(["svm_linear", "rf"], "Classifiers whose probabilities are looked at; networks are trained once", "Usefulness", min_length=1)
    usefulness_bins: int = _field(5, "Most bins of a reliability curve", "Usefulness", ge=2, le=100)
    usefulness_bin_people: int = _field(10, "Fewest people in a bin; smaller ones are merged", "Usefulness", "people", ge=5, le=10_000)
    usefulness_cost_ratio: float = _field(2.0, "Cost of a missed positive, in false alarms", "Usefulness", "false alarms", gt=0, le=1000)
    usefulness_draws: int = _field(1000, "Bootstrap draws of people behind the intervals there", "Usefulness", ge=100, le=100_000)

    # Choices
    spec_representations: list[Representation] = _field(["radiomics", "dl7", "dl8"], "Representations of the specification curve", "Choices", min_length=1)
    spec_classifiers: list[Tuned] = _field(["svm_linear", "knn"], "Its classifiers; networks have no grid and so no tuning score to vary", "Choices", min_length=1)
    spec_folds: list[Folds] = _field([3, 5], "Its numbers of folds; those that the smaller class doesn't allow are left out", "Choices", min_length=1)
    spec_seeds: int = _field(2, "Its seeds, the run's own first", "Choices", ge=1, le=1000)
    spec_shuffles: int = _field(19, "Sets of shuffled labels on which it is repeated, each with one seed and number of folds", "Choices", ge=0, le=10_000)

    # Confounds
    confound_columns: list[str] = _field([], "More columns of participants.tsv to look at as confounds; site and scanner are found by themselves", "Confounds")
    confound_removed: list[Confound] = _field(["age", "sex", "head_size"], "Confounds to regress out of the features within each training fold", "Confounds", min_length=1)
    confound_classifiers: list[Tuned] = _field(["svm_linear", "svm_sigmoid", "knn"], "Classifiers to run with and without them", "Confounds", min_length=1)
    confound_permutations: int = _field(300, "Permutations of each confound test", "Confounds", ge=100, le=1_000_000)

    # Extensions
    plugins: list[str] = _field([], "Python files that register classifiers and representations of one's own", "Extensions")

    # Privacy
    minimum_cell: int = _field(10, "Smallest count of people that a page of a real cohort, or a stratum of the confounds, may show; fewest between two exact thresholds of a real cohort's calculator", "Privacy", "people", ge=1, le=1000)
    # fmt: on

    @model_validator(mode="after")
    def _consistent(self) -> Parameters:
        if self.n_jobs == 0:
            raise ValueError("n_jobs is 0; give a number of processes, or -1 for one per core")
        if self.scheduler and self.n_jobs == 1:
            raise ValueError("n_jobs is 1, so nothing would go to the scheduler; give n_jobs=-1")
        if "://" in self.bids_root:
            raise ValueError("bids_root is a URL; give a folder, mounted where workers see it too")
        if self.positive_label == self.negative_label:
            raise ValueError(f"positive_label and negative_label are both {self.positive_label!r}")
        for name, value in self:
            if isinstance(value, str) and any("\ud800" <= c <= "\udfff" for c in value):
                raise ValueError(
                    f"{name} {value!r} holds bytes that are no UTF-8; rename what it names"
                )
        if self.sex_column and self.male_label == self.female_label:
            raise ValueError(f"male_label and female_label are both {self.male_label!r}")
        names = [
            (shown, getattr(self, shown) or getattr(self, shown.replace("name", "label")))
            for shown in ("positive_name", "negative_name")
        ]
        if names[0][1] == names[1][1]:
            raise ValueError(f"both groups would be shown as {names[0][1]!r}; set positive_name")
        for shown, text in names:
            if len(text) > LONGEST_NAME or not text.isprintable() or set(text) & set(MARKUP):
                raise ValueError(
                    f"a group would be shown as {text[:80]!r}; set {shown} to at most "
                    f"{LONGEST_NAME} characters on one line, without {' '.join(MARKUP)}"
                )
        if len(set(self.classifiers)) < len(self.classifiers):
            raise ValueError("classifiers names one twice")
        if len(set(self.representations)) < len(self.representations):
            raise ValueError("representations names one twice")
        if not self.plugins:  # else checked where they are loaded
            plugins.check_names("classifiers", self.classifiers, (), get_args(Classifier))
            plugins.check_names(
                "representations", self.representations, (), get_args(Representation)
            )
        return self

    @property
    def simulated(self) -> bool:
        """Whether the run is on the simulated cohort."""
        return not self.bids_root

    @property
    def hidden_below(self) -> int:
        """Counts of people below this are hidden; 0 for a simulated cohort, which has nobody."""
        return 0 if self.simulated else self.minimum_cell

    def subset(self, *sections: str) -> dict[str, Any]:
        """Parameters of some sections, for hashes of what depends on them.

        Parameters
        ----------
        *sections : str
            Sections such as ``"Radiomics"``.

        Returns
        -------
        dict
            Name to value.
        """
        return {n: getattr(self, n) for n in type(self).model_fields if section_of(n) in sections}


def section_of(name: str) -> str:
    """Section of the reference in which a parameter stands.

    Parameters
    ----------
    name : str
        A parameter.

    Returns
    -------
    str
        For instance ``"Cohort"``.
    """
    return str(_extra(name)["section"])


def unit_of(name: str) -> str:
    """Give the unit of a parameter.

    Parameters
    ----------
    name : str
        A parameter.

    Returns
    -------
    str
        For instance ``"mm"``; empty for none.
    """
    return str(_extra(name)["unit"])


def _extra(name: str) -> dict[str, Any]:
    extra = Parameters.model_fields[name].json_schema_extra
    assert isinstance(extra, dict)
    return extra


def validate(values: Mapping[str, Any], source: str = "") -> Parameters:
    """Make parameters of plain values.

    Parameters
    ----------
    values : mapping
        Name to value; names left out take the demo profile's value.
    source : str, default ""
        Where the values come from, named in the error.

    Returns
    -------
    alsnb.parameters.Parameters
        Frozen and validated.

    Raises
    ------
    ParameterError
        Naming every unknown name with the nearest valid one, every wrong type and every
        value out of range, all at once.
    """
    known = list(Parameters.model_fields)
    problems = []
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.4)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            problems.append(f"unknown parameter {name!r}{hint}")
    clean = {n: _plain(n, v) for n, v in values.items() if n in known}
    try:
        parameters = Parameters.model_validate(clean)
    except ValidationError as error:
        for item in error.errors():
            name = ".".join(str(part) for part in item["loc"])
            got = "" if not name else f" (got {item['input']!r})"
            message = item["msg"].removeprefix("Value error, ")
            problems.append(f"{name + ': ' if name else ''}{message}{got}")
    if problems:
        where = f"{source}: " if source else ""
        raise ParameterError(where + "; ".join(problems))
    if parameters.plugins:
        plugins.use(parameters.plugins)
        own = plugins.registered(parameters.plugins)
        paper = get_args(Classifier), get_args(Representation)
        plugins.check_names("classifiers", parameters.classifiers, own[0], paper[0])
        plugins.check_names("representations", parameters.representations, own[1], paper[1])
    return parameters


def _plain(name: str, value: Any) -> Any:
    """Accept what YAML and shells write for a value: 2 for 2.0, 1e-3, null for an empty text."""
    annotation = Parameters.model_fields[name].annotation
    if annotation is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if annotation is str and value is None:
        return ""
    if annotation is str and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if annotation is float and isinstance(value, str) and NUMBER.fullmatch(value):
        return float(value)
    if get_origin(annotation) is list and isinstance(value, str | int | float):
        # `papermill -p` gives one of a list as it is, and a whole list as its text.
        try:
            written = yaml.safe_load(value) if isinstance(value, str) else value
        except yaml.YAMLError:
            written = value
        return written if isinstance(written, list) else [value]
    return list(value) if isinstance(value, tuple) else value


def parse_assignments(items: Iterable[str]) -> dict[str, Any]:
    """Read ``key=value`` texts of the command line.

    Parameters
    ----------
    items : iterable of str
        ``"n_subjects=60"``; the value is read as YAML unless the parameter is a text.

    Returns
    -------
    dict
        Name to value.

    Raises
    ------
    ParameterError
        When an item has no ``=`` or its value is not YAML.
    """
    values: dict[str, Any] = {}
    for item in items:
        name, sign, text = item.partition("=")
        if not sign:
            raise ParameterError(f"{item!r} is not key=value")
        field = Parameters.model_fields.get(name)
        if field is not None and field.annotation is str:
            values[name] = text
            continue
        try:
            values[name] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ParameterError(f"{name}: {text!r} is not a value ({error})") from error
    return values


def load_profile(profile: str | Path, folder: Path) -> dict[str, Any]:
    """Read a profile: a name in ``params/`` or a YAML file of one's own.

    Parameters
    ----------
    profile : str or pathlib.Path
        ``"demo"``, ``"paper"``, ``"bids"`` or a path ending in .yaml or .yml.
    folder : pathlib.Path
        The folder with the named profiles.

    Returns
    -------
    dict
        Name to value, not yet validated.

    Raises
    ------
    ParameterError
        When there is no such profile or it is no flat YAML mapping.
    """
    path = Path(profile)
    if path.suffix not in {".yaml", ".yml"}:
        path = folder / f"{profile}.yaml"
    if not path.is_file():
        names = sorted(p.stem for p in folder.glob("*.yaml"))
        raise ParameterError(f"no profile {profile}: give one of {names} or a .yaml file")
    try:
        text = path.read_text(encoding="utf-8")
        values = yaml.safe_load(text) or {}
        _refuse_twice(text)
    except (yaml.YAMLError, OSError, UnicodeDecodeError, RecursionError) as error:
        raise ParameterError(f"{path}: can't be read as YAML ({error})") from error
    if not isinstance(values, dict):
        raise ParameterError(
            f"{path}: expected 'name: value' lines, found a {type(values).__name__}"
        )
    return values


def _refuse_twice(text: str) -> None:
    """Refuse a name given twice, of which YAML would quietly take the last."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    names = [key.value for key, _ in node.value] if isinstance(node, yaml.MappingNode) else []
    if twice := sorted({str(name) for name in names if names.count(name) > 1}):
        raise yaml.YAMLError(f"{twice} given twice; keep one line of each")


def from_notebook(namespace: MutableMapping[str, Any]) -> Parameters:
    """Make parameters of the values a notebook has assigned so far, and give them back to it.

    Reads the cells executed before the call. What papermill injects counts as it is, so a
    misspelt ``-p`` raises instead of being ignored. In a run folder with a ``run.json`` the
    run's own parameters hold otherwise, unless a value in the notebook's parameters cell was
    changed from its default.

    What holds in the end is written back under the names that the notebook assigned, so that a
    cell that reads one has what the run uses: a list where ``papermill -p`` gave one of its
    members or its text, and the run folder's value in place of a default.

    Parameters
    ----------
    namespace : mutable mapping
        The notebook's ``globals()``; changed in place.

    Returns
    -------
    alsnb.parameters.Parameters
        Validated.

    Raises
    ------
    ParameterError
        As :func:`validate`, and when the run folder was made from another cohort.
    """
    written: dict[str, Any] = {}
    injected: dict[str, Any] = {}
    for cell in list(namespace.get("In", []))[:-1]:
        target = injected if cell.startswith(INJECTED) else written
        for name in assigned(cell):
            target[name] = namespace.get(name)
    if "In" not in namespace:
        injected = {n: namespace[n] for n in Parameters.model_fields if n in namespace}
    values = written | injected
    made_with = remembered(values.get("run_dir", ""))
    defaults = Parameters().model_dump()
    if made_with:
        kept = {n: v for n, v in written.items() if n not in defaults or v != defaults[n]}
        values = made_with | kept | injected
        asked, made = (str(v.get("bids_root", "")) for v in (values, made_with))
        if Path(asked) != Path(made):
            raise ParameterError(
                f"run_dir {values['run_dir']} holds a run on {made or 'simulated scans'}, not on "
                f"{asked or 'simulated scans'}; give another run_dir"
            )
    found = validate(values, "this notebook's parameters")
    for name in (written | injected).keys() & set(Parameters.model_fields):
        value = getattr(found, name)
        namespace[name] = list(value) if isinstance(value, list) else value
    return found


def assigned(cell: str) -> list[str]:
    """Name what a cell assigns plain values to.

    Parameters
    ----------
    cell : str
        Source of a notebook's cell.

    Returns
    -------
    list of str
        Names, in order.
    """
    try:
        body = ast.parse(cell).body
    except SyntaxError:  # a cell magic
        return []
    targets = [t for node in body if isinstance(node, ast.Assign) for t in node.targets]
    return [t.id for t in targets if isinstance(t, ast.Name)]


def remembered(run_dir: str) -> dict[str, Any]:
    """Read the parameters that a run folder was made with.

    Parameters
    ----------
    run_dir : str
        A run folder.

    Returns
    -------
    dict
        Name to value; empty when the folder is new.

    Raises
    ------
    ParameterError
        When its ``run.json`` can't be read.
    """
    record = Path(run_dir or ".") / "run.json"
    if not run_dir or not record.is_file():
        return {}
    try:
        return dict(json.loads(record.read_text(encoding="utf-8"))["parameters"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ParameterError(
            f"{record} holds no run's parameters ({type(error).__name__}); remove it, then `alsnb run` "
            "writes it anew"
        ) from error
