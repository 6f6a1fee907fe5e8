"""Says what runs here and why: versions, devices, and the form of the glimpse."""


def main(_):
    """Prints the report."""
    from ratm_tf import doctor

    print("\n".join(doctor.report()))
