"""Time one tool on one scan, from file to values, and print it as JSON.

Run by :mod:`benchmarks.radiomics` in the interpreter that has the tool:
``python benchmarks/radiomics_worker.py TOOL IMAGE MASK``. What happens once per process
(imports, compiling or loading kernels) is not in the time; a first call on a few voxels,
beforehand, takes it.
"""

import json
import logging
import sys
import tempfile
import time
import warnings
from pathlib import Path


def fast(image, mask):
    """Ours."""
    from alsnb import radiomics
    from alsnb.scan import load_mask, load_scan

    scan = load_scan(image)
    return len(radiomics.radiomics(scan, load_mask(mask, scan), radiomics.settings()))


def pyradiomics(image, mask):
    """Plain PyRadiomics on the files."""
    from radiomics.featureextractor import RadiomicsFeatureExtractor

    from alsnb.radiomics import settings

    extractor = RadiomicsFeatureExtractor(settings())
    extractor.addProvenance(False)
    return len(extractor.execute(image, mask))


def nyxus(image, mask):
    """Nyxus' whole three-dimensional set."""
    import nyxus as package

    options = {"n_feature_calc_threads": 1, "coarse_gray_depth": 32}
    table = package.Nyxus3D(features=["*3D_ALL*"], **options).featurize_files(
        [image], [mask], False
    )
    return sum(name.startswith("3") for name in table.columns)


def mirp(image, mask):
    """MIRP's families that PyRadiomics has too."""
    from mirp import extract_features

    families = ["morphology", "statistics", "ih", "cm", "rlm", "szm", "ngtdm", "ngldm"]
    table = extract_features(
        image=image,
        mask=mask,
        num_cpus=1,
        image_modality="mr",
        base_discretisation_method="fixed_bin_number",
        base_discretisation_n_bins=32,
        base_feature_families=families,
    )[0]
    prefixes = ("morph_", "stat_", "ih_", "cm_", "rlm_", "szm_", "ngt_", "ngl_")
    return sum(name.startswith(prefixes) for name in table.columns)


def _peak_mib():
    # Not ru_maxrss, which starts from what the parent held when it made this process.
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:  # no Linux
        return float("nan")
    return next(int(x.split()[1]) for x in status.splitlines() if x.startswith("VmHWM")) / 1024


def _tiny(folder):
    import nibabel as nib
    import numpy as np

    rng = np.random.default_rng(0)
    data = rng.integers(1, 200, (24, 24, 24)).astype(np.int16)
    mask = np.zeros(data.shape, np.uint8)
    mask[6:18, 6:18, 6:18] = 1
    paths = []
    for name, array in {"image": data, "mask": mask}.items():
        paths.append(str(Path(folder) / f"{name}.nii.gz"))
        nib.save(nib.Nifti1Image(array, np.eye(4)), paths[-1])
    return paths


def main(tool, image, mask):
    """Measure and print."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    call = {"fast": fast, "pyradiomics": pyradiomics, "nyxus": nyxus, "mirp": mirp}[tool]
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        call(*_tiny(folder))
        first = time.perf_counter() - start
    wall, cpu = time.perf_counter(), time.process_time()
    n_features = call(image, mask)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = _peak_mib()
    found = {"wall": wall, "cpu": cpu, "first": first, "peak_mib": peak, "features": n_features}
    print("RESULT " + json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
