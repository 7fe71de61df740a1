"""Reports: the blocks that findings are made of, the registry of metrics, and the page that shows them."""
