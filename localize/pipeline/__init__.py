"""Stages that join several rooms: bundles, the demo, the quickstart."""
