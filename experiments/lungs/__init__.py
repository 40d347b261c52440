"""Lung fields measured: masks, spoilt films, zones, severity, boxes outside the lungs."""
