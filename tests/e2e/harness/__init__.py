"""What the end-to-end tests stand on: a daemon process, a stranger's controller, an RTP receiver of our own."""
