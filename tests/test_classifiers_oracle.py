"""The eight classifiers against the paper's text, scikit-learn, imbalanced-learn and torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from imblearn.over_sampling import SMOTE
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from alsnb.classifiers import CLASSIFIERS, AdaptiveSMOTE, classifier, grid, scores
from alsnb.networks import DNNClassifier


def rows(n_negative=20, n_positive=40, n_features=6, shift=0.8, seed=0):
    rng = np.random.default_rng(seed)
    y = np.repeat([0, 1], [n_negative, n_positive])
    X = rng.normal(size=(len(y), n_features)) * rng.uniform(0.1, 50, n_features)
    X[:, 0] += shift * X[:, 0].std() * y
    order = rng.permutation(len(y))
    return X[order], y[order]


def test_names_and_labels_are_those_of_the_papers_table_3():
    labels = ["SVM (L)", "SVM (P)", "SVM (RBF)", "SVM (S)", "Knn", "RF", "DNNt", "DNNv"]
    assert list(CLASSIFIERS.values()) == labels


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("knn", {"n_neighbors": [3, 5, 7]}),
        ("rf", {"n_estimators": [5, 100, 200, 500]}),
        ("svm_linear", {"C": [1e-4, 1e-3, 1e-2, 0.1, 1, 10]}),
        ("svm_poly", {"C": [1e-4, 1e-3, 1e-2, 0.1, 1, 10], "degree": [2, 3]}),
        ("svm_rbf", {"C": [1e-4, 1e-3, 1e-2, 0.1, 1, 10], "gamma": [1e-3, 1e-2, 0.1, 1, 10]}),
        ("svm_sigmoid", {"C": [1e-4, 1e-3, 1e-2, 0.1, 1, 10]}),
        ("dnn_t", {}),
        ("dnn_v", {}),
    ],
)
def test_grids_are_those_of_the_papers_section_2_4(name, expected):
    assert grid(name) == {f"estimator__{key}": value for key, value in expected.items()}


@pytest.mark.parametrize(
    ("name", "kernel", "parameters"),
    [
        ("svm_linear", "linear", {"C": 0.1}),
        ("svm_poly", "poly", {"C": 1.0, "degree": 2}),
        ("svm_rbf", "rbf", {"C": 10.0, "gamma": 0.01}),
        ("svm_sigmoid", "sigmoid", {"C": 0.01}),
    ],
)
@pytest.mark.parametrize("first", ["scaler", "smote"])
def test_a_support_vector_machine_is_scaler_smote_svc(name, kernel, parameters, first):
    X, y = rows()
    X_test, _ = rows(seed=1)
    pipeline = classifier(name, seed=7, smote_before_scaling=first == "smote", **parameters)
    pipeline.fit(X, y)

    scaler, smote = StandardScaler(), SMOTE(k_neighbors=5, random_state=7)
    if first == "scaler":
        X_fit, y_fit = smote.fit_resample(scaler.fit_transform(X), y)
    else:
        X_fit, y_fit = smote.fit_resample(X, y)
        X_fit = scaler.fit_transform(X_fit)
    machine = SVC(kernel=kernel, **parameters).fit(X_fit, y_fit)
    # The same calls on the same numbers: no tolerance.
    expected = machine.decision_function(scaler.transform(X_test))
    np.testing.assert_array_equal(scores(pipeline, X_test), expected)
    np.testing.assert_array_equal(pipeline.predict(X_test), (expected > 0).astype(int))


def test_linear_svc_of_the_released_scripts_is_liblinears():
    X, y = rows()
    pipeline = classifier("svm_linear", seed=0, smote=False, linear_svc=True, C=0.01).fit(X, y)
    scaler = StandardScaler().fit(X)
    machine = LinearSVC(C=0.01, random_state=0).fit(scaler.transform(X), y)
    expected = machine.decision_function(scaler.transform(X))
    np.testing.assert_array_equal(scores(pipeline, X), expected)


@pytest.mark.parametrize(("n_minority", "k"), [(20, 5), (6, 5), (5, 4), (3, 2), (2, 1)])
def test_smote_is_imbalanced_learns_with_k_as_the_minority_allows(n_minority, k):
    X, y = rows(n_negative=n_minority)
    sampler = AdaptiveSMOTE(random_state=3)
    X_new, y_new = sampler.fit_resample(X, y)
    expected = SMOTE(k_neighbors=k, random_state=3).fit_resample(X, y)
    np.testing.assert_array_equal(X_new, expected[0])
    np.testing.assert_array_equal(y_new, expected[1])
    assert (sampler.k_used_, sampler.n_minority_, sampler.n_resampled_) == (k, n_minority, 80)


def test_the_network_has_the_papers_layers_and_dropout_after_each():
    X, y = rows()
    layers = DNNClassifier(max_epochs=1).fit(X, y).net_.module_.layers
    linear = [layer.out_features for layer in layers if isinstance(layer, torch.nn.Linear)]
    dropout = [layer.p for layer in layers if isinstance(layer, torch.nn.Dropout)]
    assert linear == [50, 3, 2]
    assert dropout == [0.2, 0.2, 0.2]


def plain_training(parts, hidden, *, softmax, learning_rate, weight_decay, epochs, seed):
    """Train on one part after the other, a new Adam each time, in a plain torch loop."""
    torch.manual_seed(seed)
    widths = [parts[0][0].shape[1], *hidden, 2]
    layers = []
    for before, after in zip(widths, widths[1:], strict=False):
        layers += [torch.nn.Linear(before, after), torch.nn.ReLU()]
    net = torch.nn.Sequential(*layers[:-1], *([torch.nn.Softmax(dim=1)] if softmax else []))
    probabilities = []
    for X, y in parts:
        X, y = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
        adam = torch.optim.Adam(net.parameters(), lr=learning_rate, weight_decay=weight_decay)
        for _ in range(epochs):
            adam.zero_grad()
            torch.nn.functional.cross_entropy(net(X), y).backward()
            adam.step()
        output = net(X) if softmax else torch.softmax(net(X), dim=1)
        probabilities.append(output.detach().numpy())
    return probabilities


@pytest.mark.parametrize(
    "settings",
    [
        # As the released scripts train: a softmax before the cross-entropy's own.
        {"hidden": (30, 10), "softmax": True, "learning_rate": 1e-4, "weight_decay": 0.1},
        {"hidden": (50, 3), "softmax": False, "learning_rate": 1e-3, "weight_decay": 1e-3},
    ],
)
def test_training_equals_a_plain_torch_loop_also_carried_over_two_fits(settings):
    parts = [rows(seed=0), rows(seed=1)]
    parts = [(StandardScaler().fit_transform(X), y) for X, y in parts]
    net = DNNClassifier(
        **settings, dropout=0.0, stop_on=None, batch_size=None, warm_start=True, seed=5,
        max_epochs=40,
    )  # fmt: skip
    ours = [net.fit(X, y).predict_proba(X) for X, y in parts]
    with torch.random.fork_rng(devices=[]):
        expected = plain_training(parts, **settings, epochs=40, seed=5)
    for mine, theirs in zip(ours, expected, strict=True):
        # Float32 over 80 steps; the fused Adam rounds in another order.
        np.testing.assert_allclose(mine, theirs, atol=2e-5)


def test_kept_weights_are_those_of_the_best_training_f1():
    X, y = rows()
    net = DNNClassifier(stop_on="training", max_epochs=60, patience=20, seed=1).fit(X, y)
    history = np.array(net.net_.history[:, "monitored_f1"])
    # The F1 of the restored weights is the best of the history, by scikit-learn.
    assert f1_score(y, net.predict(X)) == pytest.approx(history.max(), abs=1e-12)
    assert net.best_epoch_ == int(history.argmax()) + 1
    assert net.n_epochs_ <= net.best_epoch_ + 20


def test_validation_rows_are_a_stratified_fifth_and_decide_the_best_epoch():
    X, y = rows()
    net = DNNClassifier(stop_on="validation", max_epochs=60, patience=20, seed=2).fit(X, y)
    _, X_valid, _, y_valid = train_test_split(X, y, test_size=0.2, stratify=y, random_state=2)
    assert np.bincount(y_valid).tolist() == [4, 8]
    best = max(net.net_.history[:, "monitored_f1"])
    watched = np.asarray(X_valid, dtype=np.float32)
    assert f1_score(y_valid, net.predict(watched)) == pytest.approx(best, abs=1e-12)


def test_batches_cover_every_row_once_an_epoch():
    X, y = rows()
    # 60 rows in batches of 32: two steps an epoch.
    net = DNNClassifier(stop_on=None, max_epochs=3, batch_size=32).fit(X, y)
    sizes = [[b["train_batch_size"] for b in epoch["batches"]] for epoch in net.net_.history]
    assert sizes == [[32, 28]] * 3
