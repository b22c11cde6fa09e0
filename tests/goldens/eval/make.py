"""Figures of merit from scikit-learn, for the tests of `src/eval/figures.rs`.

    pip install scikit-learn==1.9.1
    python tests/goldens/eval/make.py > tests/goldens/eval/figures.json
"""

import json
import random

from sklearn.metrics import average_precision_score, f1_score, recall_score, roc_auc_score

random.seed(20261124)
cases = []
for rows, values in [(2, 2), (5, 3), (20, 4), (50, 7), (200, 11), (300, 100_000), (40, 1)]:
    labels = [random.random() < 0.4 for _ in range(rows)]
    labels[0], labels[1] = True, False
    scores = [random.randrange(values) / values + 0.5 * (label and random.random() < 0.3) for label in labels]
    predicted = [score >= 0.5 for score in scores]
    cases.append({
        "scores": scores,
        "labels": labels,
        "auroc": float(roc_auc_score(labels, scores)),
        "auprc": float(average_precision_score(labels, scores)),
        "f1": float(f1_score(labels, predicted)),
        "recall": float(recall_score(labels, predicted)),
        "fpr": sum(p and not y for p, y in zip(predicted, labels)) / labels.count(False),
    })
print(json.dumps(cases))
