"""The catalogue of bad input: one table, from which the tests and a page of the book are made.

A case says what is done to a healthy folder of 20 small simulated heads and what must come of
it: somebody left out with a reason while the others go on, a clear stop, or a folder that is read
all the same.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from faults import builders as b

WHO = b.WHO


@dataclass(frozen=True)
class Left:
    """Somebody is left out for a reason; everybody else goes on."""

    reason: str
    who: tuple[str, ...] = (WHO,)
    #: Somebody else for another reason, by the same fault.
    also: tuple[tuple[str, str], ...] = ()

    @property
    def reasons(self) -> dict[str, str]:
        return dict.fromkeys(self.who, self.reason) | dict(self.also)


@dataclass(frozen=True)
class Lost:
    """Read, but lost at a stage of the computation, while everybody else goes on."""

    stage: str
    reason: str
    who: tuple[str, ...] = (WHO,)


@dataclass(frozen=True)
class Stops:
    """The whole cohort is refused."""


@dataclass(frozen=True)
class Kept:
    """Nobody is lost; `ages` counts the ages that are known."""

    ages: int = b.N_POSITIVE + b.N_NEGATIVE


@dataclass(frozen=True)
class Case:
    """One kind of bad input."""

    id: str
    part: str
    what: str
    does: str
    damage: Callable[[Path], Any]
    outcome: Left | Lost | Stops | Kept
    words: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)


def _cases(part: str, *rows) -> list[Case]:
    return [Case(row[0], part, *row[1:]) for row in rows]


COPY = "copy or convert it anew"
CASES: list[Case] = [
    *_cases(
        "Scan file",
        ("truncated_gzip", "compressed file cut in half", "left out", b.file(lambda c: c[: len(c) // 2]), Left("unreadable"), ("copy the file anew",)),
        ("flipped_bit", "one bit of the compressed file flipped", "left out: the checksum tells", b.file(b.bit_flipped), Left("unreadable"), ("copy the file anew",)),
        ("lost_checksum", "the last eight bytes missing", "left out", b.file(lambda c: c[:-8]), Left("unreadable"), ("copy the file anew",)),
        ("empty_file", "a file of no bytes", "left out", b.file(lambda c: b""), Left("unreadable"), ("an empty file",)),
        ("text_file", "a text under the scan's name", "left out", b.file(lambda c: b"hello" * 100), Left("unreadable"), (COPY,)),
        ("not_compressed", "an uncompressed file named .nii.gz", "left out, saying so", b.file(lambda c: b.gzip.decompress(c)), Left("unreadable"), ("not compressed although its name says",)),
        ("compressed_nii", "a compressed file named .nii", "left out, saying so", b.both(b.uncompressed(lambda c: b.gzip.compress(c))), Left("unreadable"), ("gzip-compressed although its name says",)),
        ("dicom", "a DICOM file under the scan's name", "left out, saying so", b.dicom, Left("unreadable"), ("a DICOM file",)),
        ("short_file", "uncompressed file of half the bytes that its header promises", "left out by its header", b.uncut_short, Left("unreadable"), ("its header promises",)),
        ("data_mismatch", "header for more voxels than the compressed file holds", "left out", b.header(b.DIM, "8h", 3, 40, 40, 60, 1, 1, 1, 1), Left("unreadable"), ("its header promises",)),
        ("endless", "megabytes of zeros after the last voxel", "left out before all is read", b.inside(lambda c: bytes(c) + bytes(1 << 25)), Left("unreadable"), ("goes on long after",)),
        ("broken_link", "a link whose target isn't there (datalad, git-annex)", "left out, naming the target", b.replaced_by("broken link"), Left("missing_file"), ("annex/objects", "datalad get")),
        ("link_loop", "a link to itself", "left out", b.replaced_by("loop"), Left("missing_file"), ("a link to",)),
        ("folder_as_scan", "a folder under the scan's name", "left out", b.replaced_by("folder"), Left("missing_file"), ("not a file but a folder",)),
        ("pipe_as_scan", "a named pipe under the scan's name", "left out; nothing waits for it", b.replaced_by("pipe"), Left("missing_file"), ("a folder or a device",)),
    ),
    *_cases(
        "Header",
        ("wrong_magic", "magic number overwritten", "left out", b.header(344, "4s", b"xxxx"), Left("unreadable"), (COPY,)),
        ("wrong_size", "sizeof_hdr overwritten", "read: the rest of the header tells", b.header(0, "i", 12345), Kept()),
        ("huge", "30000 voxels along each axis", "left out before memory is asked for", b.header(b.DIM, "8h", 3, 30000, 30000, 30000, 1, 1, 1, 1), Left("too_large"), ("30000",)),
        ("inflated", "500 million voxels promised by a file of 30 kB", "left out before memory is asked for", b.header(b.DIM, "8h", 3, 1000, 1000, 500, 1, 1, 1, 1), Left("unreadable"), ("its header promises",)),
        ("negative_dims", "a negative number of voxels", "left out", b.header(b.DIM, "8h", 3, -40, 40, 40, 1, 1, 1, 1), Left("shape"), ("not a volume",)),
        ("many_volumes", "4-D with three volumes", "left out, not averaged and not cut", b.image(lambda d: np.stack([d] * 3, -1)), Left("not_3d"), ("extract one T1w volume",)),
        ("one_volume", "4-D with one volume", "read as that volume", b.image(lambda d: d[..., None]), Kept()),
        ("slice", "one slice", "left out", b.image(lambda d: d[:, :, :1]), Left("shape"), ("not a volume",)),
        ("two_dimensions", "a 2-D image", "left out", b.image(lambda d: d[:, :, 9]), Left("not_3d"), ("three dimensions",)),
        ("complex", "complex voxels", "left out", b.image(dtype=np.complex64), Left("dtype"), ("complex64", "real numbers")),
        ("rgb", "colour voxels", "left out", b.colour, Left("dtype"), ("colour voxels",)),
        ("unknown_datatype", "a data type that NIfTI doesn't have", "left out", b.header(b.DATATYPE, "2h", 77, 8), Left("unreadable"), (COPY,)),
        ("codes_zero", "qform_code and sform_code 0: no orientation", "left out: nibabel would guess the sides", b.image(codes={"q": 0, "s": 0}), Left("affine"), ("left and right are unknown",)),
        ("codes_unknown", "codes that NIfTI doesn't have", "left out: nibabel would guess the sides", b.both(b.image(codes={"q": 0, "s": 1}), b.header(b.SFORM, "h", 77)), Left("affine"), ("left and right are unknown",)),
        ("singular_affine", "an affine of zeros", "left out", b.header(b.SROW, "12f", *[0.0] * 12), Left("affine"), ("no invertible affine",)),
        ("nan_affine", "NaN in the affine", "left out", b.header(b.SROW, "f", float("nan")), Left("affine"), ("no invertible affine",)),
        ("parallel_axes", "two axes of the affine nearly parallel", "left out", b.image(affine=lambda a: a @ np.array([[1, .99, 0, 0], [0, .14, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])), Left("affine"), ("degrees to each other",)),
        ("sheared", "a sheared affine", "left out: volumes and sizes would be wrong", b.image(affine=b.sheared), Left("affine"), ("expected 90",)),
        ("metres", "sizes and units in metres", "left out", b.both(b.image(affine=b.scaled(.001, .001, .001)), b.header(b.UNITS, "b", 1)), Left("units"), ("metres", "millimetres")),
        ("unsaid_metres", "sizes in metres, units unset", "left out", b.image(affine=b.scaled(.001, .001, .001)), Left("spacing"), ("is the header in metres",)),
        ("micrometres", "units that say micrometres", "left out, whatever the numbers", b.header(b.UNITS, "b", 3), Left("units"), ("micrometres",)),
        ("zero_pixdim", "voxel size 0, which nibabel would take as 1 mm", "left out", b.both(b.image(codes={"q": 1, "s": 0}), b.header(b.PIXDIM + 4, "f", 0.0)), Left("spacing"), ("expected positive sizes",)),
        ("thick", "slices 24 times as thick as wide", "left out", b.image(affine=b.scaled(.1, .1, 2.4)), Left("spacing"), ("the longest edge 24 times",)),
        ("anisotropic", "slices 6 times as thick as wide", "read; noted that they mislead", b.image(affine=b.scaled(.2, .2, 1.2)), Kept(), ("masks and texture of thick slices mislead",)),
        ("mirrored_forms", "qform and sform mirror each other", "left out: sides unknown", b.image(codes={"q": 1, "s": 1, "qaffine": np.diag([-6, 6, 6, 1]), "saffine": np.diag([6, 6, 6, 1])}), Left("sides"), ("by one left is what is right by the other",)),
        ("turned_forms", "qform turned half-way round against the sform", "left out: sides unknown", b.image(codes={"q": 1, "s": 1, "qaffine": np.diag([-6, -6, 6, 1]), "saffine": np.diag([6, 6, 6, 1])}), Left("sides"), ("by one left is what is right by the other",)),
        ("other_pixdim", "pixdim of 1 mm, an affine of 6 mm", "left out: volumes unknown", b.header(b.PIXDIM + 4, "3f", 1.0, 1.0, 1.0), Left("spacing"), ("1 x 1 x 1 mm (pixdim)", "6 x 6 x 6 mm (affine)")),
        ("offset_zero", "voxels said to begin at byte 0", "left out: the header would be read as voxels", b.header(b.VOX_OFFSET, "f", 0.0), Left("unreadable"), ("within its header",)),
        ("nifti_2", "NIfTI-2", "read", b.image(kind=nib.Nifti2Image), Kept()),
        ("big_endian", "bytes in the other order", "read", b.image(kind=b.other_byte_order), Kept()),
        ("flipped", "stored from right to left, its affine saying so", "read; the same head in RAS+", b.stored_as("LAS"), Kept()),
        ("permuted", "axes stored in another order", "read; the same head in RAS+", b.stored_as("PIR"), Kept()),
        ("oblique", "axes 20 degrees off the scanner's", "read along the nearest axes, not resampled", b.image(affine=b.rotated(20)), Kept()),
    ),
    *_cases(
        "Voxels",
        ("zeros", "every voxel 0", "left out", b.image(lambda d: d * 0), Left("constant"), ("every voxel is 0",)),
        ("constant", "every voxel alike", "left out", b.image(lambda d: d * 0 + 7), Left("constant"), ("every voxel is 7",)),
        ("nan", "one voxel NaN", "left out, saying how many", b.image(b.one_voxel(np.nan)), Left("not_finite"), ("1 of", "NaN")),
        ("all_nan", "every voxel NaN", "left out", b.image(lambda d: d * np.float32(np.nan)), Left("not_finite"), ("NaN",)),
        ("inf", "one voxel infinite", "left out", b.image(b.one_voxel(np.inf)), Left("not_finite"), ("1 of",)),
        ("overflow", "a value beyond float32", "left out, no infinity computed with", b.image(lambda d: np.where(d == d.max(), 1e300, d), dtype=np.float64), Left("not_finite"), ("too large for float32",)),
        ("slope", "a scale factor that makes every voxel infinite", "left out", b.header(b.SLOPE, "2f", 3e38, 0.0), Left("not_finite"), ("too large for float32",)),
        ("negative", "negative intensities", "read; noted", b.image(lambda d: d.astype(np.float32) - 5), Kept(), ("T1w intensity is '-5'",)),
        ("all_negative", "only negative intensities", "read; DeepBrain refuses it", b.image(lambda d: -1 - d.astype(np.float32)), Lost("deepbrain", "intensity"), ("needs positive",)),
        ("hot_voxel", "one voxel a million times as bright", "read; DeepBrain finds no brain, and says so", b.image(b.one_voxel(1e9)), Lost("deepbrain", "mask_empty"), ("is this a T1-weighted head",)),
    ),
    *_cases(
        "Brain mask",
        ("mask_empty", "a mask of zeros", "left out", b.mask(lambda m: m * 0), Left("mask_empty"), ("marks nothing",)),
        ("mask_whole", "a mask of the whole image", "left out", b.mask(lambda m: m * 0 + 1), Left("mask_full"), ("marks the whole image",)),
        ("mask_255", "a mask of 0 and 255", "read", b.mask(lambda m: m * 255), Kept()),
        ("mask_probabilities", "probabilities in place of a mask", "left out; no threshold is guessed", b.mask(lambda m: m * np.linspace(.2, 1, m.shape[2])), Left("mask_values"), ("threshold it",)),
        ("mask_labels", "several labels (a parcellation)", "left out", b.mask(lambda m: m * (1 + (np.indices(m.shape)[0] % 3))), Left("mask_values"), ("pick one label",)),
        ("mask_negative", "values 0 and -1", "left out", b.mask(lambda m: -m), Left("mask_values"), ("expected 0 and one other",)),
        ("mask_nan", "NaN outside the brain", "left out", b.mask(lambda m: np.where(m > 0, m, np.nan)), Left("not_finite"), ("mask:", "NaN")),
        ("mask_other_grid", "a mask of another shape", "left out; nothing is resampled", b.mask(lambda m: m[:-1]), Left("mask_grid"), ("resample it to the scan",)),
        ("mask_other_affine", "a mask shifted by 4 mm", "left out", b.mask(lambda m: m, lambda a: a + np.outer([4, 0, 0, 0], [0, 0, 0, 1])), Left("mask_grid"), ("another grid",)),
        ("mask_damaged", "a mask file cut in half", "left out", lambda root: b.mask_of(root).write_bytes(b.mask_of(root).read_bytes()[:200]), Left("unreadable"), ("mask:",)),
        ("mask_one_voxel", "a mask of one voxel", "lost at radiomics: too small to measure", b.mask(b.single), Lost("radiomics", "radiomics_mask"), ("voxel",)),
        ("mask_border", "a mask that touches the border", "read; flagged by quality control", b.mask(b.to_border), Kept()),
        ("mask_twice", "two masks for one scan", "left out, naming both", b.second_mask, Left("several_masks"), ("set mask_root",)),
        ("mask_unnamed", "a mask whose name fits no scan", "not used, and said so", b.renamed_mask, Kept(), ("unused; it isn't named as",)),
        ("mask_lacking", "mask=given, and one has none", "lost at the masks", lambda root: b.mask_of(root).unlink(), Lost("brain_mask", "mask_missing"), ("choose mask: auto",)),
    ),
    *_cases(
        "participants.tsv",
        ("bom", "a byte order mark", "read", b.table(lambda t: "\ufeff" + t), Kept()),
        ("crlf", "Windows line ends", "read", b.table(lambda t: t.replace("\n", "\r\n")), Kept()),
        ("cr", "old Macintosh line ends", "read", b.table(lambda t: t.replace("\n", "\r")), Kept()),
        ("quoted", "every value in quotes (R's write.table)", "read", b.table(lambda t: "\n".join("\t".join(f'"{v}"' for v in r.split("\t")) for r in t.splitlines())), Kept()),
        ("blank_lines", "empty lines between and after", "read", b.table(lambda t: t.replace("\n", "\n\n") + "\n \n"), Kept()),
        ("commas", "commas in place of tabs", "stops, saying so", b.table(lambda t: t.replace("\t", ",")), Stops(), ("separated by ','", "tab")),
        ("semicolons", "semicolons in place of tabs", "stops, saying so", b.table(lambda t: t.replace("\t", ";")), Stops(), ("separated by ';'",)),
        ("utf16", "UTF-16 (a spreadsheet's Unicode text)", "stops", b.table(lambda t: t.encode("utf-16")), Stops(), ("save it as UTF-8",)),
        ("latin1", "an umlaut in Latin-1", "stops", b.table(lambda t: t.replace("mimic", "m\xfcmic").encode("latin-1")), Stops(), ("save it as UTF-8",)),
        ("empty_table", "an empty table", "stops", b.table(lambda t: ""), Stops(), ("participants.tsv is empty",)),
        ("header_only", "a header and nobody", "stops", b.table(lambda t: t.splitlines()[0] + "\n"), Stops(), ("no participant has group 'ALS'",)),
        ("no_table", "no participants.tsv", "stops", lambda root: (root / "participants.tsv").unlink(), Stops(), ("has no participants.tsv",)),
        ("no_folder", "no such folder", "stops", b.shutil.rmtree, Stops(), ("no such folder",)),
        ("missing_column", "no column group", "stops, naming those there are", b.table(lambda t: t.replace("group", "dx", 1)), Stops(), ("no column 'group'", "'dx'", "set group_column")),
        ("column_case", "a column Group", "stops, with the near name", b.table(lambda t: t.replace("group", "Group", 1)), Stops(), ("did you mean 'Group'",)),
        ("column_twice", "two columns of one name", "stops; neither is taken", b.table(lambda t: t.replace("sex", "age", 1)), Stops(), ("named twice: ['age']",)),
        ("extra_columns", "columns more than needed", "read", b.table(lambda t: "\n".join(f"{r}\tx" for r in t.splitlines()).replace("\tx", "\tscore", 1) + "\n"), Kept()),
        ("long_line", "a value without a column", "stops, naming the line", b.line(lambda r: f"{r}\tstray"), Stops(), ("more values than its 4 columns in line 4",)),
        ("short_line", "a line that ends early", "stops, naming the line", b.line(lambda r: r.rsplit("\t", 2)[0]), Stops(), ("fewer values than its 4 columns in line 4",)),
        ("shifted_line", "a tab too many within a line", "stops, naming the line", b.line(lambda r: r.replace("\t", "\t\t", 1)), Stops(), ("in line 4",)),
        ("duplicate", "a subject listed twice", "stops, naming the subject", b.line(lambda r: [r, r]), Stops(), ("listed more than once", WHO)),
        ("duplicate_prefix", "03 and sub-03", "stops: they are one subject", b.line(lambda r: [r, r.removeprefix("sub-")]), Stops(), ("listed more than once", WHO)),
        ("without_prefix", "ids without sub-", "read", b.column("participant_id", lambda v: v.removeprefix("sub-")), Kept()),
        ("missing_id", "a row without an id", "stops", b.line(lambda r: r.replace(WHO, "", 1)), Stops(), ("no BIDS subjects: ['']",)),
        ("na_id", "n/a for an id", "stops", b.line(lambda r: r.replace(WHO, "n/a", 1)), Stops(), ("no BIDS subjects: ['n/a']",)),
        ("traversal", "../x for an id", "stops; no path is made of it", b.line(lambda r: r.replace(WHO, "../x", 1)), Stops(), ("no BIDS subjects: ['../x']",)),
        ("traversal_prefix", "sub-../../etc for an id", "stops; no path is made of it", b.line(lambda r: r.replace(WHO, "sub-../../etc", 1)), Stops(), ("no BIDS subjects: ['sub-../../etc']",)),
        ("endless_id", "an id of a thousand letters", "stops; no path is made of it", b.line(lambda r: r.replace(WHO, "sub-" + "x" * 1000, 1)), Stops(), ("at most 64 letters",)),
        ("unicode_id", "an id with an umlaut", "stops", b.line(lambda r: r.replace(WHO, "sub-Müller", 1)), Stops(), ("no BIDS subjects: ['sub-Müller']",)),
        ("lost_zeros", "3 for sub-03 (a spreadsheet's doing)", "left out, naming the folder meant", b.line(lambda r: r.replace(WHO, "3", 1)), Left("missing_scan", ("sub-3",), ((WHO, "not_listed"),)), ("did you mean sub-03",)),
        ("unlisted", "a scan without a row", "left out", b.line(lambda r: None), Left("not_listed"), ("no row in participants.tsv",)),
        ("unknown_label", "a third group", "left out", b.cell("group", "unclear"), Left("group"), ("'unclear'", "expected 'ALS' or 'mimic'")),
        ("na_label", "n/a for a group", "left out", b.cell("group", "n/a"), Left("group"), ("'n/a'",)),
        ("label_case", "als for ALS", "left out, saying that case differs", b.cell("group", "als"), Left("group"), ("in case alone",)),
        ("all_labels_case", "every group in lower case", "stops, with the labels there are", b.column("group", str.lower), Stops(), ("no participant has group 'ALS'", "'als'", "set positive_label")),
        ("one_class", "one group only", "stops", b.column("group", lambda v: "ALS"), Stops(), ("no participant has group 'mimic'",)),
        ("no_age", "n/a for an age", "kept, age unknown, noted", b.cell("age", "n/a"), Kept(19), ("'n/a', taken as unknown",)),
        ("age_90", "90+ for an age", "kept, age unknown, noted", b.cell("age", "90+"), Kept(19), ("'90+', taken as unknown",)),
        ("age_negative", "-4 for an age", "kept, age unknown, noted", b.cell("age", "-4"), Kept(19), ("'-4'",)),
        ("age_months", "780 for an age", "kept, age unknown, noted", b.cell("age", "780"), Kept(19), ("'780'",)),
        ("age_underscore", "6_5 for an age, a number to Python alone", "kept, age unknown, noted", b.cell("age", "6_5"), Kept(19), ("'6_5'",)),
        ("age_thousand", "1,234 for an age", "kept, age unknown, noted", b.cell("age", "1,234"), Kept(19), ("'1,234'",)),
        ("age_comma", "61,5 for an age", "kept as 61.5", b.cell("age", "61,5"), Kept()),
        ("sex_case", "m among M", "kept, sex unknown, noted", b.cell("sex", "m"), Kept(), ("sex is 'm', taken as unknown",)),
        ("all_sexes_other", "1 and 2 for sex", "stops", b.column("sex", lambda v: {"M": "1", "F": "2"}[v]), Stops(), ("set male_label",)),
    ),
    *_cases(
        "Folder",
        ("no_description", "no dataset_description.json", "read; noted", lambda root: (root / "dataset_description.json").unlink(), Kept(), ("no dataset_description.json",)),
        ("no_subject_folder", "a row without a folder", "left out", b.lost_folder, Left("missing_scan"), ("no such folder",)),
        ("no_scan", "a folder without a T1w scan", "left out", b.no_scan, Left("missing_scan"), ("no *_T1w.nii.gz",)),
        ("two_sessions", "two sessions and none asked for", "left out; neither is picked", b.second_session, Left("several_scans"), ("set session",)),
        ("session_chosen", "two sessions, one asked for that the others lack", "the others are left out", b.second_session, Left("selection", tuple(f"sub-{i:02d}" for i in range(1, 21) if i != 3)), ("session, acquisition and run asked for",), {"session": "ses-01"}),
        ("same_scan", "one scan under two subjects", "both left out: whose it is, nobody knows", b.same_scan, Left("same_scan", (WHO, b.OTHER)), ("the very bytes of",)),
        ("foreign_name", "another subject's scan in the folder", "left out", b.swapped_name, Left("selection"), ("somebody else's",)),
        ("linked_folder", "a subject's folder is a link", "read", b.linked_folder, Kept()),
        ("mac_files", "hidden files that a Mac leaves beside scans", "read; they are passed over", b.hidden_files, Kept()),
        ("spaces", "spaces and other scripts in the path", "read", b.renamed("étude ALS β 1"), Kept()),
    ),
]  # fmt: skip


@dataclass(frozen=True)
class File:
    """A file that is refused: what is in it, and words that the error must hold."""

    id: str
    what: str
    content: bytes
    words: tuple[str, ...]


#: Parameter files, given as ``--profile FILE.yaml``; all stop before anything is written.
PARAMETER_FILES = [
    File("unknown_key", "a name that there isn't", b"bids_rot: /data\n", ("unknown parameter 'bids_rot'", "did you mean 'bids_root'")),
    File("wrong_type", "a text for a number", b"n_folds: many\n", ("n_folds", "'many'")),
    File("boolean", "yes for a number", b"seed: yes\n", ("seed", "True")),
    File("fraction", "a fraction for a whole number", b"n_folds: 2.5\n", ("n_folds", "2.5")),
    File("out_of_range", "a value out of range", b"mask_threshold: 1.5\n", ("mask_threshold", "less than 1", "1.5")),
    File("not_finite", "NaN for a number", b"histogram_bin_width: .nan\n", ("histogram_bin_width", "finite")),
    File("infinite", "infinity for a number", b"histogram_bin_width: .inf\n", ("histogram_bin_width", "finite")),
    File("same_labels", "both groups of one label", b"positive_label: A\nnegative_label: A\n", ("positive_label and negative_label are both 'A'",)),
    File("same_sexes", "women and men of one label", b"male_label: X\nfemale_label: X\n", ("male_label and female_label are both 'X'",)),
    File("same_names", "both groups shown by one name", b"positive_name: mimic\n", ("both groups would be shown as 'mimic'", "set positive_name")),
    File("markup_name", "a group's name with a script in it", b"positive_name: <script>alert(1)</script>\n", ("without < > ` |", "set positive_name")),
    File("two_lines_name", "a group's name of two lines", b'negative_label: "a\\nb"\n', ("on one line", "set negative_name")),
    File("endless_name", "a group's name of a thousand letters", b"positive_label: " + b"x" * 1000, ("at most 60 characters",)),
    File("several_wrong", "three mistakes", b"seed: -1\nn_folds: 1\nnosuch: 2\n", ("seed", "n_folds", "unknown parameter 'nosuch'")),
    File("given_twice", "a name given twice, of which YAML would take the last", b"seed: 1\nseed: 2\n", ("['seed'] given twice",)),
    File("yaml_list", "a list", b"- seed\n- 4\n", ("found a list",)),
    File("yaml_broken", "no YAML", b"seed: [1\n", ("can't be read as YAML",)),
    File("yaml_tag", "a YAML tag that would run code", b"run_dir: !!python/object/apply:os.getcwd []\n", ("can't be read as YAML",)),
    File("yaml_binary", "bytes that are no text", b"\xff\xfe\x00seed", ("can't be read as YAML",)),
    File("yaml_deep", "lists ten thousand deep", b"seed: " + b"[" * 10_000, ("can't be read as YAML",)),
]  # fmt: skip


#: What `tests/faults/test_machine.py` and others do to a run; the test's name stands beside.
RUNS = [
    ("weights that aren't there", "stops before any work, naming the file", "test_settings.py::test_weights[absent]"),
    ("weights of another kind of file", "stops; nothing is unpickled", "test_settings.py::test_weights[kind]"),
    ("weights cut short", "stops before any work", "test_settings.py::test_weights[truncated]"),
    ("weights with a byte of the header changed", "stops before any work", "test_settings.py::test_weights[tampered]"),
    ("weights of another network", "stops, naming the first tensor that differs", "test_settings.py::test_weights[foreign]"),
    ("weights with NaN", "stops, naming the tensor", "test_settings.py::test_weights[nan]"),
    ("a pickle that runs code under the name of weights", "stops; the code doesn't run", "test_settings.py::test_weights[pickle]"),
    ("DeepBrain's graph with one byte changed", "stops: the SHA-256 differs", "test_settings.py::test_a_tampered_graph"),
    ("30000 voxels along each axis, under 3 GB of memory", "left out; no memory is asked for", "test_machine.py::test_no_memory_for_a_lie"),
    ("a scan that may not be read", "left out; the others go on", "test_machine.py::test_a_scan_that_may_not_be_read"),
    ("a subject's folder that may not be read", "left out; the others go on", "test_machine.py::test_a_folder_that_may_not_be_read"),
    ("the right to read lost while features are computed", "left out; the others go on", "test_machine.py::test_a_right_lost_in_mid_run"),
    ("a BIDS folder that may not be written to", "read: nothing is written there", "test_machine.py::test_a_read_only_study"),
    ("a run folder that may not be written to", "stops in one line", "test_machine.py::test_a_read_only_run_folder"),
    ("a file where the run folder should be", "stops in one line", "test_machine.py::test_a_file_for_a_run_folder"),
    ("a disk that fills up", "stops in one line; nobody is left out for it, nothing is half-written, and the run goes on later", "test_machine.py::test_a_full_disk"),
    ("a file larger than is allowed", "the same", "test_machine.py::test_a_file_too_large"),
    ("two runs at once on one run folder", "the second stops", "test_machine.py::test_two_runs_at_once"),
    ("a run killed at any moment", "the next goes on, to the same bytes", "../test_resume_invariant.py::test_a_killed_run_goes_on_to_the_same_bytes"),
]  # fmt: skip
