"""One study: parameters and a run folder, and everything computed from them on demand.

A notebook asks for what it needs (cohort, masks, features, predictions); the store in
the run folder returns it or computes it. So any notebook runs alone, first, and from any
directory, and a run is only the notebooks in order.
"""

from __future__ import annotations

import functools
import json
import platform
from collections.abc import MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from alsnb import cohort as cohort_room
from alsnb import exclusions, features, fingerprints, parameters, plugins, preflight, scheduling
from alsnb.chapters import EXTRACTORS, SECTIONS
from alsnb.pages import Pages
from alsnb.parameters import Parameters
from alsnb.project import commit, project_root


class Study(Pages):
    """A study in a run folder.

    Parameters
    ----------
    params : alsnb.parameters.Parameters
        Validated parameters.
    progress : bool, default True
        Show progress bars.
    """

    def __init__(self, params: Parameters, *, progress: bool = True):
        self.params = params
        self.progress = progress
        default = project_root() / "runs" / ("demo" if params.simulated else "bids")
        folder = Path(params.run_dir) if params.run_dir else default
        super().__init__(folder.expanduser().resolve())
        self._own: dict[str, features.FeatureTable] = {}

    @property
    def store(self) -> Path:
        """Folder of the records of single subjects."""
        store = self.params.store
        return Path(store).expanduser().resolve() if store else self.run_dir / "store"

    @classmethod
    def from_notebook(cls, namespace: MutableMapping[str, Any]) -> Study:
        """Open the study that a notebook's parameters describe.

        Parameters
        ----------
        namespace : mutable mapping
            The notebook's ``globals()``; its parameters become those of the run, validated.

        Returns
        -------
        Study
            Its parallel work goes to the parameters' scheduler; its progress goes to the log of
            whoever started the kernel, not to the page.
        """
        study = cls(parameters.from_notebook(namespace))
        scheduling.use(study.params.scheduler, study.run_dir)
        return study

    def remember(self) -> None:
        """Write ``run.json``: parameters, versions, commit, platform, date and input hash."""
        content = {
            "parameters": self.params.model_dump(),
            "versions": scheduling.versions(),
            "commit": commit(),
            "python": platform.python_version(),
            "platform": platform.platform(terse=True),
            "date": datetime.now(UTC).date().isoformat(),
            "inputs": self.input_hash(),
        }
        for file in self.params.plugins:  # as it was, whatever becomes of it
            source = plugins.read(file)
            features.write_text(self.run_dir / "plugins" / Path(file).name, source.text)
        features.write_text(self.run_dir / "run.json", json.dumps(content, indent=1) + "\n")

    # What a notebook asks for

    @functools.cached_property
    def bids_root(self) -> Path:
        """The BIDS folder studied; a simulated cohort is made when it isn't there yet."""
        if not self.params.simulated:
            return Path(self.params.bids_root).expanduser().resolve()
        return simulate(self.params, self.simulated_root, progress=self.progress)

    @property
    def simulated_root(self) -> Path:
        """Folder of the simulated cohort, there or not."""
        key = features.fingerprint(self.params.subset("Simulated cohort"), self.params.seed)[:12]
        return self.run_dir / f"simulated-{key}"

    @functools.cached_property
    def cohort(self) -> cohort_room.Cohort:
        """Participants, exclusions and notes; also written to the run folder."""
        found = self.read_cohort()
        features.write_table(self.run_dir / "cohort.parquet", found.participants)
        features.write_table(self.run_dir / "qc" / "exclusions.parquet", found.exclusions)
        return found

    def read_cohort(self) -> cohort_room.Cohort:
        """Read the cohort without writing anything.

        Returns
        -------
        alsnb.cohort.Cohort
            Participants, exclusions and notes.
        """
        p = self.params
        columns = cohort_room.Columns(
            p.id_column,
            p.age_column,
            p.sex_column,
            p.group_column,
            p.positive_label,
            p.negative_label,
            p.positive_name,
            p.negative_name,
            p.male_label,
            p.female_label,
        )
        return cohort_room.read_cohort(
            self.bids_root,
            columns,
            cohort_room.Selection(p.session, p.acquisition, p.run),
            require_scan=p.require_scan,
            mask_root=p.mask_root,
            progress=self.progress,
        )

    def extractors(self) -> dict[str, tuple[Any, dict[str, Any]]]:
        """Give what makes each stage of single subjects.

        Returns
        -------
        dict of str to (Extractor, dict)
            Stage to its extractor, and to the parameters behind the extractor's settings.
        """
        from alsnb import extractors, image_quality  # loads torch, which a check need not

        p = self.params
        made: dict[str, Any] = {
            "intensities": extractors.IntensityExtractor(p.histogram_bin_width),
            "masks": extractors.BrainMaskExtractor(p.mask, p.mask_threshold, p.device, p.precision),
            "image_quality": image_quality.QualityExtractor(),
            "radiomics": extractors.RadiomicsExtractor(
                normalize=p.radiomics_normalize,
                resample_mm=p.radiomics_resample_mm,
                bin_count=p.radiomics_bin_count,
                minimum_voxels=p.radiomics_minimum_voxels,
                engine=p.radiomics_engine,
            ),
            "embeddings": extractors.EmbeddingExtractor(
                p.weights, p.batch_norm, p.orientation, p.device, p.precision
            ),
        }
        where = {"device": p.device, "precision": p.precision}
        return {name: (made[name], p.subset(*SECTIONS[name]) | where) for name in made}

    @functools.cached_property
    def masks(self) -> features.FeatureTable:
        """Brain masks (``artifacts``) and their quality numbers."""
        return self._extract("masks")

    @functools.cached_property
    def image_quality(self) -> features.FeatureTable:
        """Quality numbers of scans and masks."""
        return self._extract("image_quality", self._with_masks())

    @functools.cached_property
    def quality(self):
        """Who stands out by them, and why: an :class:`alsnb.quality_study.Quality`."""
        from alsnb import quality_study

        return quality_study.run(self)

    def kept(self, index: pd.Index) -> pd.Index:
        """Leave out those flagged for their quality, where `exclude_flagged` asks for it.

        Parameters
        ----------
        index : pandas.Index
            ``participant_id``.

        Returns
        -------
        pandas.Index
            The rest, in the same order; everybody by default.
        """
        if not self.params.exclude_flagged:
            return index
        return index[~index.isin(self.quality.flagged.people)]

    @functools.cached_property
    def intensities(self) -> features.FeatureTable:
        """Share of non-zero voxels by intensity bin."""
        return self._kept(self._extract("intensities"), "intensity")

    @functools.cached_property
    def radiomics(self) -> features.FeatureTable:
        """The 107 PyRadiomics features."""
        return self._kept(self.all_radiomics, "radiomics")

    @functools.cached_property
    def all_radiomics(self) -> features.FeatureTable:
        """The same of everybody, flagged or not."""
        return self._extract("radiomics", self._with_masks())

    @functools.cached_property
    def embeddings(self) -> features.FeatureTable:
        """Layers 7 and 8 of the 3D-CNN, 256 values each."""
        return self._kept(self._extract("embeddings"), "embeddings")

    def representation(self, name: str) -> pd.DataFrame:
        """Feature matrix of one representation.

        Parameters
        ----------
        name : str
            One of the paper's three, ``"radiomics"``, ``"dl7"``, ``"dl8"``, or of a plugin.

        Returns
        -------
        pandas.DataFrame
            Index ``participant_id``; 107 or 256 columns, or those of the plugin.
        """
        if name == "radiomics":
            return self.radiomics.features
        if name not in ("dl7", "dl8"):
            return self.own(name).features
        table = self.embeddings.features
        return table[[c for c in table if str(c).startswith(f"{name}_")]]

    def own(self, name: str) -> features.FeatureTable:
        """Features of a plugin's representation.

        Parameters
        ----------
        name : str
            As a plugin registers it.

        Returns
        -------
        alsnb.features.FeatureTable
            Those flagged for their quality left out where that is asked for.
        """
        from alsnb import plugin_extractor

        if name not in self._own:
            table = self._table(plugin_extractor.of(name), self._with_masks(), {})
            self._own[name] = self._kept(table, name)
        return self._own[name]

    def representations(self) -> dict[str, pd.DataFrame]:
        """Feature matrices of the representations asked for, on the subjects all of them have.

        Returns
        -------
        dict
            Name to matrix; the same rows in the same order in each.
        """
        tables = {name: self.representation(name) for name in self.params.representations}
        common = functools.reduce(
            lambda a, b: a.intersection(b, sort=False), (t.index for t in tables.values())
        )
        return {name: table.loc[common] for name, table in tables.items()}

    def labels(self, index: pd.Index) -> pd.Series:
        """Labels (1 positive) of some subjects.

        Parameters
        ----------
        index : pandas.Index
            ``participant_id``.

        Returns
        -------
        pandas.Series
            int.
        """
        return self.cohort.labels.loc[index]

    def counts(self, labels: pd.Series) -> dict[str, int]:
        """Count people by displayed group, positive first.

        Parameters
        ----------
        labels : pandas.Series
            1 positive, 0 negative.

        Returns
        -------
        dict of str to int
            Group to people.
        """
        negative, positive = self.cohort.names
        return {positive: int((labels == 1).sum()), negative: int((labels == 0).sum())}

    def people(self, labels: pd.Series | None = None) -> str:
        """Say for a caption how many people of each group there are.

        Parameters
        ----------
        labels : pandas.Series, optional
            1 positive, 0 negative; by default of the whole cohort.

        Returns
        -------
        str
            For instance ``"101 ALS and 19 mimic"``.
        """
        counts = self.counts(self.cohort.labels if labels is None else labels)
        return " and ".join(f"{n} {name}" for name, n in counts.items())

    @functools.cached_property
    def classification(self):
        """Out-of-fold predictions of every representation and classifier, and what led to them.

        Returns
        -------
        alsnb.protocols.ProtocolResult
            Predictions, chosen hyper-parameters, grid scores, fold sizes and notes.
        """
        return self._classify(self.params)

    @functools.cached_property
    def nested(self):
        """The same with everything, tuning too, inside each training fold.

        Returns
        -------
        alsnb.protocols.ProtocolResult
            Of the protocol ``nested``, whatever the run's own.
        """
        return self._classify(self.params.model_copy(update={"protocol": "nested"}))

    def _classify(self, params: Parameters) -> Any:
        from alsnb import classification  # loads torch and scikit-learn; demographics need not

        self.cohort.require_classes(params.n_folds)
        tables = self.representations()
        labels = self.labels(next(iter(tables.values())).index)
        preflight.require(self, labels, protocols=(params.protocol,))
        return classification.classify(
            tables, labels, params, self.run_dir / "predictions", progress=self.progress
        )

    @functools.cached_property
    def switches(self):
        """What each switch does to the scores, an :class:`alsnb.switch_study.SwitchStudy`."""
        from alsnb import switch_study

        return switch_study.run(self.params, self.run_dir, progress=self.progress)

    @functools.cached_property
    def honest(self):
        """Nested predictions beside baselines, with every doubt: :class:`alsnb.honest.Honest`."""
        from alsnb import honest

        return honest.run(self)

    @functools.cached_property
    def controls(self):
        """Cohorts of known truth, tested: an :class:`alsnb.controls.Controls`."""
        from alsnb import controls

        return controls.run(self)

    @functools.cached_property
    def probabilities(self):
        """Probabilities out of fold, an :class:`alsnb.probabilities.Probabilities`."""
        from alsnb import probabilities

        tables = {str(n): self.representation(n) for n in self.params.usefulness_representations}
        p, labels = self.params, self.cohort.labels
        return probabilities.run(tables, labels, p, self.run_dir, progress=self.progress)

    @functools.cached_property
    def confounds(self):
        """What confounds do, an :class:`alsnb.confound_study.ConfoundStudy`."""
        from alsnb import confound_study

        return confound_study.run(self)

    @functools.cached_property
    def specifications(self):
        """Every specification, an :class:`alsnb.specification.SpecificationStudy`."""
        from alsnb import specification

        return specification.run(self)

    def histograms(self) -> pd.DataFrame:
        """Give counts of voxels by subject and intensity bin.

        Returns
        -------
        pandas.DataFrame
            Index ``participant_id``, columns the bins' left edges, ascending.
        """
        table = self.intensities.features.fillna(0)
        table.columns = table.columns.astype(float)
        return table.sort_index(axis=1)

    def failures(self) -> pd.DataFrame:
        """Everybody left out at any stage so far, with the reason.

        Returns
        -------
        pandas.DataFrame
            ``participant_id``, ``stage``, ``reason``, ``detail``.
        """
        parts = [self.cohort.exclusions.assign(stage="cohort")]
        for stage in EXTRACTORS:
            if stage in self.__dict__:
                parts.append(self.__dict__[stage].failures)
        parts += [table.failures for table in self._own.values()]
        if self.params.exclude_flagged and "quality" in self.__dict__:
            parts.append(self.quality.failures())
        columns = ["participant_id", "stage", "reason", "detail"]
        return pd.concat(parts, ignore_index=True)[columns]

    def flow(self) -> pd.DataFrame:
        """Count who was enrolled, left out at each step, and is left, as far as the run has got.

        Steps that no chapter has asked for yet are not computed for it.

        Returns
        -------
        pandas.DataFrame
            As :func:`alsnb.exclusions.flow` gives it.
        """
        people = self.cohort.participants
        scanned = set(people.loc[people["t1w"] != "", "participant_id"])
        losses = exclusions.losses(
            self.run_dir, scanned, self.params.representations,
            flagged_out=self.params.exclude_flagged,
        )  # fmt: skip
        return exclusions.flow(people, self.cohort.exclusions, losses, self.cohort.names)

    def input_hash(self) -> str:
        """SHA-256 over the participants table and every scan and mask of the cohort.

        Returns
        -------
        str
            64 hexadecimal digits.
        """
        fingerprints.load_hashes(self.store)
        rows = self.cohort.participants[["participant_id", "t1w", "mask"]].to_dict("records")
        files = [
            (r["participant_id"], *(features.file_hash(p) for p in (r["t1w"], r["mask"]) if p))
            for r in rows
        ]
        table = features.file_hash(self.bids_root / "participants.tsv")
        return features.fingerprint(table, files)

    def banner(self, labels: pd.Series | None = None) -> str:
        """Whose data a page shows, as one line of HTML.

        Returns
        -------
        str
            Simulated or real, n by group, profile, date, commit.
        """
        from alsnb import display

        record = self.run_dir / "run.json"
        when, what = datetime.now(UTC).date().isoformat(), commit()
        if record.is_file():
            made = json.loads(record.read_text(encoding="utf-8"))
            when, what = made["date"], made["commit"]
        kind = "simulated" if self.params.simulated else "real"
        counts = self.cohort.counts if labels is None else self.counts(labels)
        return display.banner(kind, counts, self.params.profile, when, what)

    def _extract(self, stage: str, rows: pd.DataFrame | None = None) -> features.FeatureTable:
        extractor, section = self.extractors()[stage]
        rows = self.cohort.participants if rows is None else rows
        return self._table(extractor, rows, section)

    def _table(
        self, extractor: Any, rows: pd.DataFrame, section: dict[str, Any]
    ) -> features.FeatureTable:
        rows = rows[rows["t1w"] != ""]
        table = features.extract(
            rows,
            extractor,
            self.store,
            n_jobs=self.params.n_jobs,
            progress=self.progress,
            parameters=section,
        )
        features.write_table(
            self.run_dir / "features" / f"{extractor.name}.parquet", table.features
        )
        qc = self.run_dir / "qc"
        features.write_table(qc / f"{extractor.name}.parquet", table.diagnostics)
        features.write_table(qc / f"{extractor.name}_failures.parquet", table.failures)
        return table

    def _kept(self, table: features.FeatureTable, name: str) -> features.FeatureTable:
        if not self.params.exclude_flagged:
            return table
        from alsnb import quality_study

        return quality_study.without_flagged(self, table, name)

    def _with_masks(self) -> pd.DataFrame:
        rows = self.cohort.participants
        paths = rows["participant_id"].map({s: str(p) for s, p in self.masks.artifacts.items()})
        return rows.assign(brain_mask=paths)[paths.notna()]


def simulate(params: Parameters, folder: str | Path, *, progress: bool = True) -> Path:
    """Write the simulated cohort that parameters describe.

    Parameters
    ----------
    params : alsnb.parameters.Parameters
        The section "Simulated cohort" and the seed.
    folder : str or pathlib.Path
        Where; a folder with anything else in it is refused.
    progress : bool, default True
        Show a progress bar.

    Returns
    -------
    pathlib.Path
        The BIDS folder.
    """
    from alsnb import simulation  # only a simulated run loads the simulator

    effects = simulation.Effects(
        precentral_loss=params.precentral_loss,
        precentral_loss_sd=params.precentral_loss_sd,
        cst_signal_change=params.cst_signal_change,
        cst_signal_change_sd=params.cst_signal_change_sd,
        cortical_loss=params.cortical_loss,
        cortical_loss_sd=params.cortical_loss_sd,
    )
    return simulation.simulate_cohort(
        Path(folder),
        n_subjects=params.n_subjects,
        voxel_mm=params.voxel_mm,
        effects=effects,
        seed=params.seed,
        n_jobs=params.n_jobs,
        progress=progress,
    )
