"""PyRadiomics' feature classes, handed what they would compute for themselves.

The formulas of shape and texture are inherited from PyRadiomics; what is replaced is how
their input comes about: the mesh coefficients from hulls and counts, the matrices from
:mod:`alsnb.texture_matrices`, each once. First-order features are rewritten for a sorted
list of intensities, which PyRadiomics sorts or copies for every feature.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from radiomics.firstorder import RadiomicsFirstOrder
from radiomics.glcm import RadiomicsGLCM
from radiomics.gldm import RadiomicsGLDM
from radiomics.glrlm import RadiomicsGLRLM
from radiomics.glszm import RadiomicsGLSZM
from radiomics.ngtdm import RadiomicsNGTDM
from radiomics.shape import RadiomicsShape

from alsnb.convex_diameters import calculate_coefficients, principal_variances
from alsnb.texture_matrices import TextureMatrices, compiled

Floats = NDArray[np.float64]
#: Intensities added up at once: short sums keep rounding at 1e-14.
_CHUNK = 4096
_NONE = np.empty(0, int)


class _Handed:
    """What ``RadiomicsFeaturesBase`` sets up, without images."""

    def __init__(self, setting: Mapping[str, Any]):
        self.logger = logging.getLogger("radiomics")
        self.settings = dict(setting)
        self.label = setting.get("label", 1)
        self.voxelBased = False
        self.coefficients: dict[str, Any] = {}
        self.enabledFeatures: dict[str, bool] = {}
        self.featureValues: dict[str, Any] = {}
        self.featureNames = self.getFeatureNames()  # type: ignore[attr-defined]


class Shape(_Handed, RadiomicsShape):
    """Shape from the mask's box.

    Parameters
    ----------
    inside : numpy.ndarray
        The region, shape (z, y, x), bool.
    spacing : tuple of float
        Voxel size along x, y, z, mm, as ITK orders it.
    setting : mapping
        PyRadiomics' settings.
    """

    def __init__(
        self, inside: NDArray[np.bool_], spacing: tuple[float, ...], setting: Mapping[str, Any]
    ):
        super().__init__(setting)
        self.pixelSpacing = np.array(spacing[::-1])
        self.n_voxels = int(np.count_nonzero(inside))
        self.SurfaceArea, self.Volume, self.diameters = calculate_coefficients(
            inside, self.pixelSpacing
        )
        self.eigenValues = principal_variances(inside, self.pixelSpacing)

    def getVoxelVolumeFeatureValue(self):
        """Multiply the number of voxels by their volume (IBSI YEKZ), mm3."""
        return self.n_voxels * self.pixelSpacing.prod()


class FirstOrder(_Handed, RadiomicsFirstOrder):
    """First order from sorted intensities.

    Parameters
    ----------
    ordered : numpy.ndarray
        The region's intensities, ascending, float64, finite.
    level_counts : numpy.ndarray
        Voxels of each grey level that occurs.
    spacing : tuple of float
        Voxel size, mm.
    setting : mapping
        PyRadiomics' settings.
    """

    def __init__(
        self,
        ordered: Floats,
        level_counts: NDArray[np.integer],
        spacing: tuple[float, ...],
        setting: Mapping[str, Any],
    ):
        super().__init__(setting)
        self.pixelSpacing = spacing
        self.voxelArrayShift = setting.get("voxelArrayShift", 0)
        self.ordered = ordered
        self.probabilities = level_counts[None, :].astype(float) / float(len(ordered))

    def _initCalculation(self, voxelCoordinates=None):
        x = self.ordered
        self.coefficients["p_i"] = self.probabilities
        self.mean = x.mean()
        self.energy, _, _, _ = _power_sums(x, -float(self.voxelArrayShift))
        self.m2, self.m3, self.m4, self.deviation = (
            total / len(x) for total in _power_sums(x, self.mean)
        )

    def _percentile(self, percent: float) -> float:
        # numpy's interpolation, whose order statistics need no search here.
        place = percent / 100 * (len(self.ordered) - 1)
        below = int(place)
        a, b = self.ordered[below], self.ordered[min(below + 1, len(self.ordered) - 1)]
        part = place - below
        return b - (b - a) * (1 - part) if part >= 0.5 else a + (b - a) * part

    def getEnergyFeatureValue(self):
        """Sum of squares."""
        return self.energy

    def getMinimumFeatureValue(self):
        """Lowest intensity."""
        return self.ordered[0]

    def getMaximumFeatureValue(self):
        """Highest intensity."""
        return self.ordered[-1]

    def getRangeFeatureValue(self):
        """Difference of the extremes."""
        return self.ordered[-1] - self.ordered[0]

    def get10PercentileFeatureValue(self):
        """10th percentile."""
        return self._percentile(10)

    def get90PercentileFeatureValue(self):
        """90th percentile."""
        return self._percentile(90)

    def getMedianFeatureValue(self):
        """Middle intensity."""
        return self._percentile(50)

    def getInterquartileRangeFeatureValue(self):
        """Difference of the quartiles."""
        return self._percentile(75) - self._percentile(25)

    def getMeanFeatureValue(self):
        """Mean intensity."""
        return self.mean

    def getMeanAbsoluteDeviationFeatureValue(self):
        """Mean distance from the mean."""
        return self.deviation

    def getRobustMeanAbsoluteDeviationFeatureValue(self):
        """Mean distance from the mean of what lies between the outer percentiles."""
        first = np.searchsorted(self.ordered, self._percentile(10), "left")
        end = np.searchsorted(self.ordered, self._percentile(90), "right")
        kept = self.ordered[first:end]
        return _power_sums(kept, kept.mean())[3] / len(kept)

    def getRootMeanSquaredFeatureValue(self):
        """Root of the mean square."""
        return np.sqrt(self.energy / len(self.ordered))

    def getVarianceFeatureValue(self):
        """Second central moment."""
        return self.m2

    def getSkewnessFeatureValue(self):
        """Third standardised moment; 0 in a flat region."""
        return self.m3 / self.m2**1.5 if self.m2 else 0.0

    def getKurtosisFeatureValue(self):
        """Fourth standardised moment (3 for a normal distribution); 0 in a flat region."""
        return self.m4 / self.m2**2.0 if self.m2 else 0.0


@compiled
def _power_sums(values, centre):  # pragma: no cover - compiled
    """Add up the 2nd, 3rd, 4th power and the size of the distances from a centre."""
    two = three = four = size = 0.0
    for start in range(0, len(values), _CHUNK):
        a = b = c = d = 0.0
        for value in values[start : start + _CHUNK]:
            distance = value - centre
            square = distance * distance
            a += square
            b += square * distance
            c += square * square
            d += abs(distance)
        two += a
        three += b
        four += c
        size += d
    return two, three, four, size


class _Texture(_Handed):
    """A texture class that is handed its matrix.

    Matrices are cut by ``numpy.delete``, as PyRadiomics does: that decides the order of their
    entries in memory, and so the order and last digit of the sums over them.

    Parameters
    ----------
    matrices : TextureMatrices
        Of the region.
    setting : mapping
        PyRadiomics' settings.
    """

    def __init__(self, matrices: TextureMatrices, setting: Mapping[str, Any]):
        super().__init__(setting)
        self.matrices = matrices
        voxels = matrices.ngtdm[:, 0]
        self.absent = np.flatnonzero(voxels == 0)
        self.coefficients["grayLevels"] = np.flatnonzero(voxels) + 1
        self.coefficients["Ng"] = len(voxels)

    def _present(self, matrix: Floats) -> Floats:
        """Drop levels without voxels; add PyRadiomics' axis of kernels in front."""
        return np.delete(matrix[None], self.absent, 1)


