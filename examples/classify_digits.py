"""Train, judge and use a classifier, on digits that ship with scikit-learn.

python examples/classify_digits.py
"""

import pixelry as px

data = px.load_dataset("digits")
print(data.describe())

model = px.train("classify", data, network="cnn", minutes=0.1)
report = model.evaluate(data)
print(report)

for result in model.predict(data["test"].images[:5]):
    print(result.name, result.label, f"{result.score:.1%}")
