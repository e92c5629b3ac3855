"""The blob endpoint of Azure Storage: `https://{account}.blob.core.windows.net@127.0.0.1:PORT/{container}/{name}`."""
