"""What happens around every request, one file each; `server.app` fixes the order."""
