"""What people type into pages, checked for shape. Whether it is allowed is decided by the services."""
