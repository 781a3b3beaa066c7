"""Models on this machine and on the hub: finding them, naming them, fetching and removing them."""
