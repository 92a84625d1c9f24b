"""The three protocols against the authors' scripts, scikit-learn alone and the paper's sizes."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import Pipeline
from sklearn.metrics import f1_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from alsnb import protocols
from alsnb.classifiers import GAMMA, C


def study(n_negative=20, n_positive=40, n_features=6, shift=0.8, seed=0):
    """Features and labels with some signal; subjects in random order of classes."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat([0, 1], [n_negative, n_positive]))
    X = rng.normal(size=(len(y), n_features))
    X[:, 0] += shift * y
    ids = pd.Index([f"sub-{i:03d}" for i in range(len(y))], name="participant_id")
    return pd.DataFrame(X, ids).add_prefix("f"), pd.Series(y, ids, name="label")


@pytest.fixture(scope="module")
def released(test_data):
    """The authors' scripts' input, and what they make of it with only crashes fixed."""
    folder = test_data / "reference" / "released"
    with np.load(folder / "features.npz") as arrays:
        X, y = arrays["X"], arrays["y"]
    ids = [f"sub-{i:03d}" for i in range(len(y))]
    reference = pd.read_csv(folder / "predictions.csv")
    reference["participant_id"] = [ids[row] for row in reference["row"]]
    return {
        "features": pd.DataFrame(X, ids).add_prefix("f"),
        "labels": pd.Series(y, ids),
        "predictions": reference.replace({"classifier": {"random_forest": "rf"}}),
        "chosen": pd.read_csv(folder / "best_parameters.csv", index_col=0),
        "printed": (folder / "scores_as_printed.txt").read_text(encoding="utf-8"),
    }


@pytest.fixture(scope="module")
def released_network(released):
    return protocols.run(
        released["features"], released["labels"], representation="dl7", classifier="dnn_v",
        protocol="released",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "column", "printed_as"),
    [
        ("svm_linear", "SVM (L)", "Linear SVM"),
        ("svm_poly", "SVM (P)", "Polynomial SVM"),
        ("svm_rbf", "SVM (RBF)", "RBF SVM"),
        ("svm_sigmoid", "SVM (S)", "Sigmoid SVM"),
        ("knn", "KNN", "KNN"),
        ("rf", "RF:", "RandomForest"),
    ],
)
def test_released_gives_the_authors_parameters_predictions_and_scores(
    released, name, column, printed_as, recwarn
):
    result = protocols.run(
        released["features"], released["labels"], representation="dl7", classifier=name,
        protocol="released", platt_scores=False,
    )  # fmt: skip
    chosen = released["chosen"][column].dropna()
    ours = result.chosen.set_index("parameter")["value"].add_prefix("model__")
    assert ours.to_dict() == chosen.to_dict()

    theirs = released["predictions"].query("classifier == @name")
    both = result.predictions.merge(theirs, on=["participant_id", "fold"], suffixes=("", "_ref"))
    assert len(both) == 654
    assert (both["y_true"] == both["y_true_ref"]).all()
    assert (both["y_pred"] == both["y_pred_ref"]).all()
    score = both["decision"] if name.startswith("svm") else both["proba_1"]
    # The reference is written with 8 significant digits: half a unit of the last is 5e-8.
    np.testing.assert_allclose(both["score"], score, rtol=5.01e-8, atol=1e-9)

    f1 = [f1_score(fold["y_true"], fold["y_pred"]) for _, fold in both.groupby("fold")]
    average = released["printed"].partition("Average")[2]
    printed = re.search(rf"^{printed_as}: .*Test=(\S+)±(\S+)$", average, re.MULTILINE)
    assert f"{np.mean(f1):.4f}" == printed[1]
    assert f"{np.std(f1):.4f}" == printed[2]

    # liblinear does not converge on these features: a note, and no warning.
    assert any("ConvergenceWarning" in n for n in result.notes) == (name == "svm_linear")
    assert [str(w.message) for w in recwarn] == []


