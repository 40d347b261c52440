"""Film files: PNG, JPEG and DICOM to grey levels, and the checks of them."""