def _without_empty_angles(counts: Floats) -> tuple[Floats, Floats]:
    """Drop directions without counts, unless there is but one; give each one's sum too."""
    sums = counts.sum((1, 2))
    if counts.shape[3] > 1 and not sums.all():
        empty = np.flatnonzero(sums[0] == 0)
        counts, sums = np.delete(counts, empty, 3), np.delete(sums, empty, 1)
    return counts, np.where(sums == 0, np.nan, sums)


class GLCM(_Texture, RadiomicsGLCM):
    """Pairs of neighbours, counted from both sides, as probabilities."""

    symmetricalGLCM = True

    def _calculateMatrix(self, voxelCoordinates=None):
        counts = np.delete(self._present(self.matrices.glcm), self.absent, 2)
        counts += counts.transpose(0, 2, 1, 3).copy()
        counts, sums = _without_empty_angles(counts)
        counts /= sums[:, None, None, :]
        return counts


class GLRLM(_Texture, RadiomicsGLRLM):
    """Runs by level, length and direction."""

    def _calculateMatrix(self, voxelCoordinates=None):
        counts, sums = _without_empty_angles(self._present(self.matrices.glrlm))
        self.coefficients["Nr"] = sums
        return counts


class GLDM(_Texture, RadiomicsGLDM):
    """Dependences by level and number."""

    def _calculateMatrix(self, voxelCoordinates=None):
        counts = self._present(self.matrices.gldm)
        pd = counts.sum(1)
        empty = np.flatnonzero(pd[0] == 0)
        self.coefficients["Nz"] = pd.sum(1)
        self.coefficients["pd"] = np.delete(pd, empty, 1)
        self.coefficients["pg"] = counts.sum(2)
        self.coefficients["ivector"] = self.coefficients["grayLevels"].astype(float)
        self.coefficients["jvector"] = np.delete(np.arange(1.0, pd.shape[1] + 1), empty)
        return np.delete(counts, empty, 2)


class GLSZM(_Texture, RadiomicsGLSZM):
    """Zones by level and size, of sizes that occur."""

    def _calculateMatrix(self, voxelCoordinates=None):
        return np.delete(self._present(self.matrices.glszm), _NONE, 2)

    def _calculateCoefficients(self):
        sizes = self.matrices.zone_sizes.astype(float)
        ps = self.P_glszm.sum(1)
        self.coefficients["Np"] = (ps * sizes).sum(1)
        self.coefficients["Nz"] = self.P_glszm.sum((1, 2))
        self.coefficients["ps"] = np.delete(ps, _NONE, 1)
        self.coefficients["pg"] = self.P_glszm.sum(2)
        self.coefficients["ivector"] = self.coefficients["grayLevels"].astype(float)
        self.coefficients["jvector"] = sizes


class NGTDM(_Texture, RadiomicsNGTDM):
    """Voxels and differences by level."""

    def _calculateMatrix(self, voxelCoordinates=None):
        return self._present(self.matrices.ngtdm)


#: Texture classes by PyRadiomics' name.
TEXTURES: dict[str, type[_Texture]] = {
    "glcm": GLCM,
    "gldm": GLDM,
    "glrlm": GLRLM,
    "glszm": GLSZM,
    "ngtdm": NGTDM,
}
