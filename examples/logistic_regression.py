"""The classic lesson: gradient descent on 1,000 points, its cost curve and its boundary.

python examples/logistic_regression.py
"""

from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split

from pixelry.logistic import LogisticRegression, plot_boundary, plot_cost

X, y = make_classification(1000, n_features=2, n_redundant=0, n_clusters_per_class=1, random_state=2020)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=2020)

model = LogisticRegression(solver="gradient_descent", max_iter=2000).fit(X_train, y_train)
print(f"{model.n_iter_} iterations, cost {model.loss_curve_[0]:.4f} to {model.loss_curve_[-1]:.4f} nats")
print(f"accuracy on the 200 points that were held out: {model.score(X_test, y_test):.1%}")

plot_cost(model).savefig("cost.png")
plot_boundary(model, X_test, y_test).savefig("boundary.png")
print("drawn: cost.png and boundary.png")
