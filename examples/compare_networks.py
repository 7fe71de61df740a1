"""What each rung of the ladder buys on the same data in the same time.

python examples/compare_networks.py
"""

import pixelry as px

comparison = px.compare("classify", "digits", networks=["logistic", "cnn", "airbench"], minutes=0.1)
print(comparison)
print("the page lies beside the runs:", comparison.rungs[0].folder)
