"""The package's name in Azure."""