def test_released_classes_do_not_hang_on_platts_scores(released):
    arguments = {"representation": "dl7", "classifier": "svm_poly", "protocol": "released"}
    data = released["features"], released["labels"]
    platt = protocols.run(*data, **arguments).predictions
    plain = protocols.run(*data, **arguments, platt_scores=False).predictions
    pd.testing.assert_series_equal(platt["y_pred"], plain["y_pred"])
    assert platt["score"].between(0, 1).all()


def test_released_networks_end_as_constant_as_the_authors_three_layer_network(released_network):
    # The scripts set no seed for the initial weights and the reference holds no network
    # predictions, so there is nothing to be equal to. What does not depend on the seed: with
    # softmax twice and an L2 penalty of 0.1, carried on over the folds, the network's outputs
    # shrink to a near constant, as the printed F1 of everybody-positive shows.
    last = released_network.predictions.query("fold == 2")
    assert last["score"].std() < 0.01
    assert f1_score(last["y_true"], last["y_pred"]) in (0.0, pytest.approx(0.9100, abs=5e-5))


@pytest.mark.parametrize(
    ("name", "estimator", "values"),
    [
        ("knn", KNeighborsClassifier(), {"n_neighbors": [3, 5, 7]}),
        ("svm_rbf", SVC(), {"C": list(C), "gamma": list(GAMMA)}),
    ],
)
@pytest.mark.parametrize("protocol", ["published", "nested"])
def test_protocol_equals_scikit_learn_alone(protocol, name, estimator, values):
    features, labels = study()
    result = protocols.run(features, labels, representation="a", classifier=name, protocol=protocol)
    X, y = features.to_numpy(), labels.to_numpy()
    steps = [("s", StandardScaler()), ("o", SMOTE(k_neighbors=5, random_state=42))]
    folds = StratifiedKFold(3, shuffle=True, random_state=42)
    search = GridSearchCV(
        Pipeline([*steps, ("e", estimator)]), {f"e__{k}": v for k, v in values.items()},
        scoring="f1", cv=folds,
    )  # fmt: skip
    method = "predict_proba" if name == "knn" else "decision_function"
    model = search.fit(X, y).best_estimator_ if protocol == "published" else search
    score = cross_val_predict(model, X, y, cv=folds, method=method)
    score = score[:, 1] if name == "knn" else score
    y_pred = cross_val_predict(model, X, y, cv=folds)

    ours = result.predictions.set_index("participant_id").loc[features.index]
    # Rounding only: scikit-learn's slices lie in memory in another order.
    np.testing.assert_allclose(ours["score"], score, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(ours["y_pred"], y_pred)
    if protocol == "published":
        expected = {k.removeprefix("e__"): float(v) for k, v in search.best_params_.items()}
        assert result.chosen.set_index("parameter")["value"].to_dict() == expected
        assert result.chosen["fold"].unique().tolist() == ["all"]
        np.testing.assert_allclose(
            result.grid["mean_score"], search.cv_results_["mean_test_score"], rtol=1e-12
        )
    else:
        assert sorted(result.chosen["fold"].unique()) == ["0", "1", "2"]


@pytest.mark.parametrize("protocol", protocols.PROTOCOLS)
def test_folds_have_the_papers_sizes(protocol):
    features, labels = study(n_negative=106, n_positive=548, n_features=3)
    folds = protocols.run(
        features, labels, representation="a", classifier="knn", protocol=protocol
    ).folds
    # Section 2.4: 436 for training, 218 for testing, 730 after SMOTE. 548 are no multiple of
    # three, so one training set has 366 positives and 732 after SMOTE.
    assert folds["n_train"].tolist() == [436, 436, 436]
    assert folds["n_test"].tolist() == [218, 218, 218]
    assert sorted(folds["n_train_after_smote"]) == [730, 730, 732]
    assert folds["smote_k"].tolist() == [5, 5, 5]
    assert sorted(folds["n_minority"]) == [70, 71, 71]
