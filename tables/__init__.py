"""Tables from run records: measured numbers beside the paper's."""
