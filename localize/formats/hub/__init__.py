"""What all annotation formats share."""
