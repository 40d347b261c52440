"""ROIs to reweighted boxes, attributes, severity; evaluation, exports, gallery, bundles."""
