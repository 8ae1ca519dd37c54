"""scikit-learn's histogram boosting, as LightGBM text.

The two libraries grow the same kind of trees, so a fitted model of the one can be written down as a
model of the other: it is then kept as JSON, applied and explained like every other member, and
scikit-learn is not needed where leads are scored. What scikit-learn keeps of its trees is private
to it; :func:`as_booster` therefore holds the result to the original on the training rows.
"""

from collections.abc import Sequence
from typing import Any

import lightgbm as lgb
import numpy as np

from leadengine.errors import LeadEngineError
from ml.schema import Matrix, Schema

# LightGBM's bits of a split: categorical, default left, missing values are NaN.
_CATEGORICAL, _DEFAULT_LEFT, _NAN = 1, 2, 8
_CLOSE = 1e-6


def as_booster(model: Any, schema: Schema, matrix: Matrix) -> lgb.Booster:
    """A fitted ``HistGradientBoostingClassifier`` of two classes as a LightGBM booster.

    Args:
        model: fitted on ``schema.encode`` with ``categorical_features=schema.categorical``.
        schema: the features.
        matrix: the rows it was fitted on.

    Raises:
        LeadEngineError: the two differ on those rows.
    """
    order, categories = _columns(model, schema)
    bias = float(np.ravel(model._baseline_prediction)[0])
    trees: list[str] = []
    for (predictor,) in model._predictors:
        if len(predictor.nodes) == 1:
            bias += float(predictor.nodes["value"][0])
            continue
        text = _tree(len(trees), predictor, schema, order, categories, 0.0 if trees else None, bias)
        trees.append(text)
    if not trees:
        raise LeadEngineError(
            "scikit-learn's boosting grew no tree.", remedy="Train without this candidate."
        )
    booster = lgb.Booster(model_str=_header(schema) + "".join(trees) + "end of trees\n\n")
    apart = np.abs(booster.predict(matrix, raw_score=True) - model.decision_function(matrix)).max()
    if apart > _CLOSE:
        raise LeadEngineError(
            f"scikit-learn's trees are not what they were thought to be: log-odds differ by "
            f"{apart:.2e}.",
            remedy="Use the versions of requirements.lock.",
        )
    return booster


def _columns(model: Any, schema: Schema) -> tuple[list[int], dict[int, "np.ndarray[Any, Any]"]]:
    """The feature at each place of the model's own order, and the codes behind its categories."""
    categorical = schema.categorical
    if not categorical:
        return list(range(len(schema.features))), {}
    numeric = [i for i in range(len(schema.features)) if i not in categorical]
    encoder = model._preprocessor.named_transformers_["encoder"]
    return [*categorical, *numeric], dict(zip(categorical, encoder.categories_, strict=True))


def _header(schema: Schema) -> str:
    names = " ".join(f"Column_{i}" for i in range(len(schema.features)))
    infos = " ".join(
        ":".join(map(str, range(f.codes))) if f.kind == "categorical" else "[-1e+300:1e+300]"
        for f in schema.features
    )
    return (
        "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\n"
        f"max_feature_idx={len(schema.features) - 1}\nobjective=binary sigmoid:1\n"
        f"feature_names={names}\nfeature_infos={infos}\n\n"
    )


def _tree(
    number: int,
    predictor: Any,
    schema: Schema,
    order: Sequence[int],
    categories: dict[int, "np.ndarray[Any, Any]"],
    shift: float | None,
    bias: float,
) -> str:
    """One tree; ``bias`` goes into the leaves of the first."""
    nodes = predictor.nodes
    added = bias if shift is None else shift
    inner = [i for i in range(len(nodes)) if not nodes["is_leaf"][i]]
    leaves = [i for i in range(len(nodes)) if nodes["is_leaf"][i]]
    place = {i: n for n, i in enumerate(inner)} | {i: ~n for n, i in enumerate(leaves)}
    features, thresholds, kinds = [], [], []
    words: list[int] = []
    bounds = [0]
    for i in inner:
        node = nodes[i]
        feature = order[int(node["feature_idx"])]
        features.append(feature)
        if node["is_categorical"]:
            kinds.append(_CATEGORICAL | _NAN)
            thresholds.append(str(len(bounds) - 1))
            words += _bitset(
                predictor.raw_left_cat_bitsets[int(node["bitset_idx"])],
                categories[feature],
                schema.features[feature].codes,
                unknown_left=bool(node["missing_go_to_left"]),
            )
            bounds.append(len(words))
        else:
            kinds.append(_NAN | (_DEFAULT_LEFT if node["missing_go_to_left"] else 0))
            thresholds.append(repr(float(min(node["num_threshold"], 1e300))))
    lines = {
        "num_leaves": len(leaves),
        "num_cat": len(bounds) - 1,
        "split_feature": _row(features),
        "split_gain": _row(float(nodes["gain"][i]) for i in inner),
        "threshold": " ".join(thresholds),
        "decision_type": _row(kinds),
        "left_child": _row(place[int(nodes["left"][i])] for i in inner),
        "right_child": _row(place[int(nodes["right"][i])] for i in inner),
        "leaf_value": _row(float(nodes["value"][i]) + added for i in leaves),
        "leaf_weight": _row(float(nodes["count"][i]) for i in leaves),
        "leaf_count": _row(int(nodes["count"][i]) for i in leaves),
        "internal_value": _row(float(nodes["value"][i]) + added for i in inner),
        "internal_weight": _row(float(nodes["count"][i]) for i in inner),
        "internal_count": _row(int(nodes["count"][i]) for i in inner),
    }
    if len(bounds) > 1:
        lines |= {"cat_boundaries": _row(bounds), "cat_threshold": _row(words)}
    lines |= {"is_linear": 0, "shrinkage": 1}
    return f"Tree={number}\n" + "".join(f"{k}={v}\n" for k, v in lines.items()) + "\n\n"


def _bitset(
    left: "np.ndarray[Any, Any]",
    categories: "np.ndarray[Any, Any]",
    codes: int,
    *,
    unknown_left: bool,
) -> list[int]:
    """The codes that go left, as LightGBM has them; those never seen go where missing ones do."""
    known = {int(code): n for n, code in enumerate(categories) if not np.isnan(code)}
    words = [0] * (codes // 32 + 1)
    for code in range(codes):
        n = known.get(code)
        goes = unknown_left if n is None else bool((int(left[n // 32]) >> (n % 32)) & 1)
        if goes:
            words[code // 32] |= 1 << (code % 32)
    return words


def _row(values: Any) -> str:
    return " ".join(map(repr, values))
